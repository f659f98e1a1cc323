"""A person's faceset: pictures that users can view and delete, and one index.

    faces/faces.parquet      one row per face (columns: `INDEX`); notes: settings and sources
    faces/images/*.webp      the aligned pictures

The index alone does not decide: a row counts only if its picture exists and is complete.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.errors import FacesError, ProjectError
from understudy.faces.align import CORE
from understudy.facesets import split
from understudy.facesets.split import Indices
from understudy.media.images import decode_image
from understudy.runtime import files, parquet
from understudy.runtime.cpu import usable
from understudy.tracks.scan_store import LANDMARKS
from understudy.types import Floats, Image

SCHEMA_VERSION = 1
INDEX_NAME = "faces.parquet"
IMAGES_NAME = "images"

INDEX = pa.schema(
    [
        ("image", pa.string()),
        ("bytes", pa.int32()),
        ("size", pa.int32()),
        ("source", pa.string()),
        ("source_name", pa.string()),
        ("frame", pa.int32()),
        ("time_numerator", pa.int64()),
        ("time_denominator", pa.int64()),
        ("shot", pa.int32()),
        ("track", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("box", parquet.vector_type(4)),
        ("score", pa.float32()),
        ("yaw", pa.float32()),
        ("pitch", pa.float32()),
        ("roll", pa.float32()),
        ("sharpness", pa.float32()),
        ("matrix", parquet.vector_type(6)),
        ("landmarks", parquet.vector_type(LANDMARKS * 3)),
        ("embedding", parquet.vector_type(128)),
    ]
)
"""Columns of `faces.parquet`.

image: file name in `images/`; bytes: its length; size: its side in pixels, which may be another in
every row: large faces are stored larger.
source: SHA-256 of the film; source_name: its file name when it was extracted.
frame: index in the film; time: seconds, an exact fraction; shot, track: numbers in the film.
width, height: of the film's frame. box: x0, y0, x1, y1 in pixels of the frame.
score: 0..1; yaw, pitch, roll: degrees; sharpness: see `crops.sharpness`.
matrix: 2 x 3, frame pixels to picture pixels. landmarks: 468 x 3 in pixels of the frame.
embedding: identity, null if it was not measured.
"""


def _threads() -> int:
    return min(8, usable().number)


@dataclass(frozen=True)
class FacesetArrays:
    """Faces in memory, read-only. N faces, S the side of the arrays' pictures.

    Attributes:
        size: side of the core in pixels: what a network sees.
        images: uint8 (N, S, S, 3) RGB; S = round(size / CORE), so there is a margin to turn and
            shift in, or S = size when loaded with core=False.
        landmarks: float32 (N, 468, 2), pixels of these pictures.
        masks: uint8 (N, S, S), 0..255: the face as it shows, without hair or hands over it.
        times: float64 (N,), seconds.
        sources: int32 (N,): number of the film, from 0 in order of first appearance.
        tracks: int32 (N,).
        pose: float32 (N, 3): yaw, pitch, roll in degrees.
        sharpness: float32 (N,).
    """

    size: int
    images: NDArray[np.uint8]
    landmarks: Floats
    masks: NDArray[np.uint8]
    times: NDArray[np.float64]
    sources: NDArray[np.int32]
    tracks: NDArray[np.int32]
    pose: Floats
    sharpness: Floats

    def __len__(self) -> int:
        return len(self.images)

    def core(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What a network sees of the pictures: RGB uint8 (N, S, S, 3) and masks uint8 (N, S, S),
        S being `size`."""
        edge = (self.images.shape[1] - self.size) // 2
        part = slice(edge, edge + self.size)
        return self.images[:, part, part], self.masks[:, part, part]


@dataclass(frozen=True)
class Faceset:
    """An opened faceset.

    Attributes:
        folder: with `faces.parquet` and `images/`.
        table: Arrow table with the columns of `INDEX`; only faces whose picture is there. Order:
            by source name, then source, frame and track.
        notes: settings, and which sources were looked through.
        missing: names of pictures that the index knows and that are gone: deleted by hand.
        damaged: names of existing pictures with the wrong length.
    """

    folder: Path
    table: Any
    notes: dict[str, Any]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Faceset:
        """Open the faceset in `folder`.

        Raises:
            FacesError: there is no faceset.
            ProjectError: the index is damaged or of another version.
        """
        path = folder / INDEX_NAME
        if not path.is_file():
            raise FacesError(
                f"There are no faces in {folder}.",
                "Extract them first: understudy extract PERSON",
            )
        notes = parquet.read_notes(path)
        if notes.get("schema_version") != SCHEMA_VERSION:
            raise ProjectError(
                f"{path} was written by another version (schema {notes.get('schema_version')}).",
                f"Delete {path} and run `understudy extract` again.",
            )
        table = parquet.read(path)
        there = _sizes(folder / IMAGES_NAME)
        names, lengths = table["image"].to_pylist(), table["bytes"].to_pylist()
        whole = [there.get(name) == length for name, length in zip(names, lengths, strict=True)]
        absent = [name for name, ok in zip(names, whole, strict=True) if not ok]
        return cls(
            folder,
            table.filter(pa.array(whole, pa.bool_())),
            notes,
            missing=tuple(name for name in absent if name not in there),
            damaged=tuple(name for name in absent if name in there),
        )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def names(self) -> list[str]:
        """File names of the pictures, by row."""
        names: list[str] = self.table["image"].to_pylist()
        return names

    @cached_property
    def sources(self) -> list[str]:
        """SHA-256 of the film, by row."""
        sources: list[str] = self.table["source"].to_pylist()
        return sources

    @cached_property
    def frames(self) -> Indices:
        """int64 (N,): index of each face's frame in its film."""
        return np.asarray(self.table["frame"].to_numpy(), np.int64)

    @cached_property
    def embeddings(self) -> Floats:
        """float32 (n, 128): identities of the faces that were measured, n <= N."""
        rows, present = parquet.optional_vectors(self.table["embedding"].combine_chunks())
        return rows[present]

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the pictures' names and the index."""
        digest = hashlib.sha256(files.sha256(self.folder / INDEX_NAME).encode())
        for name in sorted(self.names):
            digest.update(b"\0" + name.encode())
        return digest.hexdigest()

    @cached_property
    def landmarks(self) -> Floats:
        """float32 (N, 468, 2): pixels of the stored pictures."""
        points = parquet.unvectors(self.table["landmarks"]).reshape(-1, LANDMARKS, 3)[..., :2]
        matrix = parquet.unvectors(self.table["matrix"]).reshape(-1, 2, 3)
        moved = np.einsum("nij,nkj->nki", matrix[..., :2], points) + matrix[:, None, :, 2]
        return np.asarray(moved, dtype=np.float32)

    @cached_property
    def shapes(self) -> Floats:
        """float32 (N, 468, 2): landmarks as shares of the stored picture's side, from its edge."""
        sides = np.asarray(self.table["size"].to_numpy(), np.float32)[:, None, None]
        return np.asarray((self.landmarks + np.float32(0.5)) / sides, np.float32)

    @property
    def mean_mesh(self) -> Floats:
        """float32 (468, 2): the mean of `shapes`."""
        return np.asarray(self.shapes.mean(0), np.float32)

    @property
    def meshes(self) -> Floats:
        """float32 (N, 468, 3): as they were found, pixels of the films' frames."""
        return parquet.unvectors(self.table["landmarks"]).reshape(-1, LANDMARKS, 3)

    def split(self, held_out: float) -> tuple[Indices, Indices]:
        """Rows to train on and rows to measure with; see `split.split`."""
        return split.split(self.sources, held_out)

    def load(
        self,
        size: int,
        core: bool = True,
        rows: Sequence[int] | None = None,
        tell: Callable[[], None] | None = None,
    ) -> FacesetArrays:
        """Read pictures into memory, scaled, with landmarks and masks to match.

        Args:
            size: side in pixels of the core, or of the whole picture when `core` is False.
            rows: which ones, in this order; all when None.
            tell: called after each face.

        Raises:
            FacesError: a picture cannot be read.
            MediaError: a picture is damaged; delete it and its face is out of view.
        """
        # Torch takes seconds to import; looking a faceset's index through needs none of it.
        from understudy.faces.occlusion import shown_masks

        side = round(size / CORE) if core else size
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        table = self.table.take(pa.array(chosen))
        scale = side / np.asarray(table["size"].to_numpy(), np.float32)[:, None, None]
        landmarks = ((self.landmarks[chosen] + 0.5) * scale - 0.5).astype(np.float32)
        images = np.empty((len(chosen), side, side, 3), np.uint8)
        names = table["image"].to_pylist()

        def fill(row: int) -> None:
            images[row] = self._picture(names[row], side)

        with ThreadPoolExecutor(_threads()) as pool:
            for _ in pool.map(fill, range(len(chosen))):
                if tell is not None:
                    tell()
        numbers = {source: number for number, source in enumerate(dict.fromkeys(self.sources))}
        times = [
            numerator / denominator
            for numerator, denominator in zip(
                table["time_numerator"].to_pylist(),
                table["time_denominator"].to_pylist(),
                strict=True,
            )
        ]
        arrays = FacesetArrays(
            size=size,
            images=images,
            landmarks=landmarks,
            masks=shown_masks(images, landmarks),
            times=np.asarray(times, np.float64),
            sources=np.asarray([numbers[s] for s in table["source"].to_pylist()], np.int32),
            tracks=np.asarray(table["track"].to_numpy(), np.int32).copy(),
            pose=np.stack(
                [np.asarray(table[n].to_numpy(), np.float32) for n in ("yaw", "pitch", "roll")], 1
            ),
            sharpness=np.asarray(table["sharpness"].to_numpy(), np.float32).copy(),
        )
        for value in vars(arrays).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return arrays

    def stored(self, row: int) -> Image:
        """One stored picture: RGB uint8 (S, S, 3).

        Raises:
            FacesError: it cannot be read.
            MediaError: it is damaged; delete it and its face is out of view.
        """
        return self._picture(self.names[row], int(self.table["size"][row].as_py()))

    def _picture(self, name: str, side: int) -> NDArray[np.uint8]:
        """RGB uint8 (side, side, 3)."""
        path = self.folder / IMAGES_NAME / name
        try:
            image = decode_image(path.read_bytes(), str(path))
        except OSError as error:
            raise FacesError(
                f"{path} cannot be read ({error}).", "Run the same command again."
            ) from error
        if image.shape[0] == side:
            return image
        how = cv2.INTER_AREA if image.shape[0] > side else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, (side, side), interpolation=how), dtype=np.uint8)


def _sizes(folder: Path) -> dict[str, int]:
    """Length in bytes of every file in a folder, by name."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}

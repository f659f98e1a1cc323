"""A person's gallery: some of their own pictures, which hold the detail that a network blurs.

A network that was trained for minutes draws pose, expression and light, and smooths everything
finer. The person's own pictures have that detail. A gallery keeps up to `MOST` of them, chosen to
cover how the person looks, each with its mesh and with the part where the face shows. Conversion
takes the detail from there (`conversion.detailer`).

In a file a gallery is a set of tensors: encoded pictures as bytes, and arrays of numbers. Nothing
in it is ever executed.

    gallery.pictures   uint8 (B,)         all encoded pictures, one after the other
    gallery.lengths    int64 (N,)         bytes of each
    gallery.meshes     float32 (N, 468, 3)
    gallery.masks      uint8 (N, M, M)
    gallery.gazes      float32 (N, 2)
    gallery.mean       float32 (468, 2)
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from understudy.errors import CheckpointError, MediaError
from understudy.media.images import decode_image
from understudy.runtime import files
from understudy.types import Floats, Image

MOST = 300
"""Pictures in a gallery, at most."""

POINTS = 468
MASK_SIDE = 96
SCHEMA = "1"
_VERSION = "understudy_gallery"
_PREFIX = "gallery."
_KEYS: Mapping[str, type[np.generic]] = {
    "pictures": np.uint8,
    "lengths": np.int64,
    "meshes": np.float32,
    "masks": np.uint8,
    "gazes": np.float32,
    "mean": np.float32,
}
"""The tensors of a gallery and the kind of their numbers."""

HELD = 256 << 20
"""Bytes of decoded pictures that are kept in memory, at most."""

LARGEST = 4096
"""Side in pixels of a picture, at most."""


@dataclass(frozen=True)
class Gallery:
    """Pictures of one person, N of them, as stored crops (`faces.align.alignment`).

    Attributes:
        pictures: the encoded pictures, RGB, square.
        meshes: float32 (N, 468, 3): landmarks as shares of the picture's side, from its edge; z in
            the same scale.
        masks: uint8 (N, M, M), 0..255: where the face shows in the picture, without hair or hands.
        gazes: float32 (N, 2): how far aside the eyes at image left and right look, see
            `faces.gaze.Gaze`; not a number where that could not be measured.
        mean: float32 (468, 2): mean landmarks of all of the person's pictures, as `meshes`.
    """

    pictures: tuple[bytes, ...]
    meshes: Floats
    masks: NDArray[np.uint8]
    gazes: Floats
    mean: Floats
    _held: OrderedDict[int, tuple[Image, ...]] = field(
        default_factory=OrderedDict, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of everything in it."""
        digest = hashlib.sha256()
        for name, values in sorted(self.tensors().items()):
            digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def near(self, row: int, side: float) -> Image:
        """One picture, RGB uint8 (S, S, 3), at the smallest of its sizes that is not smaller than
        `side` pixels: its own, a half, a quarter and so on.

        Raises:
            CheckpointError: it cannot be decoded.
        """
        sizes = self._sizes(row)
        enough = [one for one in sizes if one.shape[0] >= side]
        return enough[-1] if enough else sizes[0]

    def _sizes(self, row: int) -> tuple[Image, ...]:
        if row in self._held:
            self._held.move_to_end(row)
            return self._held[row]
        try:
            image = decode_image(self.pictures[row], f"picture {row} of a gallery")
        except MediaError as error:
            raise _damaged("the gallery", error.problem) from error
        if image.shape[0] != image.shape[1] or image.shape[0] > LARGEST:
            raise _damaged("the gallery", f"picture {row} is not square or too large")
        sizes = [image]
        while sizes[-1].shape[0] >= 64:
            half = sizes[-1].shape[0] // 2
            smaller = cv2.resize(sizes[-1], (half, half), interpolation=cv2.INTER_AREA)
            sizes.append(np.asarray(smaller, np.uint8))
        self._held[row] = tuple(sizes)
        total = sum(one.nbytes for kept in self._held.values() for one in kept)
        while total > HELD and len(self._held) > 1:
            _, gone = self._held.popitem(last=False)
            total -= sum(one.nbytes for one in gone)
        return self._held[row]

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Contents of a file, by name; the inverse of `from_tensors`."""
        arrays: dict[str, NDArray[np.generic]] = {
            "pictures": np.frombuffer(b"".join(self.pictures), np.uint8),
            "lengths": np.array([len(one) for one in self.pictures], np.int64),
            "meshes": self.meshes,
            "masks": self.masks,
            "gazes": self.gazes,
            "mean": self.mean,
        }
        return {f"{_PREFIX}{name}": values for name, values in arrays.items()}


def is_part(name: str) -> bool:
    """Whether a tensor of this name belongs to a gallery."""
    return name.startswith(_PREFIX)


def from_tensors(tensors: Mapping[str, NDArray[np.generic]], where: str) -> Gallery:
    """The gallery in these tensors; others among them are passed over.

    Args:
        where: the file, for the message.

    Raises:
        CheckpointError: something is missing or does not fit together.
    """
    try:
        parts = {key: np.asarray(tensors[f"{_PREFIX}{key}"]) for key in _KEYS}
    except KeyError as error:
        raise _damaged(where, f"{error} is missing") from error
    if any(parts[key].dtype != kind for key, kind in _KEYS.items()):
        raise _damaged(where, "its parts have wrong types")
    lengths = parts["lengths"].astype(np.int64).ravel().tolist()
    pictures, meshes, masks = parts["pictures"], parts["meshes"], parts["masks"]
    count = len(lengths)
    fits = (
        parts["lengths"].ndim == 1
        and 0 < count <= MOST
        and min(lengths) > 0
        and pictures.shape == (sum(lengths),)
        and meshes.shape == (count, POINTS, 3)
        and parts["gazes"].shape == (count, 2)
        and parts["mean"].shape == (POINTS, 2)
        and masks.ndim == 3
        and len(masks) == count
        and masks.shape[1] == masks.shape[2] > 0
        and all(np.isfinite(parts[key].astype(np.float32)).all() for key in ("meshes", "mean"))
    )
    if not fits:
        raise _damaged(where, "its parts do not match")
    ends = np.cumsum(lengths).tolist()
    data = pictures.tobytes()
    return Gallery(
        tuple(data[start:end] for start, end in zip([0, *ends], ends, strict=False)),
        np.asarray(meshes, np.float32),
        np.asarray(masks, np.uint8),
        np.asarray(parts["gazes"], np.float32),
        np.asarray(parts["mean"], np.float32),
    )


def path_of(model_folder: Path, person: str) -> Path:
    """Where a model keeps a person's gallery."""
    return model_folder / f"gallery-{person}.safetensors"


def kept_in(model_folder: Path) -> list[Path]:
    """The galleries that a model keeps, by name."""
    return sorted(model_folder.glob("gallery-*.safetensors"))


def write(path: Path, gallery: Gallery, made_from: str) -> None:
    """Write a gallery as a file of its own, whole or not at all.

    Args:
        made_from: `Faceset.fingerprint` of where it is from; see `is_made_from`.

    Raises:
        StorageError
    """
    plain = {name: np.ascontiguousarray(values) for name, values in gallery.tensors().items()}
    notes = {_VERSION: SCHEMA, "sha256": gallery.sha256, "made_from": made_from}
    files.write_bytes(path, safetensors.numpy.save(plain, notes))


def remove(path: Path) -> bool:
    """Delete a gallery's file, and what killed processes left of it; call as its only writer.

    Returns:
        Whether there was anything.

    Raises:
        StorageError
    """
    with files.storage_errors(path):
        there = path.exists()
        path.unlink(missing_ok=True)
    files.clear_leftovers(path)
    return there


def is_made_from(path: Path, made_from: str) -> bool:
    """Whether there is a gallery of this version that was made from this; it is not checked
    further."""
    try:
        with safe_open(str(path), "np") as file:
            notes = file.metadata() or {}
    except (OSError, SafetensorError):
        return False
    return notes.get(_VERSION) == SCHEMA and notes.get("made_from") == made_from


def read(path: Path) -> Gallery:
    """Read such a file, checking that it is whole.

    Raises:
        CheckpointError: it is missing, damaged, or from another version.
    """
    try:
        with safe_open(str(path), "np") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(str(path), str(error)) from error
    if notes.get(_VERSION) != SCHEMA:
        raise CheckpointError(
            f"{path} is a gallery of version {notes.get(_VERSION)!r}; this program reads {SCHEMA}.",
            _REMEDY,
        )
    gallery = from_tensors(tensors, str(path))
    if gallery.sha256 != notes.get("sha256"):
        raise _damaged(str(path), "its contents were changed")
    return gallery


_REMEDY = (
    "Delete the file and run `understudy train` with the same model again to create a new one; "
    "or convert with --detail 0."
)


def _damaged(where: str, why: str) -> CheckpointError:
    return CheckpointError(f"The gallery {where} is damaged ({why}).", _REMEDY)

"""What a scan of a film leaves on disk, and how it is read without holding it all.

cache/scan/<key>/chunk-000000.parquet   the faces of 250 frames; the tracker's state after
                                        them is in the notes, so a killed scan goes on here
cache/scan/<key>/frames.parquet         time and shot of every frame
cache/scan/<key>/tracks.parquet         every track with its mean embedding
cache/scan/<key>/meta.json              written last: the scan is whole
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.errors import ProjectError
from understudy.runtime import files, parquet
from understudy.types import Face, Floats, Pose, Track

SCHEMA_VERSION = 1
CHUNK = 250
"""Frames in a chunk: the most work that is lost when a scan is killed."""

LANDMARKS = 468
_CHUNKS_HELD = 3

FACES = pa.schema(
    [
        ("frame", pa.int32()),
        ("track", pa.int32()),
        ("shot", pa.int32()),
        ("score", pa.float64()),
        ("yaw", pa.float64()),
        ("pitch", pa.float64()),
        ("roll", pa.float64()),
        ("x0", pa.float64()),
        ("y0", pa.float64()),
        ("x1", pa.float64()),
        ("y1", pa.float64()),
        ("landmarks", parquet.vector_type(LANDMARKS * 3)),
        ("embedding", parquet.vector_type(128)),
    ]
)
FRAMES = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_numerator", pa.int64()),
        ("time_denominator", pa.int64()),
        ("shot", pa.int32()),
    ]
)
TRACKS = pa.schema(
    [
        ("track", pa.int32()),
        ("shot", pa.int32()),
        ("first", pa.int32()),
        ("last", pa.int32()),
        ("faces", pa.int32()),
        ("embedding", parquet.vector_type(128)),
    ]
)


@dataclass(frozen=True)
class FrameRow:
    """One scanned frame: its index in the film, time, shot and faces."""

    index: int
    time: Fraction
    shot: int
    faces: Sequence[Face]


def chunk_file(folder: Path, number: int) -> Path:
    return folder / f"chunk-{number:06d}.parquet"


def _optional_embeddings(rows: Sequence[Floats | None]) -> Any:
    values = np.zeros((len(rows), 128), np.float32)
    present = np.zeros(len(rows), bool)
    for row, embedding in enumerate(rows):
        if embedding is not None:
            values[row], present[row] = embedding, True
    return parquet.vectors(values, present)


def write_chunk(
    folder: Path, number: int, rows: Sequence[FrameRow], tracker: dict[str, Any]
) -> None:
    """Write chunk `number` with the tracker's state after its last frame. Raises StorageError."""
    faces = [(row, face) for row in rows for face in row.faces]
    landmarks = np.zeros((len(faces), LANDMARKS * 3), np.float32)
    for place, (_, face) in enumerate(faces):
        landmarks[place] = face.landmarks.reshape(-1)
    columns: list[Any] = [
        [row.index for row, _ in faces],
        [face.track for _, face in faces],
        [row.shot for row, _ in faces],
        [float(face.score) for _, face in faces],
        [float(face.pose.yaw) for _, face in faces],
        [float(face.pose.pitch) for _, face in faces],
        [float(face.pose.roll) for _, face in faces],
        *([float(face.box[side]) for _, face in faces] for side in range(4)),
    ]
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, FACES, strict=False)]
    arrays += [
        parquet.vectors(landmarks),
        _optional_embeddings([face.embedding for _, face in faces]),
    ]
    notes = {
        "schema_version": SCHEMA_VERSION,
        "chunk": number,
        "frames": [row.index for row in rows],
        "times": [[row.time.numerator, row.time.denominator] for row in rows],
        "shots": [row.shot for row in rows],
        "tracker": tracker,
    }
    parquet.write(chunk_file(folder, number), pa.Table.from_arrays(arrays, schema=FACES), notes)


def frame_rows(notes: dict[str, Any]) -> list[FrameRow]:
    """The frames that a chunk's notes list, without their faces. Raises DamagedTable."""
    try:
        parts = zip(notes["frames"], notes["times"], notes["shots"], strict=True)
        return [FrameRow(index, Fraction(*time), shot, ()) for index, time, shot in parts]
    except (KeyError, TypeError, ValueError) as error:
        raise parquet.DamagedTable(
            f"A chunk of a scan has the wrong type ({error}).", "Run the same command again."
        ) from error


def table_faces(table: Any) -> dict[int, list[Face]]:
    """Faces by frame index from a table with the columns of `FACES`."""
    landmarks = parquet.unvectors(table["landmarks"]).reshape(-1, LANDMARKS, 3)
    embeddings, present = parquet.optional_vectors(table["embedding"])
    scalar = {
        name: table[name].to_pylist()
        for name in ("frame", "track", "score", "yaw", "pitch", "roll", "x0", "y0", "x1", "y1")
    }
    found: dict[int, list[Face]] = {}
    for row, frame in enumerate(scalar["frame"]):
        found.setdefault(frame, []).append(
            Face(
                box=tuple(scalar[side][row] for side in ("x0", "y0", "x1", "y1")),
                landmarks=landmarks[row],
                score=scalar["score"][row],
                pose=Pose(*(scalar[name][row] for name in ("yaw", "pitch", "roll"))),
                track=scalar["track"][row],
                embedding=embeddings[row] if present[row] else None,
            )
        )
    return found


def write_frames(folder: Path, rows: Sequence[FrameRow]) -> None:
    """Write `frames.parquet`. Raises StorageError."""
    columns: list[Any] = [
        [row.index for row in rows],
        [row.time.numerator for row in rows],
        [row.time.denominator for row in rows],
        [row.shot for row in rows],
    ]
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, FRAMES, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=FRAMES)
    parquet.write(folder / "frames.parquet", table, {"schema_version": SCHEMA_VERSION})


def write_tracks(folder: Path, chunks: Iterable[Any]) -> None:
    """Sum up the chunks' tables into `tracks.parquet`. Raises StorageError."""
    found: dict[int, list[int]] = {}
    sums: dict[int, tuple[Any, int]] = {}
    for table in chunks:
        embeddings, present = parquet.optional_vectors(table["embedding"])
        rows = zip(*(table[name].to_pylist() for name in ("frame", "track", "shot")), strict=True)
        for row, (frame, track, shot) in enumerate(rows):
            known = found.setdefault(track, [shot, frame, frame, 0])
            known[2], known[3] = frame, known[3] + 1
            if present[row]:
                total, count = sums.get(track, (np.zeros(128), 0))
                sums[track] = (total + embeddings[row].astype(np.float64), count + 1)
    numbers = sorted(found)
    means = [(sums[n][0] / sums[n][1]).astype(np.float32) if n in sums else None for n in numbers]
    columns = [numbers, *([found[n][place] for n in numbers] for place in range(4))]
    arrays = [pa.array(v, kind.type) for v, kind in zip(columns, TRACKS, strict=False)]
    arrays.append(_optional_embeddings(means))
    table = pa.Table.from_arrays(arrays, schema=TRACKS)
    parquet.write(folder / "tracks.parquet", table, {"schema_version": SCHEMA_VERSION})


@dataclass(frozen=True)
class Scan:
    """A finished scan of a film, or of a part of it.

    Faces are read chunk by chunk; a few chunks stay in memory. Safe to use from threads.

    Attributes:
        folder: where it lies.
        meta: contents of `meta.json`.
    """

    folder: Path
    meta: dict[str, Any]
    _held: OrderedDict[int, dict[int, list[Face]]] = field(
        default_factory=OrderedDict, repr=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> Scan:
        """Open a finished scan.

        Raises:
            ProjectError: it is unfinished, of another version, or files are missing or cut.
        """
        meta = files.read_json(folder / "meta.json")
        if not isinstance(meta, dict) or meta.get("schema_version") != SCHEMA_VERSION:
            raise ProjectError(
                f"The scan in {folder} was made by another version.", "Delete that folder."
            )
        for name, size in meta["files"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise parquet.DamagedTable(
                    f"{path} is damaged or missing.", "Run the same command again."
                )
        return cls(folder, meta)

    @property
    def sha256(self) -> str:
        """Hash of the film's bytes."""
        return str(self.meta["sha256"])

    @property
    def damage(self) -> list[str]:
        """Sentences on what could not be decoded; empty for a sound film."""
        return [str(sentence) for sentence in self.meta["damage"]]

    @property
    def frames(self) -> int:
        """How many frames were scanned."""
        return int(self.meta["frames"])

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.frames // CHUNK)

    @cached_property
    def _frame_table(self) -> Any:
        return parquet.read(self.folder / "frames.parquet")

    @cached_property
    def indices(self) -> list[int]:
        """Index in the film of every scanned frame, ascending; a frame that could not be decoded
        leaves a gap."""
        indices: list[int] = self._frame_table["frame"].to_pylist()
        return indices

    @cached_property
    def times(self) -> list[Fraction]:
        """Presentation time in seconds of every scanned frame, exact."""
        table = self._frame_table
        pairs = zip(
            table["time_numerator"].to_pylist(), table["time_denominator"].to_pylist(), strict=True
        )
        return [Fraction(*pair) for pair in pairs]

    @cached_property
    def shots(self) -> list[int]:
        """Number of the shot of every scanned frame."""
        shots: list[int] = self._frame_table["shot"].to_pylist()
        return shots

    @cached_property
    def tracks(self) -> list[Track]:
        """Every track, by number."""
        table = parquet.read(self.folder / "tracks.parquet")
        embeddings, present = parquet.optional_vectors(table["embedding"])
        names = ("track", "shot", "first", "last", "faces")
        rows = zip(*(table[name].to_pylist() for name in names), strict=True)
        return [
            Track(number, shot, first, last, faces, embeddings[row] if present[row] else None)
            for row, (number, shot, first, last, faces) in enumerate(rows)
        ]

    def table(self, chunk: int) -> Any:
        """The faces of chunk `chunk` as an Arrow table with the columns of `FACES`.

        Raises:
            DamagedTable: the file was altered; it was removed, so the next scan redoes it.
        """
        path = chunk_file(self.folder, chunk)
        try:
            return parquet.read(path)
        except parquet.DamagedTable:
            path.unlink(missing_ok=True)
            raise

    def _chunk(self, chunk: int) -> dict[int, list[Face]]:
        with self._lock:
            if chunk not in self._held:
                self._held[chunk] = table_faces(self.table(chunk))
                while len(self._held) > _CHUNKS_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(chunk)
            return self._held[chunk]

    def place(self, index: int) -> int | None:
        """Position in `indices`, `times` and `shots` of a frame; None when it was not scanned."""
        place = bisect_left(self.indices, index)
        return place if place < self.frames and self.indices[place] == index else None

    def faces(self, index: int) -> list[Face]:
        """Faces of the frame with this index in the film; none outside of what was scanned."""
        place = self.place(index)
        if place is None:
            return []
        return list(self._chunk(place // CHUNK).get(index, ()))

    def __iter__(self) -> Iterator[FrameRow]:
        """Every scanned frame with its faces, in order, one chunk in memory at a time."""
        for chunk in range(self.chunks):
            faces = table_faces(self.table(chunk))
            for place in range(chunk * CHUNK, min((chunk + 1) * CHUNK, self.frames)):
                index = self.indices[place]
                yield FrameRow(index, self.times[place], self.shots[place], faces.get(index, ()))

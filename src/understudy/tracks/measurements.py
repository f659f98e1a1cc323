"""All faces of a scan without their landmarks: where they are, and whom they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.runtime import parquet
from understudy.tracks.scan_store import Scan, chunk_file
from understudy.types import Float64s, Floats

FULL_WIDTH = 80
"""Pixels: a wider face is not measured any better."""

FAR = 1.75
"""Measurements that lie further from the mean than this many times the median are left out."""

_COLUMNS = ("frame", "track", "score", "yaw", "pitch", "x0", "y0", "x1", "y1", "embedding")


@dataclass(frozen=True)
class Rows:
    """The faces of a scan, row by row; N of them.

    Attributes:
        place: int64 (N,), of the frame in the scan, see `Scan.place`.
        track: int64 (N,), number of the track.
        box: (N, 4), x0, y0, x1, y1 in pixels.
        pose: (N, 2), yaw and pitch, degrees.
        embedding: (N, 128); zeros where none was measured.
        measured: bool (N,).
        quality: (N,), above 0: what a measurement is worth.
    """

    place: NDArray[np.int64]
    track: NDArray[np.int64]
    box: Float64s
    pose: Float64s
    embedding: Floats
    measured: NDArray[np.bool_]
    quality: Float64s

    def identity(self, chosen: NDArray[np.int64]) -> Floats | None:
        """Whom some of the rows show, float32 (128,); None when none of them was measured."""
        own = chosen[self.measured[chosen]]
        if not len(own):
            return None
        return voted(self.embedding[own].astype(np.float64), self.quality[own])


def read_rows(scan: Scan) -> Rows:
    """All faces of a scan, without their landmarks. Raises DamagedTable."""
    tables = [
        parquet.read(chunk_file(scan.folder, chunk), _COLUMNS) for chunk in range(scan.chunks)
    ]
    parts: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name].to_numpy() for table in tables])
        for name in _COLUMNS
        if name != "embedding"
    }
    vectors = [parquet.optional_vectors(table["embedding"]) for table in tables]
    box = np.stack([parts[side] for side in ("x0", "y0", "x1", "y1")], axis=1)
    pose = np.stack([parts["yaw"], parts["pitch"]], axis=1).astype(np.float64)
    turned = np.cos(np.radians(pose)).prod(axis=1)
    size = np.minimum((box[:, 2] - box[:, 0]) / FULL_WIDTH, 1)
    return Rows(
        place=np.searchsorted(np.asarray(scan.indices), parts["frame"]),
        track=parts["track"].astype(np.int64),
        box=box,
        pose=pose,
        embedding=np.concatenate([values for values, _ in vectors]),
        measured=np.concatenate([present for _, present in vectors]),
        quality=np.maximum(parts["score"] * turned * size, 1e-3),
    )


def voted(embeddings: Float64s, quality: Float64s) -> Floats:
    """One identity out of many measurements: their mean by quality, without what lies far off.

    Args:
        embeddings: (n, 128), n > 0.
        quality: (n,), above 0.

    Returns:
        float32 (128,)
    """
    mean = np.average(embeddings, axis=0, weights=quality)
    if len(embeddings) > 2:
        away = np.linalg.norm(embeddings - mean, axis=1)
        near = away <= max(FAR * float(np.median(away)), 1e-6)
        mean = np.average(embeddings[near], axis=0, weights=quality[near])
    return mean.astype(np.float32)

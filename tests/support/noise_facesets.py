"""Facesets on disk, of noise under meshes that turn and talk, in the place of extracted ones."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.faces.pose import reference
from understudy.facesets.crops import make_crop
from understudy.facesets.faceset import IMAGES_NAME, INDEX, INDEX_NAME, SCHEMA_VERSION
from understudy.media import planes
from understudy.runtime import parquet
from understudy.types import Face, Frame, Pose

SIDE = 300
"""Of the film's frames, in pixels."""

ME, OTHER = (np.eye(128, dtype=np.float32)[n] for n in (0, 1))
"""Identities of two people."""


def _frame(index: int, seed: int) -> Frame:
    rng = np.random.default_rng([seed, index])
    coarse = rng.integers(40, 216, (12, 12, 3)).astype(np.uint8)
    pixels = av.VideoFrame.from_ndarray(coarse.repeat(25, 0).repeat(25, 1), format="rgb24")
    return Frame(index, Fraction(index, 25), pixels, planes.to_rgb)


def _face(index: int, yaw: float) -> Face:
    head = reference().points
    points = (head - head.mean(0)) / np.ptp(head[:, 1]) * 140
    turn = np.radians(yaw)
    points[:, 0] = points[:, 0] * np.cos(turn) + points[:, 2] * np.sin(turn)
    points += [SIDE / 2 + index % 3, SIDE / 2, 0]
    return Face((0.0, 0.0, 1.0, 1.0), points.astype(np.float32), 0.9, Pose(yaw, 1, 2))


def write_faceset(
    folder: Path,
    yaws: Sequence[float],
    *,
    identities: Sequence[NDArray[np.float32]] | None = None,
    side: int = 128,
    seed: int = 0,
) -> Path:
    """A faceset in `folder` with a face for each of `yaws` (degrees); returns the folder.

    Args:
        identities: of each face; those of another identity than the first are another track.
        side: of the stored pictures, in pixels.
        seed: of the noise.
    """
    count = len(yaws)
    identities = [ME] * count if identities is None else identities
    (folder / IMAGES_NAME).mkdir(parents=True, exist_ok=True)
    made = [_face(n, yaw) for n, yaw in enumerate(yaws)]
    crops = [make_crop(_frame(n, seed), face, side, ".webp") for n, face in enumerate(made)]
    for n, crop in enumerate(crops):
        (folder / IMAGES_NAME / f"{n:03d}.webp").write_bytes(crop.image)
    empty = np.zeros((0, 0), np.float32)
    columns = {
        "image": [f"{n:03d}.webp" for n in range(count)],
        "bytes": [len(crop.image) for crop in crops],
        "size": [side] * count,
        "source": ["a" * 64] * count,
        "source_name": ["a.mp4"] * count,
        "frame": list(range(count)),
        "time_numerator": list(range(count)),
        "time_denominator": [25] * count,
        "shot": [0] * count,
        "track": [int(not np.array_equal(one, identities[0])) for one in identities],
        "width": [SIDE] * count,
        "height": [SIDE] * count,
        "box": parquet.vectors(np.zeros((count, 4), np.float32)),
        "score": [0.9] * count,
        "yaw": [float(yaw) for yaw in yaws],
        "pitch": [1.0] * count,
        "roll": [2.0] * count,
        "sharpness": [100.0] * count,
        "matrix": _vectors([crop.matrix for crop in crops], 6),
        "landmarks": _vectors([face.landmarks for face in made], 468 * 3),
        "embedding": parquet.vectors(
            np.stack(identities) if count else empty.reshape(0, 128), np.ones(count, np.bool_)
        ),
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, kind.type)
        for column, kind in ((columns[kind.name], kind) for kind in INDEX)
    ]
    table = pa.Table.from_arrays(arrays, schema=INDEX)
    parquet.write(folder / INDEX_NAME, table, {"schema_version": SCHEMA_VERSION, "sources": []})
    return folder


def _vectors(rows: Sequence[NDArray[np.floating]], length: int) -> pa.Array:
    flat = [np.asarray(row, np.float32).reshape(-1) for row in rows]
    return parquet.vectors(np.stack(flat) if flat else np.zeros((0, length), np.float32))

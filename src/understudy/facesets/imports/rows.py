"""Faces from elsewhere as rows of a faceset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.facesets.crops import SUFFIXES
from understudy.facesets.faceset import INDEX, Faceset
from understudy.facesets.imports.pictures import Cut
from understudy.facesets.writer import Imported
from understudy.runtime import parquet
from understudy.settings import ExtractSettings

RATE = 25
"""Frames of a second, for pictures that do not say when they were taken."""


def imported_files(faceset: Faceset) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of every file that an imported face is from."""
    for source in faceset.notes["sources"]:
        yield from source.get("imported", ())


def grouped(cuts: Sequence[Cut], settings: ExtractSettings) -> list[Imported]:
    """Faces by what they are from, in the order that they have there."""
    groups: dict[str, list[Cut]] = {}
    for cut in cuts:
        groups.setdefault(cut.group, []).append(cut)
    return [
        _group(name, sorted(rows, key=lambda cut: cut.order), settings)
        for name, rows in sorted(groups.items())
    ]


def _group(name: str, rows: Sequence[Cut], settings: ExtractSettings) -> Imported:
    """The faces of one film or folder as rows of the index."""
    digest = hashlib.sha256(f"{name}\n".encode())
    for one in rows:
        digest.update(f"{one.sha256}\n".encode())
    sha256, suffix, count = digest.hexdigest(), SUFFIXES[settings.format], len(rows)
    times = [Fraction(one.number if one.header else place, RATE) for place, one in enumerate(rows)]
    crops, faces = [one.crop for one in rows], [one.face for one in rows]
    columns: dict[str, Any] = {
        # Not a name that tidying would remove should the index be lost.
        "image": [f"in-{sha256[:8]}-{place:06d}{suffix}" for place in range(count)],
        "bytes": [len(crop.image) for crop in crops],
        "size": [crop.size for crop in crops],
        "source": [sha256] * count,
        "source_name": [name] * count,
        "frame": list(range(count)),
        "time_numerator": [time.numerator for time in times],
        "time_denominator": [time.denominator for time in times],
        "shot": [0] * count,
        "track": [0] * count,
        "width": [crop.width for crop in crops],
        "height": [crop.height for crop in crops],
        "box": parquet.vectors(np.array([face.box for face in faces], np.float32)),
        "score": [face.score for face in faces],
        "yaw": [face.pose.yaw for face in faces],
        "pitch": [face.pose.pitch for face in faces],
        "roll": [face.pose.roll for face in faces],
        "sharpness": [crop.sharpness for crop in crops],
        "matrix": parquet.vectors(np.stack([crop.matrix.reshape(-1) for crop in crops])),
        "landmarks": parquet.vectors(np.stack([face.landmarks.reshape(-1) for face in faces])),
        "embedding": parquet.vectors(np.stack([one.embedding for one in rows])),
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, kind.type)
        for column, kind in ((columns[kind.name], kind) for kind in INDEX)
    ]
    notes = {
        "sha256": sha256,
        "name": name,
        "batch": f"in-{sha256[:8]}",
        "frames": count,
        "faces": count,
        "parts": 1,
        "imported": [[one.name, one.sha256] for one in rows],
    }
    table = pa.Table.from_arrays(arrays, schema=INDEX)
    return Imported(notes, table, tuple(crop.image for crop in crops))

"""Compare the sharpness of a swap with the person's own footage.

Where no truth is known, the best that can be asked for is the person's own pictures: for each
measured frame a few of them in which the head is turned alike are brought to the size that the
face has in the film, and their detail is what the swap's is divided by. Where the detail should
lie is unknown, so there is no "found".

Grain counts as detail, in the film and in the footage alike. Light does not: both sides are
divided by the mean luma of their own face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from understudy.evaluation.gauges.detail import Three, bands, three
from understudy.evaluation.gauges.regions import Regions, regions
from understudy.faces.align import alignment, invert, transform_points, warp
from understudy.faces.openings import eye_opening, mouth_opening
from understudy.facesets.faceset import Faceset
from understudy.media.colour import luma
from understudy.runtime.parquet import unvectors
from understudy.types import Face, Float64s, Floats, Image

ALIKE = 12
"""Number of pictures with the most similar head and expression that are compared ..."""

PICTURES = 3
"""... and of these the largest ones are compared with."""

TURN, MOUTH, EYES = 10.0, 0.15, 0.1
"""Degrees of yaw or pitch, and openings of mouth and eyes, that weigh alike when pictures are
chosen."""

ENLARGED = 1.15
"""Enlargement from which the footage is too small to say what the face should look like."""

KEPT = 256
"""Decoded pictures that are kept at hand."""


@dataclass(frozen=True)
class FootageDetail:
    """Detail of the swap over that of the footage, by place, for the bands in `detail.BANDS`.

    Attributes:
        face, eyes, mouth: 1 is as crisp; None where the place was too small.
        enlarged: by how much the pictures had to be enlarged, median; above `ENLARGED` they are
            blurred themselves and the figures flatter the swap.
        frames: how many were compared.
    """

    face: Three | None
    eyes: Three | None
    mouth: Three | None
    enlarged: float
    frames: int


class FootageSum:
    """Adds up the detail of a swap and of its person's footage.

    Args:
        faceset: of the source; at least one face.
    """

    def __init__(self, faceset: Faceset) -> None:
        self._faceset = faceset
        meshes = faceset.meshes
        self._looks = np.array(
            [
                _look(float(yaw), float(pitch), mesh)
                for yaw, pitch, mesh in zip(
                    faceset.table["yaw"].to_numpy(),
                    faceset.table["pitch"].to_numpy(),
                    meshes,
                    strict=True,
                )
            ]
        )
        turns = unvectors(faceset.table["matrix"]).reshape(-1, 2, 3)[:, :, :2]
        self._stored = np.sqrt(np.abs(np.linalg.det(turns.astype(np.float64))))
        self._picture = lru_cache(KEPT)(faceset.stored)
        self._sums: dict[str, list[Float64s]] = {}
        self._enlarged: list[float] = []

    def add(self, swap: Image, face: Face) -> None:
        """One frame of the swap, RGB uint8 (height, width, 3), and its face there.

        Raises:
            FacesError, MediaError: a picture of the faceset cannot be read.
        """
        where = regions([face.landmarks], swap.shape)
        if where is None:
            return
        ours = _energy(swap, where)
        theirs: dict[str, list[Float64s]] = {}
        for row, matrix, scale in self._alike(face):
            moved = matrix.copy()
            moved[:, 2] -= (where.columns.start, where.rows.start)
            side = max(where.rows.stop - where.rows.start, where.columns.stop - where.columns.start)
            picture = warp(self._picture(row), moved, side)
            mesh = transform_points(moved, self._faceset.landmarks[row])
            there = regions([mesh], picture.shape)
            if there is None:
                continue
            self._enlarged.append(scale)
            for place, energy in _energy(picture, there).items():
                theirs.setdefault(place, []).append(energy)
        for place in ours.keys() & theirs.keys():
            pair = [ours[place], np.mean(theirs[place], axis=0)]
            self._sums.setdefault(place, []).append(np.stack(pair))

    def result(self) -> FootageDetail | None:
        """None when nothing was added."""
        if "face" not in self._sums:
            return None
        ratios: dict[str, Three] = {}
        for place, frames in self._sums.items():
            ours, theirs = np.sum(frames, axis=0)
            if (theirs > 0).all():
                ratios[place] = three(np.sqrt(ours / theirs))
        return FootageDetail(
            face=ratios.get("face"),
            eyes=ratios.get("eyes"),
            mouth=ratios.get("mouth"),
            enlarged=float(np.median(self._enlarged)),
            frames=len(self._sums["face"]),
        )

    def _alike(self, face: Face) -> list[tuple[int, Floats, float]]:
        """Row, matrix from picture to frame, and enlargement of a few pictures."""
        look = _look(face.pose.yaw, face.pose.pitch, face.landmarks)
        near = np.argsort(((self._looks - look) ** 2).sum(1), kind="stable")[:ALIKE]
        to_frame = invert(alignment(face.landmarks, 256))
        found: list[tuple[int, Floats, float]] = []
        for row in near.tolist():
            mesh = self._faceset.landmarks[row]
            matrix = _after(to_frame, alignment(mesh, 256))
            scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))
            # A picture that was enlarged when it was cut out has no more detail than its film.
            found.append((row, matrix, scale * max(1.0, float(self._stored[row]))))
        return sorted(found, key=lambda each: max(each[2], 1.0))[:PICTURES]


def _look(yaw: float, pitch: float, mesh: Floats) -> Float64s:
    """What makes two pictures of a head alike, in units that weigh alike: (4,)."""
    eyes = sum(eye_opening(mesh)) / 2
    mouth = mouth_opening(mesh)
    return np.array([yaw / TURN, pitch / TURN, mouth / MOUTH, eyes / EYES])


def _after(second: Floats, first: Floats) -> Floats:
    """One affine matrix (2, 3) after another."""
    a, b = second.astype(np.float64), first.astype(np.float64)
    return np.column_stack([a[:, :2] @ b[:, :2], a[:, :2] @ b[:, 2] + a[:, 2]]).astype(np.float32)


def _energy(image: Image, where: Regions) -> Mapping[str, Float64s]:
    """Mean energy (3,) of each band by place, for a face of mean luma 1."""
    plane = luma(where.cut(image))
    face = where.weights["face"]
    mean = float((plane * face).sum() / face.sum())
    squares = np.square(bands(plane))
    return {
        place: np.asarray(np.tensordot(weight, squares, axes=2), np.float64)
        / (float(weight.sum()) * max(mean, 1.0) ** 2)
        for place, weight in where.weights.items()
    }

"""Where face, eyes and mouth are in a frame, as weights for the gauges.

Everything lies in the rectangle that the face takes up, with room around it for filters, so that
the gauges cost as much as the face is large, however large the frame is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.metrics import INSIDE
from understudy.faces.masks import EYES_AND_BROWS, LIPS, face_mask
from understudy.types import Floats, Image

PLACES = ("face", "eyes", "mouth")

BORDER = 32
"""Pixels of room around the face: the widest filter of `detail` (20), half a patch, and the
furthest shift. With less, the figures at the face's edge would depend on the rectangle."""

KEPT_OFF = 9
"""Side in pixels of the square by which the face is made smaller, so that its own edge does not
count as detail."""

OUTER_CORNERS = (33, 263)
ABOUT_EYES, ABOUT_MOUTH = 0.07, 0.06
"""Room around eyes and mouth, as a share of the distance between the outer corners of the eyes."""

FEWEST = 30
"""Pixels below which a place is too small to be measured."""


@dataclass(frozen=True)
class Regions:
    """The parts of one face.

    Attributes:
        rows, columns: the rectangle in the frame, slices with start and stop, `BORDER` larger
            than the face where the frame has room.
        weights: float32 (h, w) of that rectangle, 0 or 1, by the names in `PLACES`; places of
            fewer than `FEWEST` pixels are left out.
    """

    rows: slice
    columns: slice
    weights: Mapping[str, Floats]

    def cut(self, image: Image) -> Image:
        """The rectangle out of a frame."""
        return image[self.rows, self.columns]


def regions(
    meshes: Sequence[Floats], shape: tuple[int, ...], masks: Sequence[Floats] = ()
) -> Regions | None:
    """The parts of a face that every one of the pictures shows.

    Args:
        meshes: (468, 2 or more) each, pixels of the frame. Eyes and mouth are where the first
            one has them, as the crispest picture's owner would draw them.
        shape: height and width of the frame.
        masks: float32 (height, width), 0..1, where the face is, when that is known; else
            the inner face of all meshes does.

    Returns:
        None when less than `FEWEST` pixels of the face are inside the frame.
    """
    height, width = shape[:2]
    if masks:
        inner = np.minimum.reduce([np.asarray(mask, np.float32) for mask in masks])
        top, left = 0, 0
    else:
        top, left, inner = _inner(meshes, (height, width))
    face = (inner > INSIDE).astype(np.uint8)
    face = np.asarray(cv2.erode(face, np.ones((KEPT_OFF, KEPT_OFF), np.uint8)), np.uint8)
    if int(face.sum()) < FEWEST:
        return None
    lines, across = np.flatnonzero(face.any(1)) + top, np.flatnonzero(face.any(0)) + left
    rows = slice(max(0, int(lines[0]) - BORDER), min(height, int(lines[-1]) + BORDER + 1))
    columns = slice(max(0, int(across[0]) - BORDER), min(width, int(across[-1]) + BORDER + 1))
    whole = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    seen = face[
        max(0, rows.start - top) : rows.stop - top,
        max(0, columns.start - left) : columns.stop - left,
    ]
    y, x = max(0, top - rows.start), max(0, left - columns.start)
    whole[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    marks = meshes[0][:, :2].astype(np.float64) - (columns.start, rows.start)
    span = float(np.hypot(*(marks[OUTER_CORNERS[0]] - marks[OUTER_CORNERS[1]])))
    eyes = [_around(marks[part], whole.shape, ABOUT_EYES * span) for part in EYES_AND_BROWS[:2]]
    found = {
        "face": whole,
        "eyes": np.maximum(*eyes) * whole,
        "mouth": _around(marks[LIPS], whole.shape, ABOUT_MOUTH * span) * whole,
    }
    return Regions(
        rows, columns, {name: each for name, each in found.items() if each.sum() >= FEWEST}
    )


def _inner(meshes: Sequence[Floats], shape: tuple[int, int]) -> tuple[int, int, Floats]:
    """Top, left and weights of the inner face of all meshes, within the frame."""
    points = np.concatenate([mesh[:, :2] for mesh in meshes])
    low = np.clip(np.floor(points.min(0)).astype(int), 0, [shape[1] - 1, shape[0] - 1])
    high = np.clip(np.ceil(points.max(0)).astype(int) + 1, low + 1, [shape[1], shape[0]])
    size = int((high - low).max())
    inner = np.minimum.reduce([face_mask(mesh[:, :2] - low, size) for mesh in meshes])
    return int(low[1]), int(low[0]), inner[: high[1] - low[1], : high[0] - low[0]]


def _around(points: NDArray[np.float64], shape: tuple[int, ...], room: float) -> Floats:
    """A filled box around some points, 0 or 1."""
    (left, top), (right, bottom) = points.min(0) - room, points.max(0) + room
    box = np.zeros(shape, np.float32)
    box[max(0, int(top)) : max(0, int(bottom) + 1), max(0, int(left)) : max(0, int(right) + 1)] = 1
    return box

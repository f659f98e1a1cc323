"""The crop that DFM models are given, and where our own crop lies in it.

DFM files do not define their crop: the tools that run them do, all of them about the
"whole face" of DeepFaceLab. facefusion states it as five points of a square
(`facefusion/face_helper.py`, template `dfl_whole_face`); those are the ones below. DeepFaceLive
takes the same framing from its own mesh, with a coverage that can be changed by hand.

Our crop (`faces.align`) goes by four mesh points, this one by five others, so how one lies in
the other differs a little from head to head. For the reference head, seen from the front, the
four points and the five fit to 0.4 % of the side; that place is taken for every head, rounded to
whole pixels, so that going from one crop to the other cuts and pads and never resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from understudy.faces.align import core_alignment, transform_points
from understudy.faces.pose import reference, similarity
from understudy.types import Floats

POINTS = np.array(
    [
        [0.35342266, 0.39285716],
        [0.62797622, 0.39285716],
        [0.48660713, 0.54017860],
        [0.38839287, 0.68750011],
        [0.59821427, 0.68750011],
    ]
)
"""Middles of the eyes, tip of the nose, corners of the mouth, image left before image right, as
shares of the crop's side."""

EYES = ((33, 133), (263, 362))
NOSE = 4
MOUTH = (61, 291)


@dataclass(frozen=True)
class Window:
    """Where a core crop of `size` px lies in a whole-face crop, in its pixels.

    Attributes:
        size: side of the core crop.
        side: side of the whole-face crop.
        x, y: where the core's upper left pixel lies; parts of the core may lie outside.
    """

    size: int
    side: int
    x: int
    y: int


def five(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The five points of a mesh (468, 2 or more): float64 (5, 2)."""
    mesh = points[:, :2].astype(np.float64)
    left, right = (mesh[list(corners)].mean(0) for corners in EYES)
    return np.stack([left, right, mesh[NOSE], mesh[MOUTH[0]], mesh[MOUTH[1]]])


@cache
def _place() -> tuple[float, float, float]:
    """Side and upper left corner of the core, as shares of the whole-face crop's side."""
    head = reference().points * 100 + 500
    core = (transform_points(core_alignment(head, 1000), five(head)).astype(np.float64) + 0.5) / 1e3
    rows = np.zeros((len(core), 2, 3))
    rows[:, 0, 0], rows[:, 1, 0] = core[:, 0], core[:, 1]
    rows[:, 0, 1] = rows[:, 1, 2] = 1
    side, x, y = np.linalg.lstsq(rows.reshape(-1, 3), POINTS.reshape(-1), rcond=None)[0]
    return float(side), float(x), float(y)


def window(size: int) -> Window:
    """Where a core crop of `size` px lies in the whole-face crop of the same resolution."""
    share, x, y = _place()
    side = 2 * round(size / share / 2)
    return Window(size, side, round(x * side), round(y * side))


def from_core(landmarks: Floats, where: Window) -> Floats:
    """The matrix from the frame to the whole-face crop around this face's core crop.

    Args:
        landmarks: float32 (468, 2 or more), pixels of the frame.

    Returns:
        float32 (2, 3), frame to crop.
    """
    matrix = core_alignment(landmarks, where.size)
    matrix[:, 2] += (where.x, where.y)
    return matrix


def alignment(landmarks: Floats, side: int) -> Floats:
    """The matrix from the frame to a whole-face crop of `side` px, by the five points.

    The least-squares similarity (Umeyama, 1991), as the tools that run DFM files take it. Same
    arguments and result as `faces.align.alignment`.
    """
    fit = similarity(five(landmarks) + 0.5, POINTS * side)
    turn = fit.scale * fit.rotation
    return np.column_stack([turn, fit.shift + turn @ [0.5, 0.5] - 0.5]).astype(np.float32)

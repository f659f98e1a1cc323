"""From a face in a frame to an upright crop of stated geometry, and back.

The crop that is stored is larger than what the networks see: they see its central part (`CORE`
of the side), the rest is room for turning, zooming and shifting while training.

A crop's matrix is float32 (2, 3) and maps pixels of the frame to pixels of the crop; `invert`
gives the way back. Pixel coordinates count from pixel centres, as everywhere.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.pose import reference, similarity
from understudy.types import Floats, Image

CORE = 0.8
"""Share of the stored crop's side that the networks see: the central part."""

FACE = 0.61
"""Share of the core's side that the reference head takes from the brows to the chin; it is as
wide from ear to ear. Chosen so that the inner face with its forehead stays inside the core,
wide open mouths and turned heads included."""

TOP = 0.217
"""Where the brows' upper edge lies, as a share of the core's side."""

BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
"""Upper edge of the brows, from image left to image right."""

CHIN = 152

ANCHORS = np.array([133, 362, 61, 291])
"""Inner corners of the eyes and corners of the mouth. Of all small sets of mesh points this one
brought the heads of different rendered people, filmed alike, nearest to lying on one another:
the distance from eyes to mouth measures a head, the width of the eyes does not."""


def _template() -> Floats:
    head = reference().points[:, :2].astype(np.float64)
    top, chin = head[list(BROWS), 1].min(), head[CHIN, 1]
    side = chin - top
    core = (head[ANCHORS] - np.array([0.0, top])) / side * FACE + np.array([0.5, TOP])
    template: Floats = (core * CORE + (1 - CORE) / 2).astype(np.float32)
    return template


TEMPLATE: Floats = _template()
"""Where the `ANCHORS` go, float32 (4, 2), as shares of the stored crop's side: the reference
head seen from the front."""


def _matrix(landmarks: Floats, size: int, low: float, side: float) -> Floats:
    """To a crop of `size` px that shows the stored crop's part from `low` on, `side` wide."""
    target = (TEMPLATE.astype(np.float64) - low) / side * size
    fit = similarity(landmarks[ANCHORS, :2].astype(np.float64) + 0.5, target)
    turn = fit.scale * fit.rotation
    shift = fit.shift + turn @ [0.5, 0.5] - 0.5
    return np.column_stack([turn, shift]).astype(np.float32)


def alignment(landmarks: Floats, size: int) -> Floats:
    """The matrix from the frame to the stored crop.

    The least-squares similarity (Umeyama, 1991) from the face's `ANCHORS` to the `TEMPLATE`.

    Args:
        landmarks: float32 (468, 2 or more), pixels of the frame.
        size: side of the stored crop in pixels.

    Returns:
        float32 (2, 3), frame to crop.
    """
    return _matrix(landmarks, size, 0.0, 1.0)


def core_alignment(landmarks: Floats, size: int) -> Floats:
    """The matrix from the frame to the core, what a network of `size` px sees."""
    return _matrix(landmarks, size, (1 - CORE) / 2, CORE)


def invert(matrix: Floats) -> Floats:
    """The inverse of an affine matrix (2, 3), float32 (2, 3)."""
    turn = np.linalg.inv(matrix[:, :2].astype(np.float64))
    return np.column_stack([turn, -turn @ matrix[:, 2]]).astype(np.float32)


def transform_points(matrix: Floats, points: NDArray[np.floating]) -> Floats:
    """Points (n, 2) through an affine matrix (2, 3); float32 (n, 2)."""
    result = points[:, :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return result.astype(np.float32)


def warp(image: Image, matrix: Floats, size: int) -> Image:
    """The crop that a matrix describes.

    Enlarging is bicubic. When it shrinks, it is drawn at a whole multiple of the size and
    averaged down, so that nothing of the frame is skipped (no aliasing). Outside the frame the
    border's pixels go on.

    Args:
        image: RGB uint8 (height, width, 3).
        matrix: float32 (2, 3), frame to crop.
        size: side of the crop in pixels.

    Returns:
        RGB uint8 (size, size, 3).
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))
    finer = int(np.clip(np.ceil(1 / max(scale, 1e-6) - 0.1), 1, 8))
    large = matrix.astype(np.float64) * finer
    large[:, 2] += (finer - 1) / 2
    how = cv2.INTER_CUBIC if finer == 1 else cv2.INTER_LINEAR
    side = size * finer
    crop = cv2.warpAffine(image, large, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
    if finer > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)

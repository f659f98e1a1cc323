"""Where the face is in a crop, from the mesh alone.

Point numbers follow the published topology of the 468-point mesh.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats

OUTLINE = np.array(
    [
        # temple and cheek at image left, from the brow down
        *(71, 139, 143, 116, 123, 147, 213, 138, 172),
        # jaw and chin
        *(136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365),
        # cheek and temple at image right, upwards
        *(397, 367, 433, 376, 352, 345, 372, 368, 301),
        # forehead, below the hair
        *(298, 333, 297, 338, 10, 109, 67, 104, 68),
    ]
)
"""What bounds the inner face: a ring inside the mesh's own contour, which lies on ears and
hair. Chosen against the true masks of rendered faces."""

NOSE = np.array([1, 4, 5, 195, 48, 278, 129, 358])
"""The nose, which passes the cheek in a three-quarter view."""

GROWN = 1.03
"""The skin that belongs to the inner face reaches this much further than the ring."""

FINER = 4
"""Polygons are drawn so many times larger and averaged down, which gives true coverage."""


def _fill(points: NDArray[np.floating], size: int, soft: float) -> Floats:
    large = (points.astype(np.float64) + 0.5) * FINER - 0.5
    limit = 16.0 * FINER * size
    hull = cv2.convexHull(np.round(np.clip(large, -limit, limit)).astype(np.int32))
    mask = np.zeros((size * FINER, size * FINER), np.uint8)
    cv2.fillConvexPoly(mask, hull, 255)
    small = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA)
    grey: Floats = small.astype(np.float32) * np.float32(1 / 255)
    if soft > 0:
        blurred = cv2.GaussianBlur(grey, (0, 0), soft, borderType=cv2.BORDER_REPLICATE)
        grey = np.clip(np.asarray(blurred, np.float32), 0, 1)
    return grey


def _grown(points: NDArray[np.floating], landmarks: NDArray[np.floating]) -> Floats:
    middle = landmarks[OUTLINE, :2].astype(np.float64).mean(axis=0)
    return np.asarray(middle + GROWN * (points - middle), np.float32)


def face_mask(landmarks: NDArray[np.floating], size: int, soft: float = 0.01) -> Floats:
    """Inner face: forehead below the hair to chin, cheek to cheek, without ears.

    Args:
        landmarks: (468, 2 or more), pixels of the crop.
        size: side of the crop in pixels.
        soft: standard deviation of the blurred edge, as a share of the side.

    Returns:
        float32 (size, size), 0..1.
    """
    ring = _grown(landmarks[OUTLINE, :2], landmarks)
    return _fill(np.concatenate([ring, landmarks[NOSE, :2]]), size, soft * size)


def hull_mask(landmarks: NDArray[np.floating], size: int, soft: float = 0.01) -> Floats:
    """The whole mesh, forehead included: everything that a swap may ever touch.

    Arguments and result as for `face_mask`.
    """
    return _fill(_grown(landmarks[:, :2], landmarks), size, soft * size)

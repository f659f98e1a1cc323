"""Where the face is in a crop, from the mesh alone.

Point numbers follow the published topology of the 468-point mesh.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats, Image

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
"""Factor by which polygons are drawn larger and then averaged, which gives true coverage."""


REACH, REACH_UP = 1.35, 1.15
"""How far a swap may reach beyond the mesh, from its middle: another face may be wider; upwards
hair begins soon."""

EYES_AND_BROWS = (
    np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]),
    np.array([263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]),
    np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46]),
    np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276]),
)
LIPS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
)
CERTAIN = 0.86
"""This much of `face_mask`, about its middle, is face whatever its colour: shadow, beard."""

FOREHEAD = 0.21
"""The forehead may go on this much above the mesh, as a share of the face's height."""

SEEN = 64
"""Side in pixels at which face is separated from hair and background."""

ROUNDS = 2


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


def reach_mask(landmarks: NDArray[np.floating], size: int) -> Floats:
    """Where a swap with a learned mask may reach at most: the mesh's hull, made larger
    by `REACH`, upwards by `REACH_UP`.

    Arguments and result as for `face_mask`, not softened.
    """
    points = landmarks[:, :2].astype(np.float64)
    up = points[10] - points[152]
    up = up / max(float(np.hypot(*up)), 1e-6)
    aside = np.array([-up[1], up[0]])
    middle = (points[10] + points[152]) / 2
    along, across = (points - middle) @ up, (points - middle) @ aside
    along = np.where(along > 0, REACH_UP, REACH) * along
    grown = middle + along[:, None] * up + REACH * across[:, None] * aside
    return _fill(np.asarray(grown, np.float32), size, 0.0)


def visible_mask(image: Image, landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The face as it shows in a picture: without hair over it, with its forehead.

    GrabCut (Rother, Kolmogorov and Blake, "GrabCut: interactive foreground extraction using
    iterated graph cuts", 2004), started from the mesh: what lies well inside of it is face, what
    lies far outside is not, colours decide the rest. Of the result the largest piece.

    Args:
        image: RGB uint8 (S, S, 3), an aligned crop.
        landmarks: (468, 2 or more), pixels of the crop.

    Returns:
        uint8 (S, S), 0..255.
    """
    side = image.shape[0]
    small = np.asarray(cv2.resize(image, (SEEN, SEEN), interpolation=cv2.INTER_AREA), np.uint8)
    points = (landmarks[:, :2].astype(np.float64) + 0.5) * (SEEN / side) - 0.5
    labels = np.full((SEEN, SEEN), cv2.GC_BGD, np.uint8)
    labels[_fill(_with_forehead(points), SEEN, 0.0) > 0.5] = cv2.GC_PR_BGD
    labels[_fill(points, SEEN, 0.0) > 0.5] = cv2.GC_PR_FGD
    for part in (*EYES_AND_BROWS, LIPS):
        labels[cv2.dilate(_fill(points[part], SEEN, 0.0), np.ones((3, 3), np.uint8)) > 0.25] = (
            cv2.GC_FGD
        )
    ring = points[np.concatenate([OUTLINE, NOSE])]
    middle = ring.mean(axis=0)
    labels[_fill(middle + CERTAIN * (ring - middle), SEEN, 0.0) > 0.5] = cv2.GC_FGD
    if (labels == cv2.GC_BGD).any() and (labels == cv2.GC_FGD).any():
        back, front = np.zeros((1, 65)), np.zeros((1, 65))
        # GrabCut draws at random; the same picture must always give the same mask.
        cv2.setRNGSeed(0)
        whole = (0, 0, SEEN, SEEN)
        cv2.grabCut(small, labels, whole, back, front, ROUNDS, cv2.GC_INIT_WITH_MASK)
    face = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    count, pieces, sizes, _ = cv2.connectedComponentsWithStats(face)
    if count > 2:
        face = (pieces == 1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    return np.asarray(
        cv2.resize(face * 255, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8
    )


def _with_forehead(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mesh points, a little apart, those of the upper half moved up to where hair may begin."""
    middle = points.mean(axis=0)
    up = points[10] - points[152]
    height = float(np.hypot(*up))
    up = up / max(height, 1e-6)
    wide = middle + 1.06 * (points - middle)
    above = np.clip((points - middle) @ up / max(height, 1e-6) * 2.2, 0, 1)
    moved: NDArray[np.float64] = wide + above[:, None] * up * height * FOREHEAD
    return moved

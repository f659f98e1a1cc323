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

QUICK = (0.4, 0.95)
"""From which scale on, and up to which, `warp_quickly` is quicker than `warp` and as good."""

LEAST_TAP = 0.005
"""A blur whose taps weigh less than this is left out: it changes nothing."""


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


def shown_side(landmarks: Floats) -> float:
    """Side of the square of the frame that the stored crop shows, in pixels of the frame.

    Args:
        landmarks: float32 (468, 2 or more), pixels of the frame.
    """
    scale = np.linalg.det(alignment(landmarks, 1)[:, :2].astype(np.float64))
    return float(1 / np.sqrt(max(scale, 1e-12)))


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


def warp_quickly(image: Image, matrix: Floats, size: int) -> Image:
    """The crop that a matrix describes, in a third of the time where it shrinks a little.

    Instead of drawing a larger crop and averaging it, the part of the frame that shows is blurred
    by three taps and drawn at once. The taps are such that blur and bilinear drawing together
    spread a pixel (second moment) as averaging over a pixel of the crop does. Of four films the
    result was 51 to 57 dB from the exact average, as that of `warp` is to within 2 dB; of white
    noise it is up to 10 dB worse. What lies outside the frame is made up from blurred borders.

    Args:
        image: uint8 (height, width), one plane, or (height, width, 3).
        matrix: float32 (2, 3), frame to crop, a similarity.
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size) or (size, size, 3).
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2].astype(np.float64)))))
    if not QUICK[0] <= scale < QUICK[1]:
        return warp(image, matrix, size)
    part, moved = _part(image, matrix, size)
    if not part.size:
        return warp(image, matrix, size)
    # Averaging over a width w has the second moment w**2 / 12, bilinear drawing 1 / 6, and
    # three taps (a, 1 - 2a, a) have 2a.
    tap = (1 / scale**2 - 2) / 24
    if tap > LEAST_TAP:
        sigma = float(np.sqrt(-0.5 / np.log(tap / (1 - 2 * tap))))
        blurred = cv2.GaussianBlur(part, (3, 3), sigma, borderType=cv2.BORDER_REPLICATE)
        part = np.asarray(blurred, np.uint8)
    crop = cv2.warpAffine(
        part, moved, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def _part(image: Image, matrix: Floats, size: int) -> tuple[Image, Floats]:
    """The upright rectangle of the frame that a crop needs, and the matrix from there."""
    ends = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float32) - 0.5
    corners = transform_points(invert(matrix), ends)
    most = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, most)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 3, 0, most)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low.astype(np.float32)
    return image[low[1] : high[1], low[0] : high[0]], moved

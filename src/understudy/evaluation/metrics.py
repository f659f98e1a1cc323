"""Metrics of a swap: pure functions of pixels and landmarks.

Images are RGB uint8 (h, w, 3) of equal size; masks are (h, w), 0..1, and a pixel counts as
inside where its mask is at least one half. Landmarks are the 468 mesh points of `types.Face`.
Where nothing can be measured (no pixel inside, too few samples) the answer is None, never NaN,
so that every figure can be written as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.openings import inter_ocular
from understudy.media.colour import luma
from understudy.types import Float64s, Floats, Image

Mask = NDArray[np.floating] | NDArray[np.bool_]

PSNR_CEILING = 100.0
"""dB reported for images without any difference, in place of infinity."""

INSIDE = 0.5
"""Smallest mask weight that counts as inside."""

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def inside(mask: Mask | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(h, w) bool of the pixels that count; all of them when there is no mask.

    Raises ValueError when the mask has not the image's height and width.
    """
    if mask is None:
        return np.ones(shape[:2], bool)
    if mask.shape != shape[:2]:
        raise ValueError(f"a mask of {mask.shape} does not fit an image of {shape[:2]}")
    return np.asarray(mask if mask.dtype == np.bool_ else mask >= INSIDE, np.bool_)


def _pair(a: Image, b: Image) -> None:
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3:
        raise ValueError(f"two RGB images of equal size are needed, not {a.shape} and {b.shape}")


def psnr(a: Image, b: Image, mask: Mask | None = None) -> float | None:
    """Peak signal-to-noise ratio in dB, peak 255, over R, G and B of the pixels inside.

    At most `PSNR_CEILING`. None when no pixel is inside. Raises ValueError for unequal sizes.
    """
    _pair(a, b)
    where = inside(mask, a.shape)
    if not where.any():
        return None
    difference = a[where].astype(np.float64) - b[where]
    error = float(np.mean(difference * difference))
    if error == 0:
        return PSNR_CEILING
    return min(PSNR_CEILING, 10 * math.log10(255**2 / error))


def _blur(plane: Float64s) -> Float64s:
    blurred = cv2.GaussianBlur(plane, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64)


def ssim_map(a: Image, b: Image) -> Float64s:
    """Structural similarity around every pixel, float64 (h, w), -1..1.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004: on luma, Gaussian window 11x11 with sigma 1.5, K1 0.01,
    K2 0.03, data range 255, population moments. Beyond the border the image is mirrored
    (the paper leaves those pixels out).
    """
    _pair(a, b)
    x, y = luma(a).astype(np.float64), luma(b).astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return similar / ((mean_x * mean_x + mean_y * mean_y + _C1) * (variance_x + variance_y + _C2))


def ssim(a: Image, b: Image, mask: Mask | None = None) -> float | None:
    """Mean of `ssim_map` over the pixels inside; windows may look past the mask's edge.

    None when no pixel is inside. Raises ValueError for unequal sizes.
    """
    _pair(a, b)
    where = inside(mask, a.shape)
    if not where.any():
        return None
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    margin = _WINDOW // 2
    part = (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
    return float(ssim_map(a[part], b[part])[where[part]].mean())


def landmark_error(landmarks: Floats, reference: Floats) -> float | None:
    """How far the mesh differs from `reference` once position, scale and roll are removed.

    `landmarks` is laid over `reference` by the least-squares similarity in the image plane
    (Umeyama 1991); the answer is the mean point distance there as a share of the reference's
    inter-ocular distance. 0 is the same shape, whatever its place, size and roll. It holds
    the difference of expression and of face shape alike. None for a face without extent.
    """
    moving = landmarks[:, :2].astype(np.float64)
    still = reference[:, :2].astype(np.float64)
    # A similarity in the plane is multiplication by one complex number, so least squares
    # has a closed form and no reflection can come out.
    z = (moving - moving.mean(0)) @ np.array([1, 1j])
    w = (still - still.mean(0)) @ np.array([1, 1j])
    power, unit = float(np.vdot(z, z).real), inter_ocular(reference)
    if power == 0 or unit == 0:
        return None
    return float(np.abs(np.vdot(z, w) / power * z - w).mean()) / unit


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's correlation, -1..1; None below three samples or when one side never moves."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} samples cannot be compared with {len(b)}")
    if len(a) < 3:
        return None
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    if scale < 1e-12:
        return None
    return float(np.clip(x @ y / scale, -1, 1))


def signed_angle(a: float, b: float) -> float:
    """The shortest turn from angle `b` to angle `a`, degrees, -180 <= turn < 180."""
    return (a - b + 180) % 360 - 180


def residual(crop: Image, before: Image, mask: Mask) -> float | None:
    """Mean absolute difference, 0..255, of two aligned crops over the pixels inside.

    What is left between a frame's face and the one before it once the head's motion is
    removed: expression, light, noise and flicker. None when no pixel is inside.
    """
    _pair(crop, before)
    where = inside(mask, crop.shape)
    if not where.any():
        return None
    return float(np.abs(crop[where].astype(np.int16) - before[where]).mean())


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there; None when none is."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def median(values: Sequence[float | None]) -> float | None:
    """Median of the values that are there; None when none is."""
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else None


OUTLINE = 1 / 50
"""Half the width of the strip along a swap's outline, as a share of the swap's own width."""


def outline(alpha: Floats) -> NDArray[np.bool_]:
    """The strip along the outline of a swap, where its alpha passes one half: (h, w) bool."""
    inside = (alpha >= INSIDE).astype(np.uint8)
    columns = np.flatnonzero(inside.any(0))
    if not columns.size:
        return np.zeros(alpha.shape, bool)
    reach = max(1, round(OUTLINE * float(columns[-1] - columns[0] + 1)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(inside, disc) != cv2.erode(inside, disc), np.bool_)


def edge_energy(image: Image, strip: NDArray[np.bool_]) -> float | None:
    """Mean squared gradient of luma (Sobel's operator, per pixel) over a strip; None when that
    is empty. A seam shows as more of it than the untouched film has at the same place."""
    if not strip.any():
        return None
    plane = luma(image)
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return float(np.mean(np.square(across[strip]) + np.square(down[strip])))

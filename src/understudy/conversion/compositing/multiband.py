"""Multi-band blending: coarse detail is blended over a wide strip, fine detail over a narrow one.

Burt and Adelson, "A multiresolution spline with application to image mosaics", ACM Transactions
on Graphics 2(4), 1983. Broad differences of colour fade far from the edge, and no line of skin or
hair is doubled there.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.types import Floats, Image

BANDS = 3
"""Levels of the pyramids; one pixel of the coarsest is eight pixels of the picture."""

LARGEST = 192
"""Largest longer side in pixels at which bands are blended: only the finest, which follow the
swap's own alpha, need more."""

STEEP = 2.0
"""Factor by which the alpha is steeper than the swap's own, once the blend is in the picture."""


def banded(
    swap: Image, under: Image, alpha: Floats, crisp: Floats | None = None
) -> tuple[Image, Floats]:
    """Blend a swap into the frame below it, band by band.

    Args:
        swap, under: RGB uint8 (h, w, 3), pixel on pixel: the swap and the frame.
        alpha: float32 (h, w), 0..1: how much of the swap there would be.
        crisp: float32 (h, w), 0..1: how far that holds after all, because hair or background,
            whose colours a face must not take on, begins there; nowhere when None.

    Returns:
        The blended picture, and an alpha to lay it over the frame with: 0 where `alpha` is.
    """
    height, width = alpha.shape
    difference = (swap.astype(np.float32) - under) * (alpha > 0)[..., None]
    shrunk = min(1.0, LARGEST / max(height, width))
    size = (max(1, round(shrunk * width)), max(1, round(shrunk * height)))
    how = cv2.INTER_AREA
    small = np.asarray(cv2.resize(difference, size, interpolation=how), np.float32)
    weight = np.asarray(cv2.resize(alpha, size, interpolation=how), np.float32)
    wider = cv2.resize(_change(small, weight), (width, height), interpolation=cv2.INTER_LINEAR)
    result = under + alpha[..., None] * difference + np.asarray(wider, np.float32)
    laid = np.minimum(np.float32(STEEP) * alpha, np.float32(1))
    if crisp is not None:
        own, whole = crisp * alpha, (1 - crisp) * laid
        laid = own + whole
        share = (own / np.maximum(laid, np.float32(1e-6)))[..., None]
        result += share * (swap - result)
    image = np.asarray(np.rint(np.clip(result, 0, 255)), np.uint8)
    return image, np.asarray(laid, np.float32)


def _change(difference: Floats, alpha: Floats) -> Floats:
    """The difference that blending by bands makes to `alpha * difference`, (h, w, 3)."""
    height, width = alpha.shape
    step = 1 << BANDS
    room = (-height % step, -width % step)
    differences = _pyramid(_padded(difference, room))
    weights = _pyramid(_padded(alpha, room))
    blended = differences[-1] * weights[-1][..., None]
    for fine, coarse, weight in zip(
        differences[-2::-1], differences[:0:-1], weights[-2::-1], strict=True
    ):
        size = (fine.shape[1], fine.shape[0])
        band = fine - cv2.pyrUp(coarse, dstsize=size)
        blended = cv2.pyrUp(blended, dstsize=size) + band * weight[..., None]
    own = alpha[..., None] * difference
    return np.asarray(np.asarray(blended, np.float32)[:height, :width] - own, np.float32)


def _padded(picture: Floats, room: tuple[int, int]) -> Floats:
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(picture, 0, room[0], 0, room[1], border), np.float32)


def _pyramid(picture: Floats) -> list[Floats]:
    """The picture and `BANDS` smaller ones, each with half the side."""
    levels = [picture]
    for _ in range(BANDS):
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    return levels

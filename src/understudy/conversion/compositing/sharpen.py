"""Sharpness: a swap is sharpened until its fine detail is as strong as the film's.

A network draws softer than a camera sees, and a large face is enlarged from few pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from understudy.conversion.compositing.grain import LEAST, alone, luma
from understudy.types import Floats, Image

FINE, COARSE = 0.7, 1.6
"""Standard deviations of the two blurs between which detail lies, in pixels of the network."""


def sharpened(swap: Image, under: Image, alpha: Floats, pixel: float, most: float) -> Image:
    """Sharpen a swap until it is as sharp as the frame below it, by unsharp masking.

    Args:
        swap, under: RGB uint8 (h, w, 3), pixel on pixel: the swap and the frame.
        alpha: float32 (h, w), 0..1, of the swap.
        pixel: pixels of the frame in one of the network's.
        most: largest multiple of its own detail that is added.
    """
    inner = alone(alpha, 7)
    if np.count_nonzero(inner) < LEAST:
        return swap
    pixel = max(pixel, 0.5)
    wanted, found = (
        float(np.sqrt(np.mean(np.square(_band(picture, pixel)[inner]))))
        for picture in (under, swap)
    )
    strength = min(most, wanted / max(found, 1e-3) - 1)
    if strength <= 0:
        return swap
    unit = swap.astype(np.float32)
    blurred = cv2.GaussianBlur(unit, (0, 0), COARSE * pixel)
    fine = cv2.GaussianBlur(unit, (0, 0), FINE * pixel / 2)
    result = unit + np.float32(strength) * (fine - blurred)
    return np.asarray(np.rint(np.clip(result, 0, 255)), np.uint8)


def _band(picture: Image, pixel: float) -> Floats:
    """The band of a picture's luma between the two blurs, (h, w)."""
    plane = luma(picture)
    fine = cv2.GaussianBlur(plane, (0, 0), FINE * pixel)
    return np.asarray(fine - cv2.GaussianBlur(plane, (0, 0), COARSE * pixel), np.float32)

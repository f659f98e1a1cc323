"""Grain: give a swap as much noise as the film's own face had.

A network averages noise away, and a clean face in a grainy film looks pasted on. The noise is
drawn again for every frame and every face, seeded with the numbers of the frame and of the face's
track, so the same film always gives the same result.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats, Image

_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)

_FINEST = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Blind to planes and straight edges; of white noise it keeps the deviation."""

FLOOR = 1.0
"""Deviation in code values below which a film counts as clean: rounding leaves this much, as does
encoding, which happens again anyway."""

LEAST = 64
"""Pixels of a face below which nothing is measured in it."""

INNER = 0.9
"""Alpha from which a pixel is the swap's alone."""

SPARSE = 40_000
"""About the largest number of pixels measured."""


def luma(image: Image | Floats) -> Floats:
    """Of RGB (h, w, 3), uint8 or float32 code values: float32 (h, w), 0..255 (Rec. 601)."""
    return np.asarray(cv2.transform(np.asarray(image, np.float32), _LUMA), np.float32)


def alone(alpha: Floats, edge: int) -> NDArray[np.bool_]:
    """Where a swap of this alpha (h, w), 0..1, is not mixed with the frame, `edge` pixels (odd)
    across: (h, w)."""
    sure = (alpha > INNER).astype(np.uint8)
    return np.asarray(cv2.erode(sure, np.ones((edge, edge), np.uint8)) > 0, np.bool_)


def seed_of(frame: int, track: int) -> int:
    """Seed of the grain of a face: different for every frame and track (-1: unknown track)."""
    return (frame << 32) + track + 1


def noise(image: Image, where: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise of a picture's luma, in code values.

    Immerkaer, "Fast noise variance estimation", CVIU 64(2), 1996, with the median in place of the
    mean, so that brows and lashes do not count as noise.

    Args:
        image: RGB uint8 (h, w, 3).
        where: (h, w), the pixels that count; 0 is returned for too few.
    """
    if np.count_nonzero(where) < LEAST:
        return 0.0
    finest = np.abs(cv2.filter2D(luma(image), cv2.CV_32F, _FINEST))[where]
    few = finest[:: max(1, finest.size // SPARSE)]
    return float(np.median(few)) / 0.6745


def grained(swap: Image, under: Image, alpha: Floats, amount: float, seed: int) -> Image:
    """Add noise to a swap, as strong as in the frame below it.

    Args:
        swap, under: RGB uint8 (h, w, 3), pixel on pixel: the swap and the frame.
        alpha: float32 (h, w), 0..1, of the swap.
        amount: 1 for as much as the frame has.
        seed: the same draws the same noise; see `seed_of`.
    """
    inner = alone(alpha, 5)
    wanted = noise(under, inner)
    if wanted < FLOOR:
        return swap
    lacking = wanted**2 - noise(swap, inner) ** 2
    if lacking <= 0:
        return swap
    random = np.random.default_rng(seed)
    drawn = random.standard_normal(alpha.shape, np.float32)
    drawn *= np.float32(amount * np.sqrt(lacking))
    return np.asarray(np.rint(np.clip(swap + drawn[..., None], 0, 255)), np.uint8)

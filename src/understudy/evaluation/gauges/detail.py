"""Measure how sharp a swap is, and whether its detail is in the right place.

PSNR and SSIM cannot answer: they prefer a grey blur to crisp skin that lies a pixel off. Here the
luma of both pictures is taken apart into three bands of detail, and in each band

- **detail** is how much the swap has, as amplitude, over what the truth has: 1 is right, below
  is blurred, above is noise or too much contrast;
- **found** is the share of the truth's detail that the swap has in the right place, after each
  small patch was allowed to move by a few pixels (a face placed a little differently is no
  fault): 1 is perfect, 0 is what grey blur gets, below 0 is wrong detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from understudy.evaluation.gauges.regions import PLACES, Regions
from understudy.media.colour import luma
from understudy.types import Float64s, Floats, Image

DEVIATIONS = (0.6, 1.2, 2.4, 4.8)
"""Deviations of the Gaussians that separate the bands, pixels of the film: wavelengths of about
2 to 4, 4 to 8 and 8 to 16 pixels."""

BANDS = ("fine", "middle", "coarse")

PATCH = 16
"""Side in pixels of what may move."""

FURTHEST = 4
"""Pixels by which it may move, in both directions."""

LEAST = 1.0
"""Energy (squared grey levels, over all pixels) from which a place has detail; below is the
arithmetic's own rounding."""

Three = tuple[float, float, float]
"""One figure for each of `BANDS`."""


@dataclass(frozen=True)
class Crispness:
    """Detail and found in one place of the face, each for the bands in `BANDS`."""

    detail: Three
    found: Three


@dataclass(frozen=True)
class Detail:
    """Crispness by place; None where the place was never large enough to be measured."""

    face: Crispness | None
    eyes: Crispness | None
    mouth: Crispness | None


def bands(plane: Floats) -> Floats:
    """The three bands of a picture, at full size.

    Args:
        plane: luma, float32 (h, w), 0..255.

    Returns:
        float32 (h, w, 3), fine to coarse, about 0.
    """
    blurred = [np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma)) for sigma in DEVIATIONS]
    return np.stack([a - b for a, b in pairwise(blurred)], axis=-1)


def _patches(values: Floats) -> Floats:
    """Mean over the patch around each pixel."""
    return np.asarray(cv2.boxFilter(values, -1, (PATCH, PATCH)), np.float32)


def least_error(truth: Floats, swap: Floats) -> Floats:
    """Mean squared difference of each pixel's patch after the swap's best small shift.

    Args:
        truth, swap: bands, float32 (h, w, 3). All three bands move in one go, which is what makes
            81 shifts affordable, but each band has its own best shift.

    Returns:
        float32 (h, w, 3).
    """
    height, width = truth.shape[:2]
    reach = FURTHEST
    around = cv2.copyMakeBorder(swap, reach, reach, reach, reach, cv2.BORDER_REFLECT)
    best: Floats | None = None
    difference = np.empty_like(truth)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            np.subtract(truth, around[y : y + height, x : x + width], out=difference)
            np.multiply(difference, difference, out=difference)
            error = _patches(difference)
            best = error if best is None else np.minimum(best, error, out=best)
    assert best is not None
    return best


def energies(truth: Floats, swap: Floats, weights: Mapping[str, Floats]) -> dict[str, Float64s]:
    """What detail and found are made of, in one frame.

    Args:
        truth, swap: luma of the face's rectangle, float32 (h, w), 0..255.
        weights: float32 (h, w) by place.

    Returns:
        By place float64 (3, 3): energy of the truth, of the swap and of their difference after
        the best shifts (rows), band by band (columns), summed over the weight.
    """
    ours, theirs = bands(swap), bands(truth)
    maps = (_patches(theirs * theirs), _patches(ours * ours), least_error(theirs, ours))
    return {
        place: np.stack([np.tensordot(weight, each, axes=2) for each in maps]).astype(np.float64)
        for place, weight in weights.items()
    }


@dataclass
class DetailSum:
    """Adds up energies over frames; frames with much detail count for more, as they should."""

    sums: dict[str, Float64s] = field(default_factory=dict)

    def add(self, truth: Image, swap: Image, where: Regions) -> None:
        """One frame: RGB uint8 (height, width, 3) each, of equal size."""
        planes = [luma(where.cut(image)) for image in (truth, swap)]
        for place, found in energies(planes[0], planes[1], where.weights).items():
            self.sums[place] = self.sums.get(place, np.zeros((3, 3))) + found

    def result(self) -> Detail | None:
        """None when nothing was added."""
        if not self.sums:
            return None
        return Detail(**{place: _crispness(self.sums.get(place)) for place in PLACES})


def _crispness(sums: Float64s | None) -> Crispness | None:
    # A place without any detail in the truth (a painted face) has nothing to be compared with.
    if sums is None or not (sums[0] > LEAST).all():
        return None
    truth, swap, error = sums
    return Crispness(three(np.sqrt(swap / truth)), three(1 - error / truth))


def three(values: Float64s) -> Three:
    """Three plain numbers."""
    fine, middle, coarse = (float(value) for value in values)
    return fine, middle, coarse

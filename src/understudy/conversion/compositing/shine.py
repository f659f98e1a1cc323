"""Highlights of skin, whites of eyes and teeth, as bright as the film's own light makes them.

A face that takes on the colours of another keeps its ratios: where light shines three times as
bright on dark skin, it would glare on light skin, and the white of an eye, many times brighter than
dark skin, would glow. So highlights of skin are made no stronger than they are on the film's own
face nearby, and whites as bright as its own whites. The other way round the skin of the film may
shine much more than the source's face: then it keeps that shine, because the skin is the film's.

Pure functions of two pictures that lie on one another.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.conversion.compositing.grain import luma
from understudy.types import Floats

DARK = np.float32(8)
"""Added to code values before their logarithm is taken, so that black and noise stay bounded."""

ROOM = 1.3
"""A highlight may be so many times as strong as the film's."""

FLOOR = 0.1
"""What every skin may show where the film's has no highlight: natural logarithm of the ratio to the
light around it."""

OVER = 0.15
"""Share that is kept of the excess, so that no highlight becomes a flat spot."""

NEAR = 0.03
"""The film's highlights may lie so far away: another nose has its ridge elsewhere. Side of a square
as a share of the picture's."""

UNBOUNDED = np.float32(1000)
"""A code value above all possible ones."""

BROADEST = 0.05
"""What is broader is the light itself, which the face has from the film already."""

WIDEST = 0.08
"""The same for highlights that are added to a face: forehead and cheeks shine broadly."""

SHEEN = 0.18
"""Highlights of the film that are laid over a face are stronger than this, natural logarithm."""

SHARE = 0.8
"""Share of the excess that is added."""

SOFT = 0.012
"""The film's highlights are blurred by this, as a share of the side, because the other face is
shaped a little differently."""

WHITE = 0.85
"""Share of an opening that is darker than what is compared as its white."""

FEW = 12.0
"""Pixels of an opening at which its white counts half."""

SLACK = 0.25
"""Whites may differ by so much, natural logarithm: another eye shows more or less of them."""

DARKER, BRIGHTER = 0.9, 0.4
"""Largest change of a white, natural logarithm."""


def ceiling(face: Floats, film: Floats, peaks: Floats, skin: Floats) -> Floats:
    """The luma up to which skin may shine: float32 (S, S), code values; very high off the skin.

    Args:
        face, film: float32 (S, S), luma in code values. The face has the film's broad light.
        peaks: as `film`, with the brightest of the film's own pixels in each.
        skin: float32 (S, S), 0..1: where both show skin, less what is between lids and lips.
    """
    own, theirs, brightest = (np.log(np.maximum(plane, 0) + DARK) for plane in (face, film, peaks))
    reach = 2 * round(NEAR * own.shape[0] / 2) + 1
    shining = brightest - _around(theirs, BROADEST)
    nearby = cv2.dilate(np.asarray(shining, np.float32), np.ones((reach, reach), np.uint8))
    most = np.maximum(ROOM * _blurred(np.asarray(nearby, np.float32), reach / 4), FLOOR)
    high = np.exp(_around(own, BROADEST) + most) - DARK
    return np.asarray(high + UNBOUNDED * (1 - skin), np.float32)


def below(picture: Floats, high: Floats) -> Floats:
    """A picture (h, w, 3) with luma limited softly to a ceiling (h, w): float32, code values."""
    plane = luma(picture)
    over = np.maximum(plane - high, 0)
    kept = 1 - (1 - OVER) * over / np.maximum(plane, 1)
    return np.asarray(picture * kept[..., None], np.float32)


def sheen(face: Floats, film: Floats, skin: Floats) -> Floats:
    """Gains that add the film's strong highlights to a face that hardly shines.

    Args:
        face, film: float32 (S, S, 3), code values. The face has the film's broad light.
        skin: as for `ceiling`.

    Returns:
        float32 (S, S, 3), 1 or more, smooth.
    """
    # Highlights are smooth, and medians are slow: half the size does.
    whole, side = face.shape[0], face.shape[0] // 2
    own_half, film_half, skin_half = (
        cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        for picture in (face, film, skin)
    )
    gains = np.ones_like(own_half)
    for channel in range(3):
        own, theirs = (
            np.log(np.maximum(picture[..., channel], 0) + DARK) for picture in (own_half, film_half)
        )
        shining, has = (
            _blurred(plane - _around(plane, WIDEST), SOFT * side) for plane in (theirs, own)
        )
        more = np.maximum(shining - np.maximum(has, 0) - np.float32(SHEEN), 0)
        gains[..., channel] = np.exp(np.float32(SHARE) * skin_half * more)
    large = cv2.resize(gains, (whole, whole), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32)


def whitening(picture: Floats, film: Floats, openings: Sequence[Floats]) -> Floats:
    """Gains that make eyes and teeth of a picture as bright as the film's.

    Args:
        picture, film: float32 (S, S), luma in code values.
        openings: float32 (S, S), 0..1 each: between the lids of either eye, and between the lips.

    Returns:
        float32 (S, S), 1 where the picture stays as it is.
    """
    own, theirs = (np.log(np.maximum(plane, 0) + DARK) for plane in (picture, film))
    gains = np.zeros_like(own)
    for opening in openings:
        gains += opening * np.float32(_whiter(own, theirs, opening))
    return np.asarray(np.exp(gains), np.float32)


def _around(plane: Floats, reach: float) -> Floats:
    """Brightness of the skin around each pixel, logarithm.

    A median tells that skin, because a mean would be darker close to a brow or a nostril, and the
    skin there would seem to shine.
    """
    low, high = np.log(DARK), np.log(DARK + np.float32(255))
    steps = np.rint((plane - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    middle = cv2.medianBlur(steps, 2 * round(reach * plane.shape[0]) + 1)
    return _blurred(middle.astype(np.float32) * ((high - low) / 255) + low, 1.0)


def _whiter(own: Floats, theirs: Floats, opening: Floats) -> float:
    """Logarithmic gain that makes an opening as bright as the film's."""
    inside = opening > 0.5
    count = np.count_nonzero(inside)
    if not count:
        return 0.0
    found, wanted = (float(np.quantile(plane[inside], WHITE)) for plane in (own, theirs))
    apart = wanted - found
    change = np.copysign(max(abs(apart) - SLACK, 0.0), apart)
    return count / (count + FEW) * float(np.clip(change, -DARKER, BRIGHTER))


def _blurred(values: Floats, deviation: float) -> Floats:
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32
    )


__all__ = ["below", "ceiling", "sheen", "whitening"]

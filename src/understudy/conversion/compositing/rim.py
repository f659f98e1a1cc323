"""The rim of a swap: as wide as the source's face, sharp where the target's face ends.

Where a swap ends on skin, its edge must be soft and within the drawn area. Where it
ends at hair or at the background, a soft edge shows as a dark line and leaves a rim of the other
face, so there the swap is extended to its own true edge: beyond the drawn part with the colours of
the skin next to it, and as sharp as the picture. Both masks that a network draws are needed:
that of the source's face and that of the target's face, which says where its skin ends.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from understudy.types import Floats

SKIN_EDGE = 1 / 64
"""Width of the edge of the target's face, inwards, as a share of the crop's side."""

SURE = 1 / 64
"""Share of the crop's side by which the drawn face shrinks before its colours are extended."""

CRISP = 0.0095
"""Standard deviation of the crisp edge, as a share of the crop's side."""

CARRIED = 1 / 43
"""Standard deviation over which colours are carried on, as a share of the crop's side; they come
from four times as far where nothing is nearer."""

LOW, HIGH = 0.3, 0.7
"""A network's mask changes from background to face between these."""


class Rim(NamedTuple):
    """The rim of one swap.

    Attributes:
        output: float32 (S, S, 3), 0..1: the face drawn, with its colours carried on.
        alpha: float32 (S, S), 0..1: how much of it belongs along the edge of the face that
            goes; 0 away from there.
        near: float32 (S, S), 0..1: what lies on or beyond that edge.
    """

    output: Floats
    alpha: Floats
    near: Floats


def rim(output: Floats, mask: Floats, shown: Floats, widen: float) -> Rim:
    """Carry a drawn face on over the edge of the face that it replaces.

    Args:
        output: float32 (S, S, 3), RGB 0..1: the source's face.
        mask: float32 (S, S), 0..1: where it was drawn.
        shown: float32 (S, S), 0..1: where the target's face shows.
        widen: how far the swap reaches past either mask, as a share of the side; above 0.
    """
    side = mask.shape[0]
    reach = _disc(widen * side)
    wide = np.minimum(cv2.dilate(mask, reach), cv2.dilate(shown, reach))
    crisp = _blurred(_sharpened(np.asarray(wide, np.float32)), CRISP * side)
    inner = cv2.erode(shown, _disc(SKIN_EDGE * side))
    near = _blurred(1 - np.asarray(inner, np.float32), side / 128)
    beyond = np.asarray(cv2.dilate(1 - shown, _disc(side / 128)), np.float32)
    share = _blurred(beyond, 1.5 * side / 128)[..., None]
    filled = output + share * (carried_on(output, mask) - output)
    return Rim(filled, crisp * near, near)


def carried_on(output: Floats, mask: Floats) -> Floats:
    """A drawn face with its colours going on beyond its edge.

    Normalised convolution (Knutsson and Westin, 1993) at two widths, the wide one where the
    narrow one has nothing; as it was drawn where neither has. Shapes as in `rim`.
    """
    side = mask.shape[0]
    sure = cv2.erode((mask > 0.5).astype(np.float32), _square(SURE * side))
    sigma = CARRIED * side
    known = np.dstack([output * sure[..., None], sure])
    narrow = cv2.GaussianBlur(known, (0, 0), sigma)
    quarter = (max(1, side // 4), max(1, side // 4))
    small = cv2.resize(known, quarter, interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), sigma)
    wide = cv2.resize(wide, (side, side), interpolation=cv2.INTER_LINEAR)
    # Where nothing sure is within reach, what was drawn stays; it would turn black.
    faint = np.float32(1e-6)
    lacking = np.maximum(faint - wide[..., 3:], 0)
    far = (wide[..., :3] + lacking * output) / np.maximum(wide[..., 3:], faint)
    little = np.float32(1e-3)
    colours = (narrow[..., :3] + little * far) / (narrow[..., 3:] + little)
    own = _blurred(np.asarray(sure, np.float32), side / 128)[..., None]
    return np.asarray(colours + own * (output - colours), np.float32)


def _sharpened(mask: Floats) -> Floats:
    ramp = np.clip((mask - np.float32(LOW)) / np.float32(HIGH - LOW), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _blurred(mask: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def _disc(radius: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    across = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


def _square(radius: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    across = 2 * max(1, round(radius)) + 1
    return np.ones((across, across), np.uint8)

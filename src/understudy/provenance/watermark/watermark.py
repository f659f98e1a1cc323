"""The invisible watermark: a record id in the grain of every frame.

A tiled spread-spectrum mark on luma: `Embedder` adds it, `reading.Reader` finds it again,
`code` codes the id, `pattern` says what the grain looks like. Every tile of every frame
carries the whole id, so that a single frame or a part of it can be read and a trimmed film needs
no clock. The grain stands still through the film, because a codec carries a standing pattern from
frame to frame and would leave a changing one out. Texture gets more of it, smooth skin and flat
areas less.

The key is public: anyone can read, forge or remove the mark. It is an index that leads to a
signed record and proves nothing by itself.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.errors import TrustError
from understudy.provenance.watermark.code import encode
from understudy.provenance.watermark.pattern import Floats, pattern, tile, tile_side

STRENGTH = 46.0
"""PSNR of the mark in dB that is hard to see; 42 is plainly visible on skin."""
SMALLEST = 64
"""Short side in pixels from which a picture can be marked."""

_TEXTURE = 0.42
_FLATTEST = 0.8


class Embedder:
    """Marks the frames of one film with one record id.

    Args:
        width, height: of the frames, pixels.
        record_id: 0..2^32-1.
        strength: PSNR in dB of marked luma against unmarked (peak 255, full range); smaller is
            stronger. Films without texture are marked less than that, because nothing would
            hide it.

    Raises:
        TrustError: the frames are smaller than 64 pixels.
    """

    def __init__(self, width: int, height: int, record_id: int, strength: float = STRENGTH) -> None:
        if min(width, height) < SMALLEST:
            raise TrustError(
                f"A picture of {width}x{height} pixels is too small for the invisible watermark.",
                f"Use pictures of at least {SMALLEST} pixels on the shorter side.",
            )
        self.width, self.height = width, height
        self.record_id, self.strength = record_id, strength
        self._side = tile_side(width, height)
        # Large pictures can be read with far less, and their flat areas show it first.
        self._flattest = _FLATTEST * min(1.5, max(1.0, min(width, height) / 480))
        self._grain = _field(width, height, record_id)
        # Rounding to whole codes adds 1/12 of its own.
        self._level = math.sqrt(max(255.0**2 * 10.0 ** (-strength / 10.0) - 1 / 12, 0.0))

    def mark(self, luma: NDArray[Any], bits: int = 8, full: bool = False) -> NDArray[Any]:
        """A marked copy of a luma plane.

        Args:
            luma: (height, width) uint8 or uint16 of `bits` bits.
            full: whether the codes go from 0 to the top; else black is 16 and white 235 (times
                2^(bits-8)). No sample leaves that range that was not outside before.
        """
        unit = 2.0 ** (bits - 8)
        low, high = (0.0, 2.0**bits - 1) if full else (16 * unit, 235 * unit)
        plain = luma.astype(np.float32)
        marked = plain + self._added(plain * np.float32(1 / unit), full) * np.float32(unit)
        np.clip(marked, np.minimum(plain, low), np.maximum(plain, high), out=marked)
        return np.rint(marked).astype(luma.dtype)

    def mark_rgb(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A marked copy of an RGB picture, (height, width, 3) uint8."""
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        marked = picture + self._added(grey, full=True)[..., None]
        return np.asarray(np.rint(np.clip(marked, 0, 255)), np.uint8)

    def _added(self, grey: Floats, full: bool) -> Floats:
        if grey.shape != (self.height, self.width):
            raise ValueError(f"a frame of {grey.shape}, not {(self.height, self.width)}")
        hidden = allowance(grey, self._side, full)
        usual = max(math.sqrt(float(np.mean(hidden * hidden))), self._flattest)
        hidden *= self._grain
        hidden *= np.float32(self._level / usual)
        return hidden


def _field(width: int, height: int, record_id: int) -> Floats:
    """(height, width) of the grain: tiles side by side from the top left corner."""
    known = pattern()
    symbols = np.append(encode(record_id), np.float32(1.0))
    side = tile_side(width, height)
    grain = tile(symbols[known.owner], side)
    return np.tile(grain, (-(-height // side), -(-width // side)))[:height, :width].copy()


def allowance(grey: Floats, side: int, full: bool = True) -> Floats:
    """How much of the mark each pixel hides: (h, w) float32, in no unit.

    Texture hides it, smooth skin and flat areas do not. Flat areas beside an edge are taken for
    flat (the smallest activity nearby counts); on black it shows more than on grey.

    Args:
        grey: (h, w) float32, 0..255.
        side: of the tile, pixels.
        full: whether black is 0 or 16.
    """
    height, width = grey.shape
    half = (width // 2, height // 2)
    small = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)
    reach = max(3, round(side / 50)) | 1
    smooth = cv2.blur(small, (reach, reach))
    activity = cv2.blur(cv2.absdiff(small, smooth), (reach, reach))
    # Nearly as wide as one edge makes the activity: what is left is texture, and the edge itself.
    activity = cv2.blur(cv2.erode(activity, np.ones((reach, reach), np.uint8)), (reach, reach))
    # The running sums of the box filter can fall a little below nothing.
    np.clip(activity, 0.0, 12.0, out=activity)
    # Small pictures would lose too much where large ones have more than they need.
    flat = min(0.42, max(0.3, 0.42 * math.sqrt(288 / min(width, height))))
    hidden = flat + _TEXTURE * cv2.pow(activity, 0.6)
    black = 0.0 if full else 16.0
    hidden *= np.clip((smooth + np.float32(20.0 - black)) / 80.0, 0.4, 1.0)
    return np.asarray(
        cv2.resize(hidden, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )

"""What the watermark looks like: a periodic tile whose spectrum carries the symbols.

The tile is written down in the Fourier domain. Of the spatial frequencies between `LOW` and
`HIGH` cycles per tile, each belongs to one channel symbol or to the pilot; its phase comes from
a public key. Frequencies are dealt in rings, so that every symbol and the pilot have the same
share of coarse and fine grain, and lose the same when a codec takes the fine grain away.

A picture is compared with the tile after `flatten`: high-passed and divided by its local
contrast, so that no edge outweighs the rest.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.provenance.watermark.code import SYMBOLS

Floats = NDArray[np.float32]
Complexes = NDArray[np.complex64]

KEY = b"understudy watermark 1"
"""Public: who reads the source can read, forge or remove the mark. It is an index into signed
records and proves nothing by itself."""

LOW, HIGH = 6.0, 23.5
"""Cycles per tile. Coarser grain than that shows as blotches, finer does not survive a codec."""
_PILOTS_PER_RING = 64
_FALL = 0.5


@dataclass(frozen=True)
class Pattern:
    """The frequencies of the tile, those that carry something, sorted by ring.

    Attributes:
        fx, fy: (n,) cycles per tile.
        turn: (n,) complex of length 1, the keyed phase.
        owner: (n,) symbol that the frequency belongs to; `SYMBOLS` for the pilot.
        ring: (n,) 0 for the coarsest.
        rings: how many.
        level: (n,) amplitude, mean square 1.
    """

    fx: NDArray[np.int64]
    fy: NDArray[np.int64]
    turn: Complexes
    owner: NDArray[np.int64]
    ring: NDArray[np.int64]
    rings: int
    level: Floats


def tile_side(width: int, height: int) -> int:
    """Side of the tile in pixels for a frame of this size; grows with the cube root of it.

    Small pictures need coarse grain to survive a codec, large ones would show it.
    """
    short = min(width, height)
    return min(short, max(64, round(226 * math.cbrt(short / 720))))


@cache
def pattern() -> Pattern:
    """The one pattern there is."""
    side = math.floor(HIGH)
    fy, fx = np.mgrid[-side : side + 1, 0 : side + 1]
    radius = np.hypot(fy, fx)
    # One of each pair of conjugates.
    half = (fx > 0) | (fy > 0)
    keep = half & (radius >= LOW) & (radius <= HIGH)
    fx, fy, radius = fx[keep], fy[keep], radius[keep]
    order = np.lexsort((fx, fy, radius))
    per_ring = SYMBOLS + _PILOTS_PER_RING
    rings = len(order) // per_ring
    order = order[: rings * per_ring]
    fx, fy, radius = fx[order], fy[order], radius[order]
    noise = np.frombuffer(hashlib.shake_256(KEY).digest(8 * len(order)), "<u4").reshape(2, -1)
    turn = np.exp(2j * np.pi * (noise[0] / 2.0**32))
    owners = np.minimum(np.arange(per_ring), SYMBOLS)
    owner = np.concatenate([owners[np.argsort(row)] for row in noise[1].reshape(rings, -1)])
    level = radius**-_FALL
    level /= np.sqrt(np.mean(level**2))
    return Pattern(
        fx,
        fy,
        turn.astype(np.complex64),
        owner,
        np.repeat(np.arange(rings), per_ring),
        rings,
        level.astype(np.float32),
    )


def tile(amplitudes: Floats, side: int) -> Floats:
    """(side, side) float32, mean square 1.

    Args:
        amplitudes: (n,) signed, one for each frequency of the pattern.
    """
    known = pattern()
    fits = (known.fx < side / 2) & (np.abs(known.fy) < side / 2)
    spectrum = np.zeros((side, side // 2 + 1), np.complex64)
    put(spectrum, known.fx[fits], known.fy[fits], (amplitudes * known.level * known.turn)[fits])
    grain = np.fft.irfft2(spectrum, (side, side)).astype(np.float32)
    level = math.sqrt(float(np.mean(grain * grain)))
    return np.asarray(grain / np.float32(level), np.float32)


def put(
    spectra: Complexes, fx: NDArray[np.int64], fy: NDArray[np.int64], values: Complexes
) -> None:
    """Write values (..., n) into half spectra (..., side, side // 2 + 1) for `irfft2`."""
    side = spectra.shape[-2]
    spectra[..., fy % side, fx] = values
    # Where fx is 0 the transform reads both conjugates.
    axis = fx == 0
    spectra[..., -fy[axis] % side, 0] = np.conj(values[..., axis])


def flatten(luma: Floats, side: float) -> Floats:
    """The picture without its slow parts, divided by its local contrast to the power of 1.5.

    An optimal detector would divide by the square, if the codec left the mark in flat areas
    alone; 1 to 2 were tried on coded films. Windows as narrow as the finest grain lose the least
    to edges.

    Args:
        luma: (h, w) float32, 0..255.
        side: of the tile, pixels.

    Returns:
        (h, w) float32.
    """
    window = max(3, round(side / 20)) | 1
    high = luma - cv2.blur(luma, (window, window), borderType=cv2.BORDER_REFLECT_101)
    wide = max(3, round(side / 20)) | 1
    power = cv2.blur(high * high, (wide, wide), borderType=cv2.BORDER_REFLECT_101)
    # The running sums of the box filter can fall a little below nothing.
    contrast = np.sqrt(np.maximum(power, 0.0) + np.float32(1.0))
    return np.asarray(np.clip(high / contrast, -2.5, 2.5) / np.sqrt(contrast), np.float32)


def level(total: Floats, side: float) -> Floats:
    """The sum of flattened frames, divided by its local strength.

    Where the film moves, frames cancel each other out and leave the mark, where it stands still
    they do not: the sum says where there is least beside the mark, which no single frame does.

    Args:
        total: (h, w) float32.
        side: of the tile, pixels.

    Returns:
        (h, w) float32, its mean near 0.
    """
    window = max(3, round(side / 6)) | 1
    about = total - total.mean()
    power = cv2.blur(about * about, (window, window), borderType=cv2.BORDER_REFLECT_101)
    floor = 0.05 * float(power.mean()) + 1e-12
    return np.asarray(about / np.sqrt(np.maximum(power, 0.0) + np.float32(floor)), np.float32)

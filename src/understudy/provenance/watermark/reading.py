"""Reading the watermark out of sampled frames.

The frames are flattened and summed: the mark stands still, the picture does not. `search`
then says where the tile may lie, and for each of these places the symbols are read and decoded.
Only an id with a sound checksum whose codeword and pilot stand out enough counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.provenance.watermark.code import SYMBOLS, decode
from understudy.provenance.watermark.pattern import Floats, flatten, level, pattern, tile_side
from understudy.provenance.watermark.search import Geometry, Search, settle, shifted

THRESHOLD = 58.0
"""What an id's score has to reach besides its checksum. The best guess at unmarked frames has 46.6
(deviation 1.5), at most 56.3 in 10912 readings; one in 65536 has a sound checksum by chance."""
WORKING = 720
"""Larger frames are reduced to this short side before anything else."""


@dataclass(frozen=True)
class Reading:
    """What was found in a film.

    Attributes:
        record_id: of the mark; None when no mark can be read.
        likeness: cosine between the symbols read and the codeword nearest to them, 0..1. Chance
            reaches 0.56 to 0.6; where there is an id, this says how well it stood.
        z: how far the pilot stands out, in standard deviations of chance.
        geometry: how the film was scaled, turned and mirrored; a guess where there is no id.
        offset: (x, y) from the tile's origin to the middle of the frame, pixels.
        frames: how many were looked at.
        score: see `score`.
    """

    record_id: int | None
    likeness: float
    z: float
    geometry: Geometry
    offset: tuple[float, float]
    frames: int
    score: float = 0.0


def score(likeness: float, z: float) -> float:
    """How much better the mark explains what was read than noise does, in nats.

    The logarithm of the likelihood ratio of symbols and pilot, each at its best amplitude; both
    are taken for normal noise, of unknown level in the symbols.

    Args:
        likeness: cosine between symbols and codeword, below 1.
        z: of the pilot.
    """
    return -SYMBOLS / 2 * math.log(max(1.0 - max(likeness, 0.0) ** 2, 1e-9)) + max(z, 0.0) ** 2 / 2


class Reader:
    """Sums frames up; `read` says what mark they carry.

    Any frames of one film will do, in any order: a few dozen, spread over the film, are better
    than as many neighbours. One is enough for a still.
    """

    def __init__(self) -> None:
        self._sum: Floats | None = None
        self._size = (0, 0)
        self._frames = 0

    def add(self, luma: NDArray[Any]) -> None:
        """Take in a frame: (h, w), luma scaled to 0..255, any type; all of one size."""
        height, width = luma.shape
        if self._sum is None:
            self._size = (width, height)
        elif (width, height) != self._size:
            raise ValueError(f"a frame of {(width, height)}, not {self._size}")
        grey: Floats = luma.astype(np.float32)
        by = min(1.0, WORKING / min(width, height))
        if by < 1.0:
            size = (round(width * by), round(height * by))
            grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
        flat = flatten(grey, tile_side(width, height) * by)
        self._sum = flat if self._sum is None else self._sum + flat
        self._frames += 1

    def read(self) -> Reading:
        """Search for the mark in what was added; without any frame there is none."""
        best = Reading(None, 0.0, 0.0, Geometry(1.0, 0.0, False), (0.0, 0.0), self._frames)
        if self._sum is None or min(self._size) < 16:
            return best
        by = self._sum.shape[0] / self._size[1]
        search = Search(level(self._sum, tile_side(*self._size) * by), self._size)
        side = search.side / by
        for guesses in search.places():
            values = search.values(guesses)
            places = settle(values, guesses)
            soft = _symbols(shifted(values, places).real)
            for place, decoded in zip(places, decode(soft), strict=True):
                points = score(decoded.likeness, place.z)
                sound = decoded.sound and points >= THRESHOLD
                scale = side * place.geometry.scale
                reading = Reading(
                    decoded.record_id if sound else None,
                    decoded.likeness,
                    place.z,
                    place.geometry,
                    (place.shift[0] * scale, place.shift[1] * scale),
                    self._frames,
                    points,
                )
                if (sound, points) > (best.record_id is not None, best.score):
                    best = reading
            if best.record_id is not None:
                break
        return best


def _symbols(along: Floats) -> Floats:
    """(m, 192) soft symbols from (m, n) signed amplitudes at the pattern's frequencies.

    Each ring of frequencies counts as much as the pilot shows in it.
    """
    known = pattern()
    rings = along.reshape(len(along), known.rings, -1)
    pilots = (known.owner == SYMBOLS).reshape(known.rings, -1)
    shown = np.stack([rings[:, ring, mine].sum(1) for ring, mine in enumerate(pilots)], axis=1)
    weight = np.maximum(shown, 0.15 * np.maximum(shown.max(axis=1, keepdims=True), 1e-9))
    # Every ring holds every symbol once.
    order = np.argsort(known.owner.reshape(known.rings, -1), axis=1)[:, :SYMBOLS]
    symbols = np.take_along_axis(rings, order[None], axis=2)
    return np.asarray(np.einsum("mr,mrs->ms", weight, symbols), np.float32)

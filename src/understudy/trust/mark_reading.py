"""Reading the watermark out of sampled frames.

The frames are flattened and summed: the mark stands still, the picture does not. `mark_search`
then says where the tile may lie, and for each of these places the symbols are read and decoded.
Only an id with a sound checksum whose codeword is close enough to what was read counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.trust.mark_code import SYMBOLS, decode
from understudy.trust.mark_pattern import Complexes, Floats, flatten, pattern, tile_side
from understudy.trust.mark_search import Geometry, Place, Search, settle

LIKENESS = 0.6
"""What an id has to reach besides its checksum. The best of the 144 guesses at an unmarked frame is
at 0.56 (deviation 0.008, at most 0.598 in 1392 frames), and one in 65536 has a sound checksum."""
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
    """

    record_id: int | None
    likeness: float
    z: float
    geometry: Geometry
    offset: tuple[float, float]
    frames: int


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
        search = Search(self._sum, self._size)
        side = search.side * self._size[1] / self._sum.shape[0]
        for guesses in search.places():
            values = [search.values(guess.geometry) for guess in guesses]
            places = [settle(*pair) for pair in zip(values, guesses, strict=True)]
            soft = np.stack([_symbols(*pair) for pair in zip(values, places, strict=True)])
            for place, decoded in zip(places, decode(soft), strict=True):
                sound = decoded.sound and decoded.likeness >= LIKENESS
                scale = side * place.geometry.scale
                reading = Reading(
                    decoded.record_id if sound else None,
                    decoded.likeness,
                    place.z,
                    place.geometry,
                    (place.shift[0] * scale, place.shift[1] * scale),
                    self._frames,
                )
                if (sound, reading.likeness) > (best.record_id is not None, best.likeness):
                    best = reading
            if best.record_id is not None:
                break
        return best


def _symbols(values: Complexes, place: Place) -> Floats:
    """(192,) soft symbols; each ring of frequencies counts as much as the pilot shows in it."""
    known = pattern()
    pilot = known.owner == SYMBOLS
    turn = np.exp(2j * np.pi * (known.fx * place.shift[0] + known.fy * place.shift[1]))
    along = (values * turn).real
    shown = np.bincount(known.ring[pilot], along[pilot])
    weight = np.maximum(shown, 0.15 * max(float(shown.max()), 1e-9))
    soft = np.bincount(known.owner, weight[known.ring] * along)
    return soft[:SYMBOLS].astype(np.float32)

"""Find the watermark's tile in a film that was scaled, cropped, turned or mirrored.

The frames' sum is whitened in the Fourier domain (each frequency is divided by the power around
it). There, scale and rotation move the tile's frequencies and a shift turns their phases:

1. For every scale and rotation, the power at the tile's frequencies; phases do not matter.
2. For the best of these, plain and mirrored, the pilot is correlated at all shifts by FFT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.provenance.watermark.code import SYMBOLS
from understudy.provenance.watermark.pattern import Complexes, Floats, pattern, put, tile_side

_GRID = 96
"""Shifts per tile side that the pilot is correlated at."""
_USUAL = (1.0, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2.0)
"""Factors by which films are resized most; these are tried first and most thoroughly."""
_LIKELY = 400
_PLACES = 64


class Geometry(NamedTuple):
    """The position of the tile in the frames.

    Attributes:
        scale: size of the tile compared with an untouched film of this size.
        angle: degrees that the film was turned by, counter-clockwise.
        flipped: mirrored left to right.
    """

    scale: float
    angle: float
    flipped: bool


class Place(NamedTuple):
    """A guess of the tile's position.

    Attributes:
        shift: (x, y) from the tile's origin to the middle of the frame, in tile sides.
        z: how far the pilot stands out there, in standard deviations of chance.
    """

    geometry: Geometry
    shift: tuple[float, float]
    z: float


class Search:
    """Looks for the tile in the sum of flattened frames.

    Args:
        total: (h, w) float32 about 0, see `pattern.flatten` and `level`.
        size: (width, height) of the film; `total` may be a reduced picture of it.
    """

    def __init__(self, total: Floats, size: tuple[int, int]) -> None:
        self._size = size
        self._shape = total.shape
        height, width = total.shape
        self.side = tile_side(*size) * height / size[1]
        """Of the tile in `total`, pixels, as it would be in an untouched film."""
        rows, columns = (cv2.getOptimalDFTSize(2 * n) for n in (height, width))
        padded = np.zeros((rows, columns), np.float32)
        padded[:height, :width] = total
        padded = np.roll(padded, (-(height // 2), -(width // 2)), (0, 1))
        spectrum = np.fft.fft2(padded).astype(np.complex64)
        power = spectrum.real**2 + spectrum.imag**2
        around = _around(power, (round(rows / self.side) | 1, round(columns / self.side) | 1))
        self._spectrum: Complexes = np.asarray(spectrum / np.sqrt(around), np.complex64)
        self._power: Floats = power / around

    def places(self) -> Iterator[list[Place]]:
        """Guesses, the best first, at less and less usual geometries."""
        step = 0.4 * self.side / 30 / (max(self._shape) / 2)
        still = np.zeros(1, np.float32)
        usual = np.array([self._resized(by) for by in _USUAL], np.float32)
        scales = np.exp(np.arange(math.log(0.48), math.log(2.1), step)).astype(np.float32)
        angles = np.arange(-2.1, 2.1, math.degrees(step) * 1.2).astype(np.float32)
        yield self._correlate(_grid(usual, still))
        yield self._correlate(self._likely(_grid(scales, still)))
        yield self._correlate(self._likely(_grid(scales, angles)))

    def values(self, places: Sequence[Place]) -> Complexes:
        """(m, n) what the film has at the pattern's frequencies for each of several guesses.

        The keyed phases are taken off, not those of the shift.
        """
        geometries = [place.geometry for place in places]
        grid = np.array([geometry[:2] for geometry in geometries], np.float32)
        across, down = self._frequencies(grid)
        flipped = np.array([[geometry.flipped] for geometry in geometries])
        return self._sample(across, down, flipped, pattern().turn)

    def _resized(self, by: float) -> float:
        width, height = self._size
        before = max(1, round(width / by)), max(1, round(height / by))
        return max(1, tile_side(*before)) * by / tile_side(width, height)

    def _frequencies(self, grid: Floats) -> tuple[Floats, Floats]:
        """(m, n) cycles per pixel along x and y for (m, 2) scales and angles."""
        known = pattern()
        turn = np.radians(grid[:, 1:2])
        scale = 1.0 / (self.side * grid[:, 0:1])
        across = (known.fx * np.cos(turn) + known.fy * np.sin(turn)) * scale
        down = (known.fy * np.cos(turn) - known.fx * np.sin(turn)) * scale
        return across.astype(np.float32), down.astype(np.float32)

    def _at(self, across: Floats, down: Floats) -> NDArray[np.intp]:
        rows, columns = self._spectrum.shape
        x = np.rint(across * columns).astype(np.intp) % columns
        y = np.rint(down * rows).astype(np.intp) % rows
        return np.asarray(y * columns + x, np.intp)

    def _sample(
        self, across: Floats, down: Floats, flipped: NDArray[np.bool_], turn: Complexes
    ) -> Complexes:
        at = self._at(np.where(flipped, -across, across), down)
        found = np.asarray(self._spectrum.ravel()[at] * np.conj(turn), np.complex64)
        found[_beyond(across, down)] = 0
        return found

    def _likely(self, grid: Floats) -> Floats:
        """(m, 2): the scales and angles with most power at the tile's frequencies."""
        if len(grid) <= _LIKELY:
            return grid
        flat = self._power.ravel()
        sums = np.empty(len(grid), np.float32)
        for start in range(0, len(grid), 256):
            across, down = self._frequencies(grid[start : start + 256])
            values = np.minimum(flat[self._at(across, down)], 6.0)
            values[_beyond(across, down)] = 1.0
            sums[start : start + 256] = values.sum(axis=1)
        return grid[np.argsort(-sums)[:_LIKELY]]

    def _correlate(self, grid: Floats) -> list[Place]:
        known = pattern()
        pilot = known.owner == SYMBOLS
        fx, fy, turn = known.fx[pilot], known.fy[pilot], known.turn[pilot]
        each = max(1, 2 * _PLACES // len(grid))
        found: list[Place] = []
        for start in range(0, len(grid), 32):
            part = grid[start : start + 32]
            across, down = (all_of[:, pilot] for all_of in self._frequencies(part))
            for flipped in np.array([[False], [True]]):
                spectra = np.zeros((len(part), _GRID, _GRID // 2 + 1), np.complex64)
                put(spectra, fx, fy, self._sample(across, down, flipped, turn))
                peaks = np.fft.irfft2(spectra, (_GRID, _GRID)).reshape(len(part), -1)
                if each > 1:
                    at = np.argpartition(-peaks, each, axis=1)[:, :each]
                else:
                    at = peaks.argmax(axis=1)[:, None]
                spread = peaks.std(axis=1, keepdims=True) + 1e-12
                heights = np.take_along_axis(peaks, at, 1) / spread
                for row, (scale, angle) in enumerate(part.tolist()):
                    geometry = Geometry(scale, angle, bool(flipped[0]))
                    for cell, z in zip(at[row].tolist(), heights[row].tolist(), strict=True):
                        y, x = divmod(cell, _GRID)
                        found.append(Place(geometry, (x / _GRID, y / _GRID), z))
        return sorted(found, key=lambda place: -place.z)[:_PLACES]


def settle(values: Complexes, places: Sequence[Place]) -> list[Place]:
    """The places between those of the grid where the pilot is strongest.

    Args:
        values: (m, n) of `Search.values`.
        places: m of them.
    """
    known = pattern()
    pilot = known.owner == SYMBOLS
    seen = shifted(values, places)[:, pilot]
    steps = np.linspace(-0.75, 0.75, 7) / _GRID
    along = np.exp(2j * np.pi * np.outer(steps, known.fx[pilot])).astype(np.complex64)
    down = np.exp(2j * np.pi * np.outer(steps, known.fy[pilot])).astype(np.complex64)
    sums = ((down * seen[:, None]) @ along.T).real.reshape(len(places), -1)
    spread = np.sqrt(np.sum(np.abs(seen) ** 2, axis=1) / 2) + 1e-12
    settled = []
    for place, best, z in zip(places, sums.argmax(1), sums.max(1) / spread, strict=True):
        row, column = divmod(int(best), len(steps))
        shift = place.shift[0] + float(steps[column]), place.shift[1] + float(steps[row])
        settled.append(Place(place.geometry, shift, float(z)))
    return settled


def shifted(values: Complexes, places: Sequence[Place]) -> Complexes:
    """(m, n) of `Search.values`, with the phases of the places' shifts taken off."""
    known = pattern()
    x, y = np.array([place.shift for place in places], np.float32).reshape(-1, 2, 1).swapaxes(0, 1)
    turns = np.float32(2 * np.pi) * (x * known.fx + y * known.fy)
    return np.asarray(values * np.exp(1j * turns), np.complex64)


def _grid(scales: Floats, angles: Floats) -> Floats:
    return np.stack(np.meshgrid(scales, angles, indexing="ij"), -1).reshape(-1, 2)


def _beyond(across: Floats, down: Floats) -> NDArray[np.bool_]:
    """Which frequencies a sampled picture cannot hold."""
    return np.maximum(np.abs(across), np.abs(down)) > 0.48


def _around(power: Floats, reach: tuple[int, int]) -> Floats:
    """The mean power near each frequency, on the torus that the spectrum is."""
    down, across = reach
    wide = np.pad(power.astype(np.float64), ((down, down), (across, across)), mode="wrap")
    mean = cv2.blur(wide, (2 * across + 1, 2 * down + 1))[down:-down, across:-across]
    return np.maximum(mean, 1e-9 * float(mean.max()) + 1e-12).astype(np.float32)

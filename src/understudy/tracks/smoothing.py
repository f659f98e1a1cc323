"""Smooth the positions of faces: the mesh jitters from frame to frame, heads do not.

Where a face's crop lies (scale, turn, place: the similarity of `faces.align`) is smoothed over its
track by a quadratic through the frames around, nearer ones weighing more (Cleveland, "Robust
locally weighted regression and smoothing scatterplots", 1979, without the robust part; over even
times the filter of Savitzky and Golay, 1964). It looks both ways, so that nothing lags behind, and
follows a head that speeds up. Tracks end with their shot, so nothing is smoothed over a cut. The
mesh moves along rigidly: eyes and mouth open as they did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from understudy.faces.align import alignment
from understudy.tracks.scan_store import Scan
from understudy.types import Face, Float64s, Floats

REACH = 3.0
"""Distance in deviations up to which frames count."""

UNSURE = 0.25
"""Weight of a face that was filled in, against one that was found."""

DEGREE = 2

HELD = 10_000
"""Places of faces that are held at most; a film of any length needs no more memory."""


class _Place(NamedTuple):
    """Where a face is: natural logarithm of the crop's scale, turn in radians, and the crop's
    middle, pixels of the frame."""

    scale: float
    turn: float
    x: float
    y: float
    weight: float


class Steady:
    """The faces of a scan, at steady places; called with a frame's index, as `Scan.faces`.

    Args:
        seconds: standard deviation of the weights around a frame; 0 leaves faces as they are.
    """

    def __init__(self, found: Scan, seconds: float) -> None:
        self._found, self._seconds = found, seconds
        self._places: dict[tuple[int, int], _Place] = {}

    def __call__(self, index: int) -> list[Face]:
        faces = self._found.faces(index)
        place = self._found.place(index)
        if self._seconds <= 0 or place is None:
            return faces
        return [self._steady(face, place) for face in faces]

    def _steady(self, face: Face, place: int) -> Face:
        here = self._place(face, place)
        times, rows = self._around(face.track, place)
        if len(rows) < DEGREE + 2:
            return face
        values = np.array(rows, np.float64)
        values[:, 1] = here.turn + (values[:, 1] - here.turn + np.pi) % (2 * np.pi) - np.pi
        weights = values[:, 4] * np.exp(-0.5 * times**2)
        powers = times[:, None] ** np.arange(DEGREE + 1)
        root = np.sqrt(weights)[:, None]
        fitted = np.linalg.lstsq(powers * root, values[:, :4] * root, rcond=None)[0][0]
        return replace(face, landmarks=_moved(face.landmarks, here, fitted))

    def _around(self, track: int, place: int) -> tuple[Float64s, list[_Place]]:
        """Faces of the track near a frame, and how far off they are, in deviations."""
        times, middle = self._found.times, self._found.times[place]
        offsets, rows = [], []
        for step in (-1, 1):
            at = place if step < 0 else place + 1
            while 0 <= at < len(times):
                offset = float(times[at] - middle) / self._seconds
                if abs(offset) > REACH:
                    break
                face = self._face(track, at)
                if face is not None:
                    offsets.append(offset)
                    rows.append(self._place(face, at))
                at += step
        return np.array(offsets), rows

    def _face(self, track: int, place: int) -> Face | None:
        faces = self._found.faces(self._found.indices[place])
        return next((face for face in faces if face.track == track), None)

    def _place(self, face: Face, place: int) -> _Place:
        key = (place, face.track)
        if key not in self._places:
            if len(self._places) >= HELD:
                self._places.clear()
            matrix = alignment(face.landmarks, 1).astype(np.float64)
            turn = matrix[:, :2]
            x, y = np.linalg.solve(turn, np.zeros(2) - matrix[:, 2])
            scale = 0.5 * float(np.log(abs(np.linalg.det(turn))))
            angle = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
            weight = 1.0 if face.score > 0 else UNSURE
            self._places[key] = _Place(scale, angle, float(x), float(y), weight)
        return self._places[key]


def _moved(landmarks: Floats, here: _Place, to: Float64s) -> Floats:
    """The mesh moved so that its crop at `here` is at `to` (scale, turn, x, y)."""
    growth = np.exp(here.scale - to[0])
    angle = here.turn - to[1]
    cos, sin = np.cos(angle) * growth, np.sin(angle) * growth
    points = landmarks.astype(np.float64)
    flat = (points[:, :2] - (here.x, here.y)) @ np.array([[cos, sin], [-sin, cos]]) + to[2:4]
    return np.column_stack([flat, points[:, 2] * growth]).astype(np.float32)

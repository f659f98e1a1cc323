"""Faces at steady places."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from understudy.faces.align import alignment
from understudy.faces.pose import reference
from understudy.tracks.smoothing import Steady
from understudy.types import Face, Pose

HEAD = reference().points.astype(np.float64)
HEAD = HEAD * 60 / np.ptp(HEAD[:, 0])


def face(x: float, y: float, scale: float = 1, degrees: float = 0, track: int = 0) -> Face:
    """A head in front of the camera, there, so large and so tilted."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.column_stack([HEAD[:, :2] @ turn + (x, y), HEAD[:, 2] * scale])
    return Face((0, 0, 1, 1), points.astype(np.float32), 1.0, Pose(0, 0, 0), track)


@dataclass
class Film:
    """What `Steady` asks of a scan."""

    shown: dict[int, list[Face]]
    rate: int = 25
    indices: list[int] = field(init=False)
    times: list[Fraction] = field(init=False)

    def __post_init__(self) -> None:
        self.indices = sorted(self.shown)
        self.times = [Fraction(index, self.rate) for index in self.indices]

    def place(self, index: int) -> int | None:
        return self.indices.index(index) if index in self.shown else None

    def faces(self, index: int) -> list[Face]:
        return self.shown.get(index, [])


def steady(film: Film, seconds: float = 0.1) -> Steady:
    return Steady(cast(Any, film), seconds)


def middle(one: Face) -> np.ndarray:
    """Middle of the crop, then logarithm of its scale and its turn."""
    matrix = alignment(one.landmarks, 1).astype(np.float64)
    where = np.linalg.solve(matrix[:, :2], -matrix[:, 2])
    return np.array([*where, np.log(np.linalg.det(matrix[:, :2])) / 2, matrix[1, 0]])


def way(frame: float) -> Face:
    """A head that moves, comes nearer and tilts, ever faster."""
    return face(200 + 3 * frame + 0.05 * frame**2, 150 - frame, 1 + 0.004 * frame, 0.5 * frame)


def test_trembling_becomes_less_and_nothing_lags() -> None:
    source = np.random.default_rng(0)
    noise = source.normal(0, 1, (40, 4)) * (0.6, 0.6, 0.01, 0.6)
    shaken = {
        number: [
            face(
                200 + 3 * number + 0.05 * number**2 + noise[number, 0],
                150 - number + noise[number, 1],
                (1 + 0.004 * number) * (1 + noise[number, 2]),
                0.5 * number + noise[number, 3],
            )
        ]
        for number in range(40)
    }
    calm = steady(Film(shaken))
    inner = range(6, 34)
    true = np.array([middle(way(number)) for number in inner])
    before = np.array([middle(shaken[number][0]) for number in inner]) - true
    after = np.array([middle(calm(number)[0]) for number in inner]) - true
    assert (np.abs(after).mean(0) < 0.65 * np.abs(before).mean(0)).all()
    jerk = [np.abs(np.diff(values, 2, axis=0)).mean(0) for values in (before, after)]
    assert (jerk[1] < 0.35 * jerk[0]).all()
    assert np.abs(after.mean(0))[:2].max() < 0.25


def test_a_smooth_way_stays_as_it_is() -> None:
    calm = steady(Film({number: [way(number)] for number in range(30)}))
    for number in range(30):
        assert np.allclose(calm(number)[0].landmarks, way(number).landmarks, atol=0.15)


def test_what_eyes_and_mouth_do_is_kept() -> None:
    shown = {number: [way(number)] for number in range(20)}
    opened = way(10).landmarks.copy()
    opened[[13, 14], 1] += (-4, 4)
    shown[10] = [replace(way(10), landmarks=opened)]
    kept = steady(Film(shown))(10)[0].landmarks
    gap = [np.linalg.norm(points[13, :2] - points[14, :2]) for points in (opened, kept)]
    assert gap[1] == pytest.approx(gap[0], rel=0.02)


def test_other_tracks_are_not_looked_at() -> None:
    shown = {
        number: [face(100, 100), face(300 + 9 * (number % 2), 100, track=1)] for number in range(20)
    }
    calm = steady(Film(shown))(10)
    assert np.allclose(calm[0].landmarks, face(100, 100).landmarks, atol=0.01)
    assert calm[1].track == 1
    assert abs(middle(calm[1])[0] - middle(face(304.5, 100))[0]) < 2.5


def test_short_tracks_and_no_smoothing_change_nothing() -> None:
    short = Film({number: [face(100 + 5 * (number % 2), 100)] for number in range(3)})
    assert steady(short)(1) == short.faces(1)
    long = Film({number: [face(100 + 5 * (number % 2), 100)] for number in range(30)})
    assert steady(long, 0)(10) == long.faces(10)
    assert steady(long)(99) == []


def test_a_head_upside_down_is_no_jump() -> None:
    shown = {number: [face(100, 100, 1, 179.5 if number % 2 else -179.5)] for number in range(20)}
    calm = steady(Film(shown))
    assert all(
        abs(middle(calm(number)[0])[0] - middle(face(100, 100, 1, 180))[0]) < 1 for number in (8, 9)
    )

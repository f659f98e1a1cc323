"""Tracks of two people are divided, tracks of one person never."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.tracks.test_repair import face, somebody, stored
from understudy.tracks.division import Division, divide
from understudy.tracks.repair import mend
from understudy.tracks.scan_store import Scan
from understudy.types import Face, Floats, Pose


def noisy(vector: Floats, seed: int, size: float = 0.25) -> Floats:
    """A measurement as far off as real ones of one person are."""
    away = np.random.default_rng(seed).standard_normal(128)
    return np.asarray(vector + size * away / np.linalg.norm(away), np.float32)


def near(who: int, distance: float) -> Floats:
    """Somebody at this distance from person 1."""
    one, other = somebody(1), somebody(who)
    return np.asarray(one + distance * (other - one) / np.linalg.norm(other - one), np.float32)


def film(
    folder: Path, shown: Sequence[Floats], poses: Sequence[float] = (), every: int = 2
) -> Scan:
    """One track that shows these embeddings, measured in every `every`-th frame."""
    faces = []
    for n, vector in enumerate(shown):
        yaw = poses[n] if poses else 0.0
        one = face(0, 100, width=90)
        known = noisy(vector, n) if n % every == 0 else None
        faces.append([Face(one.box, one.landmarks, 0.95, Pose(yaw, 0, 0), 0, known)])
    return stored(folder, faces)


def spans(division: Division) -> list[tuple[int, int, int]]:
    return [(track.number, track.first, track.last) for track in division.tracks]


def test_two_people_of_whom_one_follows_the_other(tmp_path: Path) -> None:
    division = divide(film(tmp_path, [somebody(1)] * 31 + [somebody(2)] * 20, every=1))
    assert spans(division) == [(0, 0, 30), (1, 31, 50)]
    assert not division.mixtures
    assert [division.number(0, n) for n in (0, 30, 31, 50)] == [0, 0, 1, 1]
    assert not division.mixed(0, 30)
    assert division.number(7, 30) == 7


def test_frames_between_show_rising_shares(tmp_path: Path) -> None:
    ramp = np.clip((np.arange(60) - 24) / 12, 0, 1)
    seen = np.clip((ramp - 0.5) * 2.05 + 0.5, 0, 1).astype(np.float32)
    division = divide(film(tmp_path, [(1 - s) * somebody(1) + s * somebody(2) for s in seen]))
    (mixture,) = division.mixtures
    assert (mixture.before, mixture.after) == (0, 1)
    shares = [mixture.shares[index] for index in sorted(mixture.shares)]
    assert shares == sorted(shares)
    for index, share in mixture.shares.items():
        assert share == pytest.approx(ramp[index], abs=0.12)
        assert division.mixed(0, index)
    assert {28, 29, 30, 31, 32} <= set(mixture.shares) <= set(range(22, 39))


def test_three_people_and_one_who_comes_back(tmp_path: Path) -> None:
    shown = [somebody(n) for n in (1, 2, 3, 1) for _ in range(20)]
    division = divide(film(tmp_path, shown, every=1))
    assert spans(division) == [(0, 0, 19), (1, 20, 39), (2, 40, 59), (3, 60, 79)]
    back = mend(film(tmp_path / "back", [somebody(n) for n in (1, 2, 1) for _ in range(20)]))
    faces = [[f.track for f in back.faces(n)] for n in (5, 30, 55)]
    assert faces == [[0], [1], [0]], "who comes back within a second is the same track"


@pytest.mark.parametrize(
    "shown",
    [
        [somebody(1)] * 80,
        [near(2, 0.35 * n / 80) for n in range(80)],
        [near(2, 0.4 if 30 <= n < 50 else 0) for n in range(80)],
        [near(2, 0.7 if 30 <= n < 50 else 0) for n in range(80)],
        [near(2, 1.4 if n == 40 else 0) for n in range(80)],
        [near(2, 0.55 if n > 40 else 0) for n in range(80)],
    ],
    ids=["still", "drifts", "blinks", "behind a hand", "once wrong", "lit differently"],
)
def test_one_person_stays_one(tmp_path: Path, shown: list[Floats]) -> None:
    division = divide(film(tmp_path, shown))
    assert spans(division) == [(0, 0, 79)]
    assert not division.parts
    assert not division.mixtures


def test_views_from_the_side_tell_of_nobody_else(tmp_path: Path) -> None:
    shown = [near(2, 0.9 if n >= 40 else 0) for n in range(80)]
    turned = [60.0 if n >= 40 else 0.0 for n in range(80)]
    assert len(divide(film(tmp_path / "side", shown, turned)).tracks) == 1
    assert len(divide(film(tmp_path / "front", shown)).tracks) == 2


def test_a_person_who_dissolves_in_for_half_a_second_is_no_flash(tmp_path: Path) -> None:
    half = ((somebody(1) + somebody(2)) / 2).astype(np.float32)
    shown = [somebody(1)] * 40 + [half] * 2 + [somebody(2)] * 10
    later: list[list[Face]] = [[] for _ in range(60)]
    rows = [[one] for row in film(tmp_path / "one", shown, every=1) for one in row.faces]
    found = mend(stored(tmp_path / "two", [*rows, *later], size=(640, 480)))
    assert [track.number for track in found.tracks] == [0, 1]
    assert found.times[found.tracks[1].last] - found.times[42] < Fraction(2, 3)
    assert not found.brief

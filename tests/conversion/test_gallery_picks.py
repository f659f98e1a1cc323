"""Which pictures are chosen for which frames, and how they take turns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.turned_heads import gallery, mesh
from understudy.conversion.gallery_picks import (
    PARTS,
    FramePicks,
    _faded,
    _path,
    choose,
    openings,
)
from understudy.faces.masks import EYES_AND_BROWS, LIPS
from understudy.faces.openings import eye_opening
from understudy.faces.triangles import LOWER_LIP
from understudy.types import Floats

YAWS = tuple(range(-30, 31, 3))
MOST_CHANGE = 0.25
"""Of a picture's weight from frame to frame."""


def film(*yaws: float) -> Floats:
    return np.stack([mesh(yaw)[:, :2] for yaw in yaws])


def open_eyes(count: int) -> Floats:
    return np.ones(count, np.float32)


def lids(found: Floats, share: float) -> Floats:
    """With eyes so far open, as a share of how far they are."""
    found = found.copy()
    for ring in EYES_AND_BROWS[:2]:
        middle = found[..., ring, 1].mean(-1, keepdims=True)
        found[..., ring, 1] = middle + share * (found[..., ring, 1] - middle)
    return found


def weights(picks: FramePicks, part: str) -> dict[int, float]:
    return {pick.row: pick.weight for pick in picks.picks if pick.part == part}


def noisy(length: int, seed: int = 0) -> Floats:
    """A head that turns from one side to the other, every mesh measured badly."""
    random = np.random.default_rng(seed)
    turns = np.linspace(-20, 20, length) + random.normal(0, 2.5, length)
    noise = random.normal(0, 0.002, (length, 468, 2))
    return np.asarray(film(*turns) + noise, np.float32)


@pytest.mark.parametrize("row", [0, 7, 20])
def test_the_picture_with_the_very_mesh_is_chosen(row: int) -> None:
    own = gallery(YAWS)
    (picks,) = choose(own, own.meshes[row : row + 1, :, :2], open_eyes(1))
    for part, most in PARTS.items():
        found = weights(picks, part)
        order = np.argsort(np.abs(np.array(YAWS) - YAWS[row]), kind="stable")
        assert row in found
        # The others are its neighbours.
        assert max(abs(YAWS[one] - YAWS[row]) for one in found) <= abs(
            YAWS[order[most]] - YAWS[row]
        )
        assert found == pytest.approx(dict.fromkeys(found, 1 / most))
    assert picks.shares == (1.0, 1.0)
    assert picks.awake == 1


def test_an_only_picture_is_taken_whole() -> None:
    own = gallery([0])
    for picks in choose(own, film(-5, 0, 10), open_eyes(3)):
        assert {pick.part: (pick.row, pick.weight) for pick in picks.picks} == dict.fromkeys(
            PARTS, (0, 1.0)
        )


def test_of_two_pictures_each_counts_half() -> None:
    for picks in choose(gallery([-10, 10]), film(*range(-10, 11, 2)), open_eyes(11)):
        for part in PARTS:
            assert weights(picks, part) == pytest.approx({0: 0.5, 1: 0.5})


def test_the_weights_of_a_part_sum_up_to_1_and_no_picture_jumps() -> None:
    found = choose(gallery(YAWS), noisy(90), open_eyes(90))
    assert len(found) == 90
    for part, most in PARTS.items():
        rows = [weights(picks, part) for picks in found]
        assert [sum(one.values()) for one in rows] == pytest.approx([1.0] * 90)
        assert all(0 < weight <= 1 / most + 1e-9 for one in rows for weight in one.values())
        jumps = [
            abs(after.get(row, 0) - before.get(row, 0))
            for before, after in itertools.pairwise(rows)
            for row in {*before, *after}
        ]
        assert 0 < max(jumps) <= MOST_CHANGE + 1e-9


def test_a_badly_measured_track_rarely_changes_its_pictures() -> None:
    own, track = gallery(YAWS), noisy(90)
    together = choose(own, track, open_eyes(90))
    alone = [choose(own, one[None], open_eyes(1))[0] for one in track]

    def changed(found: list[FramePicks]) -> float:
        """What changes from frame to frame, in whole pictures."""
        steps = [
            sum(abs(after.get(row, 0) - before.get(row, 0)) for row in {*before, *after}) / 2
            for one, two in itertools.pairwise(found)
            for before, after in [(weights(one, "whole"), weights(two, "whole"))]
        ]
        return float(sum(steps))

    assert 1 < changed(together) < 0.35 * changed(alone)
    for number, picks in enumerate(together):
        mean = sum(YAWS[row] * weight for row, weight in weights(picks, "whole").items())
        assert mean == pytest.approx(-20 + 40 * number / 89, abs=6)


def test_a_path_costs_the_least_there_is() -> None:
    random = np.random.default_rng(3)
    for change in (0.1, 0.5, 2.0):
        costs = random.random((6, 3))

        def cost(
            path: NDArray[np.intp], costs: NDArray[np.float64] = costs, change: float = change
        ) -> float:
            return float(costs[np.arange(6), path].sum() + change * (np.diff(path) != 0).sum())

        least = min(cost(np.array(one)) for one in itertools.product(range(3), repeat=6))
        assert cost(_path(costs, change)) == pytest.approx(least)


def test_a_change_fades_over_as_many_frames_as_it_says() -> None:
    found = _faded(np.array([4] * 10 + [2] * 10), 3)
    after = [one.get(2, 0.0) for one in found]
    assert [one.get(4, 0.0) for one in found] == pytest.approx([1 - share for share in after])
    mixed = [number for number, one in enumerate(found) if len(one) == 2]
    assert mixed == list(range(10 - 3, 10 + 3))
    assert all(np.diff(after) >= 0)
    assert all(np.diff(after[mixed[0] - 1 : mixed[-1] + 2]) > 0)
    # Half way at the change, and as much before as after it.
    assert after == pytest.approx([1 - share for share in reversed(after)])


@pytest.mark.parametrize("visit", range(1, 9))
@pytest.mark.parametrize("last", [0, 2])
def test_a_short_visit_comes_and_goes_without_a_jump(visit: int, last: int) -> None:
    path = np.array([0] * 10 + [1] * visit + [last] * 10)
    found = _faded(path, 3)
    assert [sum(one.values()) for one in found] == pytest.approx([1.0] * len(path))
    for row in range(3):
        own = np.array([one.get(row, 0.0) for one in found])
        assert np.abs(np.diff(own)).max() <= MOST_CHANGE
    own = np.array([one.get(1, 0.0) for one in found])
    assert own == pytest.approx(own[::-1])
    # Most in its own middle, and nowhere else.
    assert set(np.flatnonzero(own > own.max() - 1e-9)) <= set(range(10, 10 + visit))
    assert own.max() > 0.24


def test_a_change_at_the_first_or_last_frame_is_cut_off() -> None:
    found = _faded(np.array([0, 1, 1, 1, 1, 1, 1]), 3)
    assert 0.5 < found[0][0] < 0.7
    assert found[0][0] > found[1][0] > found[2][0]
    assert found[-1] == {1: 1.0}
    assert _faded(np.array([3]), 3) == [{3: 1.0}]


def test_openings_are_1_for_open_eyes_and_follow_the_lids() -> None:
    track = np.repeat(film(0), 20, axis=0)
    for frame, share in ((4, 0.5), (5, 0.0), (6, 0.5)):
        track[frame] = lids(track[frame], share)
    found = openings(track)
    assert found[[0, 10, 19]] == pytest.approx(1)
    own, half = (float(np.mean(eye_opening(track[n]))) for n in (0, 4))
    assert found[4] == found[6] == pytest.approx(half / own)
    assert 0.3 < found[4] < 0.7
    assert found[5] < 0.25
    # Of eyes that are always shut nothing is divided by 0.
    assert np.isfinite(openings(lids(film(0, 0), 0.0))).all()


def test_shut_eyes_without_shut_pictures_stay_drawn() -> None:
    own = gallery(YAWS)
    track = np.repeat(film(0), 20, axis=0)
    shares = [1.0] * 8 + [0.85, 0.6, 0.1, 0.6, 0.85] + [1.0] * 7
    track = np.stack([lids(one, share) for one, share in zip(track, shares, strict=True)])
    found = choose(own, track, openings(track))
    assert [one.shares[0] for one in found[:7]] == pytest.approx([1.0] * 7)
    assert found[10].shares[0] == 0
    assert 0 <= found[9].shares[0] < 0.2
    assert [one.awake for one in found[:7]] == pytest.approx([1.0] * 7)
    assert found[10].awake == 0
    assert 0 < found[8].awake < 1
    assert all(one.shares[1] == 1 for one in found)


def test_a_shut_picture_serves_shut_eyes() -> None:
    own = gallery(YAWS)
    middle = len(YAWS) // 2
    for row in (middle - 1, middle, middle + 1):
        own.meshes[row] = lids(own.meshes[row], 0.1)
    track = np.repeat(film(0), 40, axis=0)
    track[12:24] = lids(track[12:24], 0.1)
    found = choose(own, track, openings(track))
    assert found[18].shares[0] == 1
    assert found[18].awake == 0
    shut = {middle - 1, middle, middle + 1}
    assert set(weights(found[18], "eyes")) == shut
    assert not shut & set(weights(found[2], "eyes"))


def test_a_mouth_that_no_picture_has_stays_drawn() -> None:
    own = gallery(YAWS)
    track = film(*[0] * 3)
    heights = track[0, LIPS, 1]
    lower = LIPS[heights > heights.mean()]
    track[1][[*lower, *LOWER_LIP], 1] += 0.03
    track[2][[*lower, *LOWER_LIP], 1] += 0.1
    shares = [one.shares[1] for one in choose(own, track, open_eyes(3))]
    assert shares[0] == 1
    assert 0 < shares[1] < 1
    assert shares[2] == 0
    assert all(one.shares[0] == 1 for one in choose(own, track, open_eyes(3)))


def test_more_frames_than_are_compared_at_once_are_all_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, track = gallery(YAWS), noisy(30)
    whole = choose(own, track, open_eyes(30))
    monkeypatch.setattr("understudy.conversion.gallery_picks.AT_ONCE", 7)
    for one, two in zip(whole, choose(own, track, open_eyes(30)), strict=True):
        assert {(pick.row, pick.part) for pick in one.picks} == {
            (pick.row, pick.part) for pick in two.picks
        }
        assert one.shares == pytest.approx(two.shares, abs=1e-4)

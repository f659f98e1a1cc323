"""Hands drawn from bones."""

from __future__ import annotations

import itertools

import numpy as np
from tools.mask_network.hands import FINGERS, PARTS, bones, posed_hand
from tools.mask_network.occluders import SIDE, relief

FIRST_TO_LAST = len(PARTS) + 1
"""Bones of a finger: one in the palm and its own."""


def test_fingers_hang_together_and_are_as_long_as_they_are() -> None:
    for seed in range(20):
        found = bones(np.random.default_rng(seed))
        for number, (_, length) in enumerate(FINGERS):
            first = number * FIRST_TO_LAST
            finger = found[first : first + FIRST_TO_LAST]
            for before, after in itertools.pairwise(finger):
                np.testing.assert_allclose(before[1], after[0])
            own = sum(float(np.linalg.norm(to - at)) for at, to, *_ in finger[1:])
            np.testing.assert_allclose(own, length)


def test_no_finger_bends_backwards_far() -> None:
    for seed in range(40):
        found = bones(np.random.default_rng(seed))
        tips = [found[(n + 1) * FIRST_TO_LAST - 1][1] for n in range(len(FINGERS))]
        assert max(float(tip[2]) for tip in tips) < 0.15


def test_a_bone_that_points_at_the_camera_is_round_and_high() -> None:
    at = SIDE / 2
    seen = relief([(at, at, at, at, 10.0, 10.0, 0.0, 40.0), (at, at, at, at, 10.0, 10.0, 40.0)])
    assert seen.max() == 50
    assert abs(int((seen > 0).sum()) - np.pi * 100) < 20


def test_a_tilted_bone_rises_towards_one_end() -> None:
    seen = relief([(40.0, 90.0, 140.0, 90.0, 8.0, 8.0, 0.0, 30.0)])
    along = seen[90, 40:141]
    assert (np.diff(along) > -1e-3).all()
    np.testing.assert_allclose([along[0], along[-1]], [8, 38], atol=0.1)


def test_poses_differ_and_show_fingers_apart() -> None:
    shares = [(posed_hand(np.random.default_rng(seed)).alpha > 127).mean() for seed in range(16)]
    assert np.ptp(shares) > 0.03
    assert min(shares) > 0.01

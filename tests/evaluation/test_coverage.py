"""What a film asks for that faces do not show."""

from __future__ import annotations

import numpy as np

from understudy.evaluation.coverage import Openings, Reach, missing_expressions, missing_reach


def test_missing_poses_are_named_with_both_angles() -> None:
    faces = Reach((-39.0, 25.0), (-15.0, 15.0))
    assert missing_reach(Reach((-36.0, 29.0), (-13.0, 12.0)), faces, "chen") == []
    said = missing_reach(Reach((-36.0, 37.4), (-13.0, 24.0)), faces, "chen")
    assert said == [
        (
            "bad",
            "Missing pose range: no faces of chen beyond yaw +25 degrees, "
            "while the film turns to +37.",
        ),
        (
            "bad",
            "Missing pose range: no faces of chen beyond pitch +15 degrees, "
            "while the film turns to +24.",
        ),
    ]


def test_a_reach_leaves_out_strays() -> None:
    yaw = [*np.linspace(-10, 10, 200), 80.0]
    reach = Reach.of(yaw, [0.0] * len(yaw), stray=2)
    assert reach is not None
    assert reach.yaw[1] < 12
    assert Reach.of([], []) is None


def openings(blinks: int, widest: float, frames: int = 200, usual: float = 0.3) -> Openings:
    """Eyes that blink so often and a mouth that opens evenly up to so much."""
    eyes = [0.05] * blinks + [usual] * (frames - blinks)
    return Openings(eyes, [widest * frame / frames for frame in range(frames)])


def test_blinks_that_nobody_learned_are_told() -> None:
    said = missing_expressions(openings(8, 0.3), openings(2, 0.3), "ada")
    assert [tone for tone, _ in said] == ["bad"]
    assert "the film has 8 frames with closed eyes, but only 2 of 200 faces of ada" in said[0][1]
    assert missing_expressions(openings(8, 0.3), openings(3, 0.3), "ada") == []
    assert missing_expressions(openings(2, 0.3), openings(0, 0.3), "ada") == []


def test_narrow_eyes_are_not_shut() -> None:
    narrow = Openings([0.12] * 100, [0.0] * 100)
    assert narrow.shut == 0
    assert missing_expressions(narrow, openings(0, 0.3), "ada") == []


def test_a_mouth_that_opens_wider_than_ever_seen_is_told() -> None:
    said = missing_expressions(openings(0, 0.8), openings(0, 0.5), "chen")
    assert len(said) == 1
    assert "opens to 0.78 of its width, chen's only to 0.50" in said[0][1]
    assert missing_expressions(openings(0, 0.55), openings(0, 0.5), "chen") == []


def test_of_nobody_nothing_is_said() -> None:
    assert missing_expressions(Openings([], []), openings(0, 0.5), "chen") == []
    assert missing_expressions(openings(0, 0.5), Openings([], []), "chen") == []

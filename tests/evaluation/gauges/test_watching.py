"""The gauges together, over frames whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.heads import blurred, face, texture
from understudy.evaluation.frame_measures import Shown
from understudy.evaluation.gauges.seen import Seen
from understudy.evaluation.gauges.table import tables
from understudy.evaluation.gauges.watching import CLOSELY, Means, Subject, Watcher, closely
from understudy.evaluation.gauges.wording import sentences
from understudy.types import Face, Floats, Image

FRAMES = 12


def one(axis: int) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[axis] = 1
    return vector


PEOPLE = {"ada": one(0), "chen": one(1), "crowd id000": one(2)}


def winking(index: int) -> Face:
    """A face whose eyes are shut in frames 4 to 6."""
    found = face()
    if 4 <= index <= 6:
        points = found.landmarks.copy()
        for upper, lower in ((160, 144), (159, 145), (158, 153)):
            points[upper] = points[lower]
        for upper, lower in ((387, 373), (386, 374), (385, 380)):
            points[upper] = points[lower]
        found = replace(found, landmarks=points)
    return found


def seen(
    truth: Image | None, swap: Image, swap_face: Face | None = None, jump: int | None = None
) -> Seen:
    means = Means(lambda index: winking(index) if 0 <= index < FRAMES else None, lambda *_: one(0))
    watcher = Watcher(Subject("ada", "chen", PEOPLE, None), means, 3)
    for index in range(FRAMES):
        watcher(
            Shown(
                index=index,
                seconds=index / 25,
                film=texture(5),
                swap=texture(9) if index == jump else swap,
                truth=truth,
                face=winking(index),
                swap_face=swap_face or winking(index),
                true_face=winking(index) if truth is not None else None,
                masks=(),
                embedding=one(0) * 0.8 + one(1) * (0.9 if index == 2 else 0),
            )
        )
    return watcher.result(("a note",))


def test_a_soft_swap_is_said_to_be_soft() -> None:
    found = seen(texture(1), blurred(texture(1), 1.5))
    assert found.detail is not None
    assert found.detail.face is not None
    assert found.detail.face.detail[0] < 0.4
    assert found.untouched is not None
    assert found.untouched.face is not None
    assert found.untouched.face.found[0] < 0.1
    assert found.frames == 4
    assert found.blinks is not None
    assert (found.blinks.agreement, found.blinks.shut_in_both) == (1, 3)
    assert found.retrieval is not None
    assert found.retrieval.share == pytest.approx(11 / 12)
    assert found.true_retrieval is not None
    assert found.true_retrieval.share == 1
    assert found.likeness.truth_to_source == pytest.approx(0)
    assert found.perceptual is None
    said = {text: tone for tone, text in sentences(found, "ada")}
    assert any(
        text.startswith("The face is softer than in a perfect swap (it has") and tone == "bad"
        for text, tone in said.items()
    )
    assert any(text.startswith("The eyes are softer than in a perfect swap") for text in said)
    assert said["The eyes close when they close in the film (in 3 of 3 frames)."] == "good"
    assert said["It does not jump except where the film does."] == "good"
    assert said["a note"] == "note"
    taken = "Among 3 people it is recognised as ada in 92% of 12 frames, otherwise mostly as chen."
    assert said[taken] == "good"


def test_a_crisp_swap_that_stares_and_jumps() -> None:
    found = seen(texture(1), texture(1), face(), jump=8)
    assert found.steps.swap is not None
    assert found.steps.truth is not None
    assert found.steps.swap.largest > 5
    assert found.steps.truth.largest == pytest.approx(0, abs=1)
    said = {text: tone for tone, text in sentences(found, "ada")}
    assert said["The eyes often stay open when they close in the film (in 0 of 3 frames)."] == "bad"


def test_without_a_truth_there_is_no_found() -> None:
    found = seen(None, texture(1))
    assert (found.detail, found.untouched, found.true_blinks) == (None, None, None)
    assert found.steps.truth is None
    assert found.likeness.over_truth is None
    assert found.likeness.margin is not None
    text = " ".join(text for _, text in sentences(found, "ada"))
    assert "perfect swap" not in text


def test_values_are_plain_json_and_tables_have_their_figures() -> None:
    found = seen(texture(1), blurred(texture(1), 1.5))
    values = found.values()
    assert json.loads(json.dumps(values)) == values
    assert len(values["detail"]["face"]["found"]) == 3
    assert values["notes"] == ["a note"]
    crisp, rest = tables(found, "ada", "chen")
    assert found.detail is not None
    assert found.detail.face is not None
    rows = {row[0]: row[1:] for row in [*crisp.rows, *rest.rows]}
    fine = f"{found.detail.face.detail[0]:.2f} / "
    assert rows["Detail, compared with the true swap"][0].startswith(fine)
    assert rows["Recognised as ada among 3 people, share of frames"][:2] == ["0.92", "1.00"]
    assert rows["Frames with closed eyes"] == ["3 (3 with the film)", "3 (3 with the film)", "3"]


def test_a_gap_between_frames_is_not_a_jump() -> None:
    means = Means(lambda index: face(), lambda *_: one(0))
    watcher = Watcher(Subject("ada", None, PEOPLE, None), means, 1, every=2)
    for index, track in ((0, 0), (2, 0), (6, 0), (8, 0), (10, 1)):
        swap = texture(index + 1)
        there = face(track=track)
        watcher(Shown(index, index / 25, swap, swap, None, there, there, None, (), None))
    steps = watcher.result().steps
    assert steps.swap is not None
    assert steps.swap.pairs == 2  # 0 to 2 and 6 to 8


def test_few_frames_are_looked_at_closely() -> None:
    assert [closely(frames) for frames in (0, 1, CLOSELY, CLOSELY + 1, 10 * CLOSELY)] == [
        1,
        1,
        1,
        2,
        10,
    ]

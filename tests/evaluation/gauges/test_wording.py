from __future__ import annotations

from dataclasses import replace

from understudy.evaluation.gauges.blinks import Blinks
from understudy.evaluation.gauges.detail import Crispness, Detail
from understudy.evaluation.gauges.footage import FootageDetail
from understudy.evaluation.gauges.jumps import Jumps
from understudy.evaluation.gauges.likeness import Likeness
from understudy.evaluation.gauges.retrieval import Retrieval
from understudy.evaluation.gauges.seen import Seen, Steps
from understudy.evaluation.gauges.wording import sentences

NONE = Seen(
    detail=None,
    untouched=None,
    footage=None,
    likeness=Likeness(None, None, None, None, None, 0),
    retrieval=None,
    true_retrieval=None,
    perceptual=None,
    blinks=None,
    true_blinks=None,
    steps=Steps(None, None, None, ()),
    frames=0,
)


def said(seen: Seen) -> dict[str, str]:
    return {text: tone for tone, text in sentences(seen, "ada")}


def test_nothing_measured_says_nothing() -> None:
    assert sentences(NONE, "ada") == []


def test_beside_the_footage() -> None:
    footage = FootageDetail(
        face=(0.9, 1.0, 1.0), eyes=(0.34, 0.5, 0.9), mouth=(1.5, 1.4, 1.0), enlarged=1.0, frames=9
    )
    found = said(replace(NONE, footage=footage))
    assert found == {
        "The face is as crisp as in ada's footage.": "good",
        "The eyes are softer than in ada's footage (detail .42 of it).": "bad",
        "The mouth is harsher than in ada's footage (detail 1.45 of it).": "note",
    }
    small = said(replace(NONE, footage=replace(footage, enlarged=1.8)))
    assert any("it was enlarged 1.8 times" in text for text in small)


def test_beside_a_perfect_swap() -> None:
    crisp = Crispness((0.9, 1.0, 1.0), (0.5, 0.7, 0.9))
    elsewhere = Crispness((0.9, 1.0, 1.0), (0.1, 0.3, 0.9))
    soft = Crispness((0.6, 0.9, 1.0), (-0.4, 0.2, 0.9))
    found = said(replace(NONE, detail=Detail(crisp, elsewhere, soft)))
    right = "of it is found in the right place."
    assert found == {
        f"The face is as crisp as in a perfect swap; .60 {right}": "good",
        f"The eyes are as crisp as in a perfect swap; .20 {right}": "note",
        "The mouth is a little softer than in a perfect swap (it has .75 of its detail); "
        f".00 {right}": "note",
    }


def test_likeness_and_retrieval() -> None:
    like = Likeness(0.47, 0.57, 0.1, 0.33, 0.14, 20)
    found = said(replace(NONE, likeness=like, retrieval=Retrieval(0.25, 20, 75, "crowd id051")))
    assert found == {
        "It looks less like ada than a perfect swap (identity distance .47; perfect "
        "swap .33).": "bad",
        "Among 75 people it is recognised as ada in 25% of 20 frames, "
        "otherwise mostly as crowd id051.": "bad",
    }
    near = said(replace(NONE, likeness=replace(like, over_truth=0.02)))
    expected = (
        "It looks as much like ada as a perfect swap (identity distance .35; perfect swap .33)."
    )
    assert near == {expected: "good"}


def test_blinks_and_jumps() -> None:
    jumps = Jumps(2, 2, 9, 4.5, 3.2, 99)
    found = said(
        replace(
            NONE,
            blinks=Blinks(0.9, 10, 7, 6, 100),
            steps=Steps(jumps, jumps, None, (3.21, 1.0, 7.5, 2.0)),
        )
    )
    assert found == {
        "The eyes mostly close when they close in the film (in 6 of 10 frames).": "note",
        "It jumps at 1.0 s, 3.2 s and 7.5 s, and once more.": "bad",
    }
    once = said(replace(NONE, steps=Steps(jumps, jumps, None, (3.21,))))
    assert once == {"It jumps at 3.2 s.": "bad"}

"""The meaning of the figures for a viewer of the film, in words."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from understudy.evaluation.gauges.detail import Crispness, Detail, Three
from understudy.evaluation.gauges.footage import ENLARGED, FootageDetail
from understudy.evaluation.gauges.regions import PLACES
from understudy.evaluation.gauges.seen import Seen
from understudy.evaluation.scores import Sentence
from understudy.media.html_report import Tone

CRISP, SOFT, HARSH = 0.85, 0.65, 1.25
"""Share of the detail from which a place is as crisp as it should be, below which it is plainly
softer, and above which it is harsher."""

MISPLACED = 0.5
"""Share of the detail found in the right place below which the place shows something else."""

ALIKE, UNLIKE = 0.05, 0.12
"""Identity distance over the true swap's up to which it looks as much like the person as can be,
and from which it does not; two pictures of one person differ by about .4."""

FOUND, MISSED = 0.9, 0.6
"""Share of the frames in which the person is found among others."""

FEW_SHUT = 3
"""Frames with shut eyes below which a film says nothing about blinks."""

BLINKS, STARES = 0.75, 0.4
"""Share of the film's shut frames in which the swap's eyes are shut, too."""

TIMES = 3
"""Moments that are named."""


def sentences(seen: Seen, source: str) -> list[Sentence]:
    """What a viewer sees, the weightiest first.

    Args:
        source: name of the person whose face the swap shows.
    """
    if seen.detail is not None:
        said = _beside_truth(seen.detail)
    elif seen.footage is not None:
        said = _beside_footage(seen.footage, source)
    else:
        said = []
    said += _identity(seen, source)
    said += _blinks(seen)
    said += _jumps(seen)
    return said + [("note", note) for note in seen.notes]


def own_footage(replayed: Mapping[str, Detail | None]) -> list[Sentence]:
    """How much of each person's held-out pictures remains after the whole pipeline.

    Args:
        replayed: by name; None where it could not be measured.
    """
    said: list[Sentence] = []
    for name, detail in replayed.items():
        if detail is None or detail.face is None:
            continue
        share, right = finer(detail.face.detail), finer(detail.face.found)
        said.append(
            (
                _tone(share),
                f"Held-out pictures of {name}, drawn again through the whole pipeline, keep "
                f"{_two(share)} of their detail; {_two(right)} of it is in the right "
                "place.",
            )
        )
    return said


def _tone(share: float) -> Tone:
    if share < SOFT:
        return "bad"
    return "good" if CRISP <= share <= HARSH else "note"


def _how(share: float) -> str:
    """How crisp something is, before "than"."""
    if share > HARSH:
        return "harsher"
    return "softer" if share < SOFT else "a little softer"


def finer(three: Three) -> float:
    """What the eye notices: the mean of the fine and the middle band. The coarse one is shape."""
    return fmean(three[:2])


def _beside_truth(detail: Detail) -> list[Sentence]:
    said: list[Sentence] = []
    for place in PLACES:
        one: Crispness | None = getattr(detail, place)
        if one is None:
            continue
        share, right = finer(one.detail), finer(one.found)
        name, verb, has = _grammar(place)
        where = f"{_two(max(right, 0))} of it is found in the right place"
        if CRISP <= share <= HARSH:
            text = f"{name} {verb} as crisp as in a perfect swap; {where}."
        else:
            text = (
                f"{name} {verb} {_how(share)} than in a perfect swap "
                f"({has} {_two(share)} of its detail); {where}."
            )
        tone = _tone(share)
        if tone == "good" and right < MISPLACED:
            tone = "note"
        said.append((tone, text))
    return said


def _beside_footage(footage: FootageDetail, source: str) -> list[Sentence]:
    said: list[Sentence] = []
    for place in PLACES:
        three: Three | None = getattr(footage, place)
        if three is None:
            continue
        share = finer(three)
        name, verb, _ = _grammar(place)
        if CRISP <= share <= HARSH:
            said.append(("good", f"{name} {verb} as crisp as in {source}'s footage."))
        else:
            said.append(
                (
                    _tone(share),
                    f"{name} {verb} {_how(share)} than in {source}'s footage "
                    f"(detail {_two(share)} of it).",
                )
            )
    if said and footage.enlarged > ENLARGED:
        said.append(
            (
                "note",
                f"{source}'s footage shows the face smaller than this film (it was enlarged "
                f"{footage.enlarged:.1f} times), so it is soft: use footage with a larger face.",
            )
        )
    return said


def _identity(seen: Seen, source: str) -> list[Sentence]:
    said: list[Sentence] = []
    like, found = seen.likeness, seen.retrieval
    if like.over_truth is not None and like.truth_to_source is not None:
        numbers = (
            f"(identity distance {_two(like.truth_to_source + like.over_truth)}; perfect swap "
            f"{_two(like.truth_to_source)})"
        )
        if like.over_truth <= ALIKE:
            said.append(("good", f"It looks as much like {source} as a perfect swap {numbers}."))
        else:
            tone: Tone = "note" if like.over_truth < UNLIKE else "bad"
            said.append((tone, f"It looks less like {source} than a perfect swap {numbers}."))
    if found is not None and found.share is not None:
        tone = "good" if found.share >= FOUND else "note" if found.share >= MISSED else "bad"
        text = f"Among {found.people} people it is recognised as {source} in {found.share:.0%} of "
        text += f"{found.frames} frames"
        if found.nearest_other is not None:
            text += f", otherwise mostly as {found.nearest_other}"
        said.append((tone, f"{text}."))
    return said


def _blinks(seen: Seen) -> list[Sentence]:
    blinks = seen.blinks
    if blinks is None or blinks.shut_in_film < FEW_SHUT:
        return []
    kept = blinks.shut_in_both / blinks.shut_in_film
    tone: Tone = "good" if kept >= BLINKS else "bad" if kept < STARES else "note"
    how = {"good": "close", "note": "mostly close", "bad": "often stay open"}[tone]
    return [
        (
            tone,
            f"The eyes {how} when they close in the film (in {blinks.shut_in_both} of "
            f"{blinks.shut_in_film} frames).",
        )
    ]


def _jumps(seen: Seen) -> list[Sentence]:
    steps = seen.steps
    if steps.swap is None or steps.film is None:
        return []
    if not steps.jumps_at:
        return [("good", "It does not jump except where the film does.")]
    named = sorted(steps.jumps_at[:TIMES])
    times = [f"{at:.1f} s" for at in named]
    text = times[0] if len(times) == 1 else f"{', '.join(times[:-1])} and {times[-1]}"
    more = len(steps.jumps_at) - len(named)
    often = "" if not more else ", and once more" if more == 1 else f", and {more} times more"
    return [("bad", f"It jumps at {text}{often}.")]


def _grammar(place: str) -> tuple[str, str, str]:
    """Subject, verb, and the pronoun with its verb."""
    return (
        f"The {place}",
        "are" if place == "eyes" else "is",
        ("they have" if place == "eyes" else "it has"),
    )


def _two(value: float) -> str:
    """Two decimals, in the way of this program's tables: .42."""
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.2f}"

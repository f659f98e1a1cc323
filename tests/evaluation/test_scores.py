from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from understudy.evaluation.frame_measures import Look, Moment, Nearness
from understudy.evaluation.scores import Reconstruction, beside, summarise, verdict
from understudy.types import Floats, Pose


def one_hot(place: int, value: float = 1.0) -> Floats:
    embedding = np.zeros(128, np.float32)
    embedding[place] = value
    return embedding


def look(mouth: float, eyes: float = 0.3, yaw: float = 0.0, roll: float = 0.0) -> Look:
    return Look(mouth, eyes, Pose(yaw, 0.0, roll))


def film(length: int = 40) -> list[Moment]:
    """A film whose swap follows it, 1 degree off in yaw, and is nearer to person 0."""
    mouths = [0.1 + 0.4 * abs(np.sin(n / 5)) for n in range(length)]
    eyes = [0.3 + 0.1 * np.cos(n / 7) for n in range(length)]
    return [
        Moment(
            index=n,
            seconds=n / 25,
            source=look(mouths[n], eyes[n], yaw=n, roll=179.5),
            swap=look(mouths[n] * 0.8, eyes[n] + 0.05, yaw=n + 1, roll=-179.5),
            landmark_error=0.05,
            embedding=one_hot(0, 0.9) if n % 4 == 0 else None,
            source_residual=2.0 if n else None,
            swap_residual=3.0 if n else None,
            truth=Nearness(22.0, 0.75),
            untouched=Nearness(20.0, 0.70),
            box=(0.0, 0.0, 10.0, 10.0),
        )
        for n in range(length)
    ]


def test_a_films_figures_are_its_moments_means() -> None:
    scores = summarise(film(), one_hot(0), one_hot(1))
    assert scores.identity.distance_to_with == pytest.approx(0.1, abs=1e-6)
    assert scores.identity.distance_to_replace == pytest.approx(np.hypot(0.9, 1), abs=1e-6)
    assert (scores.identity.nearer_to_with, scores.identity.frames) == (1.0, 10)
    assert scores.expression.mouth_correlation == pytest.approx(1)
    assert scores.expression.eye_correlation == pytest.approx(1)
    assert scores.expression.landmark_error == pytest.approx(0.05)
    assert scores.pose.yaw == pytest.approx(1)
    assert scores.pose.pitch == 0
    assert scores.pose.roll == pytest.approx(1)  # across the jump from 180 to -180
    assert scores.pose_offset.yaw == pytest.approx(1)
    assert scores.pose_wander.yaw == pytest.approx(0, abs=1e-9)
    assert scores.pose_median.yaw == pytest.approx(1)
    assert scores.steadiness.ratio == pytest.approx(1.5)
    assert (scores.truth, scores.untouched) == (Nearness(22.0, 0.75), Nearness(20.0, 0.70))
    assert (scores.frames, scores.faces, scores.both) == (40, 40, 40)


def test_gaze_is_compared_where_both_tell_it() -> None:
    def seen(moment: Moment) -> Moment:
        assert moment.source is not None
        assert moment.swap is not None
        aside = float(np.sin(moment.index / 3))
        there = aside if moment.index % 5 else None
        source, swap = replace(moment.source, gaze=aside), replace(moment.swap, gaze=there)
        return replace(moment, source=source, swap=swap)

    found = summarise([seen(moment) for moment in film()], None, None)
    assert found.expression.gaze_correlation == pytest.approx(1)
    assert summarise(film(), None, None).expression.gaze_correlation is None


def test_nothing_measured_is_none_and_not_nan() -> None:
    scores = summarise([Moment(0, 0.0), Moment(1, 0.04)], None, None)
    assert scores.identity.distance_to_with is None
    assert scores.identity.nearer_to_with is None
    assert scores.expression.mouth_correlation is None
    assert scores.pose.yaw is None
    assert scores.steadiness.ratio is None
    assert scores.truth is None
    assert (scores.frames, scores.faces, scores.both) == (2, 0, 0)
    said = verdict(scores, {}, "ada", "chen")
    assert said == [("bad", "The target's face was not found in any measured frame.")]


def test_everybody_replaced_has_nobody_to_be_nearer_to() -> None:
    scores = summarise(film(), one_hot(0), None)
    assert scores.identity.distance_to_with == pytest.approx(0.1, abs=1e-6)
    assert scores.identity.distance_to_replace is None
    assert scores.identity.nearer_to_with is None


@pytest.mark.parametrize(
    ("swap", "tone", "words"),
    [
        (Nearness(22.0, 0.75), "good", "Closer to the truth than the unchanged film: 22.0 dB"),
        (Nearness(19.0, 0.60), "bad", "Farther from the truth"),
        (Nearness(20.1, 0.703), "note", "About as close"),
        (Nearness(19.0, 0.75), "note", "only by SSIM"),
        (Nearness(22.0, 0.60), "note", "only by PSNR"),
    ],
)
def test_the_truth_comes_first(swap: Nearness, tone: str, words: str) -> None:
    moments = [Moment(m.index, m.seconds, truth=swap, untouched=m.untouched) for m in film()]
    first = verdict(summarise(moments, None, None), {}, "ada", "chen")[0]
    assert first[0] == tone
    assert words in first[1]


def test_a_good_swap_is_called_good() -> None:
    said = verdict(
        summarise(film(), one_hot(0), one_hot(1)),
        {"ada": Reconstruction(0.9, 30.0, 48), "chen": Reconstruction(None, None, 0)},
        "ada",
        "chen",
    )
    text = "\n".join(f"{tone} {words}" for tone, words in said)
    assert "good The swap is closer to ada than to chen in 100% of 10 measured frames." in text
    assert "good The opening of the mouth follows the film (correlation 1.00)." in text
    assert "good The pose of the head follows the film (to 0.0" in text
    assert "note The swap is slightly less steady than the film (1.50" in text
    assert "ada is redrawn with SSIM 0.900 and 30.0 dB on 48 held-out faces" in text
    assert "No face of chen was held out" in text
    assert "bad" not in text


def test_a_lost_expression_and_lost_faces_are_called_bad() -> None:
    moments = [
        Moment(
            m.index,
            m.seconds,
            source=m.source,
            swap=look(0.1 + 0.001 * ((n * 7919) % 13), yaw=-30) if n % 2 else None,
        )
        for n, m in enumerate(film())
    ]
    said = {words: tone for tone, words in verdict(summarise(moments, None, None), {}, "a", "b")}
    bad = " ".join(words for words, tone in said.items() if tone == "bad")
    assert "mouth does not follow" in bad
    assert "pose of the head does not follow" in bad
    assert "In 20 of 40 frames no face is found" in bad


@pytest.mark.parametrize(
    ("truth", "looks", "said"),
    [
        (Nearness(20.0, 0.6), 0.5, [("good", "Closer to the truth than w"), ("good", "more like")]),
        (
            Nearness(25.0, 0.9),
            0.95,
            [("bad", "Farther from the truth than w"), ("bad", "less like")],
        ),
        (None, 0.5, [("good", "Looks more like ada than w does")]),
        (None, None, []),
    ],
)
def test_a_swap_is_held_against_a_baseline(
    truth: Nearness | None, looks: float | None, said: list[tuple[str, str]]
) -> None:
    scores = summarise(film(), one_hot(0), one_hot(1))
    embedding = None if looks is None else one_hot(0, looks)
    moments = [replace(each, truth=truth, embedding=embedding) for each in film()]
    found = beside(scores, summarise(moments, one_hot(0), one_hot(1)), "w", "ada")
    assert [tone for tone, _ in found] == [tone for tone, _ in said]
    assert all(part in words for (_, words), (_, part) in zip(found, said, strict=True))

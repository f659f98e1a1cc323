"""From measurements of every frame to the figures of a film and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.evaluation import metrics
from understudy.evaluation.frame_measures import Look, Moment, Nearness
from understudy.media.html_report import Tone
from understudy.types import Floats

Sentence = tuple[Tone, str]

GOOD_CORRELATION = {"mouth": 0.9, "eyes": 0.75}
BAD_CORRELATION = {"mouth": 0.7, "eyes": 0.5}
"""Correlation of an opening over time; above GOOD the expression is kept, below BAD it is lost.
The mesh is unsure of lids: even renders of a perfect swap reach 0.97 for the mouth and 0.84 for
the eyes."""

GOOD_TURN, BAD_TURN = 3.0, 8.0
"""Mean error of an angle in degrees; the mesh itself is about 2 degrees unsure."""

SMOOTH, GOOD_STEADINESS, BAD_STEADINESS = 0.8, 1.3, 1.8
"""Ratio of the residuals; the film's own motion is 1. Below the first, detail is missing that
would move."""

LOST = 0.02
"""Share of the frames whose face may be gone in the swap before that is worth saying."""

FEW_HELD_OUT = 20
"""Faces below which a held-out figure is only a hint."""


@dataclass(frozen=True)
class Reconstruction:
    """How well a person's own held-out faces are redrawn, mean over the faces.

    Attributes:
        ssim, psnr_db: inside the face mask; None without held-out faces.
        faces: how many were held out.
    """

    ssim: float | None
    psnr_db: float | None
    faces: int


@dataclass(frozen=True)
class Identity:
    """Whom the swap looks like, mean over the frames that were embedded.

    Attributes:
        distance_to_with, distance_to_replace: Euclidean, to the person's mean embedding.
        nearer_to_with: share of these frames that are nearer to `with`, 0..1.
        frames: how many were embedded.
    """

    distance_to_with: float | None
    distance_to_replace: float | None
    nearer_to_with: float | None
    frames: int


@dataclass(frozen=True)
class Expression:
    """How well expressions are kept: see `metrics.landmark_error` and `metrics.correlation`."""

    landmark_error: float | None
    mouth_correlation: float | None
    eye_correlation: float | None
    gaze_correlation: float | None = None


@dataclass(frozen=True)
class Turn:
    """Differences of the head pose, degrees."""

    yaw: float | None
    pitch: float | None
    roll: float | None


@dataclass(frozen=True)
class Steadiness:
    """Frame-to-frame residual of the aligned face, 0..255, and the swap's over the film's."""

    source: float | None
    swap: float | None
    ratio: float | None


@dataclass(frozen=True)
class SwapScores:
    """The figures of one film and its swap.

    Attributes:
        pose: mean absolute difference of swap and film.
        pose_offset: mean of swap less film. The mesh sees one pose a few degrees differently in
            faces of different shape, above all in pitch, and the swap has another shape.
        pose_wander: mean absolute difference once the offset is taken away.
        pose_median: median absolute difference, offset and all.
        truth, untouched: of the swap and of the film itself to the truth; None without one.
        frames: how many were measured; `faces` of these show the face in the film, `both` in
            film and swap.
    """

    identity: Identity
    expression: Expression
    pose: Turn
    pose_offset: Turn
    pose_wander: Turn
    pose_median: Turn
    steadiness: Steadiness
    truth: Nearness | None
    untouched: Nearness | None
    frames: int
    faces: int
    both: int


def _distances(embeddings: Sequence[Floats], person: Floats | None) -> list[float] | None:
    if person is None:
        return None
    return [float(np.linalg.norm(embedding - person)) for embedding in embeddings]


def _nearness(values: Sequence[Nearness | None]) -> Nearness | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    return Nearness(
        metrics.mean([value.psnr_db for value in there]),
        metrics.mean([value.ssim for value in there]),
    )


def summarise(
    moments: Sequence[Moment], with_: Floats | None, replace: Floats | None
) -> SwapScores:
    """The figures of a film out of its moments.

    Args:
        with_, replace: mean embeddings (128,) of the person put in and of the one replaced;
            None if no particular person was replaced.
    """
    embeddings = [moment.embedding for moment in moments if moment.embedding is not None]
    to_with, to_replace = _distances(embeddings, with_), _distances(embeddings, replace)
    nearer = None
    if to_with and to_replace:
        nearer = metrics.mean([float(a < b) for a, b in zip(to_with, to_replace, strict=True)])
    pairs: list[tuple[Look, Look]] = [
        (moment.source, moment.swap)
        for moment in moments
        if moment.source is not None and moment.swap is not None
    ]
    source = metrics.mean([moment.source_residual for moment in moments])
    swap = metrics.mean([moment.swap_residual for moment in moments])

    gazes = [(a.gaze, b.gaze) for a, b in pairs if a.gaze is not None and b.gaze is not None]
    turns = {
        axis: [metrics.signed_angle(getattr(b.pose, axis), getattr(a.pose, axis)) for a, b in pairs]
        for axis in ("yaw", "pitch", "roll")
    }
    offset = {axis: metrics.mean(values) for axis, values in turns.items()}
    wander = {
        axis: [abs(value - (offset[axis] or 0)) for value in values]
        for axis, values in turns.items()
    }

    return SwapScores(
        identity=Identity(
            metrics.mean(to_with or []), metrics.mean(to_replace or []), nearer, len(embeddings)
        ),
        expression=Expression(
            metrics.mean([moment.landmark_error for moment in moments]),
            metrics.correlation([a.mouth for a, _ in pairs], [b.mouth for _, b in pairs]),
            metrics.correlation([a.eyes for a, _ in pairs], [b.eyes for _, b in pairs]),
            metrics.correlation([a for a, _ in gazes], [b for _, b in gazes]),
        ),
        pose=Turn(**{axis: metrics.mean([abs(v) for v in turns[axis]]) for axis in turns}),
        pose_offset=Turn(**offset),
        pose_wander=Turn(**{axis: metrics.mean(values) for axis, values in wander.items()}),
        pose_median=Turn(**{axis: metrics.median([abs(v) for v in turns[axis]]) for axis in turns}),
        steadiness=Steadiness(source, swap, swap / source if swap is not None and source else None),
        truth=_nearness([moment.truth for moment in moments]),
        untouched=_nearness([moment.untouched for moment in moments]),
        frames=len(moments),
        faces=sum(moment.source is not None for moment in moments),
        both=len(pairs),
    )


MARGIN_DB, MARGIN_SSIM = 0.2, 0.005
"""Gains over the untouched film that mean nothing: encoding it once more changes as much."""


def _graded(value: float, good: float, bad: float) -> Tone:
    if good > bad:
        value, good, bad = -value, -good, -bad
    return "good" if value <= good else "bad" if value >= bad else "note"


def _truth(truth: Nearness, untouched: Nearness, than: str) -> Sentence | None:
    figures = (truth.psnr_db, untouched.psnr_db, truth.ssim, untouched.ssim)
    if None in figures:
        return None
    psnr, floor_psnr, ssim, floor_ssim = (float(value or 0) for value in figures)
    numbers = (
        f"{psnr:.1f} dB and SSIM {ssim:.3f}, {than} {floor_psnr:.1f} dB and SSIM {floor_ssim:.3f}"
    )
    by_psnr, by_ssim = psnr - floor_psnr, ssim - floor_ssim
    if abs(by_psnr) <= MARGIN_DB and abs(by_ssim) <= MARGIN_SSIM:
        return "note", f"About as close to the truth as {than}: {numbers}."
    wins = (by_psnr > 0) + (by_ssim > 0)
    if wins == 2:
        return "good", f"Closer to the truth than {than}: {numbers}."
    if wins == 0:
        return "bad", f"Farther from the truth than {than}: {numbers}."
    which = "PSNR" if by_psnr > 0 else "SSIM"
    return "note", f"Closer to the truth than {than} only by {which}: {numbers}."


def in_order(said: Sequence[Sentence]) -> list[Sentence]:
    """The same sentences, those in dB last: dB reward blur and say little to a viewer."""
    return sorted(said, key=lambda sentence: " dB" in sentence[1])


def beside(scores: SwapScores, baseline: SwapScores, name: str, with_: str) -> list[Sentence]:
    """Whether a swap is better than another of the same film, in words.

    Args:
        baseline, name: the other swap, for example a photo's warp.
        with_: whose face both show.
    """
    said: list[Sentence] = []
    if scores.truth and baseline.truth and (one := _truth(scores.truth, baseline.truth, name)):
        said.append(one)
    own, other = scores.identity.distance_to_with, baseline.identity.distance_to_with
    if own is not None and other is not None:
        better = own < other
        said.append(
            (
                "good" if better else "bad",
                f"Looks {'more' if better else 'less'} like {with_} than {name} does "
                f"(identity distance {own:.2f}, {name} {other:.2f}).",
            )
        )
    return said


def verdict(
    scores: SwapScores | None,
    people: dict[str, Reconstruction],
    with_: str | None,
    replace: str | None,
) -> list[Sentence]:
    """The meaning of the figures, in words, the most important first.

    Args:
        scores: of a swap; None when only the model was measured.
        with_, replace: the people's names; `replace` is None when it was everyone.
    """
    said: list[Sentence] = []
    if scores is not None:
        said += _verdict_of_swap(scores, with_ or "the other person", replace)
    for name, figures in people.items():
        if figures.ssim is None or figures.psnr_db is None:
            said.append(
                ("note", f"No face of {name} was held out, so the quality of {name} is unknown.")
            )
            continue
        few = ", too few to rely on" if figures.faces < FEW_HELD_OUT else ""
        said.append(
            (
                "note",
                f"{name} is redrawn with SSIM {figures.ssim:.3f} and {figures.psnr_db:.1f} dB "
                f"on {figures.faces} held-out faces{few}.",
            )
        )
    return said


def _steadiness(ratio: float) -> Sentence:
    figure = f"({ratio:.2f} times its frame-to-frame residual)"
    if ratio < SMOOTH:
        return "note", f"The swap is smoother than the film {figure}: fine detail is missing."
    tone = _graded(ratio, GOOD_STEADINESS, BAD_STEADINESS)
    words = {"good": "as steady as", "note": "slightly less steady than", "bad": "less steady than"}
    return tone, f"The swap is {words[tone]} the film {figure}."


def _verdict_of_swap(scores: SwapScores, with_: str, replace: str | None) -> list[Sentence]:
    said: list[Sentence] = []
    truth, untouched = scores.truth, scores.untouched
    if truth and untouched and (one := _truth(truth, untouched, "the unchanged film")):
        said.append(one)
    nearer = scores.identity.nearer_to_with
    if nearer is not None and replace is not None:
        said.append(
            (
                _graded(nearer, 0.95, 0.5),
                f"The swap is closer to {with_} than to {replace} in {nearer:.0%} of "
                f"{scores.identity.frames} measured frames.",
            )
        )
    for what, value in (
        ("mouth", scores.expression.mouth_correlation),
        ("eyes", scores.expression.eye_correlation),
    ):
        if value is not None:
            tone = _graded(value, GOOD_CORRELATION[what], BAD_CORRELATION[what])
            how = {"good": "follows", "note": "roughly follows", "bad": "does not follow"}[tone]
            said.append(
                (tone, f"The opening of the {what} {how} the film (correlation {value:.2f}).")
            )
    wander = scores.pose_wander
    turns = [turn for turn in (wander.yaw, wander.pitch, wander.roll) if turn is not None]
    if turns:
        tone = _graded(max(turns), GOOD_TURN, BAD_TURN)
        how = {"good": "follows", "note": "roughly follows", "bad": "does not follow"}[tone]
        said.append(
            (tone, f"The pose of the head {how} the film (to {max(turns):.1f} degrees on average).")
        )
    ratio = scores.steadiness.ratio
    if ratio is not None:
        said.append(_steadiness(ratio))
    lost = scores.faces - scores.both
    if scores.faces and lost / scores.faces > LOST:
        said.append(("bad", f"In {lost} of {scores.faces} frames no face is found in the swap."))
    if not scores.faces:
        said.append(("bad", "The target's face was not found in any measured frame."))
    return said

"""The page that an evaluation is shown on: which pictures and curves, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from understudy.evaluation.frame_measures import Films, Moment
from understudy.evaluation.gauges import Seen, tables
from understudy.evaluation.reconstruction import Redrawn
from understudy.evaluation.scores import Sentence, SwapScores
from understudy.media.html_report import (
    Curve,
    Item,
    Plot,
    Section,
    Strip,
    Table,
    Words,
    number,
    page,
)
from understudy.media.still import still
from understudy.types import Box, Floats, Image

SAMPLES = 4
"""Evenly spaced frames that are shown."""

WORST = 4
"""Number of worst frames shown, at least `APART` seconds from each other."""

APART = 0.5

LARGEST = 288
"""Side in pixels of a shown picture; the page stays a few MB."""

AROUND = 1.7
"""Side of a shown part of a frame, in sizes of the face."""

DIFFERENCE = 2
"""Factor by which differences are amplified."""


@dataclass(frozen=True)
class Measured:
    """A film and its swap, measured.

    Attributes:
        with_, replace: mean embeddings (128,) of the people, where known.
        seen: what a viewer sees, see `understudy.evaluation.gauges`.
    """

    films: Films
    moments: Sequence[Moment]
    scores: SwapScores
    with_name: str
    replace_name: str | None
    with_: Floats | None
    replace: Floats | None
    seen: Seen


@dataclass(frozen=True)
class Evaluation:
    """All that the page shows. `history`: training curves, ready to plot."""

    title: str
    lead: str
    verdict: Sequence[Sentence]
    people: dict[str, Redrawn]
    swap: Measured | None
    history: Sequence[Plot] = field(default_factory=tuple)


def sample_moments(moments: Sequence[Moment]) -> list[Moment]:
    """A few moments that show the face, evenly spaced."""
    there = [moment for moment in moments if moment.box is not None]
    places = np.linspace(0, len(there) - 1, min(SAMPLES, len(there)) + 2)[1:-1]
    return [there[round(float(place))] for place in places]


def _badness(moment: Moment) -> float:
    if moment.truth is not None and moment.truth.psnr_db is not None:
        return -moment.truth.psnr_db
    if moment.landmark_error is not None:
        return moment.landmark_error
    # The face was lost altogether, which is worse than any error of its landmarks.
    return float("inf") if moment.truth is None else float("-inf")


def worst_moments(moments: Sequence[Moment]) -> list[Moment]:
    """The worst moments that show the face, apart from each other, the worst first.

    Worst is what is furthest from the truth, else where the face was lost or differs most
    from the film's landmarks.
    """
    there = sorted((m for m in moments if m.box is not None), key=_badness, reverse=True)
    found: list[Moment] = []
    for moment in there:
        if all(abs(moment.seconds - other.seconds) >= APART for other in found):
            found.append(moment)
        if len(found) == WORST:
            break
    return found


def part(image: Image, box: Box) -> Image:
    """The square around a face, within the frame, scaled down where it is large."""
    height, width = image.shape[:2]
    side = int(min(height, width, AROUND * max(box[2] - box[0], box[3] - box[1])))
    side = max(side, 1)
    left = int(np.clip((box[0] + box[2] - side) / 2, 0, width - side))
    top = int(np.clip((box[1] + box[3] - side) / 2, 0, height - side))
    cut = image[top : top + side, left : left + side]
    if side <= LARGEST:
        return np.ascontiguousarray(cut)
    small = cv2.resize(cut, (LARGEST, LARGEST), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _difference(a: Image, b: Image) -> Image:
    enlarged = np.abs(a.astype(np.int16) - b) * DIFFERENCE
    return np.asarray(np.minimum(enlarged, 255), np.uint8)


def _shown(films: Films, moment: Moment, caption: str) -> Strip:
    """Film, swap, truth and their difference at one moment."""
    assert moment.box is not None
    pictures: list[tuple[str, Image]] = []
    wanted = [("film", films.film, films.start), ("swap", films.swap, None)]
    if films.truth is not None:
        wanted.append(("truth", films.truth, None))
    for label, path, start in wanted:
        image = still(path, moment.seconds, start)
        if image is not None:
            pictures.append((label, part(image, moment.box)))
    if len(pictures) == len(wanted):
        label = f"difference swap - {wanted[-1][0]}, x{DIFFERENCE}"
        other = pictures[0][1] if films.truth is None else pictures[-1][1]
        if films.truth is None:
            label = f"difference swap - film, x{DIFFERENCE}"
        pictures.append((label, _difference(pictures[1][1], other)))
    return Strip(pictures, caption)


def _caption(moment: Moment) -> str:
    text = f"{moment.seconds:.2f} s"
    if moment.truth is not None:
        text += (
            f" \N{MIDDLE DOT} {number(moment.truth.psnr_db, 1, 'dB')}, "
            f"SSIM {number(moment.truth.ssim, 3)}"
        )
    elif moment.swap is None:
        text += " \N{MIDDLE DOT} no face found in the swap"
    else:
        text += f" \N{MIDDLE DOT} landmark error {number(moment.landmark_error, 3)}"
    return text


def _numbers(swap: Measured) -> list[Item]:
    scores, person = swap.scores, swap.with_name
    items: list[Item] = [*tables(swap.seen, person, swap.replace_name)]
    if scores.truth and scores.untouched:
        pairs = (scores.truth, scores.untouched)
        items.append(
            Table(
                ["Compared with the truth, inside the face", "swap", "unchanged film"],
                [
                    ["PSNR", *(number(each.psnr_db, 2, "dB") for each in pairs)],
                    ["SSIM", *(number(each.ssim, 3) for each in pairs)],
                ],
                "Means over the frames. SSIM on luma, 11x11 Gaussian window; 1 is identical. Both "
                "reward blur: a smooth mean face scores better than a sharp one a pixel off.",
            )
        )
    rows = [
        [f"Distance of the swap to {person}", number(scores.identity.distance_to_with, 3)],
        [
            f"Distance of the swap to {swap.replace_name or 'the person replaced'}",
            number(scores.identity.distance_to_replace, 3),
        ],
        [f"Share of frames closer to {person}", number(scores.identity.nearer_to_with, 2)],
        [
            "Landmark error, in distances between the eyes",
            number(scores.expression.landmark_error, 3),
        ],
        ["Correlation of the mouth's opening", number(scores.expression.mouth_correlation, 3)],
        ["Correlation of the eyes' opening", number(scores.expression.eye_correlation, 3)],
        ["Correlation of sideways gaze", number(scores.expression.gaze_correlation, 3)],
        *(
            [
                f"Mean error of {axis} (without its constant part)",
                f"{number(getattr(scores.pose, axis), 1)} "
                f"({number(getattr(scores.pose_wander, axis), 1)}) degrees",
            ]
            for axis in ("yaw", "pitch", "roll")
        ),
        ["Frame-to-frame residual, swap over film", number(scores.steadiness.ratio, 2)],
        ["Frames measured", str(scores.frames)],
        ["of these with the face in film and swap", f"{scores.both} of {scores.faces}"],
    ]
    items.append(
        Table(
            ["Swap", "figure"],
            rows,
            "Identity distances are Euclidean between embeddings: below about 0.6 two faces are "
            "likely the same person. Landmark error contains differences of face shape as well as "
            "of expression. The constant part of a pose error comes mostly from the mesh, which "
            "measures pose differently in faces of different shape.",
        )
    )
    return items


def _curves(swap: Measured) -> Iterator[Plot]:
    moments = swap.moments
    seconds = [moment.seconds for moment in moments]

    def both(title: str, unit: str, take: Callable[[Moment, str], float | None]) -> Plot:
        curves = [Curve("film", [take(moment, "source") for moment in moments])]
        curves.append(Curve("swap", [take(moment, "swap") for moment in moments]))
        return Plot(title, seconds, curves, unit=unit)

    def look(name: str) -> Callable[[Moment, str], float | None]:
        return lambda moment, side: getattr(getattr(moment, side), name, None)

    def turned(moment: Moment, side: str) -> float | None:
        found = getattr(moment, side)
        return None if found is None else float(found.pose.yaw)

    yield both("Opening of the mouth", "height over width", look("mouth"))
    yield both("Opening of the eyes", "height over width", look("eyes"))
    yield both("Sideways gaze", "share of the eye's width", look("gaze"))
    yield both("Yaw", "degrees", turned)
    if swap.films.truth is not None:
        for title, unit, name in (
            ("PSNR to the truth", "dB", "psnr_db"),
            ("SSIM to the truth", "", "ssim"),
        ):
            yield Plot(
                title,
                seconds,
                [
                    Curve("untouched film", [getattr(m.untouched, name, None) for m in moments]),
                    Curve("swap", [getattr(m.truth, name, None) for m in moments]),
                ],
                unit=unit,
            )
    embedded = [moment for moment in moments if moment.embedding is not None]
    curves = [
        Curve(
            f"to {name}",
            [
                float(np.linalg.norm(m.embedding - person))
                for m in embedded
                if m.embedding is not None
            ],
        )
        for name, person in ((swap.replace_name, swap.replace), (swap.with_name, swap.with_))
        if name is not None and person is not None
    ]
    if curves:
        times = [moment.seconds for moment in embedded]
        yield Plot("Identity: distance of the swap", times, curves)
    yield Plot(
        "Frame-to-frame residual of the aligned face",
        seconds,
        [
            Curve("film", [moment.source_residual for moment in moments]),
            Curve("swap", [moment.swap_residual for moment in moments]),
        ],
        unit="grey levels",
    )


def _people(people: dict[str, Redrawn]) -> Section:
    table = Table(
        ["Person", "SSIM", "PSNR", "faces"],
        [
            [
                name,
                number(each.figures.ssim, 3),
                number(each.figures.psnr_db, 2, "dB"),
                str(each.figures.faces),
            ]
            for name, each in people.items()
        ],
        "Inside the face mask, means over faces that were held out of training.",
    )
    items: list[Item] = [table]
    for name, each in people.items():
        if each.pictures:
            pairs = [(f"{place + 1}", np.vstack(pair)) for place, pair in enumerate(each.pictures)]
            items.append(Strip(pairs, f"{name}: the footage above, the model's drawing below."))
    return Section(
        "Held-out faces",
        "Each person's faces, drawn by the same person's decoder: the best it can draw.",
        items,
    )


def build(evaluation: Evaluation) -> str:
    """The page as HTML. Reads a few frames of the films again. Raises MediaError."""
    sections = [Section("In words", "", [Words(evaluation.verdict)])]
    swap = evaluation.swap
    if swap is not None:
        sections.append(Section("In numbers", "", _numbers(swap)))
        samples = [_shown(swap.films, m, _caption(m)) for m in sample_moments(swap.moments)]
        if samples:
            sections.append(Section("Frames", "Evenly spaced over the film.", samples))
    if evaluation.people:
        sections.append(_people(evaluation.people))
    if swap is not None:
        sections.append(Section("Over time", "", list(_curves(swap))))
    if evaluation.history:
        sections.append(Section("Training", "", list(evaluation.history)))
    if swap is not None and (worst := worst_moments(swap.moments)):
        why = (
            "Frames with the largest difference from the truth."
            if swap.films.truth is not None
            else "Frames in which no face was found, or its landmarks differ most from the film."
        )
        shown = [_shown(swap.films, m, _caption(m)) for m in worst]
        sections.append(Section("Worst frames", why, shown))
    return page(evaluation.title, evaluation.lead, sections)

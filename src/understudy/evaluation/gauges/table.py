"""The figures of the gauges as tables of a page."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.evaluation.gauges.detail import Crispness, Detail
from understudy.evaluation.gauges.footage import FootageDetail
from understudy.evaluation.gauges.jumps import Jumps
from understudy.evaluation.gauges.regions import PLACES
from understudy.evaluation.gauges.seen import Seen
from understudy.media.html_report import Table, number

DASH = "\N{EN DASH}"


def tables(seen: Seen, source: str, target: str | None) -> list[Table]:
    """Crispness, and all the rest.

    Args:
        source, target: names of the source and the target.
    """
    found: list[Table] = []
    if crisp := _crisp_rows(seen, source):
        found.append(
            Table(
                ["How crisp", "face", "eyes", "mouth"],
                crisp,
                "Each for three bands: wavelengths of about 2 to 4, 4 to 8 and 8 to 16 pixels. "
                "Detail 1 is right, below is softer, above is harsher. Found is the share of the "
                "true detail that is in the right place: 1 is perfect, 0 is grey blur.",
            )
        )
    found.append(
        Table(
            ["What a viewer sees", "swap", "true swap", "film"],
            _other_rows(seen, source, target or "the person replaced"),
            "Identity distances are Euclidean: a picture is about 0.3 to 0.4 from the mean of the "
            "same person, 0.4 to 0.9 from others. Changes are in grey levels, after optical "
            f"flow; {seen.frames} frames were measured closely.",
        )
    )
    return found


def three(values: Sequence[float] | None) -> str:
    """The three bands of one place."""
    return DASH if values is None else " / ".join(f"{value:.2f}" for value in values)


def _crisp_rows(seen: Seen, source: str) -> list[list[str]]:
    def row(title: str, what: Detail | None, key: str) -> list[list[str]]:
        if what is None:
            return []
        places: list[Crispness | None] = [getattr(what, place) for place in PLACES]
        return [[title, *(three(getattr(one, key, None)) for one in places)]]

    footage: FootageDetail | None = seen.footage
    beside = []
    if footage is not None:
        title = f"Detail, compared with {source}'s footage"
        beside = [[title, *(three(getattr(footage, place)) for place in PLACES)]]
    return [
        *row("Detail, compared with the true swap", seen.detail, "detail"),
        *row("Found of the true swap's detail", seen.detail, "found"),
        *row("Detail of the unchanged film, compared with the true swap", seen.untouched, "detail"),
        *row("Found in the unchanged film", seen.untouched, "found"),
        *beside,
    ]


def _other_rows(seen: Seen, source: str, target: str) -> list[list[str]]:
    like, found, apart, steps = seen.likeness, seen.retrieval, seen.perceptual, seen.steps
    rows = [
        [
            f"Distance to {source}",
            number(like.to_source, 3),
            number(like.truth_to_source, 3),
            DASH,
        ],
        [f"Distance to {target}", number(like.to_target, 3), DASH, DASH],
        [f"Margin: how much closer to {source}", number(like.margin, 3), DASH, DASH],
    ]
    if found is not None:
        title = f"Recognised as {source} among {found.people} people, share of frames"
        best = seen.true_retrieval.share if seen.true_retrieval else None
        rows.append([title, number(found.share, 2), number(best, 2), DASH])
    if apart is not None:
        rows.append(["Perceptual distance", number(apart.swap, 1), "0", number(apart.untouched, 1)])
    if seen.blinks is not None:
        true = seen.true_blinks
        rows += [
            [
                "Eyes closed or open as in the film, share of frames",
                number(seen.blinks.agreement, 3),
                number(true.agreement if true else None, 3),
                DASH,
            ],
            [
                "Frames with closed eyes",
                f"{seen.blinks.shut_in_swap} ({seen.blinks.shut_in_both} with the film)",
                f"{true.shut_in_swap} ({true.shut_in_both} with the film)" if true else DASH,
                str(seen.blinks.shut_in_film),
            ],
        ]
    order = (steps.swap, steps.truth, steps.film)

    def taken(key: str, digits: int) -> list[str]:
        return [_figure(one, key, digits) for one in order]

    rows += [
        ["Change from frame to frame, mean", *taken("mean", 2)],
        ["the same, median", *taken("median", 2)],
        ["the same, largest", *taken("largest", 2)],
        ["largest over median", *taken("ratio", 2)],
    ]
    return rows


def _figure(of: Jumps | None, key: str, digits: int) -> str:
    return DASH if of is None else number(getattr(of, key), digits)

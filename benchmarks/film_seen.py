"""What a viewer sees, as rows of the film's table: the gauges of `understudy.evaluation.gauges`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import Line

Values = Mapping[str, Any]
"""The "seen" part of an evaluation's JSON."""

PLACES = ("face", "eyes", "mouth")
BANDS = "fine / middle / coarse"


def lines(where: str, ways: Sequence[Values | None]) -> list[Line]:
    """Rows of one film, its ways of conversion side by side.

    Args:
        where: film and network, as the rows begin.
        ways: what each way's evaluation saw; None where it was not measured.
    """
    there = [way for way in ways if way is not None]
    if not there or len(there) < len(ways):
        return []
    found: list[Line] = []
    beside_truth = there[0]["detail"] is not None
    for place in PLACES:
        paths = [("detail", place, "detail"), ("detail", place, "found")]
        for path in paths if beside_truth else [("footage", place)]:
            what = path[-1] if beside_truth else "detail of own footage"
            figures = [_three(_at(way, *path)) for way in there]
            found += _row(f"{where}: {what}, {place} ({BANDS})", figures, "1")
    film, truth = there[0]["steps"]["film"], there[0]["steps"]["truth"]
    untouched = _at(there[0], "perceptual", "untouched")
    true_share = _at(there[0], "true_retrieval", "share")
    true_lids = _at(there[0], "true_blinks", "agreement")
    for title, path, digits, goal in (
        ("likeness, distance over the true swap's", ("likeness", "over_truth"), 3, "at most 0.05"),
        ("margin, to target less to source", ("likeness", "margin"), 3, "above 0"),
        ("retrieval, share of frames", ("retrieval", "share"), 2, _or_one(true_share, 2)),
        (
            "perceptual distance",
            ("perceptual", "swap"),
            1,
            f"below the film's {_one(untouched, 1)}",
        ),
        (
            "blinks, agreement",
            ("blinks", "agreement"),
            3,
            _or_one(true_lids, 3),
        ),
        (
            "jumps, largest over median",
            ("steps", "swap", "ratio"),
            2,
            f"film {_one(_at(film, 'ratio'), 2)}, truth {_one(_at(truth, 'ratio'), 2)}",
        ),
    ):
        values = [_at(way, *path) for way in there]
        figures = [None if value is None else _one(value, digits) for value in values]
        found += _row(f"{where}: {title}", figures, goal)
    return found


def _row(title: str, figures: Sequence[str | None], goal: str) -> list[Line]:
    """One row, or none where no way has the figure."""
    if all(figure is None for figure in figures):
        return []
    return [Line(title, " -> ".join(figure or "none" for figure in figures), goal)]


def _at(values: Any, *path: str) -> Any:
    """What lies at a path of keys; None where a part of it is None."""
    for key in path:
        if values is None:
            return None
        values = values[key]
    return values


def _or_one(value: float | None, digits: int) -> str:
    """What the true swap reaches; where no truth is known, all."""
    return "1" if value is None else _one(value, digits)


def _three(values: Sequence[float] | None) -> str | None:
    return None if values is None else " / ".join(_one(value, 2) for value in values)


def _one(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"

"""One table out of a comparison's figures: as Markdown and as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.media.html_report import number

UP, DOWN = "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"


@dataclass(frozen=True)
class _Line:
    """A line of the table.

    Attributes:
        caption: what it says; {with} and {replace} are names.
        keys: the way to the figure in a row of the JSON file.
        digits: decimals.
        scale: factor on the figure.
    """

    caption: str
    keys: tuple[str, ...]
    digits: int = 0
    scale: float = 1.0


_LINES = (
    _Line("image side, pixels", ("size",)),
    _Line("training steps", ("training", "steps")),
    _Line("training minutes", ("training", "minutes"), 1),
    _Line(f"held-out faces, SSIM {UP}", ("held_out", "ssim"), 3),
    _Line(f"held-out faces, PSNR in dB {UP}", ("held_out", "psnr_db"), 1),
    _Line(f"swap and truth, SSIM {UP}", ("film", "truth", "ssim"), 3),
    _Line(f"swap and truth, PSNR in dB {UP}", ("film", "truth", "psnr_db"), 1),
    _Line(f"identity, distance to {{with}} {DOWN}", ("film", "identity", "distance_to_with"), 2),
    _Line(
        f"frames closer to {{with}}, % {UP}", ("film", "identity", "nearer_to_with"), scale=100.0
    ),
    _Line(f"landmark error {DOWN}", ("film", "expression", "landmark_error"), 3),
    _Line(f"mouth, correlation {UP}", ("film", "expression", "mouth_correlation"), 2),
    _Line(f"eyes, correlation {UP}", ("film", "expression", "eye_correlation"), 2),
    _Line("steadiness, 1 is as the film", ("film", "steadiness", "ratio"), 2),
    _Line(f"training, faces/s {UP}", ("training", "faces_per_second"), 1),
    _Line(f"conversion, frames/s {UP}", ("conversion", "frames_per_second"), 1),
    _Line(f"weights on disk, MB {DOWN}", ("weights_mb",), 1),
    _Line(f"peak memory of training, MB {DOWN}", ("training", "memory_mb")),
    _Line(f"peak memory of conversion, MB {DOWN}", ("conversion", "memory_mb")),
)


def _figure(row: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    value: Any = row
    for key in keys:
        if value is None:
            return None
        value = value.get(key)
    return None if value is None else float(value)


def table(values: Mapping[str, Any]) -> list[list[str]]:
    """The table: a head with the models' names, then a line for each figure that any model has.

    Args:
        values: the contents of `comparison.json`, see `compare`.
    """
    rows = values["models"]
    names = {"with": values["with"] or "", "replace": values["replace"] or ""}
    lines = [["", *(str(row["model"]) for row in rows)]]
    for line in _LINES:
        figures = [_figure(row, line.keys) for row in rows]
        if all(figure is None for figure in figures):
            continue
        cells = [
            number(None if figure is None else figure * line.scale, line.digits)
            for figure in figures
        ]
        lines.append([line.caption.format(**names), *cells])
    return lines


def about(values: Mapping[str, Any]) -> list[str]:
    """Sentences that say what was compared, and how near the film was to the truth before."""
    ((unit, budget),) = values["budget"].items()
    words = [
        f"{', '.join(values['people'])}; each network trained for {budget:g} {unit}, held-out "
        f"faces compared at {values['compared_at']} pixels."
    ]
    if values["film"] is not None:
        words.append(f"Source {values['with']}, target {values['replace']}, film {values['film']}.")
    if (before := values["untouched"]) is not None:
        words.append(
            "The unchanged film is "
            f"{number(before['psnr_db'], 1, 'dB')} / {number(before['ssim'], 3)} SSIM from the "
            "truth."
        )
    machine = values["machine"]
    words.append(
        f"{machine['cores']} cores, {machine['device']}, torch {machine['torch']}, "
        f"understudy {values['understudy']}."
    )
    return words


def markdown(values: Mapping[str, Any]) -> str:
    """The table with what it is about, as Markdown."""
    head, *lines = table(values)
    rows = [head, ["---", *("---:" for _ in head[1:])], *lines]
    drawn = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["# Comparison", "", *about(values), "", *drawn]) + "\n"


def text(values: Mapping[str, Any]) -> str:
    """The table with what it is about, for a terminal."""
    lines = table(values)
    wide = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    drawn = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, wide, strict=True))
        )
        for line in lines
    ]
    return "\n".join([*drawn, "", *about(values)])

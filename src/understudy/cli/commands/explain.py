"""The command that shows the inside of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, Own, app, given
from understudy.settings import ExplainSettings

if TYPE_CHECKING:
    from understudy.evaluation.inspection.layers import Anatomy

_HEADINGS = ("layer", "kind", "output", "parameters", "MMAC", "sees", "draws", "time")


@app.command(sort_key=9, help_epilogue=DEFAULTS)
def explain(
    model: str | None = None,
    /,
    *,
    output: Path | None = None,
    film: Path | None = None,
    settings: Annotated[ExplainSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """Show the inside of a model: its layers, and what its latent contains of a face.

    Args:
        model: Model of the project. Default: the project's only model.
        output: Folder for pictures and explain.json. Default: a folder in the renders folder.
        film: Also report which gallery pictures would be used in this film, and which are missing.
    """
    with session.progress() as progress:
        report = session.project().explain(model, output, progress, film, **given(settings))
    anatomy, about = report.anatomy, report.figures["model"]
    latent = report.figures["latent"]
    shape = " x ".join(map(str, anatomy.latent))
    session.say(
        f"{about['name']}: {about['network']} at {about['size']} px, step {report.figures['step']}",
        "",
        *table(anatomy),
        "",
        *(f"{name}: {count:,} parameters" for name, count in anatomy.parameters.items()),
        f"To encode a face: {anatomy.macs('encode') / 1e6:,.1f} MMAC; "
        f"to decode it: {anatomy.macs('decode') / 1e6:,.1f} MMAC; "
        f"both: {anatomy.seconds * 1000:.1f} ms here.",
        f"Latent: {shape}, {latent['numbers']:,} numbers; the narrowest layer before it has "
        f"{latent['narrowest']['numbers']:,} ({latent['narrowest']['layer']}).",
    )
    for name, inside in report.figures["people"].items():
        known = ", ".join(f"{trait} {value:.2f}" for trait, value in inside["r2"].items())
        session.say(f"{name}: readable from the latent (R2 on held-out faces): {known}.")
    session.say(*gallery_lines(report.figures))
    session.say(
        "",
        "MMAC: a million multiply-add operations. sees, draws: width in pixels of the area that "
        "one unit in the middle depends on, and affects.",
        f"Pictures and explain.json are in {report.folder}.",
    )


def gallery_lines(figures: Mapping[str, Any]) -> list[str]:
    """Lines for the terminal: what the galleries contain, and what a film needs but they lack."""
    lines = [
        f"Gallery of {name}: {one['pictures']} pictures, yaw {one['yaw'][0]:.0f} to "
        f"{one['yaw'][1]:.0f}, pitch {one['pitch'][0]:.0f} to {one['pitch'][1]:.0f} degrees; eyes "
        f"shut in {one['eyes_shut']}, mouth open in {one['mouth_open']}."
        for name, one in figures["galleries"].items()
    ]
    return lines + (figures["film"]["missing"] if figures["film"] else [])


def table(anatomy: Anatomy) -> list[str]:
    """Lines for the terminal: layers with weights or a new shape, and the time of the rest."""
    cells: list[Sequence[str]] = [_HEADINGS]
    rest, before = 1.0, None
    for layer in anatomy.layers:
        if layer.parameters or layer.shape != before:
            shape = " x ".join(map(str, layer.shape))
            cells.append(
                (
                    layer.name,
                    layer.kind,
                    shape,
                    f"{layer.parameters:,}" if layer.parameters else "",
                    f"{layer.macs / 1e6:,.2f}" if layer.macs else "",
                    f"{layer.sees}",
                    f"{layer.draws}",
                    f"{layer.share:.1%}",
                )
            )
            rest -= layer.share
        before = layer.shape
    cells.append(("activations and the rest", "", "", "", "", "", "", f"{max(rest, 0):.1%}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column < 3 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]

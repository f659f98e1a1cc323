"""The command that shows a model from inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from understudy.commands.app import DEFAULTS, Own, app, given
from understudy.settings import ExplainSettings

if TYPE_CHECKING:
    from understudy.models.anatomy import Anatomy

_HEADINGS = ("layer", "what", "comes out", "parameters", "MMAC", "sees", "draws", "time")


@app.command(sort_key=9, help_epilogue=DEFAULTS)
def explain(
    model: str | None = None,
    /,
    *,
    output: Path | None = None,
    settings: Annotated[ExplainSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """See inside a model: its layers, what its latent keeps of a face, and what it knows.

    Args:
        model: The only model of the project when not given.
        output: Folder for pictures and explain.json; in the renders folder when not given.
    """
    with session.progress() as progress:
        report = session.project().explain(model, output, progress, **given(settings))
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
        f"Latent: {shape}, {latent['numbers']:,} numbers; on the way all passes through "
        f"{latent['narrowest']['numbers']:,} ({latent['narrowest']['layer']}).",
    )
    for name, inside in report.figures["people"].items():
        known = ", ".join(f"{trait} {value:.2f}" for trait, value in inside["r2"].items())
        session.say(f"{name}: known to the latent (R2 on held-out faces): {known}.")
    session.say(
        "",
        "MMAC: a million multiplications, each with its addition. sees, draws: side in pixels of "
        "what one unit in the middle depends on and touches.",
        f"Pictures and explain.json are in {report.folder}.",
    )


def table(anatomy: Anatomy) -> list[str]:
    """Lines for the terminal: layers that have weights or change the shape, and the rest's time."""
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

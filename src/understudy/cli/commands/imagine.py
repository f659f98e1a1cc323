"""The command that looks around in a model's latents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, Own, app, given
from understudy.settings import ImagineSettings


@app.command(sort_key=9, help_epilogue=DEFAULTS)
def imagine(
    *,
    model: str | None = None,
    person: str | None = None,
    output: Path | None = None,
    settings: Annotated[ImagineSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """Draw faces that nobody made: at random, between two, and along what moves mouth or light.

    Best with a model of the network vae; others show how little their latents are made for it.

    Args:
        model: The only model of the project when not given.
        person: Whose faces; everybody's in the model, one by one, when not given.
        output: Folder for sheets, films and figures; in the renders folder when not given.
    """
    with session.progress() as progress:
        report = session.project().imagine(
            model, person, output, progress=progress, **given(settings)
        )
    for name, figures in report.figures["people"].items():
        found = figures["samples_found"]
        followed = [
            f"{trait} {values['r2']:.2f}" for trait, values in figures["directions"].items()
        ]
        session.say(
            f"{name}: a face in {found['prior']:.0%} of the draws from N(0, 1) and in "
            f"{found['fitted']:.0%} of those from a distribution fitted to the faces.",
            f"Known to the latents (R2 on held-out faces): {', '.join(followed)}.",
        )
    session.say(f"Sheets, films and figures.json are in {report.folder}.")

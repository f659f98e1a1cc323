"""The command that samples faces from a model's latent space."""

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
    """Sample new faces from a model's latent space.

    Draws random faces, faces between two faces, and faces along directions that move mouth, eyes,
    head or light. Works best with the network `vae`; the latent spaces of other networks are not
    smooth.

    Args:
        model: Model of the project. Default: the project's only model.
        person: Person whose faces are drawn. Default: each person of the model.
        output: Folder for sheets, films and figures. Default: a folder in the renders folder.
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
            f"{name}: a face was found in {found['prior']:.0%} of the samples from N(0, 1) and in "
            f"{found['fitted']:.0%} of those from a distribution fitted to the faces.",
            f"Readable from the latents (R2 on held-out faces): {', '.join(followed)}.",
        )
    session.say(f"Sheets, films and figures.json are in {report.folder}.")

"""The command that makes a base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, STOPPED, Own, app, given
from understudy.runtime.filenames import word
from understudy.settings import TrainSettings


@app.command(sort_key=9, help_epilogue=DEFAULTS)
def pretrain(
    *people: str,
    name: str = "base",
    aside: int = 6,
    output: Path | None = None,
    labels: Path | None = None,
    settings: Annotated[TrainSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> int:
    """Train a base on the facesets of many people, for trainings of others to begin with.

    Ctrl-C keeps what was learned; the same command goes on from there.

    Args:
        people: Who; everybody with a faceset when not given.
        name: Of the model that is trained; the base is made of it.
        aside: So many of them are kept out, to judge the base by.
        output: The file; NAME.safetensors in the folder exports when not given.
        labels: JSON with what is known of every frame, mouth, lids and so on; from it the base
            learns to read faces.
    """
    with session.progress() as progress:
        report = session.project().pretrain(
            people, name, output, progress, aside=aside, labels=labels, **given(settings)
        )
    trained = report.trained
    session.say(
        f"{trained.model}: {len(trained.people)} people, {trained.steps} steps in "
        f"{trained.minutes:.1f} minutes ({trained.faces_per_second:.0f} faces/s)."
    )
    if report.file is None:
        return STOPPED
    for person, figures in report.aside.items():
        session.say(
            f"{person}, kept aside: redrawn as the mean person, SSIM {figures.ssim:.3f} "
            f"({figures.psnr:.1f} dB)."
        )
    if report.readings:
        told = ", ".join(f"{name} {value:.2f}" for name, value in report.readings.items())
        session.say(f"It reads from faces that it has not seen (correlation): {told}.")
    session.say(
        f"The base is {report.file}.",
        f"Next: understudy train PERSON PERSON --base {word(report.file)}",
    )
    return 0

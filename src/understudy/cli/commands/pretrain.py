"""The command that trains a base."""

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
    """Train a base on the facesets of many people: initial weights for later trainings.

    Ctrl-C stops and saves the model; the same command continues from there.

    Args:
        people: People to train on. Default: every person with a faceset.
        name: Name of the model that is trained; the base is made from it.
        aside: Number of people held out to evaluate the base.
        output: File to write. Default: NAME.safetensors in the folder exports.
        labels: JSON file with the known mouth, eyelids and so on of every frame; the base learns
            to read these from faces.
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
            f"{person} (held out): redrawn with the mean decoder, SSIM {figures.ssim:.3f} "
            f"({figures.psnr:.1f} dB)."
        )
    if report.readings:
        told = ", ".join(f"{name} {value:.2f}" for name, value in report.readings.items())
        session.say(f"Readings on held-out faces (correlation): {told}.")
    session.say(
        f"The base is in {report.file}.",
        f"Next: understudy train PERSON PERSON --base {word(report.file)}",
    )
    return 0

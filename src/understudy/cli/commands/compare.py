"""The command that compares networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, Own, app, given
from understudy.settings import CompareSettings


@app.command(sort_key=9, help_epilogue=DEFAULTS)
def compare(
    *people: str,
    film: Path | None = None,
    replace: str | None = None,
    with_: Annotated[str | None, Parameter(name="--with")] = None,
    face: str | None = None,
    truth: Path | None = None,
    truth_mask: Path | None = None,
    target_mask: Path | None = None,
    output: Path | None = None,
    settings: Annotated[CompareSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """Train several networks for the same time, swap faces in the same film, and measure each.

    You can stop it; the same command continues and does not train finished networks again. All
    other training settings come from project.toml.

    Args:
        people: People to train on. Default: every person with a faceset.
        film: Film to swap faces in, preferably one not used for training.
        replace: Target: the person whose face is replaced. Default: the second person.
        with_: Source: the person whose face is inserted. Default: the first person.
        face: Photo of the source, for the warp. Default: the source's faceset.
        truth: Reference film that shows what the swap should look like, if you have one.
        truth_mask: Film that is white where the face is in `truth`.
        target_mask: Film that is white where the face is in `film`.
        output: Folder for table, pictures and films. Default: a folder in the renders folder.
    """
    with session.progress() as progress:
        report = session.project().compare(
            people,
            film=film,
            replace=replace,
            with_=with_,
            face=face,
            truth=truth,
            truth_mask=truth_mask,
            target_mask=target_mask,
            output=output,
            progress=progress,
            **given(settings),
        )
    session.say(*str(report).split("\n"))

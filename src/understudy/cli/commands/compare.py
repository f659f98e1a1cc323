"""The command that holds networks against one another."""

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
    """Train several networks for the same budget, let each swap the same film, and measure all.

    Can be stopped; the same command goes on, and what is trained is not trained again. How the
    networks are trained otherwise is what project.toml says for training.

    Args:
        people: Whom the networks learn; everybody with a faceset when not given.
        film: The film to swap faces in, best one that nobody was trained on.
        replace: Whose face goes; the second person's when not given.
        with_: Whose face comes; the first person's when not given.
        face: Photo of who comes, for the warp; it draws out of the faceset when not given.
        truth: What the swap ought to look like, where that is known.
        truth_mask: Film that is white where the face is in `truth`.
        target_mask: Film that is white where the face is in `film`.
        output: Folder for table, pictures and films; in the renders folder when not given.
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

"""The command that lists who is in a film."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, SCAN, Own, Time, app, count, given
from understudy.conversion.request import parse_swaps
from understudy.runtime.filenames import word
from understudy.settings import ScanSettings


@app.command(sort_key=4, help_epilogue=DEFAULTS)
def tracks(
    film: Path,
    /,
    *,
    replace: list[str] | None = None,
    with_: Annotated[str | None, Parameter(name="--with")] = None,
    output: Path | None = None,
    start: Time | None = None,
    end: Time | None = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=SCAN)] = None,
    session: Own,
) -> None:
    """List the faces in a film, each followed through its shot, for `convert` to obey.

    Writes a file in which you say whose face comes in each track, or none, and a picture of
    them all.

    Args:
        film: The film to look through.
        replace: Whose face goes, as for `convert`; every track is decided so in the file.
        with_: Whose face comes, as for `convert`.
        output: The file to write, .toml; in the renders folder when not given. What was written
            into it by hand is kept.
        start: Begin here, in seconds or as 1:02.5.
        end: End before here.
    """
    swaps = parse_swaps(replace or [], with_) if replace or with_ else {}
    from understudy.tracks.tracks_file import AUTO

    with session.progress() as progress:
        report = session.project().tracks(
            film,
            swaps=swaps,
            output=output,
            start=start,
            end=end,
            progress=progress,
            **given(scan),
        )
    session.say(
        f"{film.name}: {count(report.shots, 'shot')}, {count(len(report.tracks), 'track')}.",
        *(f"  {one}" for one in report.tracks),
        *(f"Note: {note}" for note in report.notes),
    )
    undecided = all(one.order.person == AUTO for one in report.tracks)
    if report.kept:
        session.say(f"{count(report.kept, 'order')} of yours kept.")
    session.say(
        f"Pictures: {report.sheet}",
        f"Who comes in each: {report.file} (change it as you like)",
        f"Next: understudy convert {word(film)} --tracks {word(report.file)}"
        + (" --replace PERSON --with PERSON" if undecided else ""),
    )

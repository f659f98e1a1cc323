"""The command that lists the faces in a film."""

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
    """List the faces in a film as tracks, to choose the source for each track before `convert`.

    A track is one face, followed through one shot. Writes a file in which you name the source for
    each track (or leave the face as it is), and a picture of all tracks.

    Args:
        film: Film to search.
        replace: Target, as for `convert`; the file then already names a source for each track.
        with_: Source, as for `convert`.
        output: File to write (.toml). Default: a file in the renders folder. Your own changes in
            an existing file are kept.
        start: Start at this time: seconds, or 1:02.5.
        end: Stop before this time.
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
        session.say(f"Kept {count(report.kept, 'choice')} of yours.")
    session.say(
        f"Pictures: {report.sheet}",
        f"Source for each track: {report.file} (edit it as you like)",
        f"Next: understudy convert {word(film)} --tracks {word(report.file)}"
        + (" --replace PERSON --with PERSON" if undecided else ""),
    )

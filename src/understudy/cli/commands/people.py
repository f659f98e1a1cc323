"""One person of a project: their decoder out of and into models, and everything of them removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from understudy.cli.commands.app import Own, app, count
from understudy.runtime.filenames import word

if TYPE_CHECKING:
    from understudy.people.decoders import DecoderReport

person = App(name="person", help="Export, import or remove one person.", sort_key=6)
app.command(person)


@person.command(name="export", sort_key=0)
def export_person(
    name: str,
    /,
    *,
    model: str | None = None,
    output: Path | None = None,
    gallery: bool = True,
    session: Own,
) -> None:
    """Write a person's decoder as a file, for a model with the same encoder.

    Args:
        name: Who.
        model: The only model of the project when not given.
        output: The file; in the folder exports when not given.
        gallery: Put the person's gallery into the file, too: up to 200 of their own pictures.
    """
    with session.progress() as progress:
        project = session.project()
        report = project.export_person(name, model, output, progress, gallery=gallery)
    session.say(
        f"{report.file}: the decoder of {name} in {report.model} "
        f"({report.label.network} at {report.label.size} px, {report.label.consent.footing}).",
        *_kept(report, "The file holds"),
        f"Next: understudy person import {word(report.file)} --model MODEL",
    )


def _kept(report: DecoderReport, begin: str) -> list[str]:
    """What is said of the gallery in a file, if there is one."""
    if not report.pictures:
        return []
    return [f"{begin} a gallery of {count(report.pictures, 'picture')} of {report.person}."]


@person.command(name="import", sort_key=1)
def import_person(
    file: Path,
    /,
    *,
    model: str | None = None,
    statement: Path | None = None,
    session: Own,
) -> None:
    """Take a person's decoder from a file into a model with the same encoder.

    Args:
        file: What `understudy person export` wrote.
        model: The only model of the project when not given.
        statement: The written agreement, for somebody new to the project who granted the use.
    """
    with session.progress() as progress:
        report = session.project().import_person(file, model, statement, progress)
    session.say(
        f"{report.person} is in {report.model} now ({report.label.consent.footing}).",
        *_kept(report, "With them came"),
        f"Next: understudy convert FILM --replace any --with {report.person} "
        f"--model {report.model}",
    )


@person.command(name="remove", sort_key=2)
def remove_person(name: str, /, *, session: Own) -> None:
    """Remove a person: footage, faces, consent, their decoder in every model, and what is cached.

    There is no way back. Films that were made are listed and stay.

    Args:
        name: Who.
    """
    with session.progress() as progress:
        report = session.project().remove_person(name, progress)
    session.say(f"{name} was removed:", *(f"  {one}" for one in report.removed))
    if report.renders:
        session.say("Made with them, and still there:", *(f"  {one}" for one in report.renders))
    if report.elsewhere:
        session.say(
            "Made with them too, by the records of this installation, and not in the renders "
            "folder (written elsewhere, moved or deleted):",
            *(f"  {one}" for one in report.elsewhere),
        )
    if report.models:
        session.say(
            f"What {' and '.join(report.models)} learned from them with the encoder stays in it; "
            "only a model trained anew has nothing of it."
        )

"""Commands for one person of a project: export, import or remove them."""

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
    """Write a person's decoder to a file, for another model with the same encoder.

    Args:
        name: Person to export.
        model: Model of the project. Default: the project's only model.
        output: File to write. Default: a file in the folder exports.
        gallery: Include the person's gallery: up to 200 of their own pictures.
    """
    with session.progress() as progress:
        project = session.project()
        report = project.export_person(name, model, output, progress, gallery=gallery)
    session.say(
        f"{report.file}: the decoder of {name} in {report.model} "
        f"({report.label.network} at {report.label.size} px, {report.label.consent.footing}).",
        *_kept(report, "The file contains"),
        f"Next: understudy person import {word(report.file)} --model MODEL",
    )


def _kept(report: DecoderReport, begin: str) -> list[str]:
    """The line about the gallery in a file, if it has one."""
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
    """Add a person's decoder from a file to a model with the same encoder.

    Args:
        file: File written by `understudy person export`.
        model: Model of the project. Default: the project's only model.
        statement: File with the written agreement, for a person new to the project whose consent
            has the basis `granted`.
    """
    with session.progress() as progress:
        report = session.project().import_person(file, model, statement, progress)
    session.say(
        f"{report.model} now contains {report.person} ({report.label.consent.footing}).",
        *_kept(report, "Imported with it:"),
        f"Next: understudy convert FILM --replace any --with {report.person} "
        f"--model {report.model}",
    )


@person.command(name="remove", sort_key=2)
def remove_person(name: str, /, *, session: Own) -> None:
    """Remove a person: footage, faces, consent, their decoder in every model, and cached files.

    It cannot be undone. Films made with this person are kept and listed.

    Args:
        name: Person to remove.
    """
    with session.progress() as progress:
        report = session.project().remove_person(name, progress)
    session.say(f"{name} was removed:", *(f"  {one}" for one in report.removed))
    if report.renders:
        session.say(
            "These outputs were made with this person and still exist:",
            *(f"  {one}" for one in report.renders),
        )
    if report.elsewhere:
        session.say(
            "Also made with this person, according to the records of this installation, but not "
            "in the renders folder (written elsewhere, moved or deleted):",
            *(f"  {one}" for one in report.elsewhere),
        )
    if report.models:
        session.say(
            f"The shared encoder of {' and '.join(report.models)} still contains what it learned "
            "from this person; only retraining from scratch removes that."
        )

"""Commands that exchange files with other programs: export, import-faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from understudy.cli.commands.app import DEFAULTS, SCAN, Own, app, count, given, passed_over
from understudy.errors import MediaError
from understudy.models.onnx.card import Kind
from understudy.safeguards.consent_gate import Footing
from understudy.settings import ExtractSettings, ScanSettings


@app.command(sort_key=9)
def export(
    person: str,
    /,
    *,
    model: str | None = None,
    kind: Kind = "dfm",
    replace: str | None = None,
    output: Path | None = None,
    session: Own,
) -> None:
    """Write a trained person as one file that other programs read.

    Needs the extra `export`: pip install 'understudy[export]'

    Args:
        person: Source: the person whose face is exported.
        model: Model of the project. Default: the project's only model.
        kind: dfm (for DeepFaceLive, facefusion and similar programs) or onnx (the plain network).
        replace: Target: take the mask of the replaced face from this person's decoder, which is
            then part of the file. For films in which only this person is replaced.
        output: File to write. Default: a file in the project's folder `exports`.
    """
    project = session.project()
    with session.progress() as progress:
        report = project.export(person, model, kind, replace, output, progress)
    card = report.card
    session.say(
        f"{report.output}: {report.bytes / 1e6:.1f} MB, image size {report.side} px.",
        f"Largest difference between torch and ONNX Runtime: {card.difference:.1g}, "
        f"over {card.checked} held-out faces.",
        f"Next: understudy convert FILM --model {report.output} --replace "
        f"{replace or 'NAME'} --with {person}",
    )


@app.command(sort_key=10, help_epilogue=DEFAULTS)
def import_faces(
    person: str,
    /,
    *pictures: Path,
    consent: Footing | None = None,
    statement: Path | None = None,
    settings: Annotated[ExtractSettings | None, Parameter(name="*")] = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=SCAN)] = None,
    session: Own,
) -> int:
    """Add faces that another program cut out to a person's faceset.

    Reads face pictures of faceswap, or any folder of faces. Each face is detected and aligned
    again; faces of other people are left out. Importing the same pictures again changes nothing.

    Args:
        person: Person whose faces these are; may be new to the project.
        pictures: Pictures and folders of pictures; they are not changed.
        consent: Basis on which the face may be used; needed once for each person. self: the face
            is yours. granted: the person agreed in writing. synthetic: the face is generated and
            belongs to no real person.
        statement: File with the written agreement, for `granted`.
    """
    with session.progress() as progress:
        report = session.project().import_faces(
            person, pictures, consent, statement, progress, **given(settings, scan)
        )
    parts = [f"Imported {count(report.added, 'face')} of {person}"]
    if report.already:
        parts.append(f"{report.already} already there")
    if report.others:
        parts.append(f"{report.others} of other people left out")
    if report.refused:
        parts.append(f"{len(report.refused)} refused, see above")
    session.say(
        ", ".join(parts) + ".",
        *passed_over(report.passed_over),
        f"The faceset of {person} now has {report.faces} faces.",
        "Next: understudy train",
    )
    return MediaError.exit_code if report.refused else 0

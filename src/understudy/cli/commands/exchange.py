"""Commands between this and other programs: export, import-faces."""

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
        person: Whose face.
        model: The only model of the project when not given.
        kind: dfm (DeepFaceLive, facefusion and their like) or onnx (the network as it is).
        replace: Take the mask of the face below from this person's decoder, which then goes into
            the file as well: for a film in which just this person is replaced.
        output: The file; in the project's folder `exports` when not given.
    """
    project = session.project()
    with session.progress() as progress:
        report = project.export(person, model, kind, replace, output, progress)
    card = report.card
    session.say(
        f"{report.output}: {report.bytes / 1e6:.1f} MB, pictures of {report.side} px.",
        f"torch and ONNX Runtime differ by {card.difference:.1g} at most, "
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
    """Take faces that were cut out elsewhere into a person's faceset.

    Face pictures of faceswap, or any folder of faces. Each face is found and aligned anew; faces
    of somebody else stay out. The same pictures given again change nothing.

    Args:
        person: Whose faces; somebody new when there is no such person yet.
        pictures: Pictures and folders of them; they stay as they are.
        consent: On what footing the face may be used; needed once for each person. self: it is
            yours. granted: the person agreed in writing. synthetic: it is nobody's.
        statement: The written agreement, for granted.
    """
    with session.progress() as progress:
        report = session.project().import_faces(
            person, pictures, consent, statement, progress, **given(settings, scan)
        )
    parts = [f"Imported {count(report.added, 'face')} of {person}"]
    if report.already:
        parts.append(f"{report.already} there already")
    if report.others:
        parts.append(f"{report.others} of somebody else left out")
    if report.refused:
        parts.append(f"{len(report.refused)} refused, see above")
    session.say(
        ", ".join(parts) + ".",
        *passed_over(report.passed_over),
        f"{report.faces} faces of {person} are in the faceset.",
        "Next: understudy train",
    )
    return MediaError.exit_code if report.refused else 0

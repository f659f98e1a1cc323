"""Commands between this and other programs: export."""

from __future__ import annotations

from pathlib import Path

from understudy.commands.app import Own, app
from understudy.exchange.card import Kind


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

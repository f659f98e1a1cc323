"""One command for each stage: init, add, extract, train, convert, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from understudy.cli.commands.app import (
    DEFAULTS,
    ENCODE,
    SCAN,
    STOPPED,
    Own,
    Time,
    app,
    count,
    given,
    passed_over,
)
from understudy.conversion.request import WARP, Portrait, parse_swaps
from understudy.errors import MediaError, ProjectError, SettingsError
from understudy.models.onnx.card import is_exported
from understudy.project import Project
from understudy.runtime.filenames import word
from understudy.safeguards.consent_gate import Footing
from understudy.settings import (
    ConvertSettings,
    EncodeSettings,
    EvaluateSettings,
    ExtractSettings,
    ScanSettings,
    TrainSettings,
)

NAMED = 6
"""Largest number of people that the suggested next command names."""


@app.command(sort_key=0)
def init(folder: Path = Path(), /, *, session: Own) -> None:
    """Make a project folder.

    Args:
        folder: Folder to create; it may exist already. Default: the current folder.
    """
    project = Project.create(session.folder or folder)
    where = "" if project.folder == Path.cwd() else f"cd {word(folder)} && "
    session.say(
        f"Created a project in {project.folder}; its settings are in project.toml.",
        f"Next: {where}understudy add NAME FILES... --consent self|granted|synthetic",
    )


@app.command(sort_key=1)
def add(
    person: str,
    /,
    *files: Path,
    consent: Footing | None = None,
    statement: Path | None = None,
    session: Own,
) -> int:
    """Add footage of a person: videos, pictures, or folders of them.

    Args:
        person: Name for the person: lower-case letters, digits, '-' and '_'.
        files: Videos, pictures and folders to copy into the project.
        consent: Basis on which the face may be used; needed once for each person. self: the face
            is yours. granted: the person agreed in writing. synthetic: the face is generated and
            belongs to no real person.
        statement: File with the written agreement, for `granted`.
    """
    with session.progress() as progress:
        report = session.project().add(person, files, consent, statement, progress)
    parts = [f"Added {count(len(report.added), 'file')} of {person} ({report.footing})"]
    if report.already:
        parts.append(f"{len(report.already)} already there")
    if report.refused:
        parts.append(f"{len(report.refused)} refused, see above")
    session.say(", ".join(parts) + ".", *passed_over(report.passed_over))
    session.say(f"Next: understudy extract {person}")
    return MediaError.exit_code if report.refused else 0


@app.command(sort_key=2, help_epilogue=DEFAULTS)
def extract(
    *people: str,
    settings: Annotated[ExtractSettings | None, Parameter(name="*")] = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=SCAN)] = None,
    session: Own,
) -> None:
    """Find and align the faces in the footage. This makes each person's faceset.

    You can stop it and run it again. If the footage has not changed, it does nothing.

    Args:
        people: People whose footage is read. Default: every person of the project.
    """
    project = session.project()
    names = list(people) or project.people
    if not names:
        raise ProjectError(
            f"The project {project.folder} has no people yet.",
            "Add a person first: understudy add NAME FILES...",
        )
    for name in names:
        project.person(name)
    for name in names:
        with session.progress() as progress:
            report = project.extract(name, progress=progress, **given(settings, scan))
        session.say(f"{report.faces} faces of {name} are in {project.person(name).faces_folder}.")
    ready = project.people_with_faces
    session.say(
        f"Next: understudy train {' '.join(ready if len(ready) <= NAMED else ('PERSON', 'PERSON'))}"
        if len(ready) > 1
        else "Next: add and extract the second person, then: understudy train"
    )


@app.command(sort_key=3, help_epilogue=DEFAULTS)
def train(
    *people: str,
    name: str | None = None,
    add_person: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    freeze_encoder: Annotated[bool, Parameter(negative="")] = False,
    settings: Annotated[TrainSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> int:
    """Train a model on the facesets of two or more people: the sources and targets of later swaps.

    Ctrl-C stops and saves the model; the same command continues from there.

    Args:
        people: People to train. Default: those the model knows, or every person with a faceset.
        name: Name of the model. Default: the people's names joined by '-'.
        add_person: Person to add to an existing model. Repeat for each person.
        freeze_encoder: Train only the decoders of the people added; change nothing else.
    """
    project = session.project()
    with session.progress() as progress:
        report = project.train(
            people,
            name,
            progress,
            add=add_person,
            freeze_encoder=freeze_encoder,
            **given(settings),
        )
    session.say(
        f"{report.model}: {report.network} at {report.size} px, {report.steps} steps in "
        f"{report.minutes:.1f} minutes ({report.faces_per_second:.0f} faces/s).",
        f"The model, its previews and its log are in {report.folder}.",
    )
    if not report.finished:
        return STOPPED
    from understudy.models.base import network_class

    if not network_class(report.network).swaps:
        session.say(f"Next: understudy imagine --model {report.model}")
        return 0
    one, other = report.people[0], report.people[-1]
    if set(report.learned) != set(report.people):
        one, other = other, one
    session.say(
        f"Next: understudy convert FILM --replace {other} --with {one} --model {report.model}"
    )
    return 0


@app.command(sort_key=4, help_epilogue=DEFAULTS)
def convert(
    film: Path,
    /,
    *,
    replace: list[str] | None = None,
    with_: Annotated[str | None, Parameter(name="--with")] = None,
    model: str | None = None,
    face: str | None = None,
    swap_faces: Annotated[bool, Parameter(negative=())] = False,
    preview: Annotated[bool, Parameter(negative=())] = False,
    consent: Footing | None = None,
    statement: Path | None = None,
    output: Path | None = None,
    tracks: Path | None = None,
    start: Time | None = None,
    end: Time | None = None,
    settings: Annotated[ConvertSettings | None, Parameter(name="*")] = None,
    encode: Annotated[EncodeSettings | None, Parameter(name="*", group=ENCODE)] = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=SCAN)] = None,
    session: Own,
) -> None:
    """Swap faces in a film or picture: replace the face of a target with the face of a source.

    The target is the person in the film whose face is replaced; the source is the person whose
    face is inserted.

    One target: --replace ben --with ada. Several targets: --replace ben=ada --replace eva=chen.

    Without a trained model: --model warp takes the source's face from their faceset, and
    --model warp --face PHOTO takes it from a photo.

    You can stop it; the same command continues after the last finished segment.

    Args:
        film: Film or picture to convert; it is not changed. A picture becomes a picture.
        replace: Target: the person whose face is replaced, or `any` for every face. TARGET=SOURCE
            also names the source. Repeat for each target. Default with --face: `any`.
        with_: Source: the person whose face is inserted, unless --replace names one. A person that
            the model knows, or the person in the photo.
        model: Model of the project, an exported .dfm or .onnx file, or `warp` (no network).
            Default: the project's only model.
        face: Photo with the source's face, for --model warp. PHOTO#2 is its second face from the
            left.
        swap_faces: Exchange the two faces in a picture, for --model warp.
        preview: Convert nothing. Draw a few frames with each colour transfer and each blend, as
            one picture to compare by eye.
        consent: Basis on which faces of people outside the project may be used, for --model warp;
            as for `add`.
        statement: File with the written agreement, for `granted`.
        output: Film to write. Default: a file in the renders folder.
        tracks: File made by `understudy tracks` that names the source for each track. It takes
            precedence over --replace, which is then optional.
        start: Start at this time: seconds, or 1:02.5.
        end: Stop before this time.
    """
    if swap_faces:
        if any((replace, with_, face, tracks, start, end, preview)) or model not in (None, WARP):
            raise SettingsError(
                "--swap-faces exchanges the two faces of one picture and takes no other options.",
                f"Use only: understudy convert PICTURE --model {WARP} --swap-faces",
            )
        done = session.project().swap_faces(
            film,
            output=output,
            consent=consent,
            statement=statement,
            **given(settings, scan),
        )
        session.say(f"{done.output}: two faces exchanged.")
        return
    sitter = Portrait.parse(face).name if face else None
    rules = tracks is None or replace or with_
    swaps = parse_swaps(replace or [], with_, sitter) if rules else {}
    project = session.project()
    said: dict[str, Any] = {
        "replace": swaps,
        "model": model,
        "output": output,
        "start": start,
        "end": end,
        "face": face,
        "consent": consent,
        "statement": statement,
        "tracks": tracks,
        **given(settings, encode, scan),
    }
    if preview:
        with session.progress() as progress:
            sheet = project.preview(film, progress=progress, **said)
        session.say(
            *(f"Note: {note}" for note in sheet.notes),
            f"{sheet.output}: {count(len(sheet.times), 'frame')}, {count(len(sheet.rows), 'row')}.",
            "Next: run the command without --preview, with the options above the row you like.",
        )
        return
    with session.progress() as progress:
        report = project.convert(film, progress=progress, **said)
    session.say(*(f"Note: {note}" for note in report.notes))
    speed = f" ({report.frames_per_second:.1f} frames/s)" if report.frames_per_second else ""
    changed = f"{report.swapped} of them changed" if report.frames > 1 else "changed"
    session.say(f"{report.output}: {count(report.frames, 'frame')}, {changed}{speed}.")
    if report.side_by_side:
        session.say(f"Side by side: {report.side_by_side}")
    if report.matte:
        session.say(f"Alpha matte: {report.matte}")
    warped = face is not None or (model == WARP and WARP not in project.models)
    if warped or report.frames == 1 or is_exported(model) or tracks is not None:
        session.say(f"Next: understudy verify {word(report.output)}")
        return
    # One pair is measured at a time; the record next to the film names source and target.
    which = f" --replace {next(iter(swaps))}" if len(swaps) > 1 else ""
    session.say(
        f"Next: understudy evaluate --model {project.model(model)} --film {word(film)} "
        f"--swap {word(report.output)}{which}"
    )


@app.command(sort_key=5, help_epilogue=DEFAULTS)
def evaluate(
    *,
    model: str | None = None,
    film: Path | None = None,
    swap: Path | None = None,
    replace: str | None = None,
    with_: Annotated[str | None, Parameter(name="--with")] = None,
    truth: Path | None = None,
    truth_mask: Path | None = None,
    target_mask: Path | None = None,
    baseline: Path | None = None,
    output: Path | None = None,
    settings: Annotated[EvaluateSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """Measure the quality of a model and of a film made with it: figures and an HTML page.

    Args:
        model: Model of the project. Default: the project's only model.
        film: Film before conversion.
        swap: Film after conversion.
        replace: Target: the person who was replaced in `swap`.
        with_: Source: the person whose face was inserted.
        truth: Reference film that shows what the swap should look like, if you have one.
        truth_mask: Film that is white where the face is in `truth`.
        target_mask: Film that is white where the face is in `film`.
        baseline: Another swap of the same film to compare with, for example made with
            --model warp.
        output: Folder for the figures and the page. Default: the renders folder.
    """
    with session.progress() as progress:
        report = session.project().evaluate(
            model=model,
            film=film,
            swap=swap,
            replace=replace,
            with_=with_,
            truth=truth,
            truth_mask=truth_mask,
            target_mask=target_mask,
            output=output,
            progress=progress,
            baseline=baseline,
            **given(settings),
        )
    session.say(*str(report).split("\n"))

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
"""People whom the next command names, at most."""


@app.command(sort_key=0)
def init(folder: Path = Path(), /, *, session: Own) -> None:
    """Make a project folder.

    Args:
        folder: Where; the current folder when not given. It may exist.
    """
    project = Project.create(session.folder or folder)
    where = "" if project.folder == Path.cwd() else f"cd {word(folder)} && "
    session.say(
        f"Made a project in {project.folder}; its settings are in project.toml.",
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
    """Bring in footage of a person: videos, pictures, folders of them.

    Args:
        person: Name for the person: lower-case letters, digits, '-' and '_'.
        files: Videos, pictures and folders.
        consent: On what footing the face may be used; needed once for each person. self: it is
            yours. granted: the person agreed in writing. synthetic: it is nobody's.
        statement: The written agreement, for granted.
    """
    with session.progress() as progress:
        report = session.project().add(person, files, consent, statement, progress)
    parts = [f"Added {count(len(report.added), 'file')} of {person} ({report.footing})"]
    if report.already:
        parts.append(f"{len(report.already)} there already")
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
    """Find the faces in the footage and align them: makes each person's faceset.

    Can be stopped and run again; on unchanged footage it does nothing.

    Args:
        people: Whose footage; everybody's when not given.
    """
    project = session.project()
    names = list(people) or project.people
    if not names:
        raise ProjectError(
            f"There is nobody in {project.folder} yet.",
            "Add somebody first: understudy add NAME FILES...",
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
    """Train a model on the facesets of two or more people.

    Ctrl-C keeps what was learned; the same command goes on from there.

    Args:
        people: Who; when not given those whom the model knows, or everybody with a faceset.
        name: Of the model; the people's names joined by '-' when not given.
        add_person: Who joins a model that is there; once for each person.
        freeze_encoder: Train only the decoders of those who join; all else stays as it is.
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
    """Put other faces in the place of people's faces in a film.

    One person: --replace ben --with ada. Several at once: --replace ben=ada --replace eva=chen.

    Without a model, out of a person's faceset: --model warp; or out of a photo: --model warp --face
    PHOTO.

    Can be stopped; the same command goes on after the last finished segment.

    Args:
        film: The film to work on; it stays as it is. A picture becomes a picture.
        replace: Whose face goes: a person of the project, or `any` for every face; with
            =PERSON whose face comes instead. Once for each person; `any` with --face when not
            given.
        with_: Whose face comes, where --replace does not say: a person that the model knows, or
            whom the photo shows.
        model: Of the project, an exported file (.dfm, .onnx), or `warp` for no network; the only
            model of the project when not given.
        face: Photo whose face comes, for --model warp; PHOTO#2 is its second face from the left.
        swap_faces: Let the two faces in a picture change places, for --model warp.
        preview: Convert nothing: draw a few frames in each colour transfer and with other edges,
            as one picture to choose by eye.
        consent: On what footing faces that are not on file may be used, for --model warp; as for
            `add`.
        statement: The written agreement, for granted.
        output: The film to write; in the renders folder when not given.
        tracks: A file of `understudy tracks` that says who comes in each track; it wins over
            --replace, which may be left out then.
        start: Begin here, in seconds or as 1:02.5.
        end: End before here.
    """
    if swap_faces:
        if any((replace, with_, face, tracks, start, end, preview)) or model not in (None, WARP):
            raise SettingsError(
                "With --swap-faces two faces of one picture change places; nobody else is named.",
                f"Leave the rest out: understudy convert PICTURE --model {WARP} --swap-faces",
            )
        done = session.project().swap_faces(
            film,
            output=output,
            consent=consent,
            statement=statement,
            **given(settings, scan),
        )
        session.say(f"{done.output}: two faces changed places.")
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
            "Next: the same command without --preview, with the words above the row you like.",
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
    # One pair is measured at a time; the record beside the film knows who came for whom.
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
    """Measure how good a model, and a film made with it, is: numbers and a page with pictures.

    Args:
        model: Of the project; the only model of the project when not given.
        film: The film before conversion.
        swap: The film after conversion.
        replace: Who was replaced in `swap`.
        with_: Whose face came.
        truth: What the swap ought to look like, where that is known.
        truth_mask: Film that is white where the face is in `truth`.
        target_mask: Film that is white where the face is in `film`.
        baseline: Another swap of the film that this one must beat, for example --model warp's.
        output: Folder for the figures and the page; the renders folder when not given.
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

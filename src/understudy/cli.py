"""The command line: one command for each stage.

    understudy init film && cd film
    understudy add ada ada.mp4 --consent self
    understudy extract && understudy train --minutes 20
    understudy convert scene.mp4 --replace chen --with ada

Here words become settings, settings go to the stage of the same name, and what the stage
reports becomes words again. Exit codes: 0 done, 2 wrong use, 70 a fault of this program, 130
stopped with Ctrl-C; the others are listed in `errors.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import cyclopts
from cyclopts import App, Group, Parameter

from understudy.errors import MediaError, ProjectError, UnderstudyError
from understudy.project import Project
from understudy.settings import (
    ConvertSettings,
    EncodeSettings,
    EvaluateSettings,
    ExtractSettings,
    ScanSettings,
    Settings,
    TrainSettings,
)
from understudy.shell import Session, fault_log, seconds, tell, wrong_use
from understudy.trust.consent import Footing

FAULT = 70
STOPPED = 130

_HELP = """Learn a face, let it stand in for another, and prove what was made.

The way of a film, command by command: init, add, extract, train, convert, evaluate.
`understudy demo` goes all of it on two bundled synthetic people."""


Time = Annotated[Fraction, Parameter(converter=seconds, n_tokens=1, metavar="TIME")]
Own = Annotated[Session, Parameter(parse=False)]
_DEFAULTS = "What project.toml says comes before the defaults shown here."
_SCAN = Group("Finding faces", sort_key=10)
_ENCODE = Group("Writing films", sort_key=11)
_GLOBAL = Group("Everywhere", sort_key=20)

app = App(
    name="understudy",
    help=_HELP,
    help_format="plaintext",
    version=lambda: metadata.version("understudy"),
    suppress_keyboard_interrupt=False,
)
app["--help"].group = _GLOBAL
app["--version"].group = _GLOBAL
app.meta.group_parameters = _GLOBAL
app.meta.suppress_keyboard_interrupt = False


def _given(*settings: Settings | None) -> dict[str, Any]:
    """The settings that were named on the command line, and no defaults."""
    return {
        name: getattr(one, name)
        for one in settings
        if one is not None
        for name in one.model_fields_set
    }


@app.command(sort_key=0)
def init(folder: Path = Path(), /, *, session: Own) -> None:
    """Make a project folder.

    Args:
        folder: Where; the current folder when not given. It may exist.
    """
    project = Project.create(session.folder or folder)
    where = "" if project.folder == Path.cwd() else f"cd {quote(str(folder))} && "
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
    parts = [f"Added {_count(len(report.added), 'file')} of {person} ({report.footing})"]
    if report.already:
        parts.append(f"{len(report.already)} there already")
    if report.refused:
        parts.append(f"{len(report.refused)} refused, see above")
    if report.passed_over:
        parts.append(f"{report.passed_over} no film or picture by name")
    session.say(", ".join(parts) + ".", f"Next: understudy extract {person}")
    return MediaError.exit_code if report.refused else 0


@app.command(sort_key=2, help_epilogue=_DEFAULTS)
def extract(
    *people: str,
    settings: Annotated[ExtractSettings | None, Parameter(name="*")] = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=_SCAN)] = None,
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
            report = project.extract(name, progress=progress, **_given(settings, scan))
        session.say(f"{report.faces} faces of {name} are in {project.person(name).faces_folder}.")
    ready = project.people_with_faces
    session.say(
        f"Next: understudy train {' '.join(ready)}"
        if len(ready) > 1
        else "Next: add and extract the second person, then: understudy train"
    )


@app.command(sort_key=3, help_epilogue=_DEFAULTS)
def train(
    *people: str,
    name: str | None = None,
    settings: Annotated[TrainSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> int:
    """Train a model on the facesets of two or more people.

    Ctrl-C keeps what was learned; the same command goes on from there.

    Args:
        people: Who; everybody with a faceset when not given.
        name: Of the model; the people's names joined by '-' when not given.
    """
    project = session.project()
    with session.progress() as progress:
        report = project.train(people, name, progress=progress, **_given(settings))
    session.say(
        f"{report.model}: {report.network} at {report.size} px, {report.steps} steps in "
        f"{report.minutes:.1f} minutes ({report.faces_per_second:.0f} faces/s).",
        f"The model, its previews and its log are in {report.folder}.",
    )
    if not report.finished:
        return STOPPED
    one, other = report.people[0], report.people[-1]
    session.say(
        f"Next: understudy convert FILM --replace {other} --with {one} --model {report.model}"
    )
    return 0


@app.command(sort_key=4, help_epilogue=_DEFAULTS)
def convert(
    film: Path,
    /,
    *,
    replace: str,
    with_: Annotated[str, Parameter(name="--with")],
    model: str | None = None,
    output: Path | None = None,
    start: Time | None = None,
    end: Time | None = None,
    settings: Annotated[ConvertSettings | None, Parameter(name="*")] = None,
    encode: Annotated[EncodeSettings | None, Parameter(name="*", group=_ENCODE)] = None,
    scan: Annotated[ScanSettings | None, Parameter(name="*", group=_SCAN)] = None,
    session: Own,
) -> None:
    """Put one person's face in the place of another's in a film.

    Can be stopped; the same command goes on after the last finished segment.

    Args:
        film: The film to work on; it stays as it is.
        replace: Whose face goes: a person of the project, or `any` for every face.
        with_: Whose face comes: a person that the model knows.
        model: The only model of the project when not given.
        output: The film to write; in the renders folder when not given.
        start: Begin here, in seconds or as 1:02.5.
        end: End before here.
    """
    project = session.project()
    with session.progress() as progress:
        report = project.convert(
            film,
            replace,
            with_,
            model,
            output,
            start,
            end,
            progress,
            **_given(settings, encode, scan),
        )
    session.say(*(f"Note: {note}" for note in report.notes))
    session.say(
        f"{report.output}: {report.frames} frames, {report.swapped} of them changed"
        f" ({report.frames_per_second:.1f} frames/s)."
    )
    if report.side_by_side:
        session.say(f"Side by side: {report.side_by_side}")
    if report.matte:
        session.say(f"Alpha matte: {report.matte}")
    session.say(
        f"Next: understudy evaluate --model {project.model(model)} --film {quote(str(film))} "
        f"--swap {quote(str(report.output))}"
    )


@app.command(sort_key=5, help_epilogue=_DEFAULTS)
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
    output: Path | None = None,
    settings: Annotated[EvaluateSettings | None, Parameter(name="*")] = None,
    session: Own,
) -> None:
    """Measure how good a model, and a film made with it, is: numbers and a page with pictures.

    Args:
        model: The only model of the project when not given.
        film: The film before conversion.
        swap: The film after conversion.
        replace: Who was replaced in `swap`.
        with_: Whose face came.
        truth: What the swap ought to look like, where that is known.
        truth_mask: Film that is white where the face is in `truth`.
        target_mask: Film that is white where the face is in `film`.
        output: Folder for the figures and the page; the renders folder when not given.
    """
    with session.progress() as progress:
        report = session.project().evaluate(
            model,
            film,
            swap,
            replace,
            with_,
            truth,
            truth_mask,
            target_mask,
            output,
            progress,
            **_given(settings),
        )
    session.say(str(report))


@app.command(sort_key=7)
def doctor(
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    session: Own,
) -> int:
    """Say what this machine offers and what it lacks.

    Args:
        as_json: Print JSON.
    """
    from understudy.doctor import doctor as examine

    report = examine(session.folder or Path.cwd())
    if as_json:
        session.say(json.dumps(report.as_json(), indent=2))
    else:
        for check in report.checks:
            session.say(f"{check.level:<5} {check.name:<11} {check.text}")
            if check.remedy:
                session.say(f"{'':<17} -> {check.remedy}")
        session.say("All that is needed is here." if report.healthy else "Something is missing.")
    return 0 if report.healthy else 1


@app.command(sort_key=8)
def weights(*, session: Own) -> None:
    """Fetch the third-party weights now, to work offline later."""
    from understudy import weights as store

    with session.progress() as progress:
        store.fetch_all(progress)
    for state in store.status():
        session.say(f"{state.name}: {state.state}, {state.path} ({state.licence})")


@app.command(sort_key=6)
def demo(
    folder: Path = Path("out/demo"),
    *,
    minutes: float = 6.0,
    session: Own,
) -> None:
    """Go the whole way on two bundled synthetic people, in ten minutes on two cores.

    Args:
        folder: Where to work.
        minutes: Train for this long.
    """
    from understudy.demo import demo as show

    with session.progress() as progress:
        report = show(folder, minutes, progress)
    session.say(str(report))


@app.meta.default
def _launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    project: Path | None = None,
) -> int:
    """
    Args:
        project: Project folder; the one around the current folder when not given.
    """
    command, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
    if "session" in ignored:
        bound.arguments["session"] = Session(project)
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; no error leaves as a traceback.

    Args:
        words: what follows `understudy`; those of this process when not given.
    """
    words = list(sys.argv[1:] if words is None else words)
    try:
        result = app.meta(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except cyclopts.CycloptsError as error:
        wrong = wrong_use(error, next((word for word in words if word in app), ""))
        tell(wrong.problem, wrong.remedy)
        return wrong.exit_code
    except UnderstudyError as error:
        tell(error.problem, error.remedy)
        return error.exit_code
    except KeyboardInterrupt:
        tell("Stopped.", "What is finished is kept; run the same command to go on.")
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        with fault_log(words) as (log, path):
            log.exception("understudy %s: %s", metadata.version("understudy"), " ".join(words))
        tell(
            f"understudy itself failed ({type(error).__name__}: {error}).",
            f"Nothing finished is lost. Please report it with the file {path}",
        )
        return FAULT

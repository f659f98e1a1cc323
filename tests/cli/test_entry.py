from __future__ import annotations

import json
import sys
import types
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cyclopts import Token
from hypothesis import given
from hypothesis import strategies as st

from understudy import settings as settings_module
from understudy.cli.commands import STOPPED
from understudy.cli.entry import main
from understudy.cli.session import seconds
from understudy.conversion.request import ConversionRequest
from understudy.errors import ConsentError, MediaError, ProjectError, SettingsError, UnknownPerson
from understudy.media.images import write_image
from understudy.project import Project
from understudy.settings import AllSettings, EncodeSettings, ScanSettings, TrainSettings

COMMANDS = [
    "init",
    "add",
    "extract",
    "train",
    "convert",
    "evaluate",
    "demo",
    "person",
    "doctor",
    "weights",
]
FLAGS = {
    "extract": ("extract", "scan"),
    "train": ("train",),
    "convert": ("convert", "encode", "scan"),
    "evaluate": ("evaluate",),
}


class Spy:
    """Stands in for a stage: remembers what it was called with."""

    def __init__(self, outcome: BaseException | Any = None) -> None:
        self.outcome = outcome
        self.args: tuple[Any, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.args = args
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def in_place_of(monkeypatch: pytest.MonkeyPatch, module: str, stage: str, spy: Spy) -> None:
    """Let `spy` be the stage function of a module, without importing what the stage needs."""
    replaced = types.ModuleType(module)
    setattr(replaced, stage, spy)
    monkeypatch.setitem(sys.modules, module, replaced)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two people who have a faceset, and the current folder inside it."""
    project = Project.create(tmp_path / "film")
    for name in ("ada", "chen"):
        faces = project.place_of(name).faces_folder
        faces.mkdir(parents=True)
        (faces / "faces.parquet").touch()
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    positions = [shown.index(f"│ {command} ") for command in COMMANDS]
    assert positions == sorted(positions)
    assert "--project" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    for section in FLAGS.get(command, ()):
        for name in type(getattr(AllSettings(), section)).model_fields:
            assert f"--{name.replace('_', '-')} " in shown


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (["trian"], "train", "understudy --help"),
        (["train", "--minuts", "3"], "--minutes", "understudy train --help"),
        (["train", "--minutes", "-3"], "--minutes: Input should be greater than 0", "train"),
        (["train", "--minutes", "3", "--steps", "3"], "not both", "understudy train --help"),
        (["train", "--device", "abacus"], "abacus", "understudy train --help"),
        (["convert", "x", "--replace", "b", "--with", "a", "--end", "1:x"], "1:x", "convert"),
        (["add", "ada", "x", "--consent", "maybe"], "maybe", "understudy add --help"),
    ],
)
def test_wrong_use_is_told_in_two_lines(
    words: list[str], problem: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    first, second = lines(err)
    assert out == ""
    assert first.startswith("error: ")
    assert problem in first
    assert second.startswith("hint:  See: understudy")
    assert remedy in second


def test_an_error_is_told_in_two_lines_with_its_exit_code(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", "adda"]) == UnknownPerson.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert lines(err) == [
        f"error: There is no person `adda` in {project.folder}.",
        "hint:  Did you mean `ada`?",
    ]


def test_from_nothing_to_footage(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["add", "ada", str(film)]) == ProjectError.exit_code
    assert "understudy init" in capsys.readouterr().err
    assert main(["init", "work"]) == 0
    made, following = lines(capsys.readouterr().out)
    assert str(tmp_path / "work") in made
    assert following.startswith("Next: cd work && understudy add ")
    assert main(["add", "ada", str(film), "--project", "work"]) == ConsentError.exit_code
    assert "--consent self" in capsys.readouterr().err
    assert main(["--project", "work", "add", "ada", str(film), "--consent", "self"]) == 0
    assert lines(capsys.readouterr().out) == [
        "Added 1 file of ada (self).",
        "Next: understudy extract ada",
    ]
    (tmp_path / "bad.mp4").write_text("no film")
    monkeypatch.chdir(tmp_path / "work")
    assert main(["add", "ada", str(film), str(tmp_path / "bad.mp4")]) == MediaError.exit_code
    out, err = capsys.readouterr()
    assert "bad.mp4" in err
    assert lines(out)[0] == "Added 0 files of ada (self), 1 already there, 1 refused, see above."
    assert Project.open(tmp_path / "work").person("ada").footage[0].name == "a.mp4"


def test_flags_win_over_the_file_and_the_file_over_defaults(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "project.toml").write_text("[train]\nminutes = 3\nseed = 5\nsize = 96\n")
    spy = Spy(KeyboardInterrupt())
    in_place_of(monkeypatch, "understudy.training.train", "train", spy)
    main(["train"])
    assert spy.args[1:4] == (
        ["ada", "chen"],
        "ada-chen",
        TrainSettings(minutes=3, seed=5, size=96),
    )
    main(["train", "chen", "ada", "--name", "duo", "--seed", "0", "--steps", "7"])
    assert spy.args[1:4] == (
        ["chen", "ada"],
        "duo",
        TrainSettings(steps=7, seed=0, size=96),
    )


def test_what_is_said_of_a_conversion_arrives(
    project: Project, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.model_folder("duo").mkdir()
    spy = Spy(KeyboardInterrupt())
    in_place_of(monkeypatch, "understudy.conversion.convert", "convert", spy)
    words = ["convert", str(film), "--replace", "any", "--with", "ada", "--start", "0:10"]
    words += [
        "--end",
        "1:00:02.5",
        "--crf",
        "30",
        "--min-face",
        "40",
        "--matte",
        "--output",
        "o.mkv",
    ]
    main(words)
    assert spy.args[1] == ConversionRequest(
        film=film,
        swaps={"any": "ada"},
        model="duo",
        settings=settings_module.ConvertSettings(matte=True),
        scan=ScanSettings(min_face=40),
        encode=EncodeSettings(crf=30),
        output=Path("o.mkv"),
        start=Fraction(10),
        end=Fraction(7205, 2),
    )


def test_several_people_are_replaced_at_once(
    project: Project, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.model_folder("duo").mkdir()
    spy = Spy(KeyboardInterrupt())
    in_place_of(monkeypatch, "understudy.conversion.convert", "convert", spy)
    main(["convert", str(film), "--replace", "ben=ada", "--replace", "eva=chen"])
    assert spy.args[1].swaps == {"ben": "ada", "eva": "chen"}
    assert main(["convert", str(film), "--replace", "ben"]) == SettingsError.exit_code


def test_a_preview_is_asked_for_as_a_conversion_is(
    project: Project,
    film: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.model_folder("duo").mkdir()
    report = types.SimpleNamespace(output=Path("a.png"), times=[0] * 5, rows=[""] * 9, notes=[])
    spy = Spy(report)
    in_place_of(monkeypatch, "understudy.conversion.preview", "preview", spy)
    words = ["convert", str(film), "--replace", "ben", "--with", "ada", "--preview"]
    assert main([*words, "--feather", "0.2", "--start", "1", "--crf", "20"]) == 0
    assert spy.args[1] == ConversionRequest(
        film=film,
        swaps={"ben": "ada"},
        model="duo",
        settings=settings_module.ConvertSettings(feather=0.2),
        encode=EncodeSettings(crf=20),
        start=Fraction(1),
    )
    assert "a.png: 5 frames, 9 rows." in capsys.readouterr().out
    picture = film.with_suffix(".png")
    write_image(picture, np.zeros((8, 8, 3), np.uint8))
    assert main(["convert", str(picture), *words[2:]]) == SettingsError.exit_code
    assert main(["convert", str(picture), "--swap-faces", "--preview"]) == SettingsError.exit_code


def test_ctrl_c_is_no_error_of_ours(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_place_of(monkeypatch, "understudy.facesets.extract", "extract", Spy(KeyboardInterrupt()))
    assert main(["extract", "ada"]) == STOPPED == 130
    assert lines(capsys.readouterr().err)[-1].startswith("hint:  Finished work is kept")


@pytest.mark.parametrize("inside", [True, False])
def test_a_fault_leaves_a_log_and_no_traceback(
    inside: bool,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    in_place_of(
        monkeypatch, "understudy.facesets.extract", "extract", Spy(ZeroDivisionError("by chance"))
    )
    words = ["extract", "ada"]
    if not inside:
        monkeypatch.chdir(tmp_path)
        words += ["--project", str(project.folder)]
    assert main(words) == 70
    first, second = lines(capsys.readouterr().err)[-2:]
    assert first == "error: Internal error in understudy (ZeroDivisionError: by chance)."
    (log,) = project.cache_folder.glob("fault-*.log")
    assert second.endswith(str(log))
    text = log.read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: by chance" in text
    assert "understudy" in text
    assert "extract ada" in text


def test_doctor_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    value = json.loads(capsys.readouterr().out)
    assert code == (0 if value["healthy"] else 1)
    assert {"Python", "torch", "device", "threads"} <= {one["name"] for one in value["checks"]}


def _time(text: str) -> Fraction:
    return seconds(Fraction, [Token(value=text)])


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_times_are_exact(hours: int, minutes: int, whole: int, thousandths: int) -> None:
    right = hours * 3600 + minutes * 60 + whole + Fraction(thousandths, 1000)
    assert _time(f"{hours}:{minutes:02}:{whole:02}.{thousandths:03}") == right
    assert _time(str(float(right))) == right


@pytest.mark.parametrize(
    "text", ["", "x", "1:2:3:4", "1:-2", "1/2", "nan", "inf", "1::2", "1e400", "9" * 5000]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid time"):
        _time(text)


@pytest.mark.parametrize(("command", "takes"), [("convert", True), ("evaluate", False)])
def test_help_says_which_command_takes_an_exported_model(
    command: str, takes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert ("exported .dfm" in " ".join(capsys.readouterr().out.split())) is takes

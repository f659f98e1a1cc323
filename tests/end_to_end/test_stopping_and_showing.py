"""Ctrl-C at any time, words that mean something, and text that would control a terminal."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import understudy
from tests.support import small_files
from understudy.cli.commands import STOPPED
from understudy.cli.entry import main
from understudy.cli.progress_bar import Terminal
from understudy.cli.session import Session, tell
from understudy.errors import MediaError, ProjectError
from understudy.progress import Event
from understudy.project import Project
from understudy.runtime.filenames import plain

NASTY = "a\x1b]0;title\x07\x1b[2J\r\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}b\nerror: c"

INTERRUPTED = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "cyclopts":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from understudy.__main__ import main
sys.exit(main())
"""


def test_ctrl_c_while_the_program_loads_is_silent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ("", "")


def test_ctrl_c_that_a_library_takes_for_its_own_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def loading(*_: Any, **__: Any) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy.core failed to import") from error

    monkeypatch.setattr(Project, "find", loading)
    assert main(["extract"]) == STOPPED
    assert capsys.readouterr().err.startswith("error: Stopped.")


def test_all_of_the_interface_is_there_when_it_is_asked_for() -> None:
    assert all(getattr(understudy, name) is not None for name in understudy.__all__)
    assert set(dir(understudy)) >= set(understudy.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        understudy.__getattr__("nothing")


@pytest.mark.parametrize("name", ["any", "all", "auto", "none"])
def test_words_of_tracks_files_name_nobody(name: str, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    with pytest.raises(ProjectError, match="is a reserved word"):
        project.add(name, [small_files.film(tmp_path / "a.mp4")], consent="self")
    assert project.people == []


def test_somebody_who_has_such_a_name_can_be_removed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project")
    project.add("nona", [small_files.film(tmp_path / "a.mp4")], consent="self")
    (project.people_folder / "nona").rename(project.people_folder / "none")
    assert project.place_of("none").footage


def test_nothing_that_is_shown_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Session(None).say(NASTY)
    tell(f"{NASTY} is damaged.", NASTY)
    text = io.StringIO()
    with Terminal(Console(file=text)) as terminal:
        terminal.progress.note(NASTY)
        with terminal.progress.task(NASTY, "frames", 1) as task:
            task.step()
    said = capsys.readouterr()
    lines = (said.out + said.err + text.getvalue()).splitlines()
    assert len(lines) == 5
    assert all(plain(line) == line for line in lines)
    assert not any(line.startswith("error: c") for line in lines)


def test_a_bar_shows_no_controls_either() -> None:
    text = io.StringIO()
    with Terminal(Console(file=text, force_terminal=True, width=200)) as terminal:
        terminal._listen(Event("step", NASTY, 1, 3, "frames", 1.0, NASTY))
        terminal._bars.refresh()
    assert "title\x07" not in text.getvalue()
    assert "\x9b" not in text.getvalue()


def test_a_name_with_controls_through_the_whole_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_files.film(tmp_path / "x.mp4").rename(tmp_path / f"{NASTY}.mp4")
    assert main(["verify", str(path)]) == 21
    (tmp_path / f"{NASTY}.png").write_bytes(b"nonsense")
    assert main(["verify", str(tmp_path / f"{NASTY}.png")]) == MediaError.exit_code
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out + said.err

"""What the operating system says: files that vanish, dead links, disks that fail or are full,
readers that stop reading. One bad file costs itself and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import understudy.tracks.scan
from tests.support import small_files
from tests.support.studio import command
from understudy.cli.entry import main
from understudy.errors import MediaError, StorageError
from understudy.facesets import footage as collect
from understudy.facesets.faceset import Faceset
from understudy.media.video import probe
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.runtime import files
from understudy.runtime.installation import VARIABLE, Home
from understudy.verification.verify import verify

FAILING = Path("/proc/self/mem")
"""Opens as an ordinary file, and every read at its beginning fails with EIO."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """A folder with two good films and, between them by name, room for bad ones."""
    folder = tmp_path / "footage"
    folder.mkdir()
    small_files.film(folder / "a.mp4", 5)
    small_files.film(folder / "z.mp4", 6)
    return folder


def failing(path: Path) -> None:
    if not FAILING.exists():
        pytest.skip("no /proc here")
    path.symlink_to(FAILING)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "dead link": (lambda path: path.symlink_to("/nowhere/at.mp4"), "link to /nowhere/at.mp4"),
    "circle": (lambda path: path.symlink_to(path), "forms a loop"),
    "pipe": (os.mkfifo, "not a regular file"),
    "failing disk": (failing, "failed while reading"),
    "empty": (Path.touch, "is empty"),
    "nonsense": (lambda path: path.write_bytes(b"nonsense"), "not a readable video"),
}


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
@pytest.mark.parametrize("what", BAD)
def test_one_bad_file_in_a_folder(
    what: str, suffix: str, project: Project, footage: Path, tmp_path: Path
) -> None:
    make, problem = BAD[what]
    make(footage / f"m{suffix}")
    report = project.add("ada", [footage], consent="self")
    assert [entry.file for entry in report.added] == ["a.mp4", "z.mp4"]
    (refused,) = report.refused
    assert refused.path == footage / f"m{suffix}"
    if not (what == "nonsense" and suffix == ".png"):
        assert problem in refused.problem
    with pytest.raises(MediaError):
        probe(footage / f"m{suffix}")
    if what != "empty":
        with pytest.raises(MediaError):
            verify(footage / f"m{suffix}", Home(tmp_path / "home"))


def test_a_file_that_vanishes_and_a_name_too_long(project: Project, footage: Path) -> None:
    small_files.film(footage / "m.mp4", 7)

    def listen(event: Event) -> None:
        (footage / "m.mp4").unlink(missing_ok=True)

    given = [footage / "a.mp4", footage / "m.mp4", footage / ("n" * 300), footage / "z.mp4"]
    report = project.add("ada", given, consent="self", progress=Progress(listen))
    assert [entry.file for entry in report.added] == ["a.mp4", "z.mp4"]
    assert {one.path.name[0] for one in report.refused} == {"m", "n"}


def test_a_disk_that_fails_in_the_middle_of_a_copy(
    project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "_clone", lambda reading, writing: False)
    pour = collect._pour

    def failing(source: Path, reading: object, write: object) -> str:
        if source.name == "a.mp4":
            with files.reading_errors(source):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pour(source, reading, write)  # type: ignore[arg-type]

    monkeypatch.setattr(collect, "_pour", failing)
    report = project.add("ada", [footage], consent="self")
    assert [entry.file for entry in report.added] == ["z.mp4"]
    assert "failed while reading" in report.refused[0].problem
    left = project.person("ada").footage_folder
    assert [path.name for path in left.iterdir()] == ["z.mp4"]


def test_names_that_differ_by_case_alone(project: Project, tmp_path: Path) -> None:
    """A project may be copied to a disk that cannot tell them."""
    paths = []
    for frames, name in ((5, "Take.MP4"), (6, "take.mp4"), (7, "TAKE.mp4")):
        (tmp_path / str(frames)).mkdir()
        paths.append(small_files.film(tmp_path / str(frames) / name, frames))
    report = project.add("ada", paths, consent="self")
    names = [entry.file for entry in report.added]
    assert len({name.casefold() for name in names}) == 3
    assert names[0] == "Take.MP4"


def test_footage_that_cannot_be_read_any_more_keeps_its_faces(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what is new in the same run nothing is lost."""
    project = Project.open(folder / "project")
    place = project.person("red")
    before = set(Faceset.open(place.faces_folder).names)
    assert command(project.folder, "add", "red", folder / "scene.mp4") == 0
    place.footage[0].unlink()
    failing(place.footage_folder / "red.mp4")
    assert command(project.folder, "extract", "red") == 0
    after = set(Faceset.open(place.faces_folder).names)
    assert before < after
    assert "red.mp4 was skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENAMETOOLONG, "too long"),
        (errno.ELOOP, "loop"),
        (errno.ESTALE, "failed"),
        (errno.EINVAL, "does not allow such a name"),
    ],
)
def test_what_the_system_says_of_a_write(number: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=words), files.storage_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number), "x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS])
def test_the_system_s_faults_are_none_of_ours(
    number: int,
    project: Project,
    footage: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(understudy.tracks.scan, "film_hash", broken)
    monkeypatch.setattr(collect, "expand", broken)
    words = ["--project", str(project.folder), "add", "ada", str(footage), "--consent", "self"]
    assert main(words) == StorageError.exit_code
    said = capsys.readouterr().err
    assert os.strerror(number) in said
    assert "Internal error in understudy" not in said


def run(home: Path, words: list[str], **how: object) -> int:
    """A command line in a process of its own; its exit code."""
    environment = {**os.environ, VARIABLE: str(home)}
    line = [sys.executable, "-m", "understudy", *words]
    done = subprocess.run(line, env=environment, check=False, **how)  # type: ignore[call-overload]
    assert isinstance(done.returncode, int)
    return done.returncode


@pytest.mark.slow
def test_nobody_reads_the_output(footage: Path, tmp_path: Path) -> None:
    """`verify FILE | head -0`: it still ends as it would have ended."""
    words = ["verify", str(footage / "a.mp4"), str(footage / "z.mp4")]
    read, write = os.pipe()
    os.close(read)
    assert run(tmp_path / "home", words, stdout=write, stderr=write) == 21
    os.close(write)
    full = Path("/dev/full")
    if full.exists():
        with open(full, "w") as nowhere:
            done = subprocess.run(
                [sys.executable, "-m", "understudy", *words],
                stdout=nowhere,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert done.returncode == StorageError.exit_code
            assert "Standard output cannot be written" in done.stderr
            assert "Traceback" not in done.stderr
            assert run(tmp_path / "home", words, stdout=subprocess.DEVNULL, stderr=nowhere) == 21


def test_an_encoding_without_letters(
    footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    path = footage / "é.mp4"
    (footage / "a.mp4").rename(path)
    assert run(tmp_path / "home", ["verify", str(path)], stdout=subprocess.PIPE) == 21

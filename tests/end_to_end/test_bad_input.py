"""What bad input gets, through the command line: one clear message with a remedy, an exit code
that says so, and everything that was there before as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.painted_people import Act, film
from tests.support.studio import CONVERT, FRAMES, TRAIN, command
from understudy.errors import (
    CheckpointError,
    FacesError,
    MediaError,
    ProjectLocked,
    SettingsError,
    StorageError,
    UnderstudyError,
    UnknownModel,
    UnknownPerson,
)
from understudy.runtime.files import only_writer


@pytest.fixture
def project(folder: Path) -> Path:
    return folder / "project"


@pytest.fixture
def refused(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail in the stated way; gives what it says."""

    def run(kind: type[UnderstudyError], *words: str | Path) -> str:
        before = results(project)
        code = command(project, *words)
        said = capsys.readouterr().err
        assert code == kind.exit_code != 0, said
        told_plainly(said)
        assert results(project) == before
        return said

    return run


def told_plainly(said: str) -> None:
    """One problem and one remedy, no traceback."""
    assert said.count("error: ") == 1
    assert said.count("hint: ") == 1
    assert "Traceback" not in said


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody may write in the folder meanwhile."""
    modes = [(path, path.stat().st_mode) for path in (folder, *folder.rglob("*"))]
    for path, mode in modes:
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes:
            path.chmod(mode)


def results(project: Path) -> dict[str, bytes]:
    """Everything but the cache and lock files; nothing half-written may be among it."""
    found = {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }
    return {name: data for name, data in found.items() if not name.startswith("cache/")}


ROOT = Path(__file__).resolve().parents[2]


def process(project: Path, limit: int, *words: str | Path) -> tuple[int, str]:
    """Run a command in a process with limits, see `studio`; its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.studio", str(limit), str(project), *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def truncated(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:400])


def empty(path: Path, good: Path) -> None:
    path.touch()


def text(path: Path, good: Path) -> None:
    path.write_text("This is not a film. " * 100)


def only_sound(path: Path, good: Path) -> None:
    with wave.open(str(path.with_suffix(".wav")), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(np.zeros(8000, np.int16).tobytes())
    with av.open(str(path.with_suffix(".wav"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("aac", rate=8000)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    path.with_suffix(".wav").unlink()


@pytest.mark.parametrize("spoil", [truncated, empty, text, only_sound])
@pytest.mark.slow
def test_files_that_are_no_film(
    spoil: Callable[[Path, Path], None], folder: Path, refused: Callable[..., str]
) -> None:
    bad = folder / "bad.mp4"
    spoil(bad, folder / "scene.mp4")
    assert "bad.mp4" in refused(MediaError, "add", "green", bad, "--consent", "synthetic")
    assert "bad.mp4" in refused(MediaError, "convert", bad, *CONVERT)


def test_a_film_that_is_cut_off_gives_what_is_there(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = film(folder / "whole.mkv", FRAMES, [Act("green", 0, FRAMES, 90)])
    cut = folder / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert command(project, "add", "green", cut, "--consent", "synthetic") == 0
    assert command(project, "extract", "green") == 0
    out, err = capsys.readouterr()
    assert "cut off" in err
    faces = int(out.split(" faces of green")[0].split()[-1])
    assert 10 < faces < FRAMES


def test_a_video_with_no_face(folder: Path, project: Path, refused: Callable[..., str]) -> None:
    nobody = film(folder / "nobody.mp4", 12, [])
    assert command(project, "add", "green", nobody, "--consent", "synthetic") == 0
    assert "face" in refused(FacesError, "extract", "green")
    assert "nobody.mp4" in refused(FacesError, "convert", nobody, *CONVERT)
    assert refused(FacesError, "train", "red", "green", "--size", "64")


def test_fewer_faces_than_are_useful(
    folder: Path, project: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    three = film(folder / "three.mp4", 3, [Act("green", 0, 3, 90)])
    assert command(project, "add", "green", three, "--consent", "synthetic") == 0
    assert "too few" in refused(FacesError, "extract", "green")
    more = film(folder / "more.mp4", 9, [Act("green", 0, 9, 100)])
    assert command(project, "add", "green", more) == 0
    assert command(project, "extract", "green") == 0
    assert "There are only 12 faces of green" in capsys.readouterr().err


def test_two_processes_and_one_faceset(project: Path, refused: Callable[..., str]) -> None:
    lock = project / "people" / "red" / "faces" / ".writer.lock"
    with only_writer(lock, "the test"):
        assert "the faces of red" in refused(ProjectLocked, "extract", "red")


def test_two_projects_that_share_a_faceset(folder: Path, project: Path) -> None:
    """The folder of one person is a link into another project: the lock lies in the faceset."""
    other = folder / "other"
    assert command(other, "init", str(other)) == 0
    (other / "people").rmdir()
    (other / "people").symlink_to(project / "people")
    before = results(project)
    with only_writer(other / "people" / "red" / "faces" / ".writer.lock", "the test"):
        assert command(project, "extract", "red") == ProjectLocked.exit_code
    assert command(other, "extract", "red") == 0
    assert results(project) == before


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (2000, ("extract", "red")),
        (30000, (*TRAIN, "--steps", "6")),
        (2000, ("convert", "scene.mp4", *CONVERT)),
    ],
    ids=["extract", "train", "convert"],
)
@pytest.mark.slow
def test_a_full_disk(limit: int, words: tuple[str, ...], folder: Path, project: Path) -> None:
    shutil.rmtree(project / "cache")
    faces = project / "people" / "red" / "faces"
    if words[0] == "extract":
        shutil.move(faces, folder / "faces")
    before = results(project)
    words = tuple(str(folder / word) if word.endswith(".mp4") else word for word in words)
    code, said = process(project, limit, *words)
    assert code == StorageError.exit_code, said
    told_plainly(said)
    assert "is full" in said
    after = results(project)
    assert {name: data for name, data in after.items() if name in before} == before
    assert not (faces / "faces.parquet").exists() or words[0] != "extract"
    assert not [
        name for name in after if name.endswith((".mp4", ".parquet")) and name not in before
    ]
    assert command(project, *words) == 0
    if words[0] == "extract":
        assert (faces / "faces.parquet").read_bytes() == (
            folder / "faces" / "faces.parquet"
        ).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("extract", "red", "--every", "2"),
        (*TRAIN, "--steps", "6"),
        ("convert", "scene.mp4", *CONVERT),
    ],
    ids=["extract", "train", "convert"],
)
@pytest.mark.slow
def test_a_read_only_project(words: tuple[str, ...], folder: Path, project: Path) -> None:
    words = tuple(str(folder / word) if word.endswith(".mp4") else word for word in words)
    before = results(project)
    with read_only(project):
        code, said = process(project, -1, *words)
    assert code == StorageError.exit_code, said
    told_plainly(said)
    assert "is not writable" in said
    assert results(project) == before


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.slow
def test_a_read_only_home(begun: bool, folder: Path, project: Path, home: Path) -> None:
    """Where films cannot be entered and signed none is begun."""
    words = ("convert", str(folder / "scene.mp4"), *CONVERT)
    home.mkdir(parents=True)
    if begun:
        assert command(project, *words) == 0
        shutil.rmtree(project / "renders")
    before = results(project)
    with read_only(home):
        code, said = process(project, -1, *words)
    assert code == StorageError.exit_code, said
    told_plainly(said)
    assert "is not writable" in said
    assert str(home) in said
    assert results(project) == before


@pytest.mark.parametrize(
    ("section", "key", "meant", "words"),
    [
        ("extract", "sice = 256", "size", ("extract", "red")),
        ("train", "minuts = 3", "minutes", TRAIN),
        ("convert", "fether = 0.1", "feather", ("convert", "scene.mp4", *CONVERT)),
    ],
)
def test_a_misspelt_key(
    section: str,
    key: str,
    meant: str,
    words: tuple[str, ...],
    project: Path,
    refused: Callable[..., str],
) -> None:
    (project / "project.toml").write_text(f"[{section}]\n{key}\n")
    said = refused(SettingsError, *words)
    assert key.split()[0] in said
    assert meant in said


@pytest.mark.parametrize(
    ("kind", "words", "meant"),
    [
        (UnknownPerson, ("extract", "rad"), "red"),
        (UnknownPerson, ("train", "red", "bleu"), "blue"),
        (UnknownPerson, ("convert", "S", "--replace", "rde", "--with", "blue"), "red"),
        (UnknownPerson, ("convert", "S", "--replace", "red", "--with", "blu"), "blue"),
        (UnknownModel, ("convert", "S", *CONVERT, "--model", "dua"), "duo"),
        (UnknownModel, ("evaluate", "--model", "dua"), "duo"),
    ],
)
def test_unknown_names(
    kind: type[UnderstudyError],
    words: tuple[str, ...],
    meant: str,
    folder: Path,
    refused: Callable[..., str],
) -> None:
    scene = str(folder / "scene.mp4")
    assert f"`{meant}`" in refused(kind, *(scene if word == "S" else word for word in words))


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [halved, flipped])
def test_a_damaged_checkpoint(
    harm: Callable[[Path], None], folder: Path, project: Path, refused: Callable[..., str]
) -> None:
    for path in (project / "models" / "duo" / "checkpoints").glob("0*/*.safetensors"):
        harm(path)
    said = refused(CheckpointError, "convert", folder / "scene.mp4", *CONVERT)
    assert "safetensors" in said
    assert refused(CheckpointError, "evaluate", "--model", "duo")
    assert refused(CheckpointError, *TRAIN, "--steps", "6")


def test_a_copied_project_whose_links_became_folders_goes_on(project: Path) -> None:
    last = project / "models" / "duo" / "checkpoints" / "last"
    newest = last.resolve()
    last.unlink()
    shutil.copytree(newest, last)
    assert command(project, *TRAIN, "--steps", "4") == 0
    assert last.is_symlink()

"""Names that look like something else: an address, a pattern, an option, a command to a terminal.

Each film is the painted scene under another name; what comes of it is the same film.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.studio import CONVERT, FRAMES, command
from understudy.cli.entry import main
from understudy.errors import SettingsError, StorageError
from understudy.media.video import VideoReader, probe
from understudy.runtime.filenames import cut, plain, word
from understudy.runtime.files import clear_leftovers, fitting, read_json

NAMES = {
    "a protocol": "a:b.mp4",
    "a time": "2026-11-29T12:30:45.mp4",
    "the network": "http:x.mp4",
    "a list": "concat:a|b.mp4",
    "a stream": "pipe:0",
    "a file address": "file:x.mp4",
    "a pattern": "50%d.mp4",
    "a pattern of pictures": "50%03d.gif",
    "an option": "-x.mp4",
    "quotes": 'it\'s "it".mp4',
    "two lines": "new\nline.mp4",
    "colour": "\x1b[31mred\x07.mp4",
    "decomposed": "e\N{COMBINING ACUTE ACCENT}.mp4",
    "no text": os.fsdecode(b"\xff\xfe.mp4"),
    "long": f"{'n' * 251}.mp4",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_file_is_a_file(
    name: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All frames of it, by its bare name in the current folder."""
    shutil.copyfile(built / "scene.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)).container == "mov"
    with VideoReader(built / "scene.mp4") as whole, VideoReader(Path(name)) as frames:
        pairs = list(zip(whole, frames, strict=True))
    assert len(pairs) == FRAMES
    for truth, frame in pairs:
        assert frame.time == truth.time
        np.testing.assert_array_equal(frame.image, truth.image)


@pytest.mark.parametrize("what", ["a time", "two lines", "no text", "long"])
@pytest.mark.slow
def test_a_film_is_converted_and_verified(
    what: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, project = NAMES[what], folder / "project"
    (folder / "scene.mp4").rename(folder / name)
    monkeypatch.chdir(folder)
    assert command(project, "convert", name, *CONVERT) == 0
    said = capsys.readouterr()
    assert all(plain(line) == line for line in (said.out + said.err).splitlines())
    (film,) = project.joinpath("renders").glob("*.mp4")
    assert len(os.fsencode(film.name)) < 255
    assert film.name.isprintable()
    assert read_json(film.with_suffix(".json"))["film"]["name"] == name
    assert main(["verify", str(film)]) == 0
    assert command(project, "tracks", name) == 0
    (listed,) = project.joinpath("renders").glob("*.toml")
    assert command(project, "convert", name, "--tracks", listed, *CONVERT) == 0
    assert command(project, "add", "red", name) == 0
    capsys.readouterr()


@pytest.mark.parametrize("name", ["a:b.mp4", "pipe:1.mp4", f"{'m' * 240}.mp4"])
@pytest.mark.slow
def test_output_is_a_file_too(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert command(folder / "project", "convert", "scene.mp4", *CONVERT, "--output", name) == 0
    assert probe(Path(name)).frames == FRAMES
    assert main(["verify", name]) == 0
    assert not [one for one in folder.iterdir() if one.name.startswith(".")]


def test_a_name_that_no_disk_takes_is_told_before_the_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder / f"{'m' * 251}.mkv"
    words = ("convert", folder / "scene.mp4", *CONVERT, "--output", output)
    assert command(folder / "project", *words) == StorageError.exit_code
    said = capsys.readouterr().err
    assert "bytes; this disk allows" in said
    assert "frames" not in said


def test_a_dash_first_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.mp4").touch()
    assert main(["verify", "-x.mp4"]) == SettingsError.exit_code
    assert "./-x.mp4" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_word_of_a_shell_is_the_name_again(name: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    done = subprocess.run(
        ["bash", "-c", f"printf '%s' {word(name)}"], capture_output=True, check=True
    )
    assert os.path.normpath(os.fsdecode(done.stdout)) == name
    assert plain(word(name)) == word(name)


def test_short_names_stay_different(tmp_path: Path) -> None:
    one, other = (fitting(f"{'é' * 150}{last}", ".webm", tmp_path) for last in "ab")
    assert one != other
    assert len(os.fsencode(one)) <= 255 - 45
    assert fitting("short", ".webm", tmp_path) == "short"
    assert cut("e\N{COMBINING ACUTE ACCENT}", 2) == ""


def test_leftovers_of_long_names_go(tmp_path: Path) -> None:
    stem = "m" * 251
    for left in (f".{stem[:206]}.0abc_xyz.mp4", f"..{stem[:205]}.12345678.mp4"):
        (tmp_path / left).touch()
    kept = tmp_path / f".{stem[:100]}.0abc_xyz.mp4"
    kept.touch()
    clear_leftovers(tmp_path / f"{stem}.mp4")
    assert list(tmp_path.iterdir()) == [kept]


def test_all_opening_goes_through_one_place() -> None:
    root = Path(sys.modules["understudy"].__file__ or "").parent
    elsewhere = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "av.open(" in path.read_text(encoding="utf-8") and path.name != "address.py"
    ]
    assert elsewhere == []

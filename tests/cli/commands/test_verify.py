"""`understudy verify`: words, codes, page, and what is handed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.altered import decoded, marked

from tests.support.signed_media import NUMBER, STRENGTH, Made, film, scene, studio
from understudy.cli.entry import main
from understudy.errors import MediaError, SettingsError, TrustError
from understudy.runtime.installation import VARIABLE
from understudy.verification.verdict import EXIT_CODES

ALTERED, BROKEN = EXIT_CODES["altered"], EXIT_CODES["broken"]
UNKNOWN, STRANGER = EXIT_CODES["unknown"], EXIT_CODES["unknown signer"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def here(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On the machine that made the film, in an empty folder."""
    monkeypatch.setenv(VARIABLE, str(made.home.folder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def say(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> str:
    assert main(["verify", *map(str, words)]) == code
    out, err = capsys.readouterr()
    return out if out else err


def test_the_first_line_is_the_answer(
    made: Made, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = say(capsys, made.path).splitlines()
    assert lines[0] == (
        f"{made.path}: A face in it was replaced with this program, and nothing was changed since."
    )
    assert lines.index("Proved") < lines.index("Unknown")
    assert "Broken" not in lines


def test_several_files_get_a_line_each_and_the_worst_code(
    made: Made, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = here / "broken.mp4"
    broken.write_bytes(made.path.read_bytes() + b"x")
    other = film(here / "other.mp4", scene(9, 4))
    lines = say(capsys, made.path, broken, other, code=BROKEN).splitlines()
    assert [line.split(": ")[0] for line in lines[:3]] == [str(made.path), str(broken), str(other)]
    assert lines[1].startswith(f"{broken}: Do not rely on it")
    assert say(capsys, other, code=UNKNOWN)
    assert say(capsys, other, here / "none.mp4", code=MediaError.exit_code).startswith(str(other))


def test_json_is_a_line_for_each_file(
    made: Made, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (made.path, here / "none.mp4", "--json")
    lines = say(capsys, *words, code=MediaError.exit_code).splitlines()
    first, second = map(json.loads, lines)
    assert (first["outcome"], first["exit_code"], first["mark"]) == ("intact", 0, "c0ffee42")
    assert {one["tone"] for one in first["findings"]} == {"proved", "unknown"}
    assert second["outcome"] == "error"


def test_a_page_with_frames(made: Made, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = here / "<b>nothing.mp4"
    nothing.write_bytes(b"")
    page = here / "page.html"
    assert "Page: " in say(capsys, made.path, nothing, "--html", page, code=UNKNOWN)
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 4
    assert "A face in it was replaced with this program" in text
    assert "&lt;b&gt;nothing.mp4" in text
    assert "<b>nothing" not in text
    say(capsys, made.path, "--html", page)
    assert page.read_text(encoding="utf-8").count("<h1>") == 1


def test_a_film_is_checked_elsewhere_with_what_was_handed_over(
    made: Made, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = film(here / "copy.mp4", decoded(made.path), crf=16)
    words = ("--save-record", "record.json", "--save-trust", "ours.pem")
    assert "the record." in say(capsys, copy, *words, code=ALTERED)
    monkeypatch.setenv(VARIABLE, str(here / "elsewhere"))
    assert "Nothing here can prove it" in say(capsys, copy, code=UNKNOWN)
    told = say(capsys, copy, "--record", "record.json", code=STRANGER)
    assert "not on the trusted list" in told
    told = say(capsys, copy, "--record", "record.json", "--trust", "ours.pem", code=ALTERED)
    assert "Its record was found through the watermark in its pictures." in told
    assert say(capsys, made.path, code=STRANGER)
    assert say(capsys, made.path, "--trust", "ours.pem")
    forged = film(here / "forged.mp4", marked(scene(9), NUMBER, STRENGTH), crf=16)
    words = ("--record", "record.json", "--trust", "ours.pem")
    assert "do not rely on it" in say(capsys, forged, *words, code=BROKEN).lower()


def test_wrong_use_is_told(made: Made, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No file is given" in say(capsys, code=SettingsError.exit_code)
    words = (made.path, made.path, "--save-record", "a.json")
    assert "exactly one film" in say(capsys, *words, code=SettingsError.exit_code)
    other = film(here / "other.mp4", scene(9, 4))
    assert main(["verify", str(other), "--save-record", "a.json"]) == TrustError.exit_code
    assert "no record that matches" in capsys.readouterr().err
    assert not (here / "a.json").exists()
    assert say(capsys, here, code=MediaError.exit_code).startswith("error: ")

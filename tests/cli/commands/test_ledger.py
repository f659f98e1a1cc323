"""`understudy ledger`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from understudy.cli.entry import main
from understudy.errors import SettingsError, StorageError, TrustError
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home

HASHES = [f"{number:064x}" for number in range(3)]


@pytest.fixture
def filled(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Three renders, and an empty current folder."""
    monkeypatch.chdir(tmp_path)
    with Ledger.open(Home(home)) as log:
        for number, sha256 in enumerate(HASHES):
            log.append("render", {"record": 70 + number, "sha256": sha256})
    return Home(home)


def say(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["ledger", *words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 or out else err


def edit(home: Home) -> None:
    with closing(sqlite3.connect(home.ledger)) as database:
        database.execute("UPDATE entries SET entry = json_set(entry, '$.record', 7) WHERE leaf = 1")
        database.commit()


def test_entries_are_shown(filled: Home, capsys: pytest.CaptureFixture[str]) -> None:
    lines = say(capsys, "show").splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    assert lines[1].endswith(f"render: record 00000047, sha256 {HASHES[1][:12]}...")
    for words in (
        ("--leaf", "1"),
        ("--record", "00000047"),
        ("--record", "0x47"),
        ("--sha256", HASHES[1]),
    ):
        assert say(capsys, "show", *words).splitlines() == lines[1:2]
        (value,) = [json.loads(line) for line in say(capsys, "show", *words, "--json").splitlines()]
        assert (value["leaf"], value["record"], value["kind"]) == (1, 71, "render")
        assert value["sha256"] == HASHES[1]
    assert say(capsys, "show", "--last", "1").splitlines() == lines[2:]
    assert say(capsys, "show", "--record", "1") == "No entry found.\n"
    for wrong in ("seventy", "-1", "100000000"):
        told = say(capsys, "show", f"--record={wrong}", code=SettingsError.exit_code)
        assert "eight hexadecimal digits" in told


def test_an_audit_says_which_row(filled: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "audit").startswith("Nothing was changed: 3 entries; signed at ")
    assert json.loads(say(capsys, "audit", "--json"))["intact"]
    edit(filled)
    told = say(capsys, "audit", code=TrustError.exit_code)
    assert "Broken:\n  entry 1: was changed" in told
    assert told.endswith("The ledger was changed (3 entries).\n")
    report = json.loads(say(capsys, "audit", "--json", code=TrustError.exit_code))
    assert (report["intact"], report["size"]) == (False, 3)
    assert [one["where"] for one in report["findings"]] == ["entry 1"]


def test_a_kept_checkpoint_is_audited_against(
    filled: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "time " in say(capsys, "checkpoint")
    told = say(capsys, "checkpoint", "--output", "kept")
    assert told.startswith("kept: 3 entries, signed by the key ")
    assert say(capsys, "audit", "--against", "kept").startswith("Nothing was changed")
    filled.ledger.unlink()
    filled.ledger.with_suffix(".checkpoint").unlink()
    with Ledger.open(filled) as log:
        log.append("render", {"record": 1})
    told = say(capsys, "audit", "--against", "kept", code=TrustError.exit_code)
    assert "entries 1 to 2 of it missing at the end" in told
    Path("kept").write_text("nonsense")
    assert "not a checkpoint" in say(
        capsys, "audit", "--against", "kept", code=TrustError.exit_code
    )
    say(capsys, "audit", "--against", "missing", code=TrustError.exit_code)


def test_a_proof_goes_round(filled: Home, capsys: pytest.CaptureFixture[str]) -> None:
    say(capsys, "prove", "--record", "47", "--output", "one.json")
    assert json.loads(Path("one.json").read_text())["leaf"] == 1
    say(capsys, "prove", "--sha256", HASHES[2], "--output", "two.json")
    say(capsys, "prove", "--leaf", "0", "--output", "none.json")
    filled.ledger.unlink()
    told = say(capsys, "verify", "two.json")
    assert told.startswith("Entry 2 (render) is in the ledger that the key ")
    assert "Only the signer states the time" in told
    facts = json.loads(say(capsys, "verify", "two.json", "--json"))
    assert facts["entry"]["sha256"] == HASHES[2]
    say(capsys, "verify", "two.json", "--key", facts["key"])
    say(capsys, "verify", "two.json", "--key", "0011223344556677", code=TrustError.exit_code)
    proof = json.loads(Path("two.json").read_text())
    Path("bent.json").write_text(json.dumps({**proof, "leaf": 1}))
    assert "not in the signed log" in say(capsys, "verify", "bent.json", code=TrustError.exit_code)


def test_an_export_goes_round(filled: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "out.jsonl: 3 entries." in say(capsys, "export", "out.jsonl")
    assert "Nothing was changed: 3 entries" in say(capsys, "verify", "out.jsonl")
    edit(filled)
    say(capsys, "export", "out.jsonl")
    told = say(capsys, "verify", "out.jsonl", code=TrustError.exit_code)
    assert "entry 1 changed, replaced or inserted since" in told
    Path("in the way").write_text("")
    say(capsys, "export", "in the way/out", code=StorageError.exit_code)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", None])
def test_what_is_neither_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in say(capsys, "verify", str(path), code=TrustError.exit_code)


def test_no_network_unless_an_address_is_given(
    filled: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no default" in say(capsys, "anchor", code=SettingsError.exit_code)
    assert say(capsys, "anchor", "--upgrade") == "There is no anchor yet.\n"
    told = say(capsys, "anchor", "--calendar", "http://127.0.0.1:9")
    assert "It is pending; run `understudy ledger anchor --upgrade` later." in told
    assert "pending until a service can be reached" in say(capsys, "audit")
    assert "cannot be reached" in say(capsys, "anchor", "--upgrade")


def test_another_key_is_taken_up_on_purpose_only(
    filled: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (filled.keys / "operator.pem").unlink()
    told = say(capsys, "checkpoint", code=TrustError.exit_code)
    assert "understudy ledger checkpoint --new-key" in told
    say(capsys, "checkpoint", "--new-key")
    assert "signed by an earlier key" in say(capsys, "audit")


def test_somebody_is_forgotten(filled: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(filled) as log:
        digest = log.digest("ada", "Ada")
    asked = say(capsys, "forget", "ada", code=TrustError.exit_code)
    assert "understudy ledger forget ada --yes" in asked
    with Ledger.open(filled) as log:
        assert log.matches("ada", "Ada", digest), "it was only asked"
    assert "can no longer be linked" in say(capsys, "forget", "ada", "--yes")
    with Ledger.open(filled) as log:
        assert not log.matches("ada", "Ada", digest)
    assert "nothing was changed" in say(capsys, "forget", "ada", "--yes")


@pytest.mark.parametrize(
    "words",
    [
        ("prove", "--output", "x"),
        ("prove", "--leaf", "1", "--record", "2", "--output", "x"),
    ],
)
def test_it_must_be_clear_which(
    filled: Home, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert "Give one of" in say(capsys, *words, code=SettingsError.exit_code)


@pytest.mark.parametrize("words", [("show",), ("audit",), ("prove", "--leaf", "0")])
def test_without_a_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    output = ("--output", str(tmp_path / "x")) if words[0] == "prove" else ()
    assert "no ledger at" in say(capsys, *words, *output, code=TrustError.exit_code)

"""Films that cannot be signed: it is said why, and no unsigned film lies where a finished one is
expected."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.studio import CONVERT, command
from understudy.errors import StorageError, TrustError
from understudy.provenance.credentials.certificates import make_chain
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home
from understudy.verification.verify import verify

BEST = ("--crf", "0")
"""A film that is larger than a ledger of few entries."""


def convert(folder: Path, *words: str) -> int:
    return command(folder / "project", "convert", folder / "scene.mp4", *CONVERT, *words)


def films(folder: Path) -> list[Path]:
    """Files where finished ones are expected."""
    renders = folder / "project" / "renders"
    return sorted(path for path in renders.glob("*") if not path.name.startswith("."))


def own(folder: Path, begins: datetime) -> tuple[Path, Path]:
    """A certificate of the user's own, which the project is to sign with, and its key."""
    chain, key = make_chain(begins)
    paths = folder / "chain.pem", folder / "key.pem"
    paths[0].write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths[1].write_bytes(pem)
    paths[1].chmod(0o600)
    settings = folder / "project" / "project.toml"
    said = f'[trust]\ncertificate = "{paths[0]}"\nkey = "{paths[1]}"'
    settings.write_text(settings.read_text().replace("[trust]", said))
    return paths


def expired(folder: Path) -> None:
    own(folder, datetime.now(UTC) - timedelta(days=7000))


def clock_behind(folder: Path) -> None:
    own(folder, datetime.now(UTC) + timedelta(days=30))


def certificate_missing(folder: Path) -> None:
    own(folder, datetime.now(UTC))[0].unlink()


def key_missing(folder: Path) -> None:
    own(folder, datetime.now(UTC))[1].unlink()


def key_for_everybody(folder: Path) -> None:
    own(folder, datetime.now(UTC))[1].chmod(0o644)


def operator_key_lost(folder: Path) -> None:
    home = Home.from_environment()
    with Ledger.open(home) as ledger:
        ledger.append("render", {"record": 1})
    (home.keys / "operator.pem").unlink()


def ledger_edited(folder: Path) -> None:
    home = Home.from_environment()
    with Ledger.open(home) as ledger:
        ledger.append("render", {"record": 1})
        ledger.append("render", {"record": 2})
    home.ledger.with_suffix(".checkpoint").write_text("no checkpoint")


@pytest.mark.parametrize(
    ("trouble", "problem", "remedy"),
    [
        (expired, "expired on", "get a new certificate"),
        (clock_behind, "this computer's clock says", "Set the clock right"),
        (certificate_missing, "No certificate can be read", "restore it from a backup"),
        (key_missing, "cannot be read", "estore it from a backup"),
        (key_for_everybody, "Other users can read", "chmod 600"),
        (operator_key_lost, "was last signed by the key", "checkpoint --new-key"),
        (ledger_edited, "not a readable checkpoint", "ledger audit"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_is_said_and_nothing_is_begun(
    trouble: Callable[[Path], None],
    problem: str,
    remedy: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trouble(folder)
    assert convert(folder) == TrustError.exit_code
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert problem in said.partition("hint: ")[0]
    assert remedy in said.partition("hint: ")[2]
    assert "convert scene.mp4" not in said, "it is said before the work"
    assert films(folder) == []


def test_a_lost_key_is_told_before_a_training(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = folder / "project" / "models"
    (model,) = (one for one in models.iterdir() if not one.name.startswith("."))
    before = sorted(model.rglob("*"))
    operator_key_lost(folder)
    words = ["train", "--name", model.name, "--size", "64", "--minutes", "600"]
    assert command(folder / "project", *words) == TrustError.exit_code
    assert "was last signed by the key" in capsys.readouterr().err
    assert sorted(model.rglob("*")) == before


@pytest.mark.slow
def test_a_full_disk_under_the_signature(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is room for the film as it was joined, and none for the same with its signature."""
    assert convert(folder, *BEST) == 0
    (whole,) = (path for path in films(folder) if path.suffix == ".mp4")
    size, home = whole.stat().st_size, Home.from_environment()
    assert size > 2 * home.ledger.stat().st_size
    shutil.rmtree(whole.parent)
    words = ["convert", str(folder / "scene.mp4"), *CONVERT, *BEST]
    full = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.studio",
            str(size - 2000),
            str(folder / "project"),
            *words,
        ],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == StorageError.exit_code, full.stderr
    assert "is full" in full.stderr
    assert "read back" in full.stderr, "the film was there, unsigned"
    assert films(folder) == []
    assert convert(folder, *BEST) == 0
    assert verify(whole).outcome == "intact"


@pytest.mark.slow
def test_a_film_that_is_signed_already(folder: Path) -> None:
    """Made again it takes the place of the first; taken as a source it comes along."""
    assert convert(folder) == 0
    (film,) = (path for path in films(folder) if path.suffix == ".mp4")
    first = film.read_bytes()
    assert convert(folder) == 0
    assert [path for path in films(folder) if path.suffix == ".mp4"] == [film]
    assert verify(film).outcome == "intact"
    signed = folder / "signed.mp4"
    signed.write_bytes(first)
    assert command(folder / "project", "convert", signed, *CONVERT) == 0
    second = verify(film.with_name("signed-blue-for-red.mp4"))
    assert second.outcome == "intact"
    (ingredient,) = second.credentials.ingredients
    assert ingredient.state == "trusted"

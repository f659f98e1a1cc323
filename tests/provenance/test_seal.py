"""A finished file is sealed: looked at, entered, signed and recorded; and what may stand in the
way."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.support.painted_people import SIZE, Act, film, paint
from understudy.errors import StorageError, TrustError
from understudy.media.images import write_image
from understudy.provenance import records
from understudy.provenance.credentials import credentials
from understudy.provenance.credentials.certificates import make_chain
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.seal import (
    Origin,
    check_ready,
    clear_leftovers,
    facts_of,
    record_number,
    seal,
    sealed_file,
    signer_of,
    together,
)
from understudy.provenance.watermark.frames import Marker
from understudy.runtime import files
from understudy.runtime.installation import VARIABLE, Home
from understudy.safeguards.consent_gate import settle
from understudy.settings import TrustSettings

PLAIN = TrustSettings()
NUMBER = 0xC0FFEE42


@pytest.fixture
def origin() -> Origin:
    """Of a picture that a network made whole."""
    return Origin(NUMBER, None, None, "ab" * 32, {}, "corner", None, 42.0)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "unsigned.png"
    marker = Marker(SIZE, SIZE, NUMBER, 42.0)
    write_image(path, marker.rgb(paint([Act("red", 0, 1, 90)], 0)))
    return path


@given(st.text())
def test_numbers_fit_the_mark_and_stay(key: str) -> None:
    assert 0 <= record_number(key) < 2**32
    assert record_number(key) == record_number(key)


def test_other_conversions_have_other_numbers() -> None:
    assert len({record_number(f"key {index}") for index in range(1000)}) == 1000


def test_a_sealed_picture(home: Path, origin: Origin, still: Path, tmp_path: Path) -> None:
    before = still.read_bytes()
    finished = tmp_path / "finished.png"
    consent = settle("eva", None, "synthetic", None)
    origin = replace(origin, consents={"eva": consent})
    sealed = seal(still, finished, "eva.png", origin, PLAIN, marked=True)
    assert still.read_bytes() == before
    assert (sealed.mark, sealed.sidecar, sealed.notes) == ("found", None, ())
    assert sealed.sha256 == files.sha256(finished)
    told = {"sha256": sealed.sha256, "mark": "found", "credentials": "embedded"}
    assert facts_of(sealed) == told
    record = records.read(sealed.record)
    assert sealed.record.parent == home / "records"
    assert (record.kind, record.file, record.seconds) == ("still", "eva.png", 0.0)
    assert (record.width, record.height, record.sha256) == (SIZE, SIZE, sealed.sha256)
    facts = credentials.read(finished).facts
    assert facts == record.facts
    assert facts is not None
    assert facts.unsigned_sha256 == files.sha256(still)
    assert [one.id for one in facts.consents] == [consent.id]
    assert b"eva" not in finished.read_bytes(), "no name goes into the file"
    with Ledger.open(Home(home), write=False) as ledger:
        assert [one.values["kind"] for one in ledger.by_record(NUMBER)] == ["render", "finished"]


def test_a_mark_that_is_another_is_not_ours(origin: Origin, still: Path, tmp_path: Path) -> None:
    other = replace(origin, number=NUMBER + 1)
    sealed = seal(still, tmp_path / "finished.png", "x.png", other, PLAIN, marked=True)
    assert sealed.mark == "weak"
    assert "could not be read back" in sealed.notes[0]


def test_sealed_twice_it_is_the_same_but_for_the_signature(
    home: Path, origin: Origin, still: Path, tmp_path: Path
) -> None:
    made = [
        seal(still, tmp_path / f"{turn}.png", "x.png", origin, PLAIN, marked=True)
        for turn in range(2)
    ]
    assert made[0].sha256 != made[1].sha256
    assert made[0].record == made[1].record, "the record of the same file is replaced"
    (kept,) = records.find(Home(home), NUMBER)
    assert kept.sha256 == made[1].sha256


def test_a_time_stamp_that_was_not_to_be_had(origin: Origin, still: Path, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/"
    strict = TrustSettings(time_stamps=nobody)
    finished = tmp_path / "finished.png"
    with pytest.raises(TrustError, match="sent no time-stamp"):
        seal(still, finished, "x.png", origin, strict, marked=True)
    assert not finished.exists()
    lax = TrustSettings(time_stamps=nobody, without_time_stamp=True)
    sealed = seal(still, finished, "x.png", origin, lax, marked=True)
    assert sealed.notes == (f"{nobody} sent no time-stamp; signed without one.",)


@pytest.fixture
def own(tmp_path: Path) -> TrustSettings:
    """A certificate of the user's own."""
    chain, key = make_chain(datetime.now(UTC))
    (tmp_path / "chain.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "key.pem").chmod(0o600)
    return TrustSettings(certificate=str(tmp_path / "chain.pem"), key=str(tmp_path / "key.pem"))


def test_a_certificate_of_ones_own(
    home: Path, own: TrustSettings, origin: Origin, still: Path, tmp_path: Path
) -> None:
    signer = signer_of(own, Home(home))
    assert not list(home.glob("keys/*")), "no other is made then"
    finished = tmp_path / "finished.png"
    seal(still, finished, "x.png", origin, own, marked=True)
    assert credentials.read(finished).state == "unknown signer"
    assert credentials.read(finished, trusted=signer.anchor_pem).state == "trusted"


def test_nothing_is_sealed_with_a_certificate_that_is_missing(own: TrustSettings) -> None:
    Path(str(own.key)).unlink()
    with pytest.raises(TrustError) as caught:
        check_ready(own)
    assert caught.value.remedy


def test_what_is_sealed_with_is_made_ready(home: Path) -> None:
    check_ready(PLAIN)
    assert (home / "ledger.sqlite").is_file()
    assert (home / "records").is_dir()
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    check_ready(PLAIN)


@pytest.mark.parametrize("place", ["home", "home/keys", "home/records"])
def test_a_home_that_cannot_be_written(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file is in the way")
    with pytest.raises(StorageError, match=place) as caught:
        check_ready(PLAIN)
    assert caught.value.remedy


def test_a_ledger_that_is_none(home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite").write_text("This is no database. " * 100)
    with pytest.raises(TrustError, match="ledger"):
        check_ready(PLAIN)


# Credentials that lie beside a file


def test_credentials_beside_a_film_come_and_go_with_it(origin: Origin, tmp_path: Path) -> None:
    unsigned = film(tmp_path / "unsigned.mkv", 6, [Act("red", 0, 6, 90)])
    target = tmp_path / "out" / "matte.mkv"
    with sealed_file(target) as temporary:
        sealed = seal(unsigned, temporary, target.name, origin, PLAIN, marked=False, matte=True)
        assert not target.exists()
    assert (sealed.mark, facts_of(sealed)["credentials"]) == ("none", "sidecar")
    assert sealed.notes == ()
    (alone,) = together({"matte.mkv": sealed})
    assert alone.startswith("matte.mkv.c2pa has")
    (both,) = together({"film.mkv": sealed, "matte.mkv": sealed})
    assert both.startswith("film.mkv, matte.mkv cannot contain their credentials")
    assert records.read(sealed.record).kind == "matte"
    assert sorted(path.name for path in target.parent.iterdir()) == ["matte.mkv", "matte.mkv.c2pa"]
    assert credentials.read(target).intact
    kept = {path: path.read_bytes() for path in target.parent.iterdir()}

    class Stop(Exception):
        pass

    def stopped() -> None:
        with sealed_file(target) as temporary:
            seal(unsigned, temporary, target.name, origin, PLAIN, marked=False)
            raise Stop

    with pytest.raises(Stop):
        stopped()
    assert {path: path.read_bytes() for path in target.parent.iterdir()} == kept


def test_what_killed_processes_left_is_cleared(tmp_path: Path) -> None:
    target = tmp_path / "film.mkv"
    ours = (
        ".film.a1b2c3d4.mkv",
        "..film.a1b2c3d4.e5f6a7b8.mkv",
        ".film.a1b2c3d4.mkv.c2pa",
        "..film.a1b2c3d4.mkv.e5f6a7b8.c2pa",
    )
    theirs = (
        "film.mkv",
        "film.mkv.c2pa",
        ".film.mkv.c2pa",
        ".other.a1b2c3d4.mkv.c2pa",
        ".film.a1b2c3d4.mp4.c2pa",
        ".film-matte.a1b2c3d4.mkv.c2pa",
    )
    for name in (*ours, *theirs):
        (tmp_path / name).touch()
    clear_leftovers(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(theirs)
    clear_leftovers(tmp_path / "no folder" / "film.mkv")


def test_temporary_names_are_those_that_are_cleared(tmp_path: Path) -> None:
    """As `runtime.files.atomic` names them, one in another."""
    target = tmp_path / "film.mkv"
    with files.atomic(target) as outer, files.atomic(credentials.sidecar_of(outer)) as inner:
        assert len(list(tmp_path.iterdir())) == 2
        credentials.sidecar_of(outer).touch()
        clear_leftovers(target)
        assert list(tmp_path.iterdir()) == []
        outer.touch()
        inner.touch()

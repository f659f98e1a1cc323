"""What is known of each output, by the number in its mark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import StorageError, TrustError
from understudy.provenance.credentials.manifest import ConsentReference, Facts, Mark
from understudy.provenance.records import RenderRecord, find, number_text, read, write
from understudy.runtime.installation import Home

NUMBER = 0x0000BEEF


def record(unsigned: str = "1f", hour: int = 12, number: int = NUMBER) -> RenderRecord:
    facts = Facts(
        record=number_text(number),
        made_at=datetime(2026, 5, 1, hour, tzinfo=UTC),
        unsigned_sha256=unsigned * 32,
        source_sha256="cd" * 32,
        mark=Mark(algorithm="org.understudy.watermark.1", state="found"),
        consents=(ConsentReference(id="one", digest="ef" * 32),),
        label="corner",
    )
    return RenderRecord(
        number=number,
        kind="film",
        file="scene.mp4",
        sha256="ab" * 32,
        seconds=2.5,
        width=192,
        height=108,
        facts=facts,
        fingerprint=None,
        proof={"leaf": 3},
    )


@given(st.integers(0, 2**32 - 1))
def test_a_number_is_eight_digits_that_say_it(number: int) -> None:
    text = number_text(number)
    assert len(text) == 8
    assert int(text, 16) == number


def test_what_is_kept_is_found(home: Path) -> None:
    path = write(Home(home), record())
    assert path == home / "records" / "0000beef-1f1f1f1f1f1f1f1f.json"
    assert read(path) == record()
    assert find(Home(home), NUMBER) == [record()]
    assert find(Home(home), NUMBER + 1) == []


def test_several_outputs_have_one_number_and_the_newest_is_first(home: Path) -> None:
    for one in (record("1f", 12), record("2f", 14), record("3f", 13), record("4f", 1, 7)):
        write(Home(home), one)
    assert [one.facts.made_at.hour for one in find(Home(home), NUMBER)] == [14, 13, 12]


def test_the_record_of_the_same_file_is_replaced(home: Path) -> None:
    write(Home(home), record(hour=1))
    write(Home(home), record(hour=2))
    assert [one.facts.made_at.hour for one in find(Home(home), NUMBER)] == [2]


def test_nothing_is_found_where_nothing_was_made(home: Path) -> None:
    assert find(Home(home), NUMBER) == []


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2**32},
        {"number": -1},
        {"sha256": "AB" * 32},
        {"kind": "song"},
        {"schema_version": 2},
        {"more": 1},
        {"facts": {}},
    ],
)
def test_a_record_that_is_none_is_told(home: Path, change: dict[str, object]) -> None:
    path = write(Home(home), record())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TrustError, match=path.name) as caught:
        find(Home(home), NUMBER)
    assert caught.value.remedy


@pytest.mark.parametrize("spoilt", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_damaged_record_is_told(home: Path, spoilt: bytes) -> None:
    path = write(Home(home), record())
    path.write_bytes(spoilt)
    with pytest.raises(TrustError, match="cannot be read"):
        read(path)


def test_a_record_that_is_missing_or_cannot_be_kept(home: Path) -> None:
    with pytest.raises(TrustError, match="cannot be read"):
        read(home / "none.json")
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file")
    with pytest.raises(StorageError):
        write(Home(home), record())

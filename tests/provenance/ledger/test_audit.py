"""An audit finds every forgery."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.forged_ledgers import SIZE, audit, forge, rebuild, sha, told
from understudy.errors import TrustError
from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.entries import canonical
from understudy.provenance.ledger.export import verify_export
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import keys
from understudy.runtime.installation import Home


def test_an_untouched_ledger_is_intact(filled: Home) -> None:
    report = audit(filled)
    assert report.intact
    assert report.findings == ()
    assert report.size == SIZE
    assert report.newest
    assert report.newest.size == SIZE


def test_an_edited_row_is_found(filled: Home) -> None:
    forge(filled, "UPDATE entries SET entry = json_set(entry, '$.record', 77) WHERE leaf = 4")
    report = audit(filled)
    assert told(report) == ["entry 4: was changed: the tree has another hash of it"]
    with Ledger.open(filled, write=False) as log:
        for work in (lambda: log.prove(4), lambda: log.by_record(77), lambda: log.latest(9)):
            with pytest.raises(TrustError, match="changed after it was"):
                work()
        assert log.by_record(4) == []


def test_a_row_that_is_no_text_is_found(filled: Home) -> None:
    forge(filled, "UPDATE entries SET entry = CAST(x'7b2261223a22ff227d' AS TEXT) WHERE leaf = 4")
    assert told(audit(filled))[0] == "entry 4: was changed: the tree has another hash of it"


def test_a_blank_more_is_found(filled: Home) -> None:
    forge(filled, "UPDATE entries SET entry = replace(entry, ',', ', ') WHERE leaf = 4")
    assert "entry 4: has not the format of an entry" in told(audit(filled))


def test_a_removed_row_is_found(filled: Home) -> None:
    forge(filled, "DELETE FROM entries WHERE leaf = 4")
    assert told(audit(filled)) == ["entry 4: removed"]


def test_a_removed_row_with_the_gap_closed_is_found(filled: Home) -> None:
    forge(
        filled,
        "DELETE FROM entries WHERE leaf = 4",
        *(f"UPDATE entries SET leaf = {one - 1} WHERE leaf = {one}" for one in range(5, SIZE)),
    )
    found = told(audit(filled))
    assert found[:5] == [
        f"entry {one}: contains the content of entry {one + 1}" for one in range(4, SIZE - 1)
    ]
    assert any("entry 9 of it missing at the end" in one for one in found)


def test_exchanged_rows_are_found(filled: Home) -> None:
    forge(
        filled,
        "UPDATE entries SET leaf = 100 WHERE leaf = 2",
        "UPDATE entries SET leaf = 2 WHERE leaf = 6",
        "UPDATE entries SET leaf = 6 WHERE leaf = 100",
    )
    assert told(audit(filled)) == [
        "entry 2: contains the content of entry 6",
        "entry 6: contains the content of entry 2",
    ]


def test_an_inserted_row_is_found(filled: Home) -> None:
    forge(
        filled,
        *(
            f"UPDATE entries SET leaf = {one + 1} WHERE leaf = {one}"
            for one in reversed(range(4, SIZE))
        ),
        "INSERT INTO entries SELECT 4, json_set(entry, '$.record', 77) FROM entries WHERE leaf = 3",
    )
    found = told(audit(filled))
    assert found[0] == "entry 4: was changed: the tree has another hash of it"
    assert found[1] == "entry 5: contains the content of entry 4"


@pytest.mark.parametrize("leaf", [-1, SIZE])
def test_a_row_put_before_or_behind_is_found(filled: Home, leaf: int) -> None:
    forge(filled, f"INSERT INTO entries SELECT {leaf}, entry FROM entries WHERE leaf = 3")
    assert any(one.startswith(f"entry {leaf}: ") for one in told(audit(filled)))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_changed_hash_is_found(filled: Home, level: int) -> None:
    forge(filled, f"UPDATE nodes SET hash = zeroblob(32) WHERE level = {level} AND number = 0")
    assert told(audit(filled))


def test_a_hash_removed_or_too_many_is_found(filled: Home) -> None:
    forge(filled, "DELETE FROM nodes WHERE level = 1 AND number = 2")
    assert told(audit(filled)) == ["tree: the stored hash of entries 4 to 5 is wrong"]
    forge(filled, "INSERT INTO nodes VALUES (9, 0, zeroblob(32)), (9, 1, zeroblob(32))")
    assert "tree: contains hashes of missing entries" in told(audit(filled))


def test_a_forger_who_rebuilds_the_tree_is_found_by_the_signatures(filled: Home) -> None:
    forge(filled, "UPDATE entries SET entry = json_set(entry, '$.record', 77) WHERE leaf = 4")
    rebuild(filled)
    (found,) = told(audit(filled))
    assert re.fullmatch(
        r"checkpoint 5: signed at .*; entry 4 changed, replaced or inserted since", found
    )


CUT = (
    "DELETE FROM entries WHERE leaf >= 8",
    "DELETE FROM nodes WHERE (number + 1) << level > 8",
)


def test_a_cut_tail_is_found_by_the_newest_checkpoint(filled: Home) -> None:
    forge(filled, *CUT)
    found = told(audit(filled))
    assert any("checkpoint 10: " in one and "entries 8 to 9 of it missing" in one for one in found)


def test_a_cut_tail_with_its_checkpoints_is_found_by_a_copy(filled: Home) -> None:
    with Ledger.open(filled) as log:
        kept = log.checkpoint().note
    forge(filled, *CUT, "DELETE FROM checkpoints WHERE size > 8")
    assert any("checkpoint 10 from elsewhere" in one for one in told(audit(filled)))
    with Ledger.open(filled) as log, pytest.raises(TrustError, match="changed after it was"):
        log.append("render", {"record": 1})
    filled.ledger.with_suffix(".checkpoint").unlink()
    assert audit(filled).findings == ()
    (found,) = told(audit(filled, [kept]))
    assert "entries 8 to 9 of it missing at the end" in found


def test_an_older_copy_of_the_database_is_found(filled: Home, tmp_path: Path) -> None:
    old = filled.ledger.read_bytes()
    with Ledger.open(filled) as log:
        log.append("render", {"record": 99})
    filled.ledger.write_bytes(old)
    (found,) = told(audit(filled))
    assert "checkpoint 11 from elsewhere" in found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoints SET note = replace(note, 'time 2', 'time 3') WHERE size = 5",
        "UPDATE checkpoints SET note = 'nonsense' WHERE size = 5",
        "UPDATE checkpoints SET public = 'AAAA' WHERE size = 5",
        "UPDATE checkpoints SET size = 50 WHERE size = 5",
        "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 6) "
        "WHERE size = 5",
    ],
)
def test_a_changed_checkpoint_is_found(filled: Home, statement: str) -> None:
    forge(filled, statement)
    (found,) = told(audit(filled))
    assert found.startswith("checkpoint 5")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries WHERE leaf = 1; END",
        "DROP INDEX by_record",
    ],
)
def test_changed_tables_are_found(filled: Home, statement: str) -> None:
    forge(filled, statement)
    assert [one.split(":")[0] for one in told(audit(filled))] == ["database"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Twenty entries, a checkpoint over each six."""
    home = Home(tmp_path_factory.mktemp("kept"))
    with Ledger.open(home, every=6) as log:
        for number in range(20):
            log.append("render", {"record": number, "sha256": sha(number)})
        log.checkpoint()
    return home


def changed(texts: list[str], how: str, one: int, other: int) -> list[str]:
    """The entries after a forger was there."""
    texts = texts.copy()
    if how == "edit":
        texts[one] = canonical({**json.loads(texts[one]), "record": 1000 + other})
    elif how == "remove":
        del texts[one]
    elif how == "insert":
        texts.insert(one, canonical({**json.loads(texts[other]), "record": 1000}))
    elif how == "copy":
        texts[one] = texts[other]
    elif how == "exchange":
        texts[one], texts[other] = texts[other], texts[one]
    elif how == "move":
        texts.insert(other, texts.pop(one))
    else:
        del texts[one:]
    return texts


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["edit", "remove", "insert", "copy", "exchange", "move", "cut"]),
    st.integers(0, 19),
    st.integers(0, 19),
    st.booleans(),
)
def test_every_change_of_rows_is_found(
    kept: Home, how: str, one: int, other: int, hashes_too: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Home(Path(folder) / "home")
        shutil.copytree(kept.folder, copy.folder)
        with closing(sqlite3.connect(copy.ledger)) as database:
            rows = database.execute("SELECT entry FROM entries ORDER BY leaf").fetchall()
            before = [text for (text,) in rows]
            after = changed(before, how, one, other)
            database.execute("DELETE FROM entries")
            database.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(after))
            database.commit()
        if hashes_too:
            rebuild(copy)
        report = audit(copy)
        assert report.intact == (before == after)
        with Ledger.open(copy, write=False) as log:
            log.export(Path(folder) / "export")
        assert verify_export(Path(folder) / "export").intact == (before == after)


def test_a_time_that_goes_back_is_told(at: Home) -> None:
    times = iter(datetime(2026, 1, 31, tzinfo=UTC) - timedelta(days=day) for day in range(2))
    with Ledger.open(at, clock=lambda: next(times)) as log:
        log.append("render", {"record": 0})
        log.append("render", {"record": 1})
        report = log.audit()
    assert report.intact
    assert "the clock went back from 2026-01-31T00:00:00Z" in told(report, "unknown")[0]


def test_a_history_signed_by_another_key_is_found(filled: Home, tmp_path: Path) -> None:
    forger = keys.operator_key(Home(tmp_path / "forger"))
    forge(filled, "UPDATE entries SET entry = json_set(entry, '$.record', 77) WHERE leaf = 4")
    rebuild(filled)
    filled.ledger.with_suffix(".checkpoint").unlink()
    with closing(sqlite3.connect(filled.ledger)) as database:
        texts = [row[0] for row in database.execute("SELECT entry FROM entries ORDER BY leaf")]
        root = merkle.root(merkle.leaf_hash(text.encode()) for text in texts)
        signed = Checkpoint.sign(forger, SIZE, root, datetime.now(UTC))
        public = keys.public_text(forger.public_key())
        database.execute("DELETE FROM checkpoints")
        database.execute("INSERT INTO checkpoints VALUES (?, ?, ?)", (SIZE, signed.note, public))
        database.commit()
    (found,) = told(audit(filled))
    assert f"signed by the key {signed.key_id}, not by this installation's" in found

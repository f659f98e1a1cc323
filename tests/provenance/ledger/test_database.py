"""Busy, full and damaged disks."""

from __future__ import annotations

import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.forged_ledgers import SIZE, audit, forge
from understudy.errors import ProjectLocked, StorageError, TrustError, UnderstudyError
from understudy.provenance.ledger import database
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home


def test_one_that_writes_for_long_is_waited_for_no_longer(
    filled: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY", 0.1)
    with closing(sqlite3.connect(filled.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Ledger.open(filled) as log, pytest.raises(ProjectLocked, match="is writing to"):
            log.append("render", {"record": 1})


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets the disk be full from so many bytes in a file on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(("least", "said"), [(0, "is full|failed"), (1 << 62, "is full")])
def test_a_full_disk_loses_nothing(
    filled: Home,
    small_files: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    least: int,
    said: str,
) -> None:
    monkeypatch.setattr(database, "LEAST", least)
    with Ledger.open(filled) as log:
        log.append("render", {"record": 50})
        small_files(16 << 10)
        with pytest.raises(StorageError, match=said):
            log.append_all([("render", {"record": one}) for one in range(2000)])
        small_files(1 << 30)
        assert len(log) == SIZE + 1
        log.append("render", {"record": 51})
    assert audit(filled).findings == ()


@pytest.mark.parametrize("damage", [b"no database, " * 500, b"x" * 40])
def test_a_damaged_database_is_refused_and_stays(at: Home, damage: bytes) -> None:
    at.folder.mkdir(parents=True)
    at.ledger.write_bytes(damage)
    for write in (True, False):
        with pytest.raises(TrustError, match="damaged"):
            Ledger.open(at, write=write)
    assert at.ledger.read_bytes() == damage


def test_damage_to_any_byte_is_found_or_changes_nothing(filled: Home) -> None:
    whole = filled.ledger.read_bytes()
    with Ledger.open(filled, write=False) as log:
        entries, checkpoints = log.latest(SIZE), log.checkpoints()
    found = 0
    for place in range(100, len(whole), 397):
        bent = bytearray(whole)
        bent[place] ^= 0x55
        filled.ledger.write_bytes(bent)
        try:
            with Ledger.open(filled, write=False) as log:
                if not log.audit().intact:
                    found += 1
                    continue
                assert (log.latest(SIZE), log.checkpoints()) == (entries, checkpoints)
        except UnderstudyError:
            found += 1
    assert found


def test_another_kind_of_database_is_refused(at: Home) -> None:
    at.folder.mkdir(parents=True)
    forge(at, "CREATE TABLE other (x)")
    for write in (True, False):
        with pytest.raises(TrustError, match="not a ledger"):
            Ledger.open(at, write=write)


def test_without_a_ledger_nothing_is_made_to_read(at: Home) -> None:
    with pytest.raises(TrustError, match="no ledger at"):
        Ledger.open(at, write=False)
    assert not at.folder.exists()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="name of a needed folder"):
        Ledger.open(Home(tmp_path / "file" / "home"))


def test_a_home_that_cannot_be_made() -> None:
    with pytest.raises(StorageError, match="cannot be stored in /proc/nowhere") as caught:
        Ledger.open(Home(Path("/proc/nowhere")))
    assert "UNDERSTUDY_HOME" in caught.value.remedy


def test_it_is_read_where_nothing_can_be_written(filled: Home) -> None:
    # A folder in the place of SQLite's shared memory keeps even root from writing.
    filled.ledger.with_name("ledger.sqlite-shm").mkdir()
    report = audit(filled)
    assert (report.size, report.findings) == (SIZE, ())
    with Ledger.open(filled) as log, pytest.raises(StorageError, match="is not writable"):
        log.append("render", {"record": 1})
    assert audit(filled).size == SIZE

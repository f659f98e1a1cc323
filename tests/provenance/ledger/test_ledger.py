"""The ledger: what is entered is found, signed for, and survives kills."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest

from tests.support.forged_ledgers import SIZE, audit, forge, rebuild, sha, told
from understudy.errors import TrustError
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime import keys
from understudy.runtime.installation import Home


def test_entries_are_canonical_and_found_again(at: Home) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with Ledger.open(at, clock=lambda: now) as log:
        first = log.append("render", {"sha256": sha(1), "record": 7, "guard": "passed"})
        log.append("consent", {"record_digest": "ab" * 32, "purposes": ["train", "convert"]})
        again = log.append("render", {"sha256": sha(2), "record": 7})
        assert first.text == (
            f'{{"guard":"passed","kind":"render","record":7,"sha256":"{sha(1)}",'
            '"time":"2026-01-31T12:00:00Z"}'
        )
        assert len(log) == 3
        assert log.by_record(7) == [first, again]
        assert log.by_sha256(sha(1).upper()) == [first]
        assert log.by_record(8) == log.by_sha256(sha(9)) == []
        assert log.entry(0) == first
        assert log.entry(3) is None
        assert log.latest(2)[1] == again


def test_lookups_use_an_index(filled: Home) -> None:
    with closing(sqlite3.connect(filled.ledger)) as database:
        for name in ("record", "sha256"):
            plan = database.execute(
                f"EXPLAIN QUERY PLAN SELECT 1 FROM entries "
                f"WHERE json_extract(entry, '$.{name}') = ?",
                ("x",),
            ).fetchall()
            assert f"by_{name}" in str(plan)


def test_checkpoints_come_at_intervals_and_on_demand(at: Home) -> None:
    with Ledger.open(at, every=4) as log:
        for number in range(10):
            log.append("render", {"record": number})
        assert [one.size for one in log.checkpoints()] == [4, 8]
        with pytest.raises(TrustError, match="No checkpoint covers the entry 9"):
            log.prove(9)
        assert told(log.audit(), "unknown") == ["entries 8 to 9: not covered by a checkpoint yet"]
        log.checkpoint()
        assert log.audit().findings == ()
        log.prove(9)


def test_what_was_signed_is_never_signed_over(filled: Home) -> None:
    forge(filled, "UPDATE entries SET entry = json_set(entry, '$.record', 77) WHERE leaf = 4")
    rebuild(filled)
    with Ledger.open(filled) as log:
        for work in (lambda: log.append("render", {"record": 1}), log.checkpoint):
            with pytest.raises(TrustError, match="was changed after it was signed"):
                work()
        assert len(log) == SIZE


def test_a_lost_key_is_reported_and_can_be_followed_by_another(filled: Home) -> None:
    path = filled.keys / keys.OPERATOR
    path.unlink()
    report = audit(filled)
    assert report.intact
    assert "not by a known key" in told(report, "unknown")[0]
    assert not path.exists()
    old = report.newest
    assert old
    with Ledger.open(filled) as log:
        with pytest.raises(TrustError, match="Restore the old key"):
            log.append("render", {"record": 1})
        assert len(log) == SIZE
        new = log.adopt_key()
        assert new.key_id != old.key_id
        assert log.latest(1)[0].values["old"] == old.key_id
        log.append("render", {"record": 1})
        with pytest.raises(TrustError, match="already"):
            log.adopt_key()
        report = log.audit()
    assert report.intact
    assert told(report, "unknown")[0].startswith(f"checkpoints: {SIZE} signed by an earlier key")


APPEND = """
import sys
from pathlib import Path
from understudy.runtime.installation import Home
from understudy.provenance.ledger.ledger import Ledger
with Ledger.open(Home(Path(sys.argv[1]))) as log:
    for number in range(int(sys.argv[2])):
        several = [("render", {"record": number})] * int(sys.argv[3])
        sys.stdout.write(f"{log.append_all(several)[-1].leaf}\\n")
        sys.stdout.flush()
"""


def appending(home: Home, count: int, at_once: int = 1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", APPEND, str(home.folder), str(count), str(at_once)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_append_at_once(at: Home) -> None:
    workers = [appending(at, 40) for _ in range(2)]
    leaves = [int(line) for one in workers for line in one.communicate(timeout=100)[0].split()]
    assert [one.returncode for one in workers] == [0, 0]
    assert sorted(leaves) == list(range(80))
    report = audit(at)
    assert (report.size, report.findings) == (80, ())


@pytest.mark.parametrize("at_once", [1, 200])
@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_acknowledged(at: Home, at_once: int) -> None:
    size = 0
    for stop in (1, 5, 12):
        worker = appending(at, 100_000, at_once)
        assert worker.stdout
        for _ in range(stop):
            worker.stdout.readline()
        os.kill(worker.pid, signal.SIGKILL)
        acknowledged = stop + len(worker.stdout.read().splitlines())
        worker.stdout.close()
        assert worker.wait() == -signal.SIGKILL
        report = audit(at)
        assert report.findings == ()
        assert (report.size - size) / at_once in (acknowledged, acknowledged + 1)
        size = report.size

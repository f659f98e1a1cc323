"""A ledger, and what somebody could do to it who has no key."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.examination import Audit
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home

SIZE = 10


def sha(number: int) -> str:
    return f"{number:064x}"


def fill(home: Home) -> Home:
    """Begin a ledger of ten entries, each with a checkpoint after it."""
    with Ledger.open(home) as log:
        for number in range(SIZE):
            log.append("render", {"record": number, "sha256": sha(number)})
    return home


def audit(home: Home, against: list[str] | None = None) -> Audit:
    with Ledger.open(home, write=False) as log:
        return log.audit(against or [])


def told(report: Audit, level: str = "broken") -> list[str]:
    return [str(one) for one in report.findings if one.level == level]


def forge(home: Home, *statements: str) -> None:
    """Do with the database what somebody could who has no key."""
    with closing(sqlite3.connect(home.ledger)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def rebuild(home: Home) -> None:
    """Compute the whole tree anew over the entries as they are now."""
    with closing(sqlite3.connect(home.ledger)) as database:
        texts = [row[0] for row in database.execute("SELECT entry FROM entries ORDER BY leaf")]
        database.execute("DELETE FROM nodes")
        edge: list[bytes] = []
        for size, text in enumerate(texts):
            made = merkle.grow(edge, size, merkle.leaf_hash(text.encode()))
            database.executemany("INSERT INTO nodes VALUES (?, ?, ?)", made)
        database.commit()

"""The ledger's database file: its tables, how it is opened, and what its errors mean."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from understudy.errors import ProjectLocked, StorageError, TrustError

BUSY = 30.0
"""Seconds to wait for another process that is writing."""

LEAST = 1 << 18
"""Free bytes below which an error while writing is taken for a full disk."""

_SCHEMA = (
    "CREATE TABLE entries (leaf INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE INDEX by_record ON entries (json_extract(entry, '$.record')) "
    "WHERE json_extract(entry, '$.record') IS NOT NULL",
    "CREATE INDEX by_sha256 ON entries (json_extract(entry, '$.sha256')) "
    "WHERE json_extract(entry, '$.sha256') IS NOT NULL",
    "CREATE TABLE nodes (level INTEGER, number INTEGER, hash BLOB NOT NULL, "
    "PRIMARY KEY (level, number)) WITHOUT ROWID",
    "CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL, public TEXT NOT NULL)",
    "CREATE TABLE anchors (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, kind TEXT NOT NULL, "
    "urls TEXT NOT NULL, proof BLOB)",
)
"""The indexes are over the entries' text, so that there is no second copy to be edited. A proof
that is NULL waits for a service to be reached; addresses stand in lines."""

_VERSION = 1


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into this package's errors."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter over a damaged name in it
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _full(path)):
            raise StorageError(
                f"The disk is full; {path} cannot be written.",
                "Free some disk space and run the same command again; finished work is kept.",
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ProjectLocked(
                f"Timed out: another process is writing to {path}.",
                "Wait until it has finished, then run the same command again.",
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise StorageError(
                f"{path} is not writable ({error}).",
                "Give yourself write permission, or set UNDERSTUDY_HOME to another folder.",
            ) from error
        if code == sqlite3.SQLITE_IOERR:
            raise StorageError(
                f"The disk with {path} is full or failed ({error}).",
                "Free some space and check the disk, then run the same command again.",
            ) from error
        raise TrustError(
            f"The ledger {path} is damaged ({error}).",
            "Restore it from a backup, or move it to another place to start a new one.",
        ) from error


def _full(path: Path) -> bool:
    """Whether the disk is full; SQLite reports it by its own name only for the database itself."""
    try:
        return shutil.disk_usage(path.parent).free < LEAST
    except OSError:
        return False


def _connected(address: str) -> sqlite3.Connection:
    database = sqlite3.connect(address, uri=True, timeout=BUSY, isolation_level=None)
    database.text_factory = lambda data: data.decode(errors="surrogateescape")
    return database


def begun(path: Path) -> sqlite3.Connection:
    """Open for writing; missing tables are created."""
    database = _connected(f"{path.absolute().as_uri()}?mode=rwc")
    try:
        _to_wal(database)
        database.execute("PRAGMA synchronous = FULL")
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:
            database.execute("BEGIN IMMEDIATE")
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute("COMMIT")
        _of_ours(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _to_wal(database: sqlite3.Connection) -> None:
    """SQLite does not wait for others at this one statement."""
    end = time.monotonic() + BUSY
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def opened_to_read(path: Path) -> sqlite3.Connection:
    """Open for reading, also in a folder without write access."""
    address = path.absolute().as_uri()
    database = _connected(f"{address}?mode=ro")
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        database.close()
        wal = path.with_name(f"{path.name}-wal")
        read_only = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if error.sqlite_errorcode & 0xFF not in read_only or (wal.exists() and wal.stat().st_size):
            raise
        database = _connected(f"{address}?immutable=1")
    try:
        _of_ours(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _of_ours(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version != _VERSION:
        raise TrustError(
            f"{path} is not a ledger that this version can read (version {version}).",
            "Use the version that wrote it, or move it to another place to start a new one.",
        )


def unexpected(database: sqlite3.Connection) -> list[str]:
    """Damage that SQLite finds, and tables that differ from those created here."""
    problems = [str(row[0]) for row in database.execute("PRAGMA integrity_check(5)").fetchall()]
    found = set(database.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in _SCHEMA:
            fresh.execute(statement)
        meant = set(fresh.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
    return [
        *(text for text in problems if text != "ok"),
        *(f"{kind} `{name}` was changed" for kind, name, _ in sorted(found ^ meant, key=str)),
    ]

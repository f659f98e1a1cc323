"""The stored log: its transactions, its rows, and the hashes over them.

Whatever writes looks first whether the end of the log is still what was signed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from understudy.errors import StorageError, TrustError
from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.database import begun, database_errors, opened_to_read
from understudy.provenance.ledger.entries import Entry
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import files, keys
from understudy.runtime.installation import Home


@dataclass
class Tree:
    """The end of the log, as this connection knows it.

    Attributes:
        version: SQLite's count of what other connections wrote.
        edge: hashes of the frontier.
        newest: the checkpoint, which is known to agree with the log.
    """

    version: int
    size: int
    edge: list[bytes]
    newest: Checkpoint | None


class Log:
    """One connection to a ledger's database; queries go inside `reading` or `writing`.

    Attributes:
        database: the connection.
        home: whose ledger it is.
    """

    def __init__(self, database: sqlite3.Connection, home: Home) -> None:
        self.database = database
        self.home = home
        self._tree: Tree | None = None
        self._signed_here: Checkpoint | None = None

    @classmethod
    def open(cls, home: Home, *, write: bool) -> Self:
        """
        Args:
            write: begin a ledger where there is none; otherwise nothing is ever written.

        Raises:
            TrustError: there is none to read, or it is damaged.
            StorageError: it cannot be written.
        """
        path = home.ledger
        if write:
            home.make()
        elif not path.exists():
            raise TrustError(
                f"There is no ledger at {path} yet.", "The first consent or film creates it."
            )
        with files.storage_errors(path), database_errors(path):
            return cls(begun(path) if write else opened_to_read(path), home)

    def close(self) -> None:
        """Also keeps a copy of the newest checkpoint beside the database, if one was signed."""
        self.database.close()
        if self._signed_here:
            # What was entered is safe without it: an older copy only shows less.
            with contextlib.suppress(StorageError):
                files.write_bytes(self._copy_path, self._signed_here.note.encode())

    @contextmanager
    def writing(self) -> Iterator[Tree]:
        """One transaction, with the end of the log; nothing of it stays when it fails."""
        path = self.home.ledger
        with files.storage_errors(path), database_errors(path):
            self.database.execute("BEGIN IMMEDIATE")
            try:
                tree, self._tree = self._loaded(), None
                newest = tree.newest
                yield tree
                self.database.execute("COMMIT")
                if tree.newest != newest:
                    self._signed_here = tree.newest
                self._tree = tree
            finally:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the log, whatever others write meanwhile."""
        with database_errors(self.home.ledger):
            self.database.execute("BEGIN")
            try:
                yield
            finally:
                self.database.execute("ROLLBACK")

    def _loaded(self) -> Tree:
        version = self.number("PRAGMA data_version")
        if self._tree and self._tree.version == version:
            return self._tree
        size = self.number("SELECT ifnull(max(leaf), -1) + 1 FROM entries")
        hashed = self.number("SELECT ifnull(max(number), -1) + 1 FROM nodes WHERE level = 0")
        edge = [self.node(*one) for one in merkle.frontier(size)]
        newest = self._newest()
        copy = self.copy()
        if (
            size != hashed
            or (newest and not self.agrees(newest, size))
            or (copy and not self.agrees(copy, size))
        ):
            raise self.changed()
        return Tree(version, size, edge, newest)

    def agrees(self, checkpoint: Checkpoint, size: int) -> bool:
        """Whether the hashes stored over a log of `size` entries give the checkpoint's root."""
        return checkpoint.size <= size and (
            merkle.root_at(checkpoint.size, self.node) == checkpoint.root
        )

    def _newest(self) -> Checkpoint | None:
        """The last stored, if its signature is right."""
        row = self.database.execute(
            "SELECT note, public FROM checkpoints ORDER BY size DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        try:
            checkpoint, public = Checkpoint.parse(str(row[0])), keys.public_key(str(row[1]))
        except TrustError as error:
            raise self.changed() from error
        if not checkpoint.signed_by(public):
            raise self.changed()
        return checkpoint

    def copy(self) -> Checkpoint | None:
        """The copy beside the database, which shows when an old database was put back."""
        try:
            return Checkpoint.parse(self._copy_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, TrustError) as error:
            raise TrustError(
                f"{self._copy_path} is not a readable checkpoint.",
                "Move it to another place; `understudy ledger audit` then reports other errors.",
            ) from error

    @property
    def _copy_path(self) -> Path:
        return self.home.ledger.with_suffix(".checkpoint")

    def changed(self) -> TrustError:
        """What to raise where the log is not what was signed."""
        return TrustError(
            f"{self.home.ledger} was changed after it was signed.",
            "Run `understudy ledger audit` for details; restore it from a backup, or move it and "
            f"{self._copy_path.name} to another place to start a new one.",
        )

    def number(self, query: str) -> int:
        """What a query answers with one number."""
        return int(self.database.execute(query).fetchone()[0])

    def node(self, level: int, number: int) -> bytes:
        """As `stored`. Raises TrustError when there is none."""
        found = self.stored(level, number)
        if found is None:
            raise self.changed()
        return found

    def stored(self, level: int, number: int) -> bytes | None:
        """Hash of the `number`-th whole subtree of 2^level leaves; None when there is none."""
        row = self.database.execute(
            "SELECT hash FROM nodes WHERE level = ? AND number = ?", (level, number)
        ).fetchone()
        return bytes(row[0]) if row and isinstance(row[0], bytes) else None

    def found(self, condition: str, value: int | str) -> list[Entry]:
        """Entries, oldest first.

        Args:
            condition: SQL over `leaf` and `entry`, with one `?` for `value`.

        Raises:
            TrustError: one of them is not what was entered.
        """
        with self.reading():
            rows = self.database.execute(
                f"SELECT leaf, entry FROM entries WHERE {condition} ORDER BY leaf", (value,)
            )
            entries = [Entry(leaf, str(text)) for leaf, text in rows.fetchall()]
            if any(one.hash != self.stored(0, one.leaf) for one in entries):
                raise self.changed()
            return entries

    def where(self, value: bytes) -> int | None:
        """The leaf that was entered with this hash."""
        row = self.database.execute(
            "SELECT number FROM nodes WHERE level = 0 AND hash = ?", (value,)
        ).fetchone()
        return int(row[0]) if row else None

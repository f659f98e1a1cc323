"""The ledger: an append-only log of what was made, agreed and taken back, in SQLite.

Entries are the leaves of a Merkle tree (RFC 9162), and a checkpoint is the operator's signature
over the tree. It proves: this was entered here, not later than the checkpoint, and nothing before
it was changed since. The owner of the operator's key can write another history; a checkpoint that
was given away, or an anchor, shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.errors import TrustError
from understudy.provenance.ledger import merkle, proofs
from understudy.provenance.ledger.anchors import anchoring
from understudy.provenance.ledger.anchors.anchor import NOTHING, Anchor, Trusted
from understudy.provenance.ledger.audit import audited
from understudy.provenance.ledger.entries import Entry, Value, canonical, checked, stamp
from understudy.provenance.ledger.examination import Audit
from understudy.provenance.ledger.export import write_export
from understudy.provenance.ledger.log import Log, Tree
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.provenance.ledger.subjects import Subjects
from understudy.runtime import keys
from understudy.runtime.installation import Home


class Ledger:
    """The log of one installation; use as a context manager. Not for several threads at once.

    with Ledger.open(home) as ledger:
        entry = ledger.append("render", {"record": 7, "sha256": digest})
        proof = ledger.prove(entry.leaf)
    """

    def __init__(self, log: Log, every: int, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._every = every
        self._clock = clock
        self._subjects = Subjects(log.home)
        self._operator: Ed25519PrivateKey | None = None

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        write: bool = True,
        every: int = 1,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """
        Args:
            write: create a ledger if there is none; otherwise nothing is ever written.
            every: sign a checkpoint after this many entries without one. An entry is
                safe from a careful forger only then.
            clock: gives the time, aware.

        Raises:
            TrustError: it does not exist or is damaged.
            StorageError: it cannot be written.
        """
        return cls(Log.open(home, write=write), every, clock)

    def close(self) -> None:
        """Also keeps a copy of the newest checkpoint next to the database, if one was signed."""
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    def append(self, kind: str, values: Mapping[str, Value]) -> Entry:
        """Enter something; it is on disk and signed for when this returns.

        Args:
            kind: one of KINDS.
            values: lower-case names to digests (hex of 8 bytes or more), whole numbers, truth
                values, times, WORDS, None, and lists of such texts. `record` (number in the
                watermark) and `sha256` (of the finished file) are what can be looked up.

        Raises:
            TrustError: a value that may be personal; the log is damaged, was changed, or was
                last signed by another key.
            StorageError: no room, or no permission. Nothing was entered then.
            ProjectLocked: another process has been writing for half a minute.
        """
        return self.append_all([(kind, values)])[0]

    def append_all(self, items: Iterable[tuple[str, Mapping[str, Value]]]) -> list[Entry]:
        """Enter several things, all or none. As `append`."""
        allowed = [checked(kind, values) for kind, values in items]
        with self._log.writing() as tree:
            self._same_key(tree)
            return self._enter(tree, allowed)

    def check(self) -> None:
        """Check that an entry could be written, before the work that it will record.

        Raises: as `append`.
        """
        with self._log.writing() as tree:
            self._same_key(tree)

    def checkpoint(self) -> Checkpoint:
        """The operator's signature over the current log, created if missing.

        Raises: as `append`.
        """
        with self._log.writing() as tree:
            self._same_key(tree)
            return self._signed(tree, self._clock())

    def adopt_key(self) -> Checkpoint:
        """Go on with this installation's key where another one signed last; the change is an
        entry of its own. Raises: as `append`."""
        with self._log.writing() as tree:
            new = keys.key_id(self._key().public_key())
            if tree.newest is None or tree.newest.key_id == new:
                raise TrustError(
                    "The ledger is already signed with this installation's key.",
                    "Remove --new-key.",
                )
            self._enter(tree, [checked("key", {"old": tree.newest.key_id, "new": new})])
            return self._signed(tree, self._clock())

    def _enter(self, tree: Tree, allowed: Sequence[Mapping[str, Value]]) -> list[Entry]:
        now = self._clock()
        entries = []
        nodes = []
        for values in allowed:
            entry = Entry(tree.size, canonical({**values, "time": stamp(now)}))
            nodes += merkle.grow(tree.edge, tree.size, entry.hash)
            entries.append(entry)
            tree.size += 1
        self._log.database.executemany(
            "INSERT INTO entries VALUES (?, ?)", [(one.leaf, one.text) for one in entries]
        )
        self._log.database.executemany("INSERT INTO nodes VALUES (?, ?, ?)", nodes)
        if tree.size - (tree.newest.size if tree.newest else 0) >= self._every:
            self._signed(tree, now)
        return entries

    def _signed(self, tree: Tree, now: datetime) -> Checkpoint:
        if tree.newest is None or tree.newest.size != tree.size:
            key = self._key()
            tree.newest = Checkpoint.sign(key, tree.size, merkle.root_of(tree.edge), now)
            self._log.database.execute(
                "INSERT INTO checkpoints VALUES (?, ?, ?)",
                (tree.size, tree.newest.note, keys.public_text(key.public_key())),
            )
        return tree.newest

    def _key(self) -> Ed25519PrivateKey:
        self._operator = self._operator or keys.operator_key(self._log.home)
        return self._operator

    def _same_key(self, tree: Tree) -> None:
        own = keys.key_id(self._key().public_key())
        if tree.newest and tree.newest.key_id != own:
            raise TrustError(
                f"The ledger was last signed by the key {tree.newest.key_id}; this installation's "
                f"is {own}.",
                f"Restore the old key to {self._log.home.keys / keys.OPERATOR}, or continue with "
                "the new one: understudy ledger checkpoint --new-key",
            )

    # Keyed digests

    def digest(self, subject: str, text: str) -> str:
        """A keyed digest of something personal; see `Subjects.digest`."""
        return self._subjects.digest(subject, text)

    def matches(self, subject: str, text: str, digest: str) -> bool:
        """Whether `digest` was made of this; never once the subject is forgotten."""
        return self._subjects.matches(subject, text, digest)

    def forget(self, subject: str) -> bool:
        """Destroy the subject's key; see `Subjects.forget`."""
        return self._subjects.forget(subject)

    # Reading: an entry that was changed is refused

    def __len__(self) -> int:
        with self._log.reading():
            return self._log.number("SELECT count(*) FROM entries")

    def entry(self, leaf: int) -> Entry | None:
        """By its index."""
        return next(iter(self._log.found("leaf = ?", leaf)), None)

    def by_record(self, record: int) -> list[Entry]:
        """By the number in the watermark, oldest first."""
        return self._log.found("json_extract(entry, '$.record') = ?", record)

    def by_sha256(self, sha256: str) -> list[Entry]:
        """By the hash of the finished file, oldest first."""
        return self._log.found("json_extract(entry, '$.sha256') = ?", sha256.lower())

    def latest(self, count: int) -> list[Entry]:
        """The last `count` entries, oldest first."""
        return self._log.found("leaf > (SELECT max(leaf) FROM entries) - ?", count)

    def checkpoints(self) -> list[Checkpoint]:
        """All stored checkpoints, oldest first. Raises TrustError when one is not valid."""
        with self._log.reading():
            rows = self._log.database.execute(
                "SELECT note FROM checkpoints ORDER BY size"
            ).fetchall()
        return [Checkpoint.parse(str(note)) for (note,) in rows]

    def prove(self, leaf: int) -> dict[str, Any]:
        """A proof to send with a film: `verify_proof` checks it without this ledger. See
        `proofs.prove`."""
        return proofs.prove(self._log, leaf)

    def prove_consistency(self, old: Checkpoint, new: Checkpoint) -> list[bytes]:
        """Proof that `new` continues `old`; see `proofs.prove_consistency`."""
        return proofs.prove_consistency(self._log, old, new)

    def audit(self, against: Sequence[str] = (), trusted: Trusted = NOTHING) -> Audit:
        """Compute everything again and compare it with what was signed; see `audit.audited`."""
        return audited(self._log, against, trusted)

    def export(self, path: Path) -> int:
        """Write everything as JSON Lines, for `verify_export`; see `write_export`."""
        return write_export(self._log, path)

    # Anchors

    def anchor(self, anchor: Anchor) -> str:
        """Have the newest checkpoint anchored, which is made when there is none over everything.
        Uses the network; see `provenance.ledger.anchors.anchoring.anchored`."""
        return anchoring.anchored(self._log, self.checkpoint(), anchor)

    def upgrade(self, made: Callable[[str, Sequence[str]], Anchor]) -> list[str]:
        """Ask for the missing parts of all anchors. Uses the network; see
        `provenance.ledger.anchors.anchoring.upgraded`."""
        return anchoring.upgraded(self._log, made)

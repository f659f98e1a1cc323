"""Compare entries with the checkpoints that were signed over them, and name what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from understudy.errors import TrustError
from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.anchors.anchor import Verdict
from understudy.provenance.ledger.entries import canonical, stored_bytes
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import keys as signing

MOST = 40
"""Largest number of findings listed one by one."""

Row = tuple[object, object]
"""Leaf and text, which may have been changed."""

Signed = tuple[object, object, object]
"""Size, note and public key of a checkpoint, likewise."""


@dataclass(frozen=True)
class Finding:
    """Something that the audit has to say.

    Attributes:
        level: broken, someone or something changed the log; unknown, nothing speaks for or
            against it.
        where: entry, checkpoint, tree, anchor or database, with its number.
        problem: what is wrong, in words.
    """

    level: Literal["broken", "unknown"]
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Audit:
    """Attributes:
    size: entries that were looked at.
    newest: the last checkpoint with a good signature.
    findings: in the order of the log.
    anchors: what each says.
    """

    size: int
    newest: Checkpoint | None
    findings: tuple[Finding, ...]
    anchors: tuple[Verdict, ...] = ()

    @property
    def intact(self) -> bool:
        """Nothing is broken; `unknown` may be left."""
        return not any(one.level == "broken" for one in self.findings)


def examined(
    rows: Iterable[Row],
    signed: Sequence[Signed],
    against: Sequence[str],
    own: str | None,
    stored: Callable[[int, int], bytes | None] | None = None,
    where: Callable[[bytes], int | None] | None = None,
) -> Audit:
    """Check rows of (leaf, text) against checkpoints of (size, note, public key).

    Args:
        against: notes from elsewhere.
        own: id of the key that should have signed; None when unknown.
        stored, where: hash of a stored subtree, and the leaf with a hash; None without tree.
    """
    good, findings = _signatures(signed, against, own)
    walk = _Walk({checkpoint.size for checkpoint, _ in good}, stored, findings)
    last = ""
    for leaf, text in rows:
        if not isinstance(leaf, int) or leaf < walk.size:
            findings.append(Finding("broken", f"entry {leaf}", "was inserted"))
            continue
        if leaf > walk.size:
            findings.append(Finding("broken", _entries(walk.size, leaf), "removed"))
        while walk.size < leaf:
            walk.take(stored(0, walk.size) if stored else None)
        value = merkle.leaf_hash(stored_bytes(str(text)))
        kept = stored(0, leaf) if stored else value
        if kept != value:
            findings.append(_differs(leaf, value, kept, where if len(findings) < MOST else None))
        last = _time_goes_on(leaf, text, last, findings)
        walk.take(kept or value)
    findings += _against_roots(good, walk.roots, walk.size)
    if len(findings) > MOST:
        findings[MOST:] = [Finding("broken", "ledger", f"{len(findings) - MOST} more findings")]
    newest = max((one for one, _ in good), key=lambda one: one.size, default=None)
    return Audit(walk.size, newest, tuple(findings))


class _Walk:
    """The tree, computed again leaf by leaf.

    If a leaf's row differs, its stored hash is used, so that one wrong row is reported once and
    what follows is still compared.
    """

    def __init__(
        self,
        wanted: Collection[int],
        stored: Callable[[int, int], bytes | None] | None,
        findings: list[Finding],
    ) -> None:
        self.size = 0
        self.roots = {0: merkle.EMPTY}
        self._edge: list[bytes] | None = []
        self._wanted = wanted
        self._stored = stored
        self._findings = findings

    def take(self, leaf: bytes | None) -> None:
        """The next leaf's hash; nothing can be computed any more once one is None."""
        if leaf is None:
            self._edge = None
        if self._edge is not None and leaf is not None:
            for level, number, made in merkle.grow(self._edge, self.size, leaf)[1:]:
                if self._stored and self._stored(level, number) != made:
                    over = _entries(number << level, (number + 1) << level)
                    self._findings.append(
                        Finding("broken", "tree", f"the stored hash of {over} is wrong")
                    )
            if self.size + 1 in self._wanted:
                self.roots[self.size + 1] = merkle.root_of(self._edge)
        self.size += 1


def _entries(begin: int, end: int) -> str:
    return f"entry {begin}" if end == begin + 1 else f"entries {begin} to {end - 1}"


def _signatures(
    signed: Sequence[Signed], against: Sequence[str], own: str | None
) -> tuple[list[tuple[Checkpoint, str]], list[Finding]]:
    """Checkpoints with a good signature and a name for each, and what is wrong with the others."""
    good: list[tuple[Checkpoint, str]] = []
    findings: list[Finding] = []
    keys: dict[str, Ed25519PublicKey] = {}
    for size, note, public in signed:
        name = f"checkpoint {size}"
        try:
            checkpoint, key = Checkpoint.parse(str(note)), signing.public_key(str(public))
        except TrustError as error:
            findings.append(Finding("broken", name, error.problem))
            continue
        if checkpoint.size != size or not checkpoint.signed_by(key):
            findings.append(Finding("broken", name, "the signature is wrong: it was changed"))
            continue
        keys[checkpoint.key_id] = key
        good.append((checkpoint, name))
    newest = good[-1][0].key_id if good else own
    if newest != own:
        level: Literal["broken", "unknown"] = "unknown" if own is None else "broken"
        mine = f"this installation's key {own}" if own else "a known key"
        findings.append(Finding(level, good[-1][1], f"signed by the key {newest}, not by {mine}"))
    for other in sorted({one.key_id for one, _ in good} - {newest}):
        count = sum(one.key_id == other for one, _ in good)
        text = f"{count} signed by an earlier key, {other}; only the ledger itself confirms it"
        findings.append(Finding("unknown", "checkpoints", text))
    for note in against:
        checkpoint = Checkpoint.parse(note)
        name = f"checkpoint {checkpoint.size} from elsewhere"
        if checkpoint.key_id not in keys:
            text = f"signed by the key {checkpoint.key_id}, which is unknown to this ledger"
            findings.append(Finding("unknown", name, text))
        elif not checkpoint.signed_by(keys[checkpoint.key_id]):
            findings.append(Finding("broken", name, "the signature is wrong: it was changed"))
        good.append((checkpoint, name))
    return good, findings


def _differs(
    leaf: int, value: bytes, kept: bytes | None, where: Callable[[bytes], int | None] | None
) -> Finding:
    before = where(value) if where else None
    if before is not None:
        return Finding("broken", f"entry {leaf}", f"contains the content of entry {before}")
    if kept is None:
        return Finding("broken", f"entry {leaf}", "was inserted: the tree has no hash of it")
    return Finding("broken", f"entry {leaf}", "was changed: the tree has another hash of it")


def _time_goes_on(leaf: int, text: object, last: str, findings: list[Finding]) -> str:
    """Time of this entry, or of the previous one if it has none."""
    try:
        values = json.loads(str(text))
        now = str(values["time"])
        if canonical(values) != text:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        findings.append(Finding("broken", f"entry {leaf}", "has not the format of an entry"))
        return last
    if now < last:
        text = f"the clock went back from {last} to {now}; the order is right, but times are not"
        findings.append(Finding("unknown", f"entry {leaf}", text))
    return now


def _against_roots(
    good: Sequence[tuple[Checkpoint, str]], roots: Mapping[int, bytes], size: int
) -> list[Finding]:
    findings: list[Finding] = []
    holds = [one.size for one, _ in good if roots.get(one.size) == one.root]
    proved = max(holds, default=0)
    told = False
    for checkpoint, name in sorted(good, key=lambda one: one[0].size):
        if roots.get(checkpoint.size) == checkpoint.root:
            continue
        when = f"signed at {checkpoint.time}"
        if checkpoint.size > size:
            text = f"{when}; {_entries(size, checkpoint.size)} of it missing at the end"
            findings.append(Finding("broken", name, text))
        elif checkpoint.size not in roots:
            findings.append(Finding("unknown", name, "cannot be checked: entries are missing"))
        elif checkpoint.size <= proved:
            findings.append(Finding("broken", name, f"{when} for another log than this"))
        elif not told:
            told = True
            which = _entries(proved, checkpoint.size)
            text = f"{when}; {which} changed, replaced or inserted since"
            findings.append(Finding("broken", name, text))
    covered = max((one.size for one, _ in good), default=0)
    if covered < size:
        text = "not covered by a checkpoint yet"
        findings.append(Finding("unknown", _entries(covered, size), text))
    return findings

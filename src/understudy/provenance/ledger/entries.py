"""Entries of the ledger: their canonical form, and their permitted contents.

An entry is canonical JSON: one object, keys sorted, no spaces, ASCII. It holds `kind`, `time`
(UTC, to the second) and digests, numbers and a few fixed words. Anything personal is refused; it
goes in as a keyed digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from understudy.errors import TrustError
from understudy.provenance.ledger import merkle

KINDS = ("render", "finished", "consent", "revocation", "model", "tombstone", "export", "key")
"""render: before a film is signed, so that its credentials can name the leaf; finished: the hash
of the signed file, with the same `record`. model: the end of a training, with the hashes of its
files and weights; export: a file that was made of one; tombstone: files that were deleted, because
someone whose face they knew was removed; see `model_records`. key: another operator's key from
here on."""

WORDS = frozenset(
    {"passed", "unscanned", "refused", "found", "weak", "none", "corner", "opening", "both"}
    | {"train", "convert", "publish", "detector", "subject", "operator", "self", "granted"}
    | {"synthetic", "shown", "replaced", "embedded", "sidecar", "film", "still"}
)
"""All words that an entry may hold; everything else is a number, a time or a digest."""

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DIGEST = re.compile(r"(?:[0-9a-f]{2}){8,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

Value = str | int | bool | None | Sequence[str]


def stamp(when: datetime) -> str:
    """UTC to the second, as entries and checkpoints write it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical(value: object) -> str:
    """JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _allowed(value: object) -> bool:
    if isinstance(value, str):
        return bool(value in WORDS or _DIGEST.fullmatch(value) or _TIME.fullmatch(value))
    if isinstance(value, list | tuple):
        return all(isinstance(one, str) and _allowed(one) for one in value)
    return value is None or (isinstance(value, int) and abs(value) < 1 << 53)


def checked(kind: str, values: Mapping[str, Value]) -> dict[str, Value]:
    """The entry, without its time yet.

    Raises:
        TrustError: a value that may be personal, or no such kind.
    """
    if kind not in KINDS:
        raise TrustError(f"Unknown kind of ledger entry `{kind}`.", f"Use one of {KINDS}.")
    for name, value in values.items():
        if name in ("kind", "time") or not _FIELD.fullmatch(name) or not _allowed(value):
            raise TrustError(
                f"`{name}` cannot go into the ledger like this: only digests, numbers, times and "
                "fixed words are allowed.",
                "Enter Ledger.digest(subject, text) instead.",
            )
    return {**values, "kind": kind}


@dataclass(frozen=True)
class Entry:
    """Attributes:
    leaf: index in the log, from 0.
    text: the canonical JSON that was hashed.
    """

    leaf: int
    text: str

    @property
    def values(self) -> dict[str, Any]:
        """Everything in it, with `kind` and `time`."""
        return dict(json.loads(self.text))

    @property
    def hash(self) -> bytes:
        return merkle.leaf_hash(stored_bytes(self.text))


def stored_bytes(text: str) -> bytes:
    """Text as stored in the database, also if a value there is not text."""
    return text.encode(errors="surrogateescape")

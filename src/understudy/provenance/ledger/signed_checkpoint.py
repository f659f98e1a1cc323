"""Checkpoints: the operator's signature over the whole log, as a signed note.

After C2SP signed-note and tlog-checkpoint (https://c2sp.org), with a line for the time:

    understudy/0011223344556677         understudy/, id of the operator's key
    1234                                leaves
    CsUYapGGPo4dkMgIAUqom/Xajj7h2...    root, base64
    time 2026-01-31T12:00:00Z

    — understudy/0011223344556677 ...   key hash and Ed25519 signature, base64
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from understudy.errors import TrustError
from understudy.provenance.ledger.entries import stamp
from understudy.runtime import keys

_NOTE = re.compile(
    r"understudy/(?P<key>[0-9a-f]{16})\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n\n"
    r"— understudy/(?P=key) (?P<signature>[A-Za-z0-9+/]{91}=)\n",
    re.ASCII,
)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint signed by the operator's key.

    Attributes:
        size: leaves of the tree.
        root: 32 bytes.
        time: when, as `stamp`.
        key_id: as `runtime.keys.key_id`.
        note: the whole text with the signature.
    """

    size: int
    root: bytes
    time: str
    key_id: str
    note: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the note: what anchors are made for."""
        return hashlib.sha256(self.note.encode()).digest()

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, size: int, root: bytes, when: datetime) -> Self:
        """Sign a tree's size and root (32 bytes), as of `when` (aware)."""
        public = key.public_key()
        name = f"understudy/{keys.key_id(public)}"
        body = f"{name}\n{size}\n{base64.b64encode(root).decode()}\ntime {stamp(when)}\n"
        signature = base64.b64decode(keys.sign(key, body.encode()))
        line = base64.b64encode(_key_hash(name, public) + signature).decode()
        return cls.parse(f"{body}\n— {name} {line}\n")

    @classmethod
    def parse(cls, note: str) -> Self:
        """Raises TrustError when it is no checkpoint. Checks no signature."""
        found = _NOTE.fullmatch(note)
        if not found:
            raise TrustError(
                f"This is not a checkpoint of a ledger: {note[:60]!r}.",
                "Give a file of `understudy ledger checkpoint --output`; if you gave none, run "
                "`understudy ledger audit`.",
            )
        root = base64.b64decode(found["root"])
        return cls(int(found["size"]), root, found["time"], found["key"], note)

    def signed_by(self, public: Ed25519PublicKey) -> bool:
        """Whether the signature is this key's and over exactly this note."""
        body, _, line = self.note.partition("\n\n")
        raw = base64.b64decode(line.split()[-1])
        return (
            keys.key_id(public) == self.key_id
            and raw[:4] == _key_hash(f"understudy/{self.key_id}", public)
            and keys.verified(public, f"{body}\n".encode(), base64.b64encode(raw[4:]).decode())
        )


def _key_hash(name: str, public: Ed25519PublicKey) -> bytes:
    data = name.encode() + b"\n\x01" + keys.public_bytes(public)
    return hashlib.sha256(data).digest()[:4]

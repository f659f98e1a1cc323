"""OpenTimestamps proofs: what an .ots file holds, as bytes and as a tree.

The format is that of python-opentimestamps: a digest, and a tree of operations that leads from
it to messages that someone attests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from understudy.provenance.ledger.anchors.service import LARGEST

_MAGIC = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94"
SHA256 = 0x08
APPEND, _PREPEND = 0xF0, 0xF1
_FORK = 0xFF
PENDING = bytes.fromhex("83dfe30d2ef90c8e")
BITCOIN = bytes.fromhex("0588960d73d71901")
_DEEPEST = 256
_LONGEST = 4096


@dataclass
class Stamp:
    """A node of a proof: a message, what is attested of it, and what is computed from it.

    Attributes:
        attestations: (tag of 8 bytes, content).
        steps: (operation, its argument, the node of the result).
    """

    message: bytes
    attestations: list[tuple[bytes, bytes]] = field(default_factory=list)
    steps: list[tuple[int, bytes, Stamp]] = field(default_factory=list)

    def all(self) -> Iterator[Stamp]:
        """Itself and all below."""
        yield self
        for _, _, below in self.steps:
            yield from below.all()

    def join(self, other: Stamp) -> None:
        """Take in what another node of the same message has."""
        self.attestations += [one for one in other.attestations if one not in self.attestations]
        for operation, argument, below in other.steps:
            for mine, with_what, node in self.steps:
                if (mine, with_what) == (operation, argument):
                    node.join(below)
                    break
            else:
                self.steps.append((operation, argument, below))

    def then(self, operation: int, argument: bytes = b"") -> Stamp:
        """Add the result of an operation. Raises ValueError for an unknown one."""
        if operation == SHA256:
            message = hashlib.sha256(self.message).digest()
        elif operation == APPEND:
            message = self.message + argument
        elif operation == _PREPEND:
            message = argument + self.message
        elif operation == 0x02:
            message = hashlib.sha1(self.message, usedforsecurity=False).digest()
        elif operation == 0x03:
            message = hashlib.new("ripemd160", self.message, usedforsecurity=False).digest()
        else:
            raise ValueError(f"operation {operation:#x} is unknown")
        if len(message) > _LONGEST:
            raise ValueError("a message is too long")
        below = Stamp(message)
        self.steps.append((operation, argument, below))
        return below


class Reader:
    """Raises ValueError where the bytes end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise ValueError("it ends too soon")
        self._at += count
        return piece

    def number(self) -> int:
        """Little-endian in groups of 7 bits."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value
            if shift > 63:
                raise ValueError("a number is too large")

    def text(self) -> bytes:
        count = self.number()
        if count > 2 * _LONGEST:
            raise ValueError("a piece is too long")
        return self.take(count)

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("there are extra bytes at its end")


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(data: bytes) -> bytes:
    return _number(len(data)) + data


def read_tree(reader: Reader, stamp: Stamp, depth: int = 0) -> None:
    """Read a serialised tree below `stamp`."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    while True:
        tag = reader.take(1)[0]
        more = tag == _FORK
        if more:
            tag = reader.take(1)[0]
        if tag == 0:
            attestation = (reader.take(8), reader.text())
            stamp.attestations.append(attestation)
        else:
            argument = reader.text() if tag in (APPEND, _PREPEND) else b""
            read_tree(reader, stamp.then(tag, argument), depth + 1)
        if not more:
            return


def _written(stamp: Stamp) -> bytes:
    branches = [b"\x00" + tag + _text(content) for tag, content in sorted(stamp.attestations)]
    for operation, argument, below in stamp.steps:
        binary = _text(argument) if operation in (APPEND, _PREPEND) else b""
        branches.append(bytes([operation]) + binary + _written(below))
    *first, last = branches or [b""]
    return b"".join(bytes([_FORK]) + one for one in first) + last


def serialised(stamp: Stamp) -> bytes:
    """The content of an .ots file."""
    return _MAGIC + _number(1) + bytes([SHA256]) + stamp.message + _written(stamp)


def parsed(proof: bytes) -> Stamp:
    """Raises ValueError."""
    reader = Reader(proof[:LARGEST])
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1 or reader.take(1)[0] != SHA256:
        raise ValueError("it is not an OpenTimestamps proof of a SHA-256")
    stamp = Stamp(reader.take(32))
    read_tree(reader, stamp)
    reader.end()
    return stamp

"""What a Content Credential's signature leaves open in a file, and the check that nothing in
it was changed.

C2PA leaves out of its hashes the boxes `ftyp`, `free`, `skip`, `mfra` and its own `uuid` box of
an MP4 file, and in every file the padding and the headers of the credentials themselves: about
a thousand bytes of each file can be changed without a verifier saying so, and boxes can be added.
In a file that this program signed there is just one right value for each of those bytes. They
are compared with it:

    framing   the box, chunk or segments around the manifest store (MP4, PNG, JPEG, RIFF)
    store     nesting, types and toggles of its JUMBF boxes (ISO/IEC 19566-5), and the unprotected
              header of the signature (COSE, RFC 9052), whose padding is zeros; what is in a
              time-stamp is its authority's to hold, and not all of it is held
    layout    a digest of all top-level MP4 boxes' types and sizes and of the excluded ones'
              contents, which the signed assertion holds
    carried   a digest of the manifests that came with the source, which it holds as well

Faults are returned as short sentences; no fault means that no byte outside the signature's reach
differs.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

EXCLUDED = (b"ftyp", b"free", b"skip", b"mfra")
MANIFEST_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TYPE_TAIL = bytes.fromhex("00110010800000aa00389b71")
STORE_HEAD = b"jumdc2pa" + _TYPE_TAIL + b"\x03c2pa\0"
"""First bytes of each manifest store, after its sizes; they are unique."""
_INSTANCE = b"\x02\x11"
"""Number of the JUMBF box among those of a JPEG, as c2pa-rs writes it."""
_REQUESTABLE, _PRIVATE = 0x03, 0x10
_UNPROTECTED = {"sigTst", "sigTst2", "rVals", "pad", "pad2"}
_PIECE = 1 << 20


@dataclass(frozen=True)
class Box:
    """A box: `body` is where its content begins, counted like `start` and `end`."""

    kind: bytes
    start: int
    body: int
    end: int


class _Broken(Exception):
    """The bytes are wrong; the message says which."""


def store_faults(store: bytes, carried: str | None) -> list[str]:
    """Faults of a manifest store in the parts that its signature does not cover.

    Args:
        store: the JUMBF bytes.
        carried: value of `carried_digest` in the signed assertion.
    """
    try:
        manifests = _manifests(store)
        _check_manifest(store, manifests[-1])
    except _Broken as broken:
        return [str(broken)]
    if _digest(store, manifests[:-1]) != carried:
        return ["the credentials carried over from the source were changed"]
    return []


def carried_digest(store: bytes) -> str | None:
    """SHA-256 in hex of all manifests but the last, None when there is one; `store` is whole."""
    return _digest(store, _manifests(store)[:-1])


def _digest(store: bytes, manifests: list[Box]) -> str | None:
    if not manifests:
        return None
    return hashlib.sha256(b"".join(store[one.start : one.end] for one in manifests)).hexdigest()


def layout_digest(path: Path) -> str | None:
    """SHA-256 in hex of a file's top-level boxes apart from the credentials; None if it has none.

    Each box counts with its type and size, the excluded ones with their contents too. Raises
    OSError.
    """
    with open(path, "rb") as file:
        if _magic(file) != "bmff":
            return None
        digest = hashlib.sha256()
        try:
            for box in _top_level(file):
                if _is_credentials(file, box):
                    continue
                digest.update(box.kind + (box.end - box.start).to_bytes(8, "big"))
                if box.kind in EXCLUDED:
                    file.seek(box.start)
                    digest.update(file.read(box.end - box.start))
        except _Broken:
            return None
        return digest.hexdigest()


def embedded_store(path: Path) -> tuple[bytes, list[str]]:
    """The manifest store in a file, and faults of the bytes around it.

    Empty with one fault when there is none, or no single one. Raises OSError.
    """
    read = {"bmff": _from_bmff, "png": _from_png, "jpeg": _from_jpeg, "riff": _from_riff}
    with open(path, "rb") as file:
        kind = _magic(file)
        if kind not in read:
            return b"", ["this type of file cannot contain credentials"]
        try:
            return read[kind](file), []
        except _Broken as broken:
            return b"", [str(broken)]


def excluded_boxes(path: Path) -> list[str]:
    """Types of a file's top-level boxes that C2PA leaves out, in order. Raises OSError."""
    with open(path, "rb") as file:
        if _magic(file) != "bmff":
            return []
        try:
            return [box.kind.decode() for box in _top_level(file) if box.kind in EXCLUDED]
        except _Broken:
            return []


def _magic(file: BinaryIO) -> str:
    head = file.read(12)
    if head[4:8] == b"ftyp":
        return "bmff"
    kinds = {b"\x89PNG": "png", b"RIFF": "riff"}
    return "jpeg" if head[:3] == b"\xff\xd8\xff" else kinds.get(head[:4], "")


def _exactly(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    data = file.read(length)
    if len(data) != length:
        raise _Broken("the file is cut short")
    return data


def _end(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _top_level(file: BinaryIO) -> Iterator[Box]:
    """Boxes of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    at, end = 0, _end(file)
    while at < end:
        head = _exactly(file, at, min(16, end - at))
        size, body = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, body = int.from_bytes(head[8:16], "big"), at + 16
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise _Broken("its boxes do not fit into the file")
        yield Box(head[4:8], at, body, at + size)
        at += size


def _is_credentials(file: BinaryIO, box: Box) -> bool:
    if box.kind != b"uuid" or box.end - box.body < 16:
        return False
    return _exactly(file, box.body, 16) == MANIFEST_BOX


def _from_bmff(file: BinaryIO) -> bytes:
    boxes = list(_top_level(file))
    own = [number for number, box in enumerate(boxes) if _is_credentials(file, box)]
    if own != [1]:
        raise _Broken("the box with the credentials is missing, moved or there twice")
    box = boxes[1]
    head = MANIFEST_BOX + bytes(4) + b"manifest\0" + bytes(8)
    data = _exactly(file, box.start, box.end - box.start)
    store = _whole_box(data, 8 + len(head))
    tail = data[8 + len(head) + len(store) :]
    if data[:8] != len(data).to_bytes(4, "big") + b"uuid" or data[8 : 8 + len(head)] != head:
        raise _Broken("the header of the box with the credentials was changed")
    if any(tail):
        raise _Broken("data were added after the credentials in their box")
    return store


def _from_png(file: BinaryIO) -> bytes:
    at, end, found = 8, _end(file), list[bytes]()
    while at < end:
        head = _exactly(file, at, 8)
        size = int.from_bytes(head[:4], "big")
        if head[4:] == b"caBX":
            data = _exactly(file, at + 8, size + 4)
            if zlib.crc32(b"caBX" + data[:-4]) != int.from_bytes(data[-4:], "big"):
                raise _Broken("the checksum of the chunk with the credentials was changed")
            found.append(data[:-4])
        at += size + 12
    return _only(found)


def _from_riff(file: BinaryIO) -> bytes:
    end, found = _end(file), list[bytes]()
    top = 0
    while top < end:
        size = int.from_bytes(_exactly(file, top, 8)[4:], "little")
        at, inner = top + 12, min(end, top + 8 + size)
        while at < inner:
            head = _exactly(file, at, 8)
            length = int.from_bytes(head[4:], "little")
            if head[:4] == b"C2PA":
                data = _exactly(file, at + 8, length + length % 2)
                if any(data[length:]):
                    raise _Broken("the padding of the chunk with the credentials was changed")
                found.append(data[:length])
            at += 8 + length + length % 2
        top += 8 + size + size % 2
    return _only(found)


def _from_jpeg(file: BinaryIO) -> bytes:
    """APP11 segments with one JUMBF box (ISO/IEC 19566-5, annex D)."""
    at, store, number = 2, b"", 0
    while True:
        head = _exactly(file, at, 4)
        size = int.from_bytes(head[2:], "big")
        if head[0] != 0xFF or head[1] == 0xDA or size < 2:
            break
        data = _exactly(file, at + 4, size - 2)
        if head[1] == 0xEB and data[:2] == b"JP":
            number += 1
            if data[2:8] != _INSTANCE + number.to_bytes(4, "big"):
                raise _Broken("the segments with the credentials are not in order")
            if number > 1 and data[8:16] != store[:8]:
                raise _Broken("the segments with the credentials do not belong together")
            store += data[8:] if number == 1 else data[16:]
        at += size + 2
    return _only([store] if store else [])


def _only(found: list[bytes]) -> bytes:
    if len(found) != 1:
        raise _Broken("the credentials are missing or there twice")
    if _whole_box(found[0], 0) != found[0]:
        raise _Broken("data were added after the credentials")
    return found[0]


def _whole_box(data: bytes, start: int) -> bytes:
    size = int.from_bytes(data[start : start + 4], "big")
    if size < 8 or data[start + 4 : start + 8] != b"jumb" or start + size > len(data):
        raise _Broken("the sizes of the credentials' boxes were changed")
    return data[start : start + size]


def _children(data: bytes, start: int, end: int) -> list[Box]:
    boxes = []
    while start < end:
        size = int.from_bytes(data[start : start + 4], "big")
        if size < 8 or start + size > end:
            raise _Broken("the sizes of the credentials' boxes were changed")
        boxes.append(Box(data[start + 4 : start + 8], start, start + 8, start + size))
        start += size
    return boxes


def _described(data: bytes, box: Box, kind: bytes, label: bytes | None) -> list[Box]:
    """What a superbox holds after its description, which must be of that type and name."""
    inside = _children(data, box.body, box.end)
    if box.kind != b"jumb" or not inside or inside[0].kind != b"jumd":
        raise _Broken("the nesting of the credentials' boxes was changed")
    about = data[inside[0].body : inside[0].end]
    name, _, rest = about[17:].partition(b"\0")
    toggles = _REQUESTABLE | (_PRIVATE if rest else 0)
    if about[:16] != kind + _TYPE_TAIL or about[16] != toggles or label not in (None, name):
        raise _Broken("the description of one of the credentials' boxes was changed")
    return inside[1:]


def _manifests(store: bytes) -> list[Box]:
    top = Box(store[4:8], 0, 8, len(_whole_box(store, 0)))
    if top.end != len(store):
        raise _Broken("data were added after the credentials")
    manifests = _described(store, top, b"c2pa", b"c2pa")
    if not manifests:
        raise _Broken("the credentials are empty")
    return manifests


def _check_manifest(store: bytes, manifest: Box) -> None:
    parts = _described(store, manifest, b"c2ma", None)
    if len(parts) != 3:
        raise _Broken("a part of the credentials was added or removed")
    assertions, claim, signature = parts
    for assertion in _described(store, assertions, b"c2as", b"c2pa.assertions"):
        _described(store, assertion, b"cbor", None)
    _described(store, claim, b"c2cl", b"c2pa.claim.v2")
    content = _described(store, signature, b"c2cs", b"c2pa.signature")
    if [one.kind for one in content] != [b"cbor"]:
        raise _Broken("the signature's box was changed")
    _check_signature(store[content[0].body : content[0].end])


def _check_signature(data: bytes) -> None:
    """COSE_Sign1: tag 18, [protected, unprotected, nil, signature], padding of zeros."""
    if data[:2] != b"\xd2\x84":
        raise _Broken("the signature's wrapping was changed")
    _, at = _item(data, 2)
    unprotected, at = _item(data, at)
    payload, at = _item(data, at)
    _, at = _item(data, at)
    if not isinstance(unprotected, dict) or payload is not None or at != len(data):
        raise _Broken("the signature's wrapping was changed")
    padding = [unprotected[key] for key in ("pad", "pad2") if key in unprotected]
    if not set(unprotected) <= _UNPROTECTED or any(
        not isinstance(one, bytes) or any(one) for one in padding
    ):
        raise _Broken("the padding of the signature was changed")
    for key in ("sigTst", "sigTst2"):
        if key in unprotected and not _is_stamp(unprotected[key]):
            raise _Broken("the wrapping of the time-stamp was changed")


def _is_stamp(value: Item) -> bool:
    """{"tstTokens": [{"val": bytes}]}, once."""
    match value:
        case {"tstTokens": [{"val": bytes(), **inner}], **outer}:
            return not inner and not outer
    return False


Item = int | bytes | str | None | list["Item"] | dict[str, "Item"]


def _item(data: bytes, at: int, depth: int = 0) -> tuple[Item, int]:
    """One CBOR value (RFC 8949) of the kinds that a signature's wrapping is made of."""
    if at >= len(data) or depth > 8:
        raise _Broken("the signature's wrapping was changed")
    major, extra = data[at] >> 5, data[at] & 31
    at += 1
    if (major, extra) == (7, 22):
        return None, at
    if extra > 27 or major > 5:
        raise _Broken("the signature's wrapping was changed")
    if extra > 23:
        width = 1 << (extra - 24)
        extra, at = int.from_bytes(data[at : at + width], "big"), at + width
    if major < 2:
        return (extra if major == 0 else -1 - extra), at
    if major < 4:
        content = data[at : at + extra]
        if len(content) != extra:
            raise _Broken("the signature's wrapping was changed")
        return (content if major == 2 else content.decode("utf-8", "replace")), at + extra
    listed: list[Item] = []
    for _ in range(extra * (major - 3)):
        value, at = _item(data, at, depth + 1)
        listed.append(value)
    if major == 4:
        return listed, at
    return {str(key): value for key, value in zip(listed[::2], listed[1::2], strict=True)}, at

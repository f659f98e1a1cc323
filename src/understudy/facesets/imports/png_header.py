"""A text inside a PNG file, read with distrust (PNG specification, third edition, 5.3 and 11.3.3).

Nothing here is believed before it is checked: lengths against the file, checksums against the
bytes, what is compressed against a limit while it is unpacked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from understudy.errors import MediaError
from understudy.media.xmp import PNG

CHUNKS = 100_000
"""Upper bound on chunks in a valid PNG."""

LONGEST = 4 << 20
"""Largest text in bytes, compressed or not."""


def is_png(data: bytes) -> bool:
    """Whether the file starts like a PNG file."""
    return data.startswith(PNG)


def damaged(why: str) -> MediaError:
    return MediaError(f"The PNG header is damaged: {why}.", "Copy the file again, or remove it.")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, first byte and end of every chunk's body, up to the last one."""
    place = len(PNG)
    for _ in range(CHUNKS):
        if place + 8 > len(data):
            raise damaged("it is cut short")
        length = int.from_bytes(data[place : place + 4], "big")
        kind, first = data[place + 4 : place + 8], place + 8
        if length >= 1 << 31 or not kind.isalpha():
            raise damaged(f"there is no chunk at byte {place}")
        if first + length + 4 > len(data):
            raise damaged("it is cut short")
        yield kind, first, first + length
        if kind == b"IEND":
            return
        place = first + length + 4
    raise damaged(f"it has more than {CHUNKS} chunks")


def text(data: bytes, keyword: str) -> str | None:
    """The international text (`iTXt`) under a keyword; None when there is none.

    Args:
        data: the file's bytes.
        keyword: 1 to 79 characters of Latin-1.

    Raises:
        MediaError: the file is not a PNG file, is cut short or damaged, or the text is longer than
            `LONGEST`.
    """
    if not is_png(data):
        raise damaged("the file does not start like a PNG file")
    wanted = keyword.encode("latin-1") + b"\0"
    for kind, first, end in _chunks(data):
        if kind != b"iTXt" or not data.startswith(wanted, first, end):
            continue
        if end - first > LONGEST:
            raise damaged(f"a text of {end - first} bytes is too long")
        if zlib.crc32(data[first - 4 : end]).to_bytes(4, "big") != data[end : end + 4]:
            raise damaged("the checksum of the text is wrong")
        return _decoded(data[first + len(wanted) : end])
    return None


def _decoded(body: bytes) -> str:
    """The text of an `iTXt` chunk after its keyword. Raises MediaError."""
    flags, rest = body[:2], body[2:].split(b"\0", 2)
    if len(flags) < 2 or len(rest) < 3 or flags[0] > 1 or flags[1] != 0:
        raise damaged("the text is incomplete")
    packed = rest[2]
    if flags[0]:
        packed = _unpacked(packed)
    try:
        return packed.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged("the text is not UTF-8") from error


def _unpacked(packed: bytes) -> bytes:
    unpack = zlib.decompressobj()
    try:
        result = unpack.decompress(packed, LONGEST + 1)
    except zlib.error as error:
        raise damaged(f"the text cannot be unpacked ({error})") from error
    if len(result) > LONGEST:
        raise damaged(f"the text unpacks to more than {LONGEST} bytes")
    if not unpack.eof:
        raise damaged("the packed text is cut short")
    return result

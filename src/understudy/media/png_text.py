"""Words inside a PNG file, where every viewer that shows comments finds them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

from understudy.media.xmp import KEYWORD, PNG

_HEADER = len(PNG) + 12 + 13


def with_text(png: bytes, text: Mapping[str, str]) -> bytes:
    """The same picture with `tEXt` chunks right after its header (PNG specification, third
    edition, 11.3.3).

    Args:
        png: a whole file.
        text: keyword, 1 to 79 characters of Latin-1, to text in Latin-1.

    Raises:
        ValueError: it is not a PNG file, or a keyword is too long.
    """
    chunks = []
    for keyword, words in text.items():
        if not 1 <= len(keyword) <= 79:
            raise ValueError(f"a keyword has 1 to 79 characters, not {len(keyword)}")
        chunks.append((b"tEXt", keyword.encode("latin-1") + b"\0" + words.encode("latin-1")))
    return _with_chunks(png, chunks)


def with_packet(png: bytes, packet: bytes) -> bytes:
    """The same picture with an XMP packet, in an `iTXt` chunk that is not packed (XMP
    specification, part 3, 1.1.5). Raises ValueError."""
    return _with_chunks(png, [(b"iTXt", KEYWORD + bytes(5) + packet)])


def _with_chunks(png: bytes, chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The same picture with chunks, names and bodies, right after its header."""
    if png[: len(PNG)] != PNG or png[12:16] != b"IHDR":
        raise ValueError("text goes into PNG files only")
    added = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return png[:_HEADER] + added + png[_HEADER:]

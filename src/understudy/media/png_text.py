"""Words inside a PNG file, where every viewer that shows comments finds them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = len(SIGNATURE) + 12 + 13


def with_text(png: bytes, text: Mapping[str, str]) -> bytes:
    """The same picture with `tEXt` chunks right after its header (PNG specification, third
    edition, 11.3.3).

    Args:
        png: a whole file.
        text: keyword, 1 to 79 characters of Latin-1, to text in Latin-1.

    Raises:
        ValueError: it is no PNG file, or a keyword is too long.
    """
    if png[: len(SIGNATURE)] != SIGNATURE or png[12:16] != b"IHDR":
        raise ValueError("text goes into PNG files only")
    chunks = []
    for keyword, words in text.items():
        if not 1 <= len(keyword) <= 79:
            raise ValueError(f"a keyword has 1 to 79 characters, not {len(keyword)}")
        body = b"tEXt" + keyword.encode("latin-1") + b"\0" + words.encode("latin-1")
        chunks.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return png[:_HEADER] + b"".join(chunks) + png[_HEADER:]

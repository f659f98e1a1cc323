"""XMP packets (ISO 16684-1): words about a picture inside its file, which other programs show.

PNG: an iTXt chunk `XML:com.adobe.xmp`. JPEG: an APP1 segment. WebP: a chunk `XMP `.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

PNG = b"\x89PNG\r\n\x1a\n"
JPEG_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
KEYWORD = b"XML:com.adobe.xmp"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

LARGEST = 1 << 20
"""Bytes of a packet at most that are read."""


@dataclass(frozen=True)
class Property:
    """A name in a namespace, and the prefix that is usual for it."""

    namespace: str
    prefix: str
    name: str


def packet(description: str, *more: tuple[Property, str]) -> bytes:
    """A packet that holds a description in no particular language, and simple properties."""
    schemas = {one.prefix: one.namespace for one, _ in more}
    spaces = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in schemas.items())
    values = "".join(
        f"<{one.prefix}:{one.name}>{escape(text)}</{one.prefix}:{one.name}>" for one, text in more
    )
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"{spaces}>'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li>'
        f"</rdf:Alt></dc:description>{values}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def value(found: bytes, wanted: Property) -> str | None:
    """A simple property of a packet, written as an element or as an attribute; None when it is
    not there or the packet is damaged."""
    try:
        text = found.decode()
        # A document type can make a small packet huge.
        root = None if "<!DOCTYPE" in text else ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None
    if root is None:
        return None
    key = f"{{{wanted.namespace}}}{wanted.name}"
    for about in root.iter(f"{{{RDF}}}Description"):
        if (given := about.get(key)) is not None:
            return given
        element = about.find(key)
        if element is not None and element.text is not None:
            return element.text
    return None


def packets(data: bytes) -> Iterator[bytes]:
    """The packets of a PNG, JPEG or WebP file; empty for other or damaged files."""
    if data[:8] == PNG:
        found = _of_png(data)
    elif data[:2] == b"\xff\xd8":
        found = _of_jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = (body for name, body in _riff(data) if name == b"XMP ")
    else:
        return
    for one in found:
        if 0 < len(one) <= LARGEST:
            yield one.strip(b"\0 \t\r\n")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of a PNG file's chunks, as far as it is whole; sums are not checked."""
    at = len(PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def inflated(data: bytes) -> bytes:
    """What zlib made smaller, `LARGEST` bytes of it at most; nothing when it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error:
        return b""


def _of_png(data: bytes) -> Iterator[bytes]:
    for name, body in png_chunks(data):
        # Keyword, 0, compressed?, method, language, 0, keyword again, 0, text.
        keyword, _, rest = body.partition(b"\0")
        if name == b"tEXt" and keyword == KEYWORD:
            yield rest  # as OpenCV writes it
        elif name == b"iTXt" and keyword == KEYWORD and len(rest) > 2:
            text = rest[2:].split(b"\0", 2)[-1]
            yield inflated(text) if rest[0] else text


def _of_jpeg(data: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        if data[at + 1] == 0xE1 and body.startswith(JPEG_HEAD):
            yield body[len(JPEG_HEAD) :]
        at += 2 + max(size, 2)


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2

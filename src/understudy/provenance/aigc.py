"""The metadata tag `AIGC` that GB 45438-2025 (annex E) wants in generated films and pictures.

The value is JSON text with seven strings. It is stored in the file's metadata under the key `AIGC`
before the file is signed, so that the signature covers it: in a film among the container's tags,
in a picture as the XMP property `TC260:AIGC`, as TC260-PG-20258A has it.

    {"Label": "1", "ContentProducer": "...", "ProduceID": "...", "ReservedCode1": "...",
     "ContentPropagator": "", "PropagateID": "", "ReservedCode2": ""}

Label 1 says that the content is generated or synthesised (2: possibly, 3: suspected). The last
three belong to the distributor of the film. Private data of the user do not belong here.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from understudy.media import xmp

KEY = "AIGC"
PROPERTY = xmp.Property("http://www.tc260.org.cn/ns/AIGC/1.0/", "TC260", KEY)
GENERATED = "1"
PRODUCER = "Understudy"


class Tag(BaseModel):
    """The fields of the text; those of other makers may have fewer or more."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)

    label: str
    """1, 2 or 3; any other value does not follow the standard."""
    content_producer: str = ""
    """Name or code of the service that made it."""
    produce_id: str = Field(default="", alias="ProduceID")
    """The producer's number for this film or picture."""
    reserved_code1: str = ""
    """The producer's own, for security and integrity."""
    content_propagator: str = ""
    propagate_id: str = Field(default="", alias="PropagateID")
    reserved_code2: str = ""


def text(record: str, source_sha256: str | None = None, producer: str = PRODUCER) -> str:
    """The value for the key `AIGC`, on one line, ASCII only.

    Args:
        record: the number of the record, as in the watermark.
        source_sha256: hash of the film that was changed, in hex; kept in ReservedCode1.
        producer: name or code of the service; a provider in China has a registered code.
    """
    tag = Tag.model_validate(
        {
            "Label": GENERATED,
            "ContentProducer": producer,
            "ProduceID": record,
            "ReservedCode1": source_sha256 or "",
        }
    )
    return json.dumps(tag.model_dump(by_alias=True), separators=(",", ":"))


def parse(value: str) -> Tag | None:
    """Parse such a text; None if it is not valid. Some makers wrap it in {"AIGC": ...}."""
    try:
        found = json.loads(value)
        if isinstance(found, dict) and isinstance(found.get(KEY), dict):
            found = found[KEY]
        return Tag.model_validate(found)
    except (ValueError, RecursionError, ValidationError):
        return None


def in_picture(path: Path) -> Tag | None:
    """The tag in a PNG, JPEG or WebP file, of whatever maker; None where there is none, or the
    file cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    for packet in xmp.packets(data):
        value = xmp.value(packet, PROPERTY)
        tag = parse(value) if value else None
        if tag is not None:
            return tag
    return _in_png_text(data)


def _in_png_text(data: bytes) -> Tag | None:
    """Some makers write the bare text into a PNG file, under the same key."""
    if data[: len(xmp.PNG)] != xmp.PNG:
        return None
    for name, body in xmp.png_chunks(data):
        keyword, _, text = body.partition(b"\0")
        if keyword != KEY.encode():
            continue
        if name == b"iTXt" and len(text) > 2:
            packed, text = text[0], text[2:].split(b"\0", 2)[-1]
            text = xmp.inflated(text) if packed else text
        elif name != b"tEXt":
            continue
        tag = parse(text.decode("utf-8", errors="replace"))
        if tag is not None:
            return tag
    return None

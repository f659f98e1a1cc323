"""The directories of a TIFF file (TIFF 6.0, section 2): how many pictures it holds, and of what
sort. The pictures themselves are decoded by OpenCV."""

from __future__ import annotations

from typing import BinaryIO, Literal

_BIG = 43
IMAGE_FORMATS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of TIFF and BigTIFF files."""

_SUBFILE, _ORIENTATION = 254, 274
_SHORT, _LONG = 3, 4
_PAGES, _ENTRIES = 10_000, 4096
_REDUCED, _MASK = 1, 4


def pages(file: BinaryIO) -> list[dict[int, int]]:
    """The tags of every directory in turn; those with one number, by tag.

    Damaged files raise nothing: the readable parts are returned.
    """
    file.seek(0)
    head = file.read(16)
    if head[:4] not in IMAGE_FORMATS:
        return []
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    big = int.from_bytes(head[2:4], order) == _BIG
    wide, entry = (8, 20) if big else (4, 12)
    at = int.from_bytes(head[8:16] if big else head[4:8], order)
    found: list[dict[int, int]] = []
    seen: set[int] = set()
    while at and at not in seen and len(found) < _PAGES:
        seen.add(at)
        file.seek(at)
        length = 8 if big else 2
        count = min(int.from_bytes(file.read(length), order), _ENTRIES)
        data = file.read(count * entry + wide)
        if len(data) < count * entry:
            break
        tags = {}
        for start in range(0, count * entry, entry):
            tag, kind = (int.from_bytes(data[start + n : start + n + 2], order) for n in (0, 2))
            size = {_SHORT: 2, _LONG: 4}.get(kind, wide)
            value = start + 4 + wide
            tags[tag] = int.from_bytes(data[value : value + size], order)
        found.append(tags)
        at = int.from_bytes(data[count * entry :], order)
    return found


def first_tags(file: BinaryIO) -> dict[int, int]:
    """The tags of the first directory."""
    found = pages(file)
    return found[0] if found else {}


def whole_pages(file: BinaryIO) -> list[int]:
    """The numbers of the directories that hold a picture of its own: not a smaller copy of
    another, and not a mask."""
    found = pages(file)
    whole = [
        number
        for number, tags in enumerate(found)
        if not tags.get(_SUBFILE, 0) & (_REDUCED | _MASK)
    ]
    return whole or list(range(len(found)))


def orientation(tags: dict[int, int]) -> int:
    """1..8 as in EXIF; 1 when missing."""
    value = tags.get(_ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1

"""Pictures in HEIF files (HEIC of phones, AVIF): the complete main picture, upright.

    meta box -> primary item -> its tiles, in their order -> decoded -> one picture -> upright

FFmpeg gives each tile as a film of its own, and libraries that continue from there take the first
for the picture. So the boxes are read here (ISO/IEC 23008-12 and 14496-12) and FFmpeg only
decodes. Depth maps, gain maps and previews are other items and are left alone; transparency is laid
over white. Every number in a file may be wrong: what does not add up is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.error
import numpy as np
from av.video.codeccontext import VideoCodecContext

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.colour import Tags
from understudy.types import Image

_DECODERS = {"hvc1": ("hevc",), "av01": ("libdav1d", "av1")}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_PQ, _HLG = 16, 18
_MOST_PIXELS = 1 << 29
# ISO/IEC 23000-22, 7.3.6.4: what holds where nothing is said of the colours.
_UNSAID = Tags(6, colours.FULL, 1, 13)


class _Damaged(Exception):
    """The boxes of a file contradict themselves."""


@dataclass
class _Item:
    kind: str = ""
    parts: list[tuple[int, int, int]] = field(default_factory=list)
    """How it is stored: construction method, offset, length."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Type and content of each, in the order in which they apply."""

    def property(self, kind: bytes) -> bytes | None:
        return next((data for name, data in self.properties if name == kind), None)


class _Bytes:
    """Big-endian numbers out of a box."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise _Damaged("it is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def version(self) -> tuple[int, int]:
        """Version and flags of a full box."""
        return self.number(1), self.number(3)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the boxes in `data`."""
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            raise _Damaged("it is cut off")
        yield kind, data[at + head : at + size]
        at += size


class _File:
    """The items of a file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.idat, self.primary = data, b"", -1
        self.items: dict[int, _Item] = {}
        self.references: list[tuple[bytes, int, list[int]]] = []
        properties: list[tuple[bytes, bytes]] = []
        meta = _first(data, b"meta")
        if meta is None:
            raise _Damaged("it has no list of pictures")
        for kind, box in _boxes(meta[4:]):
            if kind == b"pitm":
                content = _Bytes(box)
                self.primary = content.number(2 if content.version()[0] == 0 else 4)
            elif kind == b"idat":
                self.idat = box
            elif kind == b"iinf":
                self._infos(box)
            elif kind == b"iloc":
                self._places(_Bytes(box))
            elif kind == b"iref":
                self._references(box)
            elif kind == b"iprp":
                properties = list(_boxes(_first(box, b"ipco") or b""))
        for kind, box in _boxes(_first(meta[4:], b"iprp") or b""):
            if kind == b"ipma":
                self._associations(_Bytes(box), properties)
        if self.primary not in self.items:
            raise _Damaged("it has no main picture")

    def _item(self, number: int) -> _Item:
        return self.items.setdefault(number, _Item())

    def _infos(self, box: bytes) -> None:
        version = box[0] if box else 0
        for kind, entry in _boxes(box[6 if version == 0 else 8 :]):
            if kind != b"infe":
                continue
            content = _Bytes(entry)
            version, _ = content.version()
            if version >= 2:
                number = content.number(2 if version == 2 else 4)
                content.number(2)
                self._item(number).kind = content.take(4).decode("latin-1")

    def _places(self, box: _Bytes) -> None:
        version, _ = box.version()
        sizes = box.number(2)
        offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        for _ in range(box.number(2 if version < 2 else 4)):
            item = self._item(box.number(2 if version < 2 else 4))
            method = box.number(2) & 15 if version else 0
            if box.number(2):
                raise _Damaged("a part of it is in another file")
            start = box.number(base)
            for _ in range(box.number(2)):
                box.take(index if version else 0)
                item.parts.append((method, start + box.number(offset), box.number(length)))

    def _references(self, box: bytes) -> None:
        size = 4 if box[:1] == b"\1" else 2
        for kind, entry in _boxes(box[4:]):
            content = _Bytes(entry)
            start = content.number(size)
            count = content.number(2)
            self.references.append((kind, start, [content.number(size) for _ in range(count)]))

    def _associations(self, box: _Bytes, properties: list[tuple[bytes, bytes]]) -> None:
        version, flags = box.version()
        for _ in range(box.number(4)):
            item = self._item(box.number(2 if version == 0 else 4))
            for _ in range(box.number(1)):
                number = box.number(2) & 0x7FFF if flags & 1 else box.number(1) & 0x7F
                if number > len(properties):
                    raise _Damaged("it names a missing property")
                if number:
                    item.properties.append(properties[number - 1])

    def content(self, item: _Item) -> bytes:
        pieces = []
        for method, start, length in item.parts:
            if method > 1:
                raise _Damaged("its data are stored in an unsupported way")
            source = self.idat if method == 1 else self.data
            piece = source[start : start + length] if length else source[start:]
            if len(piece) < length:
                raise _Damaged("it is cut off")
            pieces.append(piece)
        return b"".join(pieces)

    def derived(self, number: int) -> list[int]:
        """The items that `number` is made of, in their order."""
        return next(
            (to for kind, one, to in self.references if (kind, one) == (b"dimg", number)), []
        )

    def alpha(self, number: int) -> int | None:
        """The item with the transparency of `number`."""
        for kind, one, to in self.references:
            if kind == b"auxl" and number in to:
                said = self._item(one).property(b"auxC") or b""
                if said[4:].split(b"\0")[0] in _ALPHA:
                    return one
        return None


def _first(data: bytes, wanted: bytes) -> bytes | None:
    return next((box for kind, box in _boxes(data) if kind == wanted), None)


def read_heif(data: bytes, name: str) -> Image:
    """RGB uint8 (h, w, 3) of the main picture of a HEIC or AVIF file, upright.

    Args:
        name: what to call it in the message.

    Raises:
        MediaError: it is damaged, or of a kind that cannot be read here.
    """
    try:
        file = _File(data)
        picture = _decoded(file, file.primary)
        image = planes.to_rgb(picture)
        alpha = file.alpha(file.primary)
        if alpha is not None:
            share = planes.to_rgb(_decoded(file, alpha))[..., :1]
            if share.shape[:2] == image.shape[:2]:
                image = np.asarray(planes.over_white(np.concatenate([image, share], 2)), np.uint8)
        return _upright(image, file.items[file.primary])
    except (_Damaged, av.error.FFmpegError, ValueError, IndexError) as error:
        why = error.strerror if isinstance(error, av.error.FFmpegError) else str(error)
        raise MediaError(
            f"{name} cannot be read as HEIC or AVIF ({why}).",
            "Copy it again; if another program shows it, export it from there as JPEG or PNG.",
        ) from error


def _decoded(file: _File, number: int, depth: int = 0) -> av.VideoFrame:
    """An item as a picture, neither turned nor cut."""
    item = file.items.get(number)
    if item is None or depth > 3:
        raise _Damaged("parts of it are missing")
    if item.kind == "grid":
        return _of_tiles(file, number, item, depth)
    if item.kind == "iden" and (inner := file.derived(number)):
        return _decoded(file, inner[0], depth + 1)
    if item.kind not in _DECODERS:
        raise _Damaged(f"its picture is of the kind {item.kind!r}")
    return _tagged(item, _decode(item, file.content(item)))


def _decode(item: _Item, data: bytes) -> av.VideoFrame:
    config = item.property(b"hvcC" if item.kind == "hvc1" else b"av1C") or b""
    decoder = None
    for name in _DECODERS[item.kind]:
        if name in av.codecs_available:
            decoder = av.CodecContext.create(name, "r")
            break
    if not isinstance(decoder, VideoCodecContext):
        raise _Damaged("this FFmpeg has no decoder for it")
    decoder.thread_count = 1
    if item.kind == "hvc1":
        decoder.extradata = config
    else:
        data = config[4:] + data
    packet = av.Packet(data)
    packet.pts, packet.time_base = 0, Fraction(1, 25)
    for one in (packet, None):
        for frame in decoder.decode(one):
            if frame.is_corrupt:
                raise _Damaged("a part of it cannot be decoded")
            return planes.simplify(frame)
    raise _Damaged("a part of it cannot be decoded")


def _tagged(item: _Item, picture: av.VideoFrame) -> av.VideoFrame:
    """The picture with the colour tags that hold for it."""
    said = Tags()
    for kind, box in item.properties:
        if kind == b"colr" and box[:4] == b"nclx" and len(box) >= 11:
            primaries, transfer, matrix = (
                int.from_bytes(box[at : at + 2], "big") for at in (4, 6, 8)
            )
            said = Tags(matrix, colours.FULL if box[10] & 128 else colours.LIMITED)
            said = Tags(said.space, said.range, primaries, transfer)
    tags = said.or_else(colours.tags_of(picture))
    if tags.transfer in (_PQ, _HLG):
        raise _Damaged("it has high dynamic range; export it without")
    if not picture.format.name.startswith("rgb"):
        colours.put_tags(picture, tags.or_else(_UNSAID))
    return picture


def _of_tiles(file: _File, number: int, item: _Item, depth: int) -> av.VideoFrame:
    """A grid of tiles of one size, row by row (ISO/IEC 23008-12, 6.6.2.3)."""
    box = _Bytes(file.content(item))
    box.number(1)
    size = 4 if box.number(1) & 1 else 2
    rows, columns = box.number(1) + 1, box.number(1) + 1
    width, height = box.number(size), box.number(size)
    tiles = file.derived(number)
    if len(tiles) != rows * columns or not 0 < width * height <= _MOST_PIXELS:
        raise _Damaged(f"it has only {len(tiles)} of its {rows * columns} tiles")
    whole: av.VideoFrame | None = None
    for place, one in enumerate(tiles):
        tile = _decoded(file, one, depth + 1)
        if whole is None:
            if tile.width * columns < width or tile.height * rows < height:
                raise _Damaged("its tiles are too small")
            first, whole = tile, planes.blank(width, height, tile.format.name, tile)
        if (tile.format.name, tile.width, tile.height) != (
            first.format.name,
            first.width,
            first.height,
        ):
            raise _Damaged("its tiles differ in size")
        row, column = divmod(place, columns)
        for target, source in zip(planes.arrays(whole), planes.arrays(tile), strict=True):
            high, wide = source.shape[:2]
            room = target[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
            room[...] = source[: room.shape[0], : room.shape[1]]
    assert whole is not None
    return _tagged(item, whole)


def _upright(image: Image, item: _Item) -> Image:
    """Cut, turned and mirrored as the item's properties say, in their order."""
    for kind, box in item.properties:
        if kind == b"clap":
            image = _cut(image, box)
        elif kind == b"irot" and box:
            image = np.rot90(image, box[0] & 3)
        elif kind == b"imir" and box:
            image = image[:, ::-1] if box[0] & 1 else image[::-1]
    return np.ascontiguousarray(image)


def _cut(image: Image, box: bytes) -> Image:
    """The clean aperture (ISO/IEC 14496-12, 12.1.4): a size, and how far from the middle."""
    if len(box) < 32:
        raise _Damaged("it is cut off")
    pairs = [
        Fraction(
            int.from_bytes(box[at : at + 4], "big", signed=True),
            int.from_bytes(box[at + 4 : at + 8], "big") or 1,
        )
        for at in range(0, 32, 8)
    ]
    height, width = image.shape[:2]
    wide, high = round(pairs[0]), round(pairs[1])
    left = round(pairs[2] + Fraction(width - 1, 2) - Fraction(wide - 1, 2))
    top = round(pairs[3] + Fraction(height - 1, 2) - Fraction(high - 1, 2))
    if wide < 1 or high < 1 or left < 0 or top < 0 or left + wide > width or top + high > height:
        raise _Damaged("its frame lies outside of it")
    return image[top : top + high, left : left + wide]

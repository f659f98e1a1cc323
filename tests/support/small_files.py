"""Small files of kinds that phones, cameras and programs write, made at test time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from understudy.media import colour as colours
from understudy.types import Image


def gradient(width: int, height: int, blue: int = 60) -> Image:
    """RGB: red grows to the right, green downwards."""
    down, across = np.mgrid[0:height, 0:width]
    planes = (across * 255 / width, down * 255 / height, np.full(down.shape, blue))
    return np.stack(planes, -1).astype(np.uint8)


def _box(kind: str, *parts: bytes, full: int | None = None) -> bytes:
    """A box; `full` is the version of a full box."""
    body = b"" if full is None else bytes([full, 0, 0, 0])
    body += b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def _tile(image: Image) -> tuple[bytes, bytes]:
    """A picture as HEVC: its configuration (hvcC) and its data, as mp4 stores them."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"x265-params": "crf=4:log-level=none:keyint=1:info=0", "preset": "ultrafast"}
    encoder.open()
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="JPEG")
    frame.pts = 0
    stream = b"".join(bytes(one) for one in [*encoder.encode(frame), *encoder.encode(None)])
    units = _units(stream) or []
    sets = [one for one in _units(encoder.extradata or b"") + units if one[0] >> 1 in (32, 33, 34)]
    sets = list({one[0] >> 1: one for one in sets}.values())
    profile = next(one for one in sets if one[0] >> 1 == 33)
    config = bytes([1, *profile[3:15], 0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, len(sets)])
    for one in sets:
        config += bytes([0x80 | one[0] >> 1]) + struct.pack(">HH", 1, len(one)) + one
    data = [one for one in units if one[0] >> 1 < 32]
    return config, b"".join(struct.pack(">I", len(one)) + one for one in data)


def _units(stream: bytes) -> list[bytes]:
    """The NAL units of an elementary stream."""
    pieces = stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [one for one in pieces[1:] if one]


def heic(
    path: Path,
    image: Image,
    side: int,
    *,
    quarter_turns: int = 0,
    mirrored: bool = False,
    depth: Image | None = None,
    lost: int = 0,
) -> Path:
    """A picture in tiles of `side` pixels, as iPhones write it.

    Args:
        quarter_turns: counter-clockwise, to be done when it is shown; mirrored: left to right.
        depth: a second picture that is an auxiliary image of the first.
        lost: so many tiles are missing from the list of them.
    """
    height, width = image.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    padded = np.pad(image, ((0, rows * side - height), (0, columns * side - width), (0, 0)), "edge")
    parts = [
        padded[r * side : (r + 1) * side, c * side : (c + 1) * side]
        for r in range(rows)
        for c in range(columns)
    ]
    parts += [] if depth is None else [depth]
    coded = [_tile(np.ascontiguousarray(one)) for one in parts]
    tiles = list(range(2, 2 + rows * columns))
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    items: list[tuple[int, str, bytes]] = [(1, "grid", grid)]
    items += [(2 + n, "hvc1", data) for n, (_, data) in enumerate(coded)]
    properties = [
        _box("hvcC", coded[0][0]),
        _box("ispe", struct.pack(">II", side, side), full=0),
        _box("ispe", struct.pack(">II", width, height), full=0),
        _box("irot", bytes([quarter_turns])),
        _box("imir", b"\1"),
        _box("colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80)),
        _box("auxC", b"urn:mpeg:hevc:2015:auxid:2\0", full=0),
    ]
    own = [3, 6, *([4] if quarter_turns else []), *([5] if mirrored else [])]
    of = {1: own, **{one: [1, 2, 6] for one in tiles}}
    refers = [("dimg", 1, tiles[: len(tiles) - lost])]
    if depth is not None:
        of[tiles[-1] + 1] = [1, 2, 7]
        refers.append(("auxl", tiles[-1] + 1, [1]))
    return _written(path, items, properties, of, refers)


def _written(
    path: Path,
    items: Sequence[tuple[int, str, bytes]],
    properties: Sequence[bytes],
    of: dict[int, list[int]],
    refers: Sequence[tuple[str, int, list[int]]],
) -> Path:
    head = _box("ftyp", b"heic", struct.pack(">I", 0), b"mif1heic")
    infos = [_box("infe", struct.pack(">HH", n, 0), k.encode(), b"\0", full=2) for n, k, _ in items]
    links = [
        struct.pack(">HB", one, len(names)) + bytes(0x80 | name for name in names)
        for one, names in of.items()
    ]
    references = [
        _box(kind, struct.pack(f">HH{len(to)}H", one, len(to), *to)) for kind, one, to in refers
    ]

    def meta(start: int) -> bytes:
        places, at = [], start
        for number, _, data in items:
            places.append(struct.pack(">HHHII", number, 0, 1, at, len(data)))
            at += len(data)
        return _box(
            "meta",
            _box("hdlr", bytes(4), b"pict", bytes(13), full=0),
            _box("pitm", struct.pack(">H", 1), full=0),
            _box("iloc", bytes([0x44, 0]), struct.pack(">H", len(items)), *places, full=0),
            _box("iinf", struct.pack(">H", len(items)), *infos, full=0),
            _box("iref", *references, full=0),
            _box(
                "iprp",
                _box("ipco", *properties),
                _box("ipma", struct.pack(">I", len(of)), *links, full=0),
            ),
            full=0,
        )

    start = len(head) + len(meta(0)) + 8
    data = b"".join(one for _, _, one in items)
    path.write_bytes(head + meta(start) + _box("mdat", data))
    return path


def animation(path: Path, images: Sequence[Image], milliseconds: Sequence[int]) -> Path:
    """An animated WebP, APNG, AVIF or GIF."""
    moving = cv2.Animation()
    moving.frames = [cv2.cvtColor(one, cv2.COLOR_RGB2BGRA) for one in images]
    moving.durations = list(milliseconds)
    assert cv2.imwriteanimation(str(path), moving, [cv2.IMWRITE_WEBP_QUALITY, 101])
    return path


def pages(path: Path, images: Sequence[Image]) -> Path:
    """A TIFF with several pictures."""
    assert cv2.imwritemulti(str(path), [one[..., ::-1] for one in images])
    return path


def tiff(path: Path, *tags: tuple[int, int]) -> Path:
    """A TIFF of 2x2 grey pixels with further tags (LONG)."""
    own = {256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 4, **dict(tags)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, own[tag]) for tag in sorted(own))
    body = bytes([10, 20, 30, 40])
    count = struct.pack("<H", len(own))
    path.write_bytes(b"II*\0" + struct.pack("<I", 12) + body + count + entries + bytes(4))
    return path


def film(path: Path, frames: int = 5, container: str = "mp4") -> Path:
    """A grey film of 64x48 pixels at 25 frames a second that grows lighter."""
    with av.open(f"file:{path}", "w", format=container) as writing:
        stream = writing.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_range = colours.LIMITED
        for number in range(frames):
            image = np.full((48, 64, 3), 90 + 10 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode())
    return path

"""Contact sheets and short films made of face pictures, as they are before they are finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from understudy.media import colour as colours
from understudy.media import xmp
from understudy.media.images import encode_image
from understudy.media.planes import Turn
from understudy.media.png_text import with_text
from understudy.media.video import SEGMENT_SUFFIX, MediaInfo, SegmentWriter, join
from understudy.runtime import files
from understudy.settings import EncodeSettings
from understudy.types import Box, Image

TILE = 128
GAP = 4
CAPTION = 22
RATE = 25
PAPER = 24
INK = (225, 225, 225)
WEBP_QUALITY = 80


@dataclass(frozen=True)
class Row:
    """A line of a sheet: what it shows in words, its pictures, RGB uint8 of one size, and words
    over each picture, if any."""

    caption: str
    pictures: Sequence[Image]
    labels: Sequence[str] = ()


def sheet(rows: Sequence[Row], side: int = TILE) -> Image:
    """All rows under one another, each below its caption. RGB uint8 (height, width, 3).

    Args:
        side: of each picture on the sheet, pixels.
    """
    drawn = [_row(row, side) for row in rows]
    width = max(row.shape[1] for row in drawn)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=PAPER)
        for row in drawn
    ]
    return np.concatenate(padded)


def grid(caption: str, pictures: Sequence[Image], columns: int = 8) -> list[Row]:
    """Many pictures as rows of `columns`, with a caption above the first."""
    parts = [pictures[first : first + columns] for first in range(0, len(pictures), columns)]
    return [Row(caption if number == 0 else "", part) for number, part in enumerate(parts)]


def cut_square(image: Image, box: Box, room: float) -> Image:
    """A square around a face, its side `room` times the box's longer one; what lies outside of
    the picture is paper.

    Args:
        image: RGB uint8 (height, width, 3).
        box: of the face, pixels of `image`.
    """
    side = max(2, round(room * max(box[2] - box[0], box[3] - box[1])))
    left, top = (round((box[k] + box[k + 2] - side) / 2) for k in (0, 1))
    height, width = image.shape[:2]
    cut = np.full((side, side, 3), PAPER, np.uint8)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = image[rows, columns]
        y, x = rows.start - top, columns.start - left
        cut[y : y + part.shape[0], x : x + part.shape[1]] = part
    return cut


def _row(row: Row, side: int) -> Image:
    tiles = [
        np.pad(
            np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8),
            ((0, GAP), (0, GAP), (0, 0)),
            constant_values=PAPER,
        )
        for picture in row.pictures
    ]
    line = np.concatenate(tiles, axis=1)
    over = [(number * (side + GAP), words) for number, words in enumerate(row.labels)]
    strips = [_strip(line.shape[1], words) for words in ([(0, row.caption)], over) if words]
    return np.concatenate([*(strips if row.caption else strips[1:]), line])


def _strip(width: int, words: Sequence[tuple[int, str]]) -> Image:
    """A line of text, each piece with its x position in pixels."""
    strip = np.full((CAPTION, width, 3), PAPER, np.uint8)
    for left, text in words:
        where, font = (left + 3, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(strip, text, where, font, 0.42, INK, 1, cv2.LINE_AA)
    return strip


def write_still(path: Path, picture: Image, tags: Mapping[str, str]) -> None:
    """Write a PNG that carries `tags` as text, or a WebP whose description is the tag `comment`.

    Raises:
        MediaError, StorageError
    """
    if path.suffix == ".webp":
        packet = xmp.packet(tags["comment"])
        data = encode_image(picture, path.suffix, WEBP_QUALITY, packet)
        return files.write_bytes(path, data)
    named = {key.capitalize(): words for key, words in tags.items()}
    files.write_bytes(path, with_text(encode_image(picture, ".png"), named))


def write_film(path: Path, pictures: Iterable[Image], tags: Mapping[str, str]) -> None:
    """Write pictures of one size as a film of `RATE` a second that carries `tags`.

    Raises:
        MediaError, StorageError
    """
    how = EncodeSettings()
    pictures = iter(pictures)
    first = next(pictures)
    height, width = (side - side % 2 for side in first.shape[:2])
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{files.temporary_stem(path)}.", dir=path.parent) as folder:
        segment = Path(folder) / f"film{SEGMENT_SUFFIX}"
        with SegmentWriter(segment, _info(path, width, height), how) as writer:
            for number, picture in enumerate((first, *pictures)):
                even = np.ascontiguousarray(picture[:height, :width])
                writer.write_rgb(even, Fraction(number, RATE))
        join([segment], path, None, None, None, how, metadata=tags)


def _info(path: Path, width: int, height: int) -> MediaInfo:
    tags = colours.Tags(0, colours.FULL)
    return MediaInfo(
        path=path,
        kind="images",
        container="images",
        codec="png",
        width=width,
        height=height,
        turn=Turn(),
        pixel_aspect=Fraction(1),
        rate=Fraction(RATE),
        time_base=Fraction(1, RATE),
        start=Fraction(0),
        duration=None,
        frames=None,
        pixel_format="rgb24",
        stored_format="rgb24",
        bit_depth=8,
        tags=tags,
        colour=colours.resolve(tags, "rgb24", width, height),
    )

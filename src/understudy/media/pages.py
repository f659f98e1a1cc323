"""Files that hold several pictures: animated WebP, TIFF with several pages.

(GIF and APNG go through FFmpeg, as films do.)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import cv2
import numpy as np

from understudy.errors import MediaError
from understudy.media import tiff
from understudy.media.images import flat, turned
from understudy.media.kinds import Kind
from understudy.types import Image

_UNTIMED = 100
"""Milliseconds that a picture without a time is shown, as browsers show it."""

_AT_ONCE = 32
"""Pictures of an animation that are decoded together; each time from the first, for they build on
each other."""


@dataclass(frozen=True)
class Pages:
    """The pictures of a file.

    Attributes:
        data: the file.
        name: what to call it in messages.
        durations: milliseconds that each is shown; None where they are pages, without times.
        numbers: of each in the file.
    """

    data: bytes
    name: str
    durations: tuple[int, ...] | None
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def seconds(self) -> Fraction | None:
        """How long an animation lasts."""
        return None if self.durations is None else Fraction(sum(self.durations), 1000)

    def times(self, step: Fraction) -> list[Fraction]:
        """When each is shown, seconds; pages `step` apart."""
        if self.durations is None:
            return [number * step for number in range(len(self))]
        return [Fraction(time, 1000) for time in accumulate((0, *self.durations[:-1]))]

    def images(self) -> Iterator[Image | None]:
        """Each as RGB uint8 (h, w, 3), in order; None for one that cannot be decoded."""
        buffer = np.frombuffer(self.data, np.uint8)
        if self.durations is None:
            found = tiff.pages(io.BytesIO(self.data))
            for number in self.numbers:
                yield _page(buffer, number, tiff.orientation(found[number]))
            return
        for start in range(0, len(self), _AT_ONCE):
            count = min(_AT_ONCE, len(self) - start)
            try:
                _, animation = cv2.imdecodeanimation(buffer, start=start, count=count)
                frames = list(animation.frames)
            except cv2.error:
                frames = []
            for place in range(count):
                yield flat(np.asarray(frames[place])) if place < len(frames) else None


def _page(buffer: Image, number: int, orientation: int) -> Image | None:
    try:
        _, found = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(number, number + 1))
    except cv2.error:
        return None
    return turned(flat(np.asarray(found[0])), orientation) if found else None


def pages_of(data: bytes, kind: Kind, name: str) -> Pages | None:
    """The pictures of a file; None if it contains only one.

    Raises:
        MediaError: it claims to be an animation but has no picture.
    """
    if kind.name == "WebP" and kind.what == "animation":
        durations = tuple(one or _UNTIMED for one in _webp_durations(data))
        if not durations:
            raise MediaError(f"{name} is an animation without pictures.", "Copy it again.")
        return Pages(data, name, durations, tuple(range(len(durations))))
    if kind.name == "TIFF" and len(numbers := tiff.whole_pages(io.BytesIO(data))) > 1:
        return Pages(data, name, None, tuple(numbers))
    return None


def _webp_durations(data: bytes) -> Iterator[int]:
    """Milliseconds of each picture (WebP container specification, "Animation")."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF" and at + 8 + 16 <= len(data):
            yield int.from_bytes(data[at + 20 : at + 23], "little")
        at += 8 + size + size % 2

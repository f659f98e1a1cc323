"""One picture out of a film."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from understudy.media.video import VideoReader
from understudy.types import Image


def still(path: Path, seconds: float, start: Fraction | None = None) -> Image | None:
    """The picture of a film nearest after `seconds` since its first frame (or its part's)."""
    with VideoReader(path, start) as reader:
        first = next(iter(reader), None)
        half = 1 / (2 * reader.info.rate) if reader.info.rate else Fraction(1, 100)
    if first is None:
        return None
    with VideoReader(path, first.time + Fraction(seconds) - half) as reader:
        found = next(iter(reader), None)
    return None if found is None else found.image

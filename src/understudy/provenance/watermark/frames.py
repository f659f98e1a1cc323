"""The invisible mark on a film's frames, in whatever form they are, and where to read it again."""

from __future__ import annotations

import av
import cv2
import numpy as np

from understudy.media import colour as colours
from understudy.media import planes
from understudy.provenance.watermark.watermark import Embedder
from understudy.types import Floats, Image

ALGORITHM = "org.understudy.watermark.1"
"""What credentials call the mark."""

SAMPLED = 96
"""Frames from which a film's mark is read, evenly spread."""


class Marker:
    """Marks frames of one size with one record's number; see `watermark.Embedder`."""

    def __init__(self, width: int, height: int, record: int, strength: float) -> None:
        self._embedder = Embedder(width, height, record, strength)

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """A marked copy of a picture in any format that a reader gives: same format, time and
        tags. The mark goes into the brightness alone."""
        form = planes.form_of(picture.format.name)
        if form is None:
            return self(planes.simplify(picture))
        marked = planes.copy(picture)
        first = planes.arrays(marked)[0]
        if form.kind != "rgb":
            full = colours.colour_of(picture).full
            first[...] = self._embedder.mark(first, form.bits, full)
        elif form.bits == 8:
            first[...] = self._embedder.mark_rgb(first)
        else:
            codes = ((first.astype(np.uint32) + 128) // 257).astype(np.uint8)
            added = self._embedder.mark_rgb(codes).astype(np.int32) - codes
            first[...] = np.clip(first + 257 * added, 0, 65535)
        return marked

    def rgb(self, image: Image) -> Image:
        """A marked copy of an RGB picture, uint8 (h, w, 3)."""
        return np.asarray(self._embedder.mark_rgb(image), np.uint8)


def luma(picture: av.VideoFrame) -> Floats:
    """Brightness float32 (h, w), black 0 and white 255, whatever the picture's range and depth."""
    form = planes.form_of(picture.format.name)
    if form is None:
        return luma(planes.simplify(picture))
    if form.kind == "rgb":
        return grey(planes.to_rgb(picture))
    values = planes.arrays(picture)[0].astype(np.float32) / np.float32(2 ** (form.bits - 8))
    if not colours.colour_of(picture).full:
        values = (values - 16) * np.float32(255 / 219)
    return np.asarray(values, np.float32)


def grey(image: Image) -> Floats:
    """Brightness of an RGB picture, float32 (h, w), 0..255."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)

"""Words drawn on plates and bands, for the visible label.

With the fonts inside OpenCV 5: Latin, Greek, Cyrillic and Chinese; what they lack comes out as a
question mark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from understudy.types import Floats, Patch

LEAST = 9
"""Capital letters lower than this many pixels cannot be read: small pictures get these."""

SENTENCE_SHARE = 0.6
"""Letters of the card's sentence against those of its title."""

PLATE = 0.62
"""How much of the picture the plate behind the words hides."""

WHITE = 245
WEIGHT = 600


@dataclass(frozen=True)
class Words:
    """Drawn words: how much of each pixel they cover, float32 (h, w), and the height of a
    capital letter in pixels."""

    cover: Floats
    capital: int


def written(text: str, capital: int) -> Words:
    """`text` on one line with capitals `capital` pixels high, or higher by a pixel or so."""
    font = cv2.FontFace("sans")
    # Capitals of this font are seven tenths of its size, less what rounding takes.
    size = max(1, math.floor(capital / 0.75))
    while (found := _ink(font, "H", size).shape[0]) < capital:
        size += 1
    return Words(_line(font, text, size), found)


def _drawn(font: Any, text: str, size: int) -> Floats:
    """`text` with room on every side, its base line 1.5 `size` below the top."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, size, weight=WEIGHT)
    canvas = np.zeros((2 * size + 2, width + 2 * size, 3), np.uint8)
    cv2.putText(canvas, text, (size, 3 * size // 2), (255, 255, 255), font, size, weight=WEIGHT)
    return canvas[..., 0].astype(np.float32) / np.float32(255)


def _ink(font: Any, text: str, size: int) -> Floats:
    """`text` cut to the pixels that are at least half covered."""
    drawn = _drawn(font, text, size)
    rows, columns = (np.flatnonzero((drawn >= 0.5).any(axis)) for axis in (1, 0))
    if not rows.size:
        return np.zeros((0, 0), np.float32)
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _line(font: Any, text: str, size: int) -> Floats:
    """`text` cut to its ink from left to right and to the same rows whatever its letters are:
    from above an accented capital to below a descender."""
    drawn = _drawn(font, text, size)
    base = 3 * size // 2
    columns = np.flatnonzero(drawn.any(0))
    if not columns.size:
        return drawn[base - size : base + size // 4, :1]
    return drawn[base - size : base + size // 4, columns[0] : columns[-1] + 1]


def fitted(text: str, capital: int, room: float) -> Words:
    """`text` in the size asked for, or as small as it must be to take up `room` at most."""
    words = written(text, capital)
    while words.cover.shape[1] > room and capital > 2:
        capital = max(2, min(capital - 1, math.floor(capital * room / words.cover.shape[1])))
        words = written(text, capital)
    return words


def _patch(words: Floats, plate: Floats) -> Patch:
    """White words over a black plate as one patch; both float32 (h, w), 0..1."""
    alpha = words + (1 - words) * plate
    grey = WHITE * words / np.maximum(alpha, np.float32(1e-6))
    image = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    return Patch(0, 0, image, alpha.astype(np.float32))


def plate(words: Words) -> Patch:
    """Words on a plate with round corners."""
    side, above = round(0.7 * words.capital), round(0.3 * words.capital)
    # The line has room for accents above and descenders below; the plate's edge may be nearer.
    cover = np.pad(words.cover, ((above, above), (side, side)))
    height, width = cover.shape
    radius = 0.45 * words.capital
    across = np.abs(np.arange(width) - (width - 1) / 2) - (width / 2 - radius)
    down = np.abs(np.arange(height) - (height - 1) / 2) - (height / 2 - radius)
    distance = np.hypot(np.maximum(across, 0)[None, :], np.maximum(down, 0)[:, None])
    shape = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    return _patch(cover, np.float32(PLATE) * shape)


def band(title: Words, sentence: str, size: tuple[float, int]) -> Patch:
    """The card: a band as wide as the picture, with the title and the sentence in its middle."""
    width = round(size[0])
    lines = [title.cover]
    capital = max(round(SENTENCE_SHARE * title.capital), min(LEAST, title.capital))
    lines += [line.cover for line in _broken(sentence, capital, 0.9 * width)]
    gap = round(0.6 * title.capital)
    room = np.zeros((gap, width), np.float32)
    rows = [room]
    for number, line in enumerate(lines):
        left = (width - line.shape[1]) // 2
        right = width - line.shape[1] - left
        rows += [room[: gap // 2]] if number == 1 else []
        rows.append(np.pad(line, ((0, 0), (max(left, 0), max(right, 0))))[:, :width])
    cover = np.vstack([*rows, room])
    return _patch(cover, np.full_like(cover, PLATE))


def _broken(text: str, capital: int, room: float) -> list[Words]:
    """`text` broken into lines between words, each no wider than `room`."""
    lines: list[Words] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and written(longer, capital).cover.shape[1] > room:
            lines.append(fitted(line, capital, room))
            longer = word
        line = longer
    return [*lines, fitted(line, capital, room)] if line else lines

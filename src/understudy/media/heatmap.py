"""A table of numbers as a picture: a heat map with its numbers in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.media.contact_sheet import CAPTION, INK, PAPER
from understudy.types import Image

WIDTH, HEIGHT = 62, 34
NAMES = 110
GAP = 2
POSITIVE, NEGATIVE = (214, 96, 30), (38, 110, 190)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def heat_map(
    caption: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
) -> Image:
    """Draw values from -1 (blue) over 0 (as the paper) to 1 (orange).

    Args:
        values: by row and column; None leaves a cell empty.

    Returns:
        RGB uint8 (height, width, 3).
    """
    top = 2 * CAPTION
    picture = np.full(
        (top + HEIGHT * len(rows) + GAP, NAMES + WIDTH * len(columns) + GAP, 3), PAPER, np.uint8
    )
    _write(picture, caption, 3, CAPTION - 7)
    for number, name in enumerate(columns):
        _write(picture, name, NAMES + WIDTH * number + 4, top - 7)
    for row, name in enumerate(rows):
        y = top + HEIGHT * row
        _write(picture, name, 3, y + HEIGHT // 2 + 4)
        for column, value in enumerate(values[row]):
            if value is None:
                continue
            x = NAMES + WIDTH * column
            picture[y : y + HEIGHT - GAP, x : x + WIDTH - GAP] = colour(value)
            _write(picture, f"{value:+.2f}", x + 9, y + HEIGHT // 2 + 4)
    return picture


def colour(value: float) -> tuple[int, ...]:
    """RGB 0..255 of a value; beyond -1 and 1 as at the end."""
    end = POSITIVE if value > 0 else NEGATIVE
    share = min(abs(value), 1.0)
    return tuple(round(PAPER + share * (one - PAPER)) for one in end)


def _write(picture: Image, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), _FONT, _SCALE, INK, 1, cv2.LINE_AA)

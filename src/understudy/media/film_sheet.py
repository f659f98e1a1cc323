"""One picture of several films: the same few frames of each, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from understudy.media.video import VideoReader
from understudy.types import Image

SHOWN = 6
"""Frames on the sheet."""

TILE, CAPTION, GAP = 256, 28, 4
_PAPER, _INK = 255, (60, 60, 60)


def contact_sheet(rows: Sequence[tuple[str, Path]], frames: int) -> Image:
    """The same few frames of several films, a row with a caption for each film.

    Args:
        rows: caption and film; the films are equally long.
        frames: length of the films; those in the middle of six equal parts are shown.

    Returns:
        RGB uint8 (height, width, 3).
    """
    count = min(SHOWN, frames)
    chosen = sorted({int((part + 0.5) * frames / count) for part in range(count)})
    return np.concatenate([_row(caption, film, chosen) for caption, film in rows])


def _row(caption: str, film: Path, chosen: Sequence[int]) -> Image:
    with VideoReader(film) as reader:
        tiles = [_tile(frame.image) for frame in reader if frame.index in chosen]
    row = np.concatenate(tiles, axis=1)[:, : -GAP or None]
    strip = np.full((CAPTION, row.shape[1], 3), _PAPER, np.uint8)
    where, font = (4, CAPTION - 9), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, caption, where, font, 0.55, _INK, 1, cv2.LINE_AA)
    return np.concatenate([strip, row])


def _tile(image: Image) -> Image:
    """The image `TILE` pixels high, with a gap to its right."""
    width = round(TILE * image.shape[1] / image.shape[0])
    if image.shape[0] != TILE:
        image = np.asarray(cv2.resize(image, (width, TILE), interpolation=cv2.INTER_AREA), np.uint8)
    return np.pad(image, ((0, 0), (0, GAP), (0, 0)), constant_values=_PAPER)

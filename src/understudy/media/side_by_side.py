"""Frames of the extra films: original next to result, and the matte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from understudy.media import planes
from understudy.types import Frame, Image, Patch


def even(width: int) -> int:
    """The width of either half of a side-by-side film of frames so wide."""
    return width - width % 2


def doubled(frame: Frame) -> Frame:
    """The frame twice, side by side, in its own pixel format; the last column of an odd width
    is dropped.

    Samples are copied as they are, so that the left half of a side-by-side film is the source
    and nothing else.
    """
    picture = frame.picture
    width = even(picture.width)
    wide = planes.blank(2 * width, picture.height, picture.format.name, picture)
    for new, old in zip(planes.arrays(wide), planes.arrays(picture), strict=True):
        half = new.shape[1] // 2
        new[:, :half] = old[:, :half]
        new[:, half:] = old[:, :half]
    return replace(frame, picture=wide)


def moved(patches: Sequence[Patch], frame: Frame) -> list[Patch]:
    """The patches of `frame` where they belong in the right half of `doubled(frame)`.

    They lie over its picture as it is stored, before and after.

    What would reach over into the left half is cut off.
    """
    shift = even(frame.picture.width)
    result = []
    for patch in patches:
        cut = max(0, -patch.x)
        result.append(
            replace(
                patch,
                x=patch.x + cut + shift,
                image=patch.image[:, cut:],
                alpha=patch.alpha[:, cut:],
            )
        )
    return result


def matte(frame: Frame, patches: Sequence[Patch]) -> Image:
    """The alpha of `patches` over the picture of `frame` as it is stored: uint8 (height, width),
    255 where nothing of the source is left."""
    height, width = frame.picture.height, frame.picture.width
    clear = np.ones((height, width), np.float32)
    for patch in patches:
        h, w = patch.alpha.shape
        x0, y0 = max(0, patch.x), max(0, patch.y)
        x1, y1 = min(width, patch.x + w), min(height, patch.y + h)
        if x0 < x1 and y0 < y1:
            inside = patch.alpha[y0 - patch.y : y1 - patch.y, x0 - patch.x : x1 - patch.x]
            clear[y0:y1, x0:x1] *= 1 - inside
    grey: Image = np.rint(255 * (1 - clear)).astype(np.uint8)
    return grey

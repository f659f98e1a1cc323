"""Cuts between shots, found from two neighbouring frames and the frames before.

A cut is a change that stands out from the changes of the frames before it: fast motion changes
a lot but goes on changing. Brightness and contrast are taken out first, so that a flash, a lamp
or a fade in exposure is no cut.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from understudy.types import Floats, Image

SIDE = 32
"""Side of the thumbnails that are compared."""

MEMORY = 4
"""How many earlier changes count as usual."""

LEAST = 0.015
"""A mean difference below this share of the grey range is never a cut."""

JUMP = 2.0
"""Factor by which a cut must exceed the usual difference."""

BOTH = 3.5
"""Least product of the two ratios to the usual: of the difference and of the histogram's."""

UNUSUAL = (0.03, 0.06)
"""Difference and histogram change taken as usual while nothing is known."""


def thumbnail(image: Image) -> Floats:
    """The frame small, with its mean brightness and contrast made equal: float32 (32, 32, 3)."""
    # Halving again and again, because averaging two by two pixels is many times as fast.
    while min(image.shape[:2]) >= 4 * SIDE:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * rows, : 2 * columns]
        image = np.asarray(
            cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
        )
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = small @ np.full(3, 1 / 3, np.float32)
    level = (small - grey.mean()) / (grey.std() + 8) * 48 + 128
    return np.asarray(np.clip(level, 0, 255), np.float32)


def histogram(small: Floats) -> Floats:
    """Share of pixels in each of 4 x 4 x 4 colours, float32 (64,)."""
    level = small.astype(np.uint8) >> 6
    bins = (level[..., 0] << 4) | (level[..., 1] << 2) | level[..., 2]
    return (np.bincount(bins.ravel(), minlength=64) / bins.size).astype(np.float32)


class Shots:
    """Takes every frame in order, and says where a new shot starts."""

    def __init__(self) -> None:
        self._last: Floats | None = None
        self._colours: Floats | None = None
        self._usual: list[tuple[float, float]] = []
        self._size: tuple[int, int] | None = None

    def update(self, image: Image) -> bool:
        """Whether this frame begins a new shot (the first frame does not; one of another size
        than the last does, because nothing lies where it was).

        Args:
            image: RGB uint8 (height, width, 3).
        """
        small = thumbnail(image)
        colours = histogram(small)
        last, before = self._last, self._colours
        self._last, self._colours = small, colours
        size, self._size = self._size, (image.shape[0], image.shape[1])
        if last is None or before is None:
            return False
        if size != self._size:
            self._usual = []
            return True
        difference = float(np.abs(small - last).mean()) / 255
        change = float(np.abs(colours - before).sum()) / 2
        usual = self._usual or [UNUSUAL]
        jump = difference / (max(u[0] for u in usual) + 0.005)
        both = jump * (change + 0.01) / (max(u[1] for u in usual) + 0.03)
        if difference >= LEAST and jump >= JUMP and both >= BOTH:
            self._usual = []
            return True
        self._usual = [*self._usual[-(MEMORY - 1) :], (difference, change)]
        return False

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on exactly here, as plain JSON values."""
        last = None if self._last is None else self._last.ravel().tolist()
        usual = [list(pair) for pair in self._usual]
        return {"last": last, "usual": usual, "size": self._size and list(self._size)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        last = state["last"]
        self._last = None if last is None else np.array(last, np.float32).reshape(SIDE, SIDE, 3)
        self._colours = None if self._last is None else histogram(self._last)
        self._usual = [(float(a), float(b)) for a, b in state["usual"]]
        self._size = None if state["size"] is None else (state["size"][0], state["size"][1])

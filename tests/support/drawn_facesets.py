"""Facesets that are drawn when they are asked for, in the place of extracted ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.errors import FacesError
from understudy.faces.masks import LIPS
from understudy.faces.pose import reference

SKINS = {"ada": (200, 150, 120), "chen": (120, 90, 70)}


def skin(person: str) -> tuple[int, int, int]:
    """A colour for whoever has none here."""
    number = zlib.crc32(person.encode())
    return 90 + number % 120, 70 + number // 128 % 100, 50 + number // 4096 % 80


@dataclass(frozen=True)
class Arrays:
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """Faces drawn from a person's name: an oval with eyes and a mouth that opens and closes."""

    person: str
    count: int

    @classmethod
    def open(cls, folder: Path) -> Drawn:
        file = folder / "count.txt"
        if not file.is_file():
            raise FacesError(f"There are no faces in {folder}.", "Extract them first.")
        return cls(folder.parent.name, int(file.read_text()))

    def __len__(self) -> int:
        return self.count

    @property
    def table(self) -> pa.Table:
        """Its frames, one face in each."""
        return pa.table({"frame": pa.array(range(self.count), pa.int32())})

    @property
    def frames(self) -> NDArray[np.int64]:
        """Of each face, its frame."""
        return np.arange(self.count)

    @property
    def fingerprint(self) -> str:
        return f"{self.person}-{self.count}"

    def split(self, held_out: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        kept = max(1, round(self.count * held_out))
        return np.arange(self.count - kept), np.arange(self.count - kept, self.count)

    def load(
        self,
        size: int,
        rows: Sequence[int] | None = None,
        tell: Callable[[], None] | None = None,
    ) -> Arrays:
        side = round(size / 0.8)
        colour = SKINS.get(self.person) or skin(self.person)
        images = np.full((self.count, side, side, 3), 60, np.uint8)
        masks = np.zeros((self.count, side, side), np.uint8)
        middle = (side // 2, side // 2)
        for number in range(self.count):
            cv2.ellipse(images[number], middle, (side // 4, side // 3), 0, 0, 360, colour, -1)
            cv2.ellipse(masks[number], middle, (side // 4, side // 3), 0, 0, 360, 255, -1)
            for x in (-side // 10, side // 10):
                cv2.circle(images[number], (middle[0] + x, middle[1] - 6), 3, (20, 20, 40), -1)
            opened = (side // 10, 1 + number % 7)
            cv2.ellipse(
                images[number], (middle[0], middle[1] + 12), opened, 0, 0, 360, (150, 40, 50), -1
            )
        head = reference().points[:, :2]
        points = (head - head.mean(0)) / np.ptp(head[:, 1]) * (2 * side / 3) + side / 2
        landmarks = np.repeat(points[None].astype(np.float32), self.count, 0)
        landmarks[:, LIPS, 1] += (np.arange(self.count) % 7)[:, None]
        some = slice(None) if rows is None else list(rows)
        return Arrays(images[some], masks[some], landmarks[some])

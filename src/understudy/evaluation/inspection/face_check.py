"""Whether a drawn picture is a face, as our own detector and mesh see it, and what they measure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import cv2
import numpy as np

from understudy.facesets.traits import measure
from understudy.types import Face, Floats, Image

SIDE = 192
"""Side in pixels at which the pictures are looked at."""

AROUND = 0.5
"""Room on every side, as a share of `SIDE`: detectors want to see what is around a face, and a
network's picture ends at the ears."""

GREY = 128


class Eyes(Protocol):
    """Finds faces, the largest first; `faces.analyser.FaceAnalyser` does."""

    def faces(self, image: Image) -> list[Face]: ...


class Finder:
    """Looks at pictures that show one aligned face, or should."""

    def __init__(self, analyser: Eyes) -> None:
        self._analyser = analyser

    def face(self, picture: Image) -> tuple[Image, Face | None]:
        """What was looked at, and the largest face in it.

        Args:
            picture: RGB uint8 (S, S, 3).
        """
        room = round(AROUND * SIDE)
        framed = np.full((SIDE + 2 * room, SIDE + 2 * room, 3), GREY, np.uint8)
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        framed[room : room + SIDE, room : room + SIDE] = large
        found = self._analyser.faces(framed)
        return framed, found[0] if found else None

    def share(self, pictures: Iterable[Image]) -> float:
        """Share of the pictures in which a face is found, 0..1."""
        return float(np.mean([self.face(picture)[1] is not None for picture in pictures]))

    def traits(self, pictures: Iterable[Image]) -> list[tuple[float, ...] | None]:
        """The `TRAITS` of each picture; None where there is no face."""
        return [
            None if face is None else measure(framed, _flat(face), face.landmarks, face.pose)
            for framed, face in map(self.face, pictures)
        ]


def _flat(face: Face) -> Floats:
    return face.landmarks[:, :2]

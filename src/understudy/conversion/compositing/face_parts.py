"""Soft masks of the parts of a face: eyes with brows, mouth, the areas between lids and lips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.masks import EYES_AND_BROWS, LIPS
from understudy.faces.triangles import INNER_LIPS
from understudy.types import Floats


@dataclass(frozen=True)
class FaceParts:
    """The parts of one face in a square picture.

    Attributes:
        mesh: float32 (468, 2 or more), pixels.
        side: of the picture, pixels.
    """

    mesh: Floats
    side: int

    @cached_property
    def regions(self) -> tuple[Floats, Floats]:
        """Eyes with brows, and mouth: float32 (side, side), 0..1, with wide soft edges."""
        eyes = self._region(
            [np.concatenate(EYES_AND_BROWS[first::2]) for first in (0, 1)], 0.02, 0.018
        )
        return eyes, self._region([LIPS], 0.035, 0.022)

    @cached_property
    def eyes(self) -> tuple[Floats, Floats]:
        """The areas between the lids of both eyes: float32 (side, side), 0..1."""
        left, right = (self._region([ring], 0.0, 0.006) for ring in EYES_AND_BROWS[:2])
        return left, right

    @cached_property
    def mouth(self) -> Floats:
        """The area between the lips: float32 (side, side), 0..1."""
        return self._region([INNER_LIPS], 0.0, 0.006)

    def _region(self, rings: Sequence[NDArray[np.integer]], grow: float, soft: float) -> Floats:
        drawn = np.zeros((self.side, self.side), np.uint8)
        for ring in rings:
            points = np.clip(np.rint(self.mesh[ring, :2]), -self.side, 2 * self.side)
            cv2.fillConvexPoly(drawn, cv2.convexHull(points.astype(np.int32)), 255)
        reach = 2 * round(grow * self.side) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        grown = np.asarray(cv2.dilate(drawn, disc), np.float32) / np.float32(255)
        blurred = cv2.GaussianBlur(grown, (0, 0), soft * self.side, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred, np.float32)


__all__ = ["FaceParts"]

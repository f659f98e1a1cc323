"""A head of fine texture in a film, and the same head as a picture of a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.heads import blurred, face, texture
from understudy.conversion.compositing.gallery_detail import (
    GRID,
    QUARTER,
    Place,
    Sample,
    with_detail,
)
from understudy.conversion.detailer import share_mesh
from understudy.faces.align import CORE, alignment, core_alignment
from understudy.faces.gaze import EYES
from understudy.models.gallery import MASK_SIDE
from understudy.types import Face, Floats, Image

NETWORK = 192
"""Side of the network's crops, pixels."""

STRAIGHT = (0.0, 0.0)
PARTS = ("whole", "eyes", "mouth")
WHOLE_MASK = np.full((MASK_SIDE, MASK_SIDE), 255, np.uint8)


def sample(
    stored: Image,
    mesh: Floats,
    mask: NDArray[np.uint8] = WHOLE_MASK,
    gaze: tuple[float, float] = STRAIGHT,
    part: str = "whole",
) -> Sample:
    """A stored crop as `with_detail` takes it."""
    small, tiny = (
        np.asarray(cv2.resize(stored, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        for side in (round(GRID / CORE), round(QUARTER / CORE))
    )
    return Sample(stored, small, tiny, mesh, mask, gaze, part, 1.0)


@dataclass(frozen=True)
class Scene:
    """The reference head in the middle of a picture.

    Attributes:
        size: of the head, pixels from top to chin.
    """

    size: int

    @property
    def side(self) -> int:
        """Of the picture, pixels."""
        return round(1.7 * self.size)

    @cached_property
    def face(self) -> Face:
        return face(self.side / 2, 0.53 * self.side, self.size, side=self.side)

    @cached_property
    def mesh(self) -> Floats:
        """As `Gallery.meshes`, without depth."""
        return share_mesh(self.face.landmarks)

    @cached_property
    def to_grid(self) -> NDArray[np.float64]:
        return core_alignment(self.face.landmarks, GRID).astype(np.float64)

    @property
    def step(self) -> float:
        """Pixels of the picture in one of the grid."""
        return 1 / float(np.sqrt(np.linalg.det(self.to_grid[:, :2])))

    @property
    def pixel(self) -> float:
        """Pixels of the picture in one of the network's."""
        return self.step * GRID / NETWORK

    def place(
        self,
        shares: tuple[float, float] = (1.0, 1.0),
        gaze: tuple[float, float] = STRAIGHT,
        awake: float = 1.0,
        lids: float = 1.0,
    ) -> Place:
        core = (self.mesh - (1 - CORE) / 2) / CORE * GRID - 0.5
        mesh = np.asarray(core, np.float32)
        return Place(self.to_grid, mesh, self.pixel, shares, gaze, awake, lids)

    def stored(self, picture: Image) -> Image:
        """The stored crop of a picture of this head, as large as it is there."""
        side = round(GRID / CORE * self.step)
        matrix = alignment(self.face.landmarks, side)
        size, how = (side, side), cv2.INTER_CUBIC
        seen = cv2.warpAffine(picture, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(seen, np.uint8)

    def samples(self, picture: Image, mask: NDArray[np.uint8] = WHOLE_MASK) -> list[Sample]:
        """A picture of this head for every part."""
        stored = self.stored(picture)
        return [sample(stored, self.mesh, mask, part=part) for part in PARTS]

    def drawn(self, picture: Image) -> Image:
        """As a network draws it that knows nothing fine."""
        return blurred(picture, 2 * max(self.pixel, 1))

    def detailed(self, drawn: Image, under: Image, picture: Image, strength: float = 1.0) -> Image:
        return with_detail(drawn, under, self.place(), self.samples(picture), strength)

    def on_film(self, values: Floats) -> Floats:
        """Values on the grid as the picture's pixels see them; 1 beyond the grid."""
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self.side, self.side)
        seen = cv2.warpAffine(values, self.to_grid, size, flags=how, borderValue=1)
        return np.asarray(seen, np.float32)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns that are skin and nothing else."""
        return slice(*self._part(0.4, 0.65)), slice(*self._part(0.4, 0.6))

    def _part(self, *shares: float) -> list[int]:
        return [round(share * self.side) for share in shares]

    def eye(self, number: int) -> tuple[int, int]:
        """Row and column of the middle of the eye at image left (0) or right (1)."""
        x, y = self.face.landmarks[list(EYES[number]), :2].mean(0)
        return round(float(y)), round(float(x))

    def portrait(self, eyes: tuple[int, ...] = (0, 1)) -> Image:
        """A head with dark eyes, and with a little texture on its skin."""
        image = np.full((self.side, self.side, 3), (190, 150, 130), np.float32)
        width = float(np.ptp(self.face.landmarks[list(EYES[0]), 0]))
        for number in eyes:
            middle = self.eye(number)[::-1]
            axes = round(0.5 * width), round(0.3 * width)
            cv2.ellipse(image, middle, axes, 0, 0, 360, (40, 30, 30), -1, cv2.LINE_AA)
        rough = (texture(1, self.side).astype(np.float32) - 128) / 6
        return np.asarray(np.clip(image + rough, 0, 255), np.uint8)


def band(image: Image, fine: float, coarse: float) -> Floats:
    """What lies between two blurs, in green."""
    plane = image[..., 1].astype(np.float32)
    one, two = (cv2.GaussianBlur(plane, (0, 0), deviation) for deviation in (fine, coarse))
    return np.asarray(one - two, np.float32)


def alike(one: Floats, two: Floats) -> float:
    """Correlation."""
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])

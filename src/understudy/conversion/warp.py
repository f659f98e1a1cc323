"""The swap without a network: a still's face, warped triangle by triangle onto a film's face.

What the field did before it had networks: a mesh over both faces, a piecewise affine warp from
one to the other, matched colours and a soft edge. Pose, lips and lids follow the film, because
its mesh gives the position of every piece of skin; the light on the skin, and the creases that an
expression makes, stay those of the still.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from understudy.conversion.compositing.composite import swap_patch
from understudy.conversion.compositing.grain import seed_of
from understudy.conversion.compositing.occlusion import Around, Cover, covers
from understudy.conversion.request import WARP
from understudy.errors import SettingsError
from understudy.faces.triangles import EYES, INNER_LIPS, areas, polygon, surface_map
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image, Patch

ROOM = 8
"""Pixels around a face's mesh, so that its edge is never the picture's."""

FLAT = 0.1
"""Share of its mean scale below which a triangle of the still shows too little to be enlarged."""


@dataclass(frozen=True)
class Still:
    """A source's face in a picture.

    Attributes:
        person: whose face it is.
        image: RGB uint8 (height, width, 3).
        face: its measurement.
    """

    person: str
    image: Image
    face: Face

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 of the parts that are visible in a result."""
        digest = hashlib.sha256(repr(self.image.shape).encode())
        digest.update(np.ascontiguousarray(self.image).tobytes())
        digest.update(np.ascontiguousarray(self.face.landmarks).tobytes())
        return digest.hexdigest()

    @cached_property
    def _sizes(self) -> list[tuple[Image, Floats]]:
        """The picture and the face's points in it, each half as large as the one before."""
        image, points = self.image, self.face.landmarks[:, :2]
        result = [(image, points)]
        while min(image.shape[:2]) >= 32:
            height, width = image.shape[0] // 2, image.shape[1] // 2
            ratio = np.array([width / image.shape[1], height / image.shape[0]], np.float32)
            image = np.asarray(
                cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8
            )
            points = (points + np.float32(0.5)) * ratio - np.float32(0.5)
            result.append((image, points))
        return result

    def near(self, scale: float) -> tuple[Image, Floats]:
        """The picture, and the face's points (468, 2) in it, at the smallest size of at least
        `scale` times the original (above 0) that there is."""
        halvings = int(np.floor(np.log2(1 / min(scale, 1.0)) + 0.2))
        return self._sizes[min(halvings, len(self._sizes) - 1)]


def draw(still: Still, landmarks: Floats, side: int) -> tuple[Floats, Floats]:
    """A still's face in the shape and pose of another.

    Args:
        landmarks: float32 (468, 3), the other face, pixels of the picture to make.
        side: of that picture, pixels.

    Returns:
        float32 (side, side, 3) RGB and float32 (side, side) mask, both 0..1. The mask is 0 off
        the mesh, where the still does not show the skin, and inside the mouth and the eyes.
    """
    own, wanted = areas(still.face.landmarks), areas(landmarks)
    seen = (own > 0) & (wanted > 0)
    if not seen.any():
        return np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.float32)
    scale = float(np.sqrt(wanted[seen].sum() / own[seen].sum()))
    shown = own * scale * scale > FLAT * np.abs(wanted)
    image, points = still.near(scale)
    where, covered = surface_map(points, landmarks, shown, (side, side))
    no_second = np.empty(0, np.float32)
    how = cv2.INTER_CUBIC
    drawn = cv2.remap(image, where, no_second, how, borderMode=cv2.BORDER_REPLICATE)
    for ring in (INNER_LIPS, *EYES):
        covered &= ~polygon(landmarks[ring], covered.shape)
    return np.asarray(drawn, np.float32) / np.float32(255), covered.astype(np.float32)


class Warper:
    """One still's face, ready to be drawn over faces."""

    def __init__(self, still: Still, settings: ConvertSettings) -> None:
        self.still = still
        self.settings = settings

    def patch(self, image: Image, face: Face, frame: int = 0) -> Patch | None:
        """What to lay over `image`, RGB uint8 (height, width, 3), to replace `face` in it; None
        where the face lies outside. `frame` is the picture's number in its film."""
        low = np.floor(face.landmarks[:, :2].min(0)) - ROOM
        side = int(np.ceil((face.landmarks[:, :2].max(0) - low).max())) + ROOM
        # The crop lies on the frame's own pixels: nothing is resampled twice.
        matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]]], np.float32)
        points = face.landmarks - np.array([*low, 0], np.float32)
        output, mask = draw(self.still, points, side)
        return swap_patch(
            image,
            face,
            output,
            mask,
            matrix,
            self.settings,
            learned=False,
            seed=seed_of(frame, face.track),
        )

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        """For every frame what to lay over it, given the faces in it to replace, and what the
        frames lie among."""
        fronts: list[list[Cover | None]] = [[None] * len(faces) for _, faces in frames]
        if self.settings.occlusion:
            fronts = covers(frames, around=around)
        result: list[list[Patch]] = []
        for (frame, faces), before in zip(frames, fronts, strict=True):
            result.append([])
            for face, front in zip(faces, before, strict=True):
                patch = self.patch(frame.image, face, frame.index)
                if patch is not None:
                    result[-1].append(patch if front is None else front.before(patch))
        return result


class Warp:
    """Stills as an artist: every person shown in one can be the source.

    Args:
        stills: one for each person.
    """

    def __init__(self, stills: Sequence[Still], settings: ConvertSettings) -> None:
        self._stills = {still.person: still for still in stills}
        self._settings = settings

    @property
    def people(self) -> Sequence[str]:
        return list(self._stills)

    def facts(self) -> dict[str, Any]:
        """What a record says of it, as JSON: equal exactly when it draws the same."""
        return {
            "name": WARP,
            "people": list(self._stills),
            "stills_sha256": {name: still.sha256 for name, still in self._stills.items()},
        }

    def drawer(self, replace: str, with_: str) -> Warper:
        """What draws `with_`. Raises SettingsError when no still shows them."""
        if with_ not in self._stills:
            raise SettingsError(
                f"The photo shows {' and '.join(self._stills)}, not {with_}.",
                f"Use {' or '.join(self._stills)}, or give a photo of {with_} with --face.",
            )
        return Warper(self._stills[with_], self._settings)

    def with_settings(self, settings: ConvertSettings) -> Warp:
        """The same stills with other settings for blending."""
        return Warp(list(self._stills.values()), settings)

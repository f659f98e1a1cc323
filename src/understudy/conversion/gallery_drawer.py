"""Draw a face from a person's own pictures: the warp of a whole faceset, without a network.

The pictures that fit the film's face best are warped to the wanted mesh, and laid on
one another. Eyes and mouth come from separate pictures, so that lids, gaze and teeth are the
person's. The result is a core crop with a mask, as from a network; so it is blended into the film
like any drawn face, and gets finer detail like any.

It is not trained, so it shows what the pictures alone can do: a preview within seconds,
and a baseline for networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch

from understudy.conversion.compositing.gallery_detail import GRID, Place, bent
from understudy.conversion.compositing.grain import luma
from understudy.conversion.detailer import Detailer, Galleries
from understudy.conversion.gallery_picks import FramePicks
from understudy.conversion.request import WARP
from understudy.conversion.swapper import Drawer
from understudy.errors import SettingsError
from understudy.faces.align import CORE, transform_points
from understudy.faces.masks import face_mask
from understudy.faces.occlusion import shown_in
from understudy.models.gallery import Gallery
from understudy.runtime.devices import bfloat16_pays
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Image

FINE, COARSE = 1.5, 10.0
"""Pictures are compared with the film between these two blurs, standard deviations in pixels of the
grid: a mesh errs, above all about lids and lips, and the film itself shows what is so."""

QUIET = 4.0
"""Squared code values below which a picture has nothing to compare by."""

ALIKE = 0.1
"""Gain in correlation with the film that multiplies a picture's weight by e."""

LIGHT = 0.12
"""Standard deviation of what counts as light when eyes and mouth are laid into a face, as a share
of the crop's side."""

DARK = 8.0
"""Added to code values before pictures are divided by one another, so that black stays black."""

MOST_GAIN = 4.0
"""Largest gain and attenuation of eyes and mouth, for each channel."""


class GalleryDrawer(Drawer):
    """Draws a person from their gallery.

    Args:
        detailer: chooses the pictures, and lays finer detail over what is drawn.
        device: to detect visible faces on.
    """

    size = GRID
    learned = True

    def __init__(self, detailer: Detailer, settings: ConvertSettings, device: torch.device) -> None:
        self.detailer: Detailer = detailer
        self.settings, self.device = settings, device
        self.bfloat16 = bfloat16_pays(device)

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        raise TypeError("A gallery draws faces, not crops: see `draw_faces`.")

    def draw_faces(
        self, crops: Sequence[Image], about: Sequence[tuple[int, Face]]
    ) -> tuple[Floats, Floats, Floats | None]:
        drawn = [
            draw(self.detailer.gallery, *self.detailer.wanted(face, index), crop)
            for crop, (index, face) in zip(crops, about, strict=True)
        ]
        images, masks = (np.stack(part) for part in zip(*drawn, strict=True))
        if not self.settings.occlusion:
            return images, masks, None
        inner = [
            face_mask(transform_points(self.alignment(face.landmarks), face.landmarks), GRID, 0.0)
            for _, face in about
        ]
        seen = shown_in(crops, inner, self.device, self.bfloat16)
        below = np.stack(
            [own if one is None else one for one, own in zip(seen, inner, strict=True)]
        )
        # The pictures show the whole face, but here it ends where the film's face ends: a
        # haze of skin over hair is worse than a face that is a little too small.
        return images, np.minimum(masks, below), below


class GalleryWarp:
    """Galleries as an artist: everyone who has one can be a source.

    Args:
        galleries: of every source; with the face shapes of the targets, where they are known.
    """

    def __init__(
        self, galleries: Galleries, settings: ConvertSettings, device: torch.device
    ) -> None:
        self.galleries, self.settings, self.device = galleries, settings, device

    @property
    def people(self) -> Sequence[str]:
        return sorted(self.galleries.own)

    def facts(self) -> dict[str, Any]:
        """Entry for a record, as JSON: equal exactly when it draws the same."""
        return {
            "name": WARP,
            "people": list(self.people),
            "device": self.device.type,
            "bfloat16": bfloat16_pays(self.device),
            "galleries": self.galleries.facts(),
        }

    def drawer(self, replace: str, with_: str) -> GalleryDrawer:
        """The drawer of `with_`. Raises SettingsError when there is no gallery of them."""
        gallery = self.galleries.own.get(with_)
        if gallery is None:
            raise SettingsError(
                f"There are no gallery pictures of {with_}, only of {' and '.join(self.people)}.",
                f"Run: understudy extract {with_}, or give a photo with --face.",
            )
        shape = self.galleries.shapes.get(replace)
        detailer = Detailer(gallery, shape, self.settings.detail)
        return GalleryDrawer(detailer, self.settings, self.device)

    def with_settings(self, settings: ConvertSettings) -> GalleryWarp:
        """The same galleries, laid over frames in another way."""
        return GalleryWarp(self.galleries, settings, self.device)


def draw(gallery: Gallery, picks: FramePicks, mesh: Floats, crop: Image) -> tuple[Floats, Floats]:
    """A person's face in a wanted shape, from pictures.

    Args:
        picks: which pictures; at least one of the part "whole".
        mesh: float32 (468, 2), pixels of the core crop at `GRID`: where the points are to be.
        crop: RGB uint8 (GRID, GRID, 3), the film there.

    Returns:
        float32 (GRID, GRID, 3) RGB and float32 (GRID, GRID) mask, both 0..1: the core crop, and
        where in it the pictures show the face.
    """
    place = Place(np.eye(2, 3), mesh, 1.0)
    rows = sorted({pick.row for pick in picks.picks})
    seen = {row: _bent(gallery, row, place) for row in rows}
    eyes, mouth = place.regions
    inner = face_mask(mesh, GRID, 0.0)
    film = _lines(crop.astype(np.float32))
    parts = {}
    for part, region in (("whole", inner), ("eyes", eyes), ("mouth", mouth)):
        weights = {
            pick.row: pick.weight * _alike(film, _lines(seen[pick.row][..., :3]), region)
            for pick in picks.picks
            if pick.part == part
        }
        parts[part] = _together(seen, weights)
    face, mask = parts["whole"][..., :3], parts["whole"][..., 3]
    light = _light(face, mask)
    for part, region in (("eyes", eyes), ("mouth", mouth)):
        own, shown = parts[part][..., :3], parts[part][..., 3]
        gains = np.clip(light / _light(own, shown), 1 / MOST_GAIN, MOST_GAIN)
        # A lock of hair over the eyes of that picture stays out, if it is not over the whole face.
        share = (region * np.clip(shown / np.maximum(mask, 1e-3), 0, 1))[..., None]
        face = face + share * ((own + DARK) * gains - DARK - face)
    image = np.clip(face / 255, 0, 1)
    return np.asarray(image, np.float32), np.asarray(mask / 255, np.float32)


def _lines(picture: Floats) -> Floats:
    """The comparable part of two people's faces: luma between two blurs, float32 (GRID, GRID)."""
    plane = luma(picture)
    fine, coarse = (cv2.GaussianBlur(plane, (0, 0), deviation) for deviation in (FINE, COARSE))
    return np.asarray(fine - coarse, np.float32)


def _alike(one: Floats, other: Floats, region: Floats) -> float:
    """A weight above 0 that grows with the correlation of two pictures in a region."""
    size = QUIET * float(region.sum())
    powers = [float((region * lines * lines).sum()) + size for lines in (one, other)]
    correlation = float((region * one * other).sum()) / max(powers[0] * powers[1], 1e-6) ** 0.5
    return math.exp(correlation / ALIKE)


def _bent(gallery: Gallery, row: int, place: Place) -> Floats:
    """A picture with its mask in the wanted shape: float32 (GRID, GRID, 4), code values."""
    field = bent(place, [gallery.meshes[row, :, :2]])[0].fine()
    found = []
    for picture, how, border in (
        (gallery.near(row, 0.9 * GRID / CORE), cv2.INTER_CUBIC, cv2.BORDER_REPLICATE),
        (gallery.masks[row], cv2.INTER_LINEAR, cv2.BORDER_CONSTANT),
    ):
        x, y = cv2.split(field * np.float32(picture.shape[0]) - np.float32(0.5))
        found.append(cv2.remap(picture, x, y, how, borderMode=border))
    return np.dstack(found).astype(np.float32)


def _together(seen: Mapping[int, Floats], weights: Mapping[int, float]) -> Floats:
    """Pictures on one another, each where it shows the face: float32 (GRID, GRID, 4)."""
    scale = 1 / sum(weights.values())
    weights = {row: weight * scale for row, weight in weights.items()}
    total = np.zeros((GRID, GRID, 4), np.float32)
    sure = np.zeros((GRID, GRID, 1), np.float32)
    for row, weight in weights.items():
        share = np.float32(weight) * (seen[row][..., 3:] / np.float32(255) + np.float32(0.01))
        total[..., :3] += share * seen[row][..., :3]
        total[..., 3] += np.float32(weight) * seen[row][..., 3]
        sure += share
    total[..., :3] /= sure
    return total


def _light(picture: Floats, mask: Floats) -> Floats:
    """The broad light of a face: float32 (GRID, GRID, 3), code values, above 0."""
    weight = mask[..., None] + np.float32(1)
    both = np.dstack([(picture + DARK) * weight, weight]).astype(np.float32)
    small = cv2.resize(both, (GRID // 4, GRID // 4), interpolation=cv2.INTER_AREA)
    broad = cv2.GaussianBlur(small, (0, 0), LIGHT * GRID / 4, borderType=cv2.BORDER_REPLICATE)
    light = np.asarray(broad[..., :3] / broad[..., 3:], np.float32)
    found = cv2.resize(light, (GRID, GRID))
    return np.maximum(np.asarray(found, np.float32), np.float32(1))

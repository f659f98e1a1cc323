"""Faces of very different skin in one another's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.colour_transfer import calmed, lit, match_colour
from understudy.settings import ConvertSettings
from understudy.types import Floats, Image

SIDE = 96
DARK, LIGHT = (96, 58, 40), (236, 202, 184)


def skin(colour: tuple[int, int, int], shine: float, seed: int = 0, marks: float = 0.8) -> Image:
    """Skin lit from the left, with brows and a mouth, and shining spots."""
    line = np.linspace(1.1, 0.8, SIDE)[None, :, None]
    picture = np.array(colour) * np.repeat(line, SIDE, 0)
    for x, y, wide in ((30, 34, 10), (66, 34, 10), (48, 70, 14)):
        cv2.ellipse(picture, (x, y), (wide, 4), 0, 0, 360, [marks * c for c in colour], -1)
    spots = np.zeros((SIDE, SIDE), np.float32)
    for x, y in ((48, 20), (34, 52), (62, 52)):
        cv2.circle(spots, (x, y), 5, 1.0, -1)
    picture += shine * cv2.GaussianBlur(spots, (0, 0), 2)[..., None]
    picture += np.random.default_rng(seed).normal(0, 1.5, picture.shape)
    return np.asarray(picture.clip(0, 255), np.uint8)


def oval() -> Floats:
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(mask, (SIDE // 2, SIDE // 2), (38, 44), 0, 0, 360, 1.0, -1)
    return mask


def contrast(picture: Image) -> Floats:
    """Deviation of what is fine, in codes of each channel, inside."""
    broad = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 9)
    fine = (picture - broad)[24:72, 24:72]
    return np.asarray(fine.std((0, 1)), np.float32)


def test_what_shines_on_dark_skin_does_not_glare_on_light_skin() -> None:
    original, face, weights = skin(LIGHT, 8), skin(DARK, 90, 1, 0.5), oval()
    matched = match_colour(face, original, weights, ConvertSettings())
    inside = weights > 0
    # Every channel reaches the other's skin, blue too, which is twenty times as bright there.
    gap = matched[inside].astype(float).mean(0) - original[inside].mean(0)
    assert np.abs(gap).max() < 8
    assert np.abs(gap - gap.mean()).max() < 5
    assert (contrast(matched) < 1.25 * contrast(original)).all()
    glaring = match_colour(face, original, weights, ConvertSettings(color="linear-gain"))
    assert (contrast(glaring) > 1.6 * contrast(original)).all()


def test_light_skin_takes_on_dark_colours() -> None:
    original, face, weights = skin(DARK, 30), skin(LIGHT, 8, 1), oval()
    matched = match_colour(face, original, weights, ConvertSettings())
    inside = weights > 0
    gap = matched[inside].astype(float).mean(0) - original[inside].mean(0)
    assert np.abs(gap).max() < 5


def test_a_face_of_no_more_contrast_is_left_as_it_is() -> None:
    original, face, weights = skin(LIGHT, 20), skin(LIGHT, 4, 1), oval()
    bright = lit(face, original, weights)
    assert calmed(bright, original, weights) is bright


@pytest.mark.parametrize("weight", [0.0, 1e-4])
def test_without_a_common_face_nothing_is_changed(weight: float) -> None:
    face = skin(DARK, 90)
    weights = np.full((SIDE, SIDE), weight, np.float32)
    assert calmed(face, skin(LIGHT, 0), weights) is face

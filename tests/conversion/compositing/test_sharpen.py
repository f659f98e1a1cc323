"""A soft swap becomes as sharp as the film, no sharper, and no more than is asked for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.sharpen import sharpened
from understudy.types import Floats, Image

SIDE = 160


def textured(sigma: float) -> Image:
    random = np.random.default_rng(0).normal(128, 60, (SIDE, SIDE, 1)).repeat(3, 2)
    return np.clip(cv2.GaussianBlur(random, (0, 0), sigma), 0, 255).astype(np.uint8)


def disc() -> Floats:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.asarray(np.clip(60 - np.hypot(x, y), 0, 1), np.float32)


def fine(image: Image) -> float:
    plane = image[..., 0].astype(np.float32)
    band = cv2.GaussianBlur(plane, (0, 0), 1.4) - cv2.GaussianBlur(plane, (0, 0), 3.2)
    return float(band[disc() > 0.9].std())


@pytest.mark.parametrize("most", [0.2, 0.5, 2.0])
def test_a_soft_swap_is_sharpened_up_to_the_film_and_the_limit(most: float) -> None:
    soft, sharp = textured(2.6), textured(2.0)
    result = sharpened(soft, sharp, disc(), 2.0, most)
    assert fine(soft) < fine(result) < 1.15 * fine(sharp)
    if most < 0.3:
        assert fine(result) < 1.25 * fine(soft)


def test_a_sharp_swap_stays_as_it_is() -> None:
    sharp = textured(1.5)
    assert sharpened(sharp, textured(2.5), disc(), 2.0, 1.0) is sharp


def test_a_face_of_a_few_pixels_stays_as_it_is() -> None:
    sharp = textured(2.5)
    assert sharpened(sharp, textured(1.5), np.zeros((SIDE, SIDE), np.float32), 2.0, 1.0) is sharp

"""Painted eyes that look aside are seen to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.faces.gaze import EYES, Gaze
from understudy.faces.weights import store
from understudy.types import Face, Image, Pose

MIDDLES = ((110.0, 120.0), (210.0, 120.0))
HALF = 24.0


@pytest.fixture(scope="module")
def gaze() -> Gaze:
    return Gaze(store.path("iris_landmark.tflite"))


def face(width: float = HALF) -> Face:
    points = np.zeros((468, 3), np.float32)
    for (x, y), (left, right) in zip(MIDDLES, EYES, strict=True):
        points[left, :2], points[right, :2] = (x - width, y), (x + width, y)
    return Face((80, 90, 240, 160), points, 1.0, Pose(0, 0, 0))


def looking(aside: float) -> Image:
    """Skin with two eyes, their irises so many pixels to image right."""
    image = np.full((240, 320, 3), (205, 160, 135), np.uint8)
    for x, y in MIDDLES:
        white = np.zeros(image.shape[:2], np.uint8)
        cv2.ellipse(white, (int(x), int(y)), (int(HALF), 11), 0, 0, 360, 255, -1, cv2.LINE_AA)
        eye = np.full_like(image, (235, 232, 228))
        at = (round(16 * (x + aside)), round(16 * y))
        cv2.circle(eye, at, 16 * 10, (90, 60, 40), -1, cv2.LINE_AA, 4)
        cv2.circle(eye, at, 16 * 4, (15, 12, 10), -1, cv2.LINE_AA, 4)
        share = white[..., None] / 255
        image = np.rint(image * (1 - share) + eye * share).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.uint8)


def test_irises_are_found_where_they_are_painted(gaze: Gaze) -> None:
    for aside in (-8, 0, 8):
        assert gaze(looking(aside), face()) == pytest.approx(aside / (2 * HALF), abs=0.05)


def test_a_mirrored_picture_looks_the_other_way(gaze: Gaze) -> None:
    image = looking(7)
    there, back = gaze(image, face()), gaze(np.ascontiguousarray(image[:, ::-1]), face())
    assert there is not None
    assert back is not None
    assert there == pytest.approx(-back, abs=0.03)


def test_eyes_of_a_few_pixels_say_nothing(gaze: Gaze) -> None:
    assert gaze(looking(0), face(2)) is None

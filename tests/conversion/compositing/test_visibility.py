"""Where faces show when no network tells: on frames of the sample and on noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from understudy.conversion.compositing.visibility import Shown, as_told, looked_at
from understudy.demo import SAMPLE
from understudy.faces.align import warp
from understudy.media.video import VideoReader
from understudy.types import Floats, Image

SIDE = 64
FRAME = 30
TO_CORE: Floats = np.array([[0.588, -0.0228, -13.7906], [0.0228, 0.588, -28.4355]], np.float32)
"""Where the core crop of 128 pixels of that frame's face lies, found once by the mesh."""


def crop(name: str) -> Image:
    with VideoReader(SAMPLE / name) as reader:
        image = next(frame.image for frame in reader if frame.index == FRAME)
    large = warp(image, TO_CORE, 2 * SIDE)
    return np.asarray(cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def mask(name: str) -> Floats:
    return np.asarray(crop(name)[..., 0], np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def film() -> tuple[Image, Floats]:
    return crop("scene.mp4"), mask("scene-mask.mp4")


CPU = torch.device("cpu")
WHOLE = np.ones((1, SIDE, SIDE), np.float32)


def looked(learned: bool, picture: Image, output: Image, inner: Floats) -> Shown:
    drawn = (output.astype(np.float32) / np.float32(255))[None]
    (found,) = looked_at(WHOLE, learned, [picture], drawn, [inner], CPU, False)
    return found


def overlap(one: Floats, other: Floats) -> float:
    return float(((one > 0.5) & (other > 0.5)).sum() / ((one > 0.5) | (other > 0.5)).sum())


def test_what_a_network_tells_stands() -> None:
    masks = np.full((2, SIDE, SIDE), 0.5, np.float32)
    below = np.full((2, SIDE, SIDE), 0.75, np.float32)
    for number, found in enumerate(as_told(masks, True, below)):
        np.testing.assert_array_equal(found.mask, masks[number])
        np.testing.assert_array_equal(found.below, below[number])
        assert found.learned
    assert [(one.learned, one.below) for one in as_told(masks, False, None)] == [(False, None)] * 2


def test_the_face_that_goes_is_seen_in_the_film(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    found = looked(True, picture, picture, inner)
    assert found.learned
    assert found.below is not None
    assert overlap(found.below, inner) > 0.85
    np.testing.assert_array_equal(found.mask, WHOLE[0])


def test_the_face_that_comes_is_seen_in_what_was_drawn(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    output = np.asarray(cv2.GaussianBlur(crop("truth.mp4"), (0, 0), 1.5), np.uint8)
    found = looked(False, picture, output, inner)
    assert found.learned
    assert found.below is not None
    assert overlap(found.mask, mask("truth-mask.mp4")) > 0.75


def test_what_was_drawn_has_no_holes(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    output = crop("truth.mp4").copy()
    cv2.circle(output, (SIDE // 2, 44), 5, (20, 90, 200), -1)
    found = looked(False, picture, output, inner)
    assert found.mask[36:52, SIDE // 2 - 6 : SIDE // 2 + 6].min() > 0.9


def test_pictures_of_nothing_are_left_to_the_mesh(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for below, output in ((noise, picture), (picture, noise), (noise, noise)):
        found = looked(False, below, output, inner)
        assert not found.learned
        assert found.below is None
        np.testing.assert_array_equal(found.mask, WHOLE[0])


def test_each_face_gets_its_own(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    outputs = np.zeros((2, SIDE, SIDE, 3), np.float32)
    masks = np.stack([WHOLE[0], WHOLE[0] / 2])
    found = looked_at(masks, True, [noise, picture], outputs, [inner] * 2, CPU, False)
    assert found[0].below is None
    assert found[1].below is not None
    assert overlap(found[1].below, inner) > 0.85
    for one, mask in zip(found, masks, strict=True):
        np.testing.assert_array_equal(one.mask, mask)

"""Where faces show when no network tells: on frames of the sample and on noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from understudy.demo import SAMPLE
from understudy.faces.align import warp
from understudy.media.video import VideoReader
from understudy.showing import Shown, as_told, looked_at
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


def looked(told: list[Shown], picture: Image, output: Image, inner: Floats) -> Shown:
    drawn = (output.astype(np.float32) / np.float32(255))[None]
    (found,) = looked_at(told, [picture], drawn, [inner], torch.device("cpu"), False)
    return found


def overlap(one: Floats, other: Floats) -> float:
    return float(((one > 0.5) & (other > 0.5)).sum() / ((one > 0.5) | (other > 0.5)).sum())


def untold(masks: Floats) -> list[Shown]:
    return as_told(masks, False, None)


def test_what_a_network_tells_stands(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    masks = np.full((1, SIDE, SIDE), 0.5, np.float32)
    below = np.full((1, SIDE, SIDE), 0.75, np.float32)
    found = looked(as_told(masks, True, below), picture, picture, inner)
    np.testing.assert_array_equal(found.mask, masks[0])
    np.testing.assert_array_equal(found.below, below[0])
    assert found.learned


def test_the_face_that_goes_is_seen_in_the_film(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    masks = np.ones((1, SIDE, SIDE), np.float32)
    found = looked(as_told(masks, True, None), picture, picture, inner)
    assert found.below is not None
    assert overlap(found.below, inner) > 0.85
    np.testing.assert_array_equal(found.mask, masks[0])


def test_the_face_that_comes_is_seen_in_what_was_drawn(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    output = np.asarray(cv2.GaussianBlur(crop("truth.mp4"), (0, 0), 1.5), np.uint8)
    found = looked(untold(np.ones((1, SIDE, SIDE), np.float32)), picture, output, inner)
    assert found.learned
    assert found.below is not None
    assert overlap(found.mask, mask("truth-mask.mp4")) > 0.75


def test_what_was_drawn_has_no_holes(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    output = crop("truth.mp4").copy()
    cv2.circle(output, (SIDE // 2, 44), 5, (20, 90, 200), -1)
    found = looked(untold(np.ones((1, SIDE, SIDE), np.float32)), picture, output, inner)
    assert found.mask[36:52, SIDE // 2 - 6 : SIDE // 2 + 6].min() > 0.9


def test_pictures_of_nothing_are_left_to_the_mesh(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    masks = np.ones((1, SIDE, SIDE), np.float32)
    for below, output in ((noise, picture), (picture, noise), (noise, noise)):
        found = looked(untold(masks), below, output, inner)
        assert not found.learned
        assert found.below is None
        np.testing.assert_array_equal(found.mask, masks[0])


def test_each_face_gets_its_own(film: tuple[Image, Floats]) -> None:
    picture, inner = film
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    told = as_told(np.ones((3, SIDE, SIDE), np.float32), True, None)
    told[1] = told[1]._replace(below=inner)
    outputs = np.zeros((3, SIDE, SIDE, 3), np.float32)
    device = torch.device("cpu")
    found = looked_at(told, [noise, noise, picture], outputs, [inner] * 3, device, False)
    assert found[0].below is None
    np.testing.assert_array_equal(found[1].below, inner)
    assert found[2].below is not None
    assert overlap(found[2].below, inner) > 0.85

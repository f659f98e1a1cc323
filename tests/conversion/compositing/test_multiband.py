"""Band by band: nothing changes outside, the same stays the same, broad steps become gentle."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.multiband import banded
from understudy.types import Floats, Image


def half(height: int, width: int) -> Floats:
    """A swap in the middle third, with an edge of two pixels."""
    alpha = np.zeros((height, width), np.float32)
    alpha[4:-4, width // 3 : 2 * width // 3] = 1
    return np.asarray(cv2.blur(alpha, (3, 3)), np.float32)


def picture(level: int, height: int, width: int) -> Image:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 103), (20, 33)])
def test_the_same_picture_stays_what_it_is(height: int, width: int) -> None:
    random = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, alpha = banded(random, random, half(height, width))
    np.testing.assert_array_equal(image, random)
    assert np.all((alpha > 0) == (half(height, width) > 0))
    assert alpha.max() == 1


def test_what_is_crisp_is_laid_as_it_was() -> None:
    swap, under, alpha = picture(180, 64, 96), picture(100, 64, 96), half(64, 96)
    image, laid = banded(swap, under, alpha, np.ones((64, 96), np.float32))
    np.testing.assert_allclose(laid, alpha, atol=1e-6)
    np.testing.assert_array_equal(image[alpha > 0], swap[alpha > 0])
    for crisp in (np.zeros((64, 96), np.float32), None):
        whole, _ = banded(swap, under, alpha, crisp)
        assert whole[32, 34, 0] < 175


def test_inside_it_is_the_swap_and_outside_nothing_is_laid() -> None:
    alpha = np.zeros((256, 256), np.float32)
    alpha[16:-16, 16:-16] = 1
    image, laid = banded(picture(180, 256, 256), picture(100, 256, 256), alpha)
    assert abs(int(image[128, 128, 0]) - 180) < 12
    assert not laid[alpha == 0].any()


def test_a_step_at_the_edge_is_gentler() -> None:
    swap, under, alpha = picture(180, 128, 192), picture(100, 128, 192), half(128, 192)
    image, laid = banded(swap, under, alpha)
    smooth = under + laid[..., None] * (image - under.astype(np.float32))
    hard = under + alpha[..., None] * (swap - under.astype(np.float32))
    row, inside = 64, slice(66, 126)
    assert np.abs(np.diff(smooth[row, inside, 0])).max() < np.abs(np.diff(hard[row, :, 0])).max()
    assert smooth[row, 68, 0] < hard[row, 68, 0]

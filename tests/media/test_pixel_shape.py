"""Pixels that are not square, there and back."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clips import painting
from understudy.media import pixel_shape
from understudy.media.overlay import lay
from understudy.types import Frame, Image, Patch, shown_size

WIDTH, HEIGHT = 72, 54
ASPECTS = [Fraction(4, 3), Fraction(64, 45), Fraction(8, 9), Fraction(2), Fraction(1, 2)]


def frame(aspect: Fraction, image: Image) -> Frame:
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    return Frame(0, Fraction(0), picture, pixel_shape.rgb_of(aspect), aspect)


def over(below: Frame, patch: Patch) -> Image:
    image = lay(below.picture, pixel_shape.stored(below, [patch])).to_ndarray(format="rgb24")
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_no_side_is_made_smaller(aspect: Fraction) -> None:
    wide, high = shown_size(WIDTH, HEIGHT, aspect)
    assert wide >= WIDTH
    assert high >= HEIGHT
    assert wide / high == pytest.approx(WIDTH * aspect / HEIGHT, rel=0.02)
    assert frame(aspect, painting(0, WIDTH, HEIGHT)).image.shape == (high, wide, 3)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_picture_laid_over_itself_is_itself(aspect: Fraction) -> None:
    below = frame(aspect, painting(0, WIDTH, HEIGHT))
    whole = Patch(0, 0, below.image, np.ones(below.image.shape[:2], np.float32))
    again = over(below, whole)
    off = np.abs(again.astype(int) - below.picture.to_ndarray(format="rgb24"))
    assert off.mean() < 1.5


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ASPECTS),
    st.integers(-30, 120),
    st.integers(-30, 90),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_a_patch_covers_what_it_covered(
    aspect: Fraction, x: int, y: int, width: int, height: int
) -> None:
    """Its alpha covers as much of the stored picture as of the shown one, at the same place, and
    its colour is not mixed with anything."""
    below = frame(aspect, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    image = np.full((height, width, 3), (200, 100, 50), np.uint8)
    (patch,) = pixel_shape.stored(below, [Patch(x, y, image, np.ones((height, width), np.float32))])
    long, short = below.size, (WIDTH, HEIGHT)
    share = [short[axis] / long[axis] for axis in (0, 1)]
    assert patch.alpha.sum() == pytest.approx(width * height * share[0] * share[1], rel=1e-4)
    rows, columns = np.mgrid[: patch.alpha.shape[0], : patch.alpha.shape[1]]
    for place, start, side, scale in (
        (columns + patch.x, x, width, share[0]),
        (rows + patch.y, y, height, share[1]),
    ):
        middle = float((place * patch.alpha).sum() / patch.alpha.sum()) + 0.5
        assert middle == pytest.approx((start + side / 2) * scale, abs=0.26)
    assert (patch.image[patch.alpha > 0] == (200, 100, 50)).all()


def test_what_is_clear_stays_to_the_bit() -> None:
    below = frame(Fraction(4, 3), painting(0, WIDTH, HEIGHT))
    before = below.picture.to_ndarray(format="rgb24")
    alpha = np.zeros(below.image.shape[:2], np.float32)
    alpha[20:30, 40:60] = 0.7
    after = over(below, Patch(0, 0, 255 - below.image, alpha))
    changed = (after != before).any(2)
    assert changed[20:30, 30:45].all()
    changed[20:30, 30:45] = False
    assert not changed.any()


@pytest.mark.parametrize("said", [None, Fraction(0), Fraction(1, 1000), Fraction(99)])
def test_what_cannot_be_is_not_believed(said: Fraction | None) -> None:
    assert pixel_shape.believed(said) == 1

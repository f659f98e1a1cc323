"""Noise is measured rightly, given where the film has it, and the same every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.grain import grained, noise, seed_of
from understudy.types import Floats, Image

SIDE = 160
WHOLE = np.ones((SIDE, SIDE), bool)


def noisy(deviation: float, seed: int = 1) -> Image:
    """A gentle slope with white noise of this deviation, the same in all channels."""
    slope = np.linspace(80, 160, SIDE)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
    drawn = np.random.default_rng(seed).normal(0, deviation, (SIDE, SIDE, 1))
    return np.rint(np.clip(slope + drawn, 0, 255)).astype(np.uint8)


def disc() -> Floats:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return np.asarray(np.clip(60 - np.hypot(x, y), 0, 1), np.float32)


@pytest.mark.parametrize("deviation", [2.0, 4.0, 8.0])
def test_noise_is_measured_for_what_it_is(deviation: float) -> None:
    assert noise(noisy(deviation), WHOLE) == pytest.approx(deviation, rel=0.1)


def test_edges_are_no_noise() -> None:
    image = noisy(3)
    image[::16] = 20
    assert noise(image, WHOLE) == pytest.approx(3, rel=0.3)


def test_too_little_to_measure_is_none() -> None:
    few = np.zeros((SIDE, SIDE), bool)
    few[0, :9] = True
    assert noise(noisy(8), few) == 0


@pytest.mark.parametrize("amount", [0.5, 1.0])
def test_a_clean_swap_gets_the_noise_of_the_film(amount: float) -> None:
    swap = grained(noisy(0), noisy(5), disc(), amount, seed=3)
    assert noise(swap, disc() > 0.9) == pytest.approx(5 * amount, rel=0.12)


def test_what_is_noisy_already_gets_only_the_rest() -> None:
    swap = grained(noisy(3, seed=2), noisy(5), disc(), 1.0, seed=3)
    assert noise(swap, disc() > 0.9) == pytest.approx(5, rel=0.12)
    untouched = noisy(6, seed=2)
    assert grained(untouched, noisy(5), disc(), 1.0, seed=3) is untouched


def test_a_clean_film_gets_none() -> None:
    swap, blurred = noisy(0), np.asarray(cv2.GaussianBlur(noisy(2), (0, 0), 2), np.uint8)
    assert grained(swap, noisy(0.3), disc(), 1.0, seed=3) is swap
    assert grained(swap, blurred, disc(), 1.0, seed=3) is swap


def test_a_frame_always_gets_the_same_noise_and_the_next_another() -> None:
    one, again, other = (grained(noisy(0), noisy(5), disc(), 1.0, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_every_face_of_a_frame_has_its_own_noise() -> None:
    places = [(0, -1), (0, 0), (0, 1), (1, 0), (1, 1), (7, 250_000), (90_000, 3)]
    drawn = [
        grained(noisy(0), noisy(5), disc(), 1.0, seed_of(*place)).astype(float) - noisy(0)
        for place in places
    ]
    inner = disc() > 0.9
    for n, one in enumerate(drawn):
        for other in drawn[:n]:
            assert abs(np.corrcoef(one[inner][:, 0], other[inner][:, 0])[0, 1]) < 0.05

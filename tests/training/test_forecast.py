from __future__ import annotations

import math

import numpy as np
import pytest

from understudy.training.forecast import ENOUGH, outlook


def history(minutes: float, curve: object, noise: float = 0.0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(0)
    assert callable(curve)
    times = np.arange(1, int(minutes) + 1, dtype=float)
    return [(float(t), float(curve(t) + noise * rng.standard_normal())) for t in times]


def test_too_short_a_history_is_said_to_be_so() -> None:
    for length in range(ENOUGH):
        found = outlook(history(length, lambda t: 0.5 + t / 100), 10)
        assert found.improving is None
        assert found.gain is None
        assert f"{length} of the {ENOUGH}" in found.text


@pytest.mark.parametrize(
    "curve",
    [
        lambda t: 0.4 + 0.1 * math.log(t),
        lambda t: 0.9 - 0.5 * t**-0.5,
        lambda t: 0.8 - 0.4 / t,
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_a_rising_curve_is_followed_into_the_future(curve: object, noise: float) -> None:
    assert callable(curve)
    found = outlook(history(8, curve, noise), 8)
    assert found.improving
    assert found.gain == pytest.approx(min(1, curve(16)) - curve(8), rel=0.35, abs=0.004)
    assert "Still improving: 8 minutes more" in found.text
    assert f"{found.now:.3f}" in found.text


@pytest.mark.parametrize("noise", [0.0, 0.0005])
def test_a_flat_curve_is_said_to_be_over(noise: float) -> None:
    found = outlook(history(30, lambda t: 0.8 - 0.3 * math.exp(-t), noise), 5)
    assert found.improving is False
    assert found.text.startswith("It hardly improves")


def test_a_falling_curve_is_said_to_get_worse() -> None:
    found = outlook(history(20, lambda t: 0.8 - 0.01 * t), 5)
    assert found.improving is False
    assert "getting worse" in found.text


def test_noise_alone_is_not_taken_for_progress() -> None:
    assert not outlook(history(20, lambda t: 0.7, 0.01), 2).improving


def test_nothing_is_promised_beyond_perfect() -> None:
    found = outlook(history(10, lambda t: 0.5 + 0.2 * math.log(t)), 1000)
    assert found.now is not None
    assert found.gain is not None
    assert found.now + found.gain <= 1

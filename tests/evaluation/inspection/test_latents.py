from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.evaluation.inspection import latents
from understudy.types import Float64s


def faces(count: int = 600, seed: int = 0) -> tuple[Float64s, dict[str, Float64s], Float64s]:
    """Latents of 40 numbers that hold three known traits, mixed and with noise."""
    source = np.random.default_rng(seed)
    traits = source.standard_normal((count, 3))
    mixing = np.linalg.qr(source.standard_normal((40, 3)))[0].T * np.array([[3.0], [2.0], [1.0]])
    mixed = 5 + traits @ mixing + 0.05 * source.standard_normal((count, 40))
    return mixed, dict(zip(("mouth", "yaw", "light"), traits.T, strict=True)), mixing


def cosine(a: Float64s, b: Float64s) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_directions_of_known_traits_are_found() -> None:
    mixed, traits, mixing = faces()
    held_out = np.arange(600) >= 500
    found = latents.directions(mixed, traits, held_out)
    assert list(found) == ["mouth", "yaw", "light"]
    for number, direction in enumerate(found.values()):
        assert direction.r2 > 0.98
        assert cosine(direction.vector, mixing[number]) > 0.99
        assert direction.slope == pytest.approx(1, abs=0.03)
        # One standard deviation of the latents along the trait's own axis.
        assert np.linalg.norm(direction.vector) == pytest.approx(3 - number, rel=0.15)


def test_a_trait_that_the_latents_do_not_hold_is_not_believed() -> None:
    mixed, traits, _ = faces()
    traits["weather"] = np.random.default_rng(9).standard_normal(600)
    traits["still"] = np.ones(600)
    found = latents.directions(mixed, traits, np.arange(600) % 6 == 0)
    assert found["weather"].r2 < 0.05
    assert found["weather"].slope < 0.3
    assert "still" not in found


def test_held_out_faces_do_not_shape_the_fit() -> None:
    mixed, traits, _ = faces()
    held_out = np.arange(600) >= 500
    wild = {name: np.where(held_out, -values, values) for name, values in traits.items()}
    before = latents.directions(mixed, traits, held_out)
    after = latents.directions(mixed, wild, held_out)
    assert np.array_equal(before["yaw"].vector, after["yaw"].vector)
    assert after["yaw"].r2 < -2


def test_a_cloud_has_the_mean_and_the_spread_of_what_it_lies_over() -> None:
    mixed, _, _ = faces()
    fitted = latents.cloud(mixed)
    drawn = latents.from_cloud(40_000, fitted, 3)
    assert np.allclose(drawn.mean(0), mixed.mean(0), atol=0.1)
    assert np.allclose(np.cov(drawn.T), np.cov(mixed.T), atol=0.15)
    assert np.allclose(fitted.place(fitted.whiten(mixed)), mixed)
    assert np.allclose(fitted.whiten(mixed).std(0, ddof=1), 1)
    narrow = latents.cloud(mixed, 0.97)
    assert 3 <= len(narrow.deviation) < len(fitted.deviation)


def test_more_numbers_than_faces_are_no_hindrance() -> None:
    source = np.random.default_rng(1)
    few = source.standard_normal((12, 500))
    drawn = latents.from_cloud(5, latents.cloud(few), 0)
    assert drawn.shape == (5, 500)
    assert np.isfinite(drawn).all()
    with pytest.raises(ValueError, match="no directions"):
        latents.cloud(np.ones((4, 3)))


def test_the_same_seed_draws_the_same_latents() -> None:
    fitted = latents.cloud(faces()[0])
    assert np.array_equal(latents.from_prior(6, 256, 1), latents.from_prior(6, 256, 1))
    assert not np.array_equal(latents.from_prior(6, 256, 1), latents.from_prior(6, 256, 2))
    assert np.array_equal(latents.from_prior(9, 256, 1)[:6], latents.from_prior(6, 256, 1))
    assert np.array_equal(latents.from_cloud(6, fitted, 1), latents.from_cloud(6, fitted, 1))


@settings(max_examples=30)
@given(st.integers(2, 50), st.integers(1, 30), st.integers(0, 1000))
def test_a_line_is_straight_and_even(count: int, dimensions: int, seed: int) -> None:
    first, last = latents.from_prior(2, dimensions, seed)
    line = latents.between(first, last, count)
    assert np.array_equal(line[0], first)
    assert np.allclose(line[-1], last)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert latents.steadiness(steps) == pytest.approx(1)


def test_a_jump_is_not_steady() -> None:
    assert latents.steadiness(np.array([0.0, 0.0, 4.0, 0.0])) == 4
    assert latents.steadiness(np.zeros(5)) == 0


def test_the_farthest_pair() -> None:
    points = latents.from_prior(30, 4, 0)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    first, last = latents.farthest(points)
    assert first < last
    assert distance[first, last] == distance.max()

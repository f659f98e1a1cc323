from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.evaluation import metrics
from understudy.faces.openings import inter_ocular
from understudy.types import Floats, Image


def noise(seed: int, height: int = 24, width: int = 31) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def flat(value: int, height: int = 20, width: int = 20) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def slow_ssim(a: Image, b: Image) -> np.ndarray:
    """The paper's formula, window by window, where the whole window fits."""
    weights = np.array([0.299, 0.587, 0.114])
    x, y = a @ weights, b @ weights
    line = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line)
    window /= window.sum()
    out = np.full(x.shape, np.nan)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for row in range(5, x.shape[0] - 5):
        for column in range(5, x.shape[1] - 5):
            p = x[row - 5 : row + 6, column - 5 : column + 6]
            q = y[row - 5 : row + 6, column - 5 : column + 6]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            out[row, column] = ((2 * mp * mq + c1) * (2 * cov + c2)) / (
                (mp * mp + mq * mq + c1) * (vp + vq + c2)
            )
    return out


def face(seed: int = 3) -> Floats:
    return np.random.default_rng(seed).uniform(20, 200, (468, 3)).astype(np.float32)


def moved(landmarks: Floats, degrees: float, scale: float, shift: tuple[float, float]) -> Floats:
    angle = math.radians(degrees)
    turn = scale * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    out = landmarks * scale
    out[:, :2] = landmarks[:, :2] @ turn.T + shift
    return out.astype(np.float32)


def test_psnr_of_a_known_error() -> None:
    a, b = flat(100), flat(100)
    b[..., 0] = 110  # squared error 100 in one of three channels
    assert metrics.psnr(a, b) == pytest.approx(10 * math.log10(255**2 / (100 / 3)))
    assert metrics.psnr(flat(0), flat(255)) == pytest.approx(0)


def test_psnr_of_identical_images_is_the_ceiling() -> None:
    assert metrics.psnr(noise(1), noise(1)) == metrics.PSNR_CEILING


def test_only_pixels_at_half_weight_or_more_count() -> None:
    a, b = flat(50), flat(50)
    b[:, 10:] = 200
    mask = np.zeros((20, 20), np.float32)
    mask[:, :10], mask[:, 10:] = 0.5, 0.499
    assert metrics.psnr(a, b, mask) == metrics.PSNR_CEILING
    mask[:, 10:] = 0.5
    assert metrics.psnr(a, b, mask) == pytest.approx(10 * math.log10(255**2 / (150**2 / 2)))
    assert metrics.psnr(a, b, np.zeros((20, 20), np.float32)) is None
    assert metrics.ssim(a, b, np.zeros((20, 20), np.float32)) is None


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="equal size"):
        metrics.psnr(flat(1), flat(1, 21))
    with pytest.raises(ValueError, match="mask"):
        metrics.ssim(flat(1), flat(1), np.ones((3, 3), np.float32))


def test_ssim_of_identical_images_is_one() -> None:
    assert metrics.ssim(noise(1), noise(1)) == pytest.approx(1)


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 140 + c1) / (100**2 + 140**2 + c1)
    assert metrics.ssim(flat(100), flat(140)) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_an_inverted_image_is_negative() -> None:
    value = metrics.ssim(noise(5), 255 - noise(5))
    assert value is not None
    assert -1 <= value < -0.5


def test_ssim_map_is_the_papers_formula() -> None:
    a = noise(1)
    b = np.clip(a.astype(int) + np.random.default_rng(2).integers(-60, 60, a.shape), 0, 255)
    expected = slow_ssim(a, b.astype(np.uint8))
    got = metrics.ssim_map(a, b.astype(np.uint8))
    where = ~np.isnan(expected)
    assert np.abs(got[where] - expected[where]).max() < 1e-4


def test_ssim_inside_a_mask_is_the_maps_mean_there() -> None:
    a, b = noise(1, 60, 70), noise(2, 60, 70)
    mask = np.zeros((60, 70), np.float32)
    mask[20:41, 0:33] = 1
    expected = metrics.ssim_map(a, b)[20:41, 0:33].mean()
    assert metrics.ssim(a, b, mask) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_psnr_and_ssim_do_not_care_for_order(one: int, two: int) -> None:
    a, b = noise(one, 13, 17), noise(two, 13, 17)
    assert metrics.psnr(a, b) == metrics.psnr(b, a)
    assert metrics.ssim(a, b) == pytest.approx(metrics.ssim(b, a))
    assert -1 <= (metrics.ssim(a, b) or 0) <= 1


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-180, 180), st.floats(0.1, 10), st.tuples(st.floats(-500, 500), st.floats(-500, 500))
)
def test_landmark_error_ignores_place_size_and_roll(
    degrees: float, scale: float, shift: tuple[float, float]
) -> None:
    error = metrics.landmark_error(moved(face(), degrees, scale, shift), face())
    assert error is not None
    assert error < 1e-4


def test_landmark_error_is_what_an_svd_fit_leaves() -> None:
    still, changed = face(3), moved((face(3) + face(4) / 10).astype(np.float32), 40, 0.7, (5, 6))
    x = changed[:, :2].astype(float) - changed[:, :2].mean(0)
    y = still[:, :2].astype(float) - still[:, :2].mean(0)
    u, sizes, v = np.linalg.svd(x.T @ y)
    turn = u @ v
    assert np.linalg.det(turn) > 0
    left = x @ turn * sizes.sum() / (x**2).sum() - y
    expected = np.linalg.norm(left, axis=1).mean() / inter_ocular(still)
    assert expected > 0.01
    assert metrics.landmark_error(changed, still) == pytest.approx(expected, rel=1e-4)


def test_landmark_error_sees_a_mirror_and_refuses_a_point() -> None:
    still = face()
    mirrored = still * np.array([-1, 1, 1], np.float32)
    assert (metrics.landmark_error(mirrored, still) or 0) > 0.1
    assert metrics.landmark_error(np.zeros_like(still), still) is None


def test_correlation() -> None:
    assert metrics.correlation([1, 2, 3, 4], [3, 5, 7, 9]) == pytest.approx(1)
    assert metrics.correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    a, b = [0.1, 0.5, 0.2, 0.9], [0.3, 0.1, 0.4, 0.8]
    assert metrics.correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert metrics.correlation([1, 1, 1], [1, 2, 3]) is None
    assert metrics.correlation([1, 2], [1, 2]) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.correlation([1, 2, 3], [1, 2])


def test_angles_go_round() -> None:
    assert metrics.signed_angle(179, -179) == pytest.approx(-2)
    assert metrics.signed_angle(-179, 179) == pytest.approx(2)
    assert metrics.signed_angle(15, -10) == pytest.approx(25)


def test_residual_does_not_wrap_below_zero() -> None:
    mask = np.ones((20, 20), np.float32)
    assert metrics.residual(flat(3), flat(10), mask) == 7
    assert metrics.residual(flat(10), flat(3), mask) == 7
    assert metrics.residual(flat(10), flat(3), mask * 0) is None


def test_mean_leaves_out_what_is_missing() -> None:
    assert metrics.mean([1, None, 3]) == 2
    assert metrics.mean([None]) is None


@pytest.mark.parametrize(
    ("source", "target", "psnr_db", "ssim"),
    [("ada", "chen", 16.9, 0.642), ("chen", "ada", 19.9, 0.688)],
)
def test_the_untouched_films_stated_floor(
    shared_data: Path, source: str, target: str, psnr_db: float, ssim: float
) -> None:
    folder = shared_data / "synthetic"

    def read(name: str, pixels: str) -> list[np.ndarray]:
        with av.open(str(folder / name)) as container:
            return [frame.to_ndarray(format=pixels) for frame in container.decode(video=0)][::3]

    truth = f"swapgt_test1_{source}_face_on_{target}"
    masks = zip(
        read(f"test1_{target}_mask.mkv", "gray"), read(f"{truth}_mask.mkv", "gray"), strict=True
    )
    union = [np.maximum(a, b) / 255 for a, b in masks]
    pairs = list(
        zip(read(f"test1_{target}.mp4", "rgb24"), read(f"{truth}.mp4", "rgb24"), union, strict=True)
    )
    assert metrics.mean([metrics.psnr(*each) for each in pairs]) == pytest.approx(psnr_db, abs=0.1)
    assert metrics.mean([metrics.ssim(*each) for each in pairs]) == pytest.approx(ssim, abs=0.01)


def square(level: int, low: int, high: int) -> Image:
    image = np.full((96, 96, 3), 100, np.uint8)
    image[low:high, low:high] = level
    return image


def test_the_outline_of_a_swap_is_a_strip_about_its_edge() -> None:
    alpha = np.zeros((96, 96), np.float32)
    alpha[20:76, 20:76] = 1
    strip = metrics.outline(alpha)
    assert strip[20, 48]
    assert strip[48, 75]
    assert not strip[48, 48]
    assert not strip[10, 10]
    assert not metrics.outline(np.zeros((96, 96), np.float32)).any()


def test_a_seam_has_energy_that_the_film_does_not_have() -> None:
    alpha = np.zeros((96, 96), np.float32)
    alpha[20:76, 20:76] = 1
    strip = metrics.outline(alpha)
    seam, fainter, none = (
        metrics.edge_energy(square(level, 20, 76), strip) for level in (160, 130, 100)
    )
    assert none == 0
    assert seam is not None
    assert fainter is not None
    assert seam == pytest.approx(4 * fainter)
    assert metrics.edge_energy(square(160, 20, 76), np.zeros((96, 96), bool)) is None


def test_a_median_leaves_out_what_is_not_there() -> None:
    assert metrics.median([1.0, None, 5.0, 2.0]) == 2.0
    assert metrics.median([None]) is None

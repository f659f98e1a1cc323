from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from understudy.models.losses import Window, _blur, mask_bce, masked_l1, masked_mse, ms_ssim, ssim

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def pair(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(3)
    smooth = torch.nn.functional.interpolate(
        torch.rand(2, 3, 8, 8, generator=source), size, mode="bicubic"
    ).clamp(0, 1)
    noise = 0.1 * torch.randn(smooth.shape, generator=source)
    return smooth, (smooth + noise).clamp(0, 1)


def reference(a: torch.Tensor, b: torch.Tensor) -> float:
    """SSIM straight from the formula, in double precision, with OpenCV's own Gaussian."""
    total = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        for p, q in zip(x, y, strict=True):
            taps = cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)

            def blur(values: np.ndarray, taps: np.ndarray = taps) -> np.ndarray:
                return cv2.sepFilter2D(values, cv2.CV_64F, taps, taps)[5:-5, 5:-5]

            m, n = blur(p), blur(q)
            vp, vq, cov = blur(p * p) - m * m, blur(q * q) - n * n, blur(p * q) - m * n
            top = (2 * m * n + 0.01**2) * (2 * cov + 0.03**2)
            total.append(top / ((m * m + n * n + 0.01**2) * (vp + vq + 0.03**2)))
    return float(np.mean(total))


def test_ssim_is_the_published_formula() -> None:
    a, b = pair()
    assert float(ssim(a, b)) == pytest.approx(reference(a, b), abs=1e-5)


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_equal_images_are_wholly_similar(measure: Measure) -> None:
    a, b = pair(96)
    assert float(measure(a, a)) == pytest.approx(1, abs=1e-5)
    assert float(measure(a, b)) < 0.95


@pytest.mark.parametrize("window", ["gaussian", "tent"])
def test_ssim_looks_only_inside_the_mask(window: Window) -> None:
    a, b = pair()
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, :, :24] = 1
    changed = a.clone()
    changed[:, :, :, 40:] = b[:, :, :, 40:]
    inside = ssim(a, changed, mask, window=window)
    assert float(inside) == pytest.approx(1, abs=1e-5)
    assert float(ssim(a, changed, window=window)) < 0.95


def test_ssim_stays_finite_and_in_float32_under_autocast() -> None:
    a, b = pair()
    a = a.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = ssim(a.bfloat16(), b.bfloat16())
    assert value.dtype == torch.float32
    (slope,) = torch.autograd.grad(value, a)
    assert bool(slope.isfinite().all())


@pytest.mark.parametrize("measure", [ssim, ms_ssim, masked_l1, masked_mse])
def test_following_the_gradient_brings_images_together(measure: Measure) -> None:
    a, b = pair()
    b = b.requires_grad_()
    before = measure(a, b)
    sign = 1 if measure in (ssim, ms_ssim) else -1
    (slope,) = torch.autograd.grad(before, b)
    after = measure(a, b.detach() + sign * 1e-2 * slope / slope.abs().max())
    assert sign * float(after) > sign * float(before.detach())


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
@pytest.mark.parametrize("channels_last", [False, True])
def test_slopes_worked_out_by_hand_are_the_true_ones(measure: Any, channels_last: bool) -> None:
    a, b = pair(48)
    mask = (torch.rand(2, 1, 48, 48) > 0.3).float()
    if channels_last:
        a = a.contiguous(memory_format=torch.channels_last)
    a = a.requires_grad_()
    by_hand = measure(a, b, mask, window="tent")
    (slope,) = torch.autograd.grad(3 * by_hand, a)
    automatic = measure(a, b.requires_grad_(), mask, window="tent")
    (expected,) = torch.autograd.grad(3 * automatic, a)
    assert torch.allclose(by_hand, automatic, atol=1e-5)
    assert float((slope - expected).norm()) < 1e-3 * float(expected.norm())
    assert slope.stride() == a.stride()


def test_the_tent_window_is_the_blur_that_it_says_and_has_its_adjoint() -> None:
    images = torch.rand(2, 3, 11, 12, dtype=torch.float64, requires_grad=True)
    taps = torch.tensor([1, 1, 2, 2, 1, 1], dtype=torch.float64) / 8
    kernel = (taps[:, None] * taps[None]).expand(3, 1, 6, 6)
    inside = torch.nn.functional.conv2d(images, kernel, groups=3)
    assert torch.allclose(_blur(images, "tent")[..., :6, :7], inside)
    slopes = torch.rand(inside.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad((inside * slopes).sum(), images)
    blurred = _blur(images, "tent")[..., :6, :7]
    (found,) = torch.autograd.grad((blurred * slopes).sum(), images)
    assert torch.allclose(found, expected)


def test_both_windows_judge_alike() -> None:
    a, b = pair()
    assert float(ssim(a, b, window="tent")) == pytest.approx(float(ssim(a, b)), abs=0.03)


def test_masked_differences() -> None:
    a, b = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    b[..., :2] = 0.5
    left = torch.zeros(1, 1, 4, 4)
    left[..., :2] = 1
    assert float(masked_l1(a, b)) == pytest.approx(0.25)
    assert float(masked_l1(a, b, left)) == pytest.approx(0.5)
    assert float(masked_l1(a, b, 1 - left)) == 0
    assert float(masked_mse(a, b, left)) == pytest.approx(0.25)
    assert float(masked_mse(a, b, torch.zeros_like(left))) == 0


def test_mask_loss_is_least_where_the_masks_agree() -> None:
    face = (torch.arange(16).view(1, 1, 4, 4) > 7).float()
    assert float(mask_bce(face, face)) < 1e-4
    assert float(mask_bce(torch.full_like(face, 0.5), face)) == pytest.approx(0.6931, abs=1e-3)
    assert bool(torch.isfinite(mask_bce(1 - face, face)))


def test_shapes_that_do_not_fit_are_refused() -> None:
    a = torch.rand(1, 3, 32, 32)
    with pytest.raises(ValueError, match="equal shape"):
        ssim(a, torch.rand(1, 3, 32, 31))
    with pytest.raises(ValueError, match="mask"):
        masked_l1(a, a, torch.rand(1, 1, 16, 16))
    with pytest.raises(ValueError, match="smaller"):
        ssim(a[..., :8, :8], a[..., :8, :8])

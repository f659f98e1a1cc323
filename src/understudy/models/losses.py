"""Differences between images that a network can learn from, as batched tensor operations.

Images are (N, C, H, W) in 0..1, masks (N, 1, H, W) in 0..1. Everything is computed in float32
whatever comes in and whatever autocast says: the variances inside SSIM are differences of
nearly equal numbers, and in bfloat16 they become noise or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

C1, C2 = 0.01**2, 0.03**2
SIGMA = 1.5
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Window = Literal["gaussian", "box"]


def _check(a: Tensor, b: Tensor, mask: Tensor | None) -> None:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            f"two batches of equal shape are needed, not {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if mask is not None and mask.shape != (len(a), 1, *a.shape[2:]):
        raise ValueError(f"a mask of {tuple(mask.shape)} does not fit images of {tuple(a.shape)}")


def _blur(images: Tensor, width: int, window: Window, stride: int) -> Tensor:
    """Weighted mean over windows that lie wholly inside; along one axis, then the other."""
    channels = images.shape[1]
    if window == "gaussian":
        x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
        taps = torch.exp(-(x**2) / (2 * SIGMA**2))
        taps = taps / taps.sum()
    else:
        taps = torch.full((width,), 1 / width, device=images.device)
    rows = taps.view(1, 1, width, 1).repeat(channels, 1, 1, 1)
    images = functional.conv2d(images, rows, stride=(stride, 1), groups=channels)
    return functional.conv2d(images, rows.transpose(2, 3), stride=(1, stride), groups=channels)


def _terms(a: Tensor, b: Tensor, width: int, window: Window, stride: int) -> tuple[Tensor, Tensor]:
    """Luminance term, and contrast and structure term, of SSIM."""
    a, b = a.float(), b.float()
    stack = torch.cat((a, b, a * a + b * b, a * b), dim=1)
    mean_a, mean_b, squares, product = _blur(stack, width, window, stride).chunk(4, dim=1)
    means = mean_a * mean_b
    mean_squares = mean_a * mean_a + mean_b * mean_b
    luminance = (2 * means + C1) / (mean_squares + C1)
    structure = (2 * (product - means) + C2) / (squares - mean_squares + C2)
    return luminance, structure


def _window_mask(mask: Tensor, width: int, stride: int) -> Tensor:
    """The mask at the centres of the windows."""
    edge = (width - 1) // 2
    height, length = mask.shape[2] - width + 1, mask.shape[3] - width + 1
    return mask[:, :, edge : edge + height : stride, edge : edge + length : stride].float()


def _average(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean()
    return (values * mask).sum() / (mask.sum() * values.shape[1]).clamp_min(1e-6)


def ssim(
    a: Tensor,
    b: Tensor,
    mask: Tensor | None = None,
    *,
    width: int = 11,
    window: Window = "gaussian",
    stride: int = 1,
) -> Tensor:
    """Mean structural similarity, a scalar of at most 1.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004: 11-pixel Gaussian of sigma 1.5, K1 = 0.01, K2 = 0.03, only
    windows that lie wholly inside, each channel for itself.

    Args:
        mask: weight of each window, read at its centre; all the same when None.
        width: of the window in pixels, odd.
        window: `gaussian`, or `box` for equal weights.
        stride: pixels from one window to the next; 2 or more is cheaper.

    Raises:
        ValueError: shapes differ or the images are smaller than the window.
    """
    _check(a, b, mask)
    if min(a.shape[2:]) < width:
        raise ValueError(f"images of {tuple(a.shape[2:])} are smaller than a window of {width}")
    with torch.autocast(a.device.type, enabled=False):
        luminance, structure = _terms(a, b, width, window, stride)
        weights = None if mask is None else _window_mask(mask, width, stride)
        return _average(luminance * structure, weights)


def ms_ssim(
    a: Tensor,
    b: Tensor,
    mask: Tensor | None = None,
    *,
    width: int = 11,
    window: Window = "gaussian",
    stride: int = 1,
    weights: Sequence[float] = MS_WEIGHTS,
) -> Tensor:
    """Multi-scale structural similarity, a scalar of at most 1.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003. Scales at which the image would be smaller than the window are left
    out and the other weights brought to the sum 1. Negative structure counts as 0.

    Raises:
        ValueError: as `ssim`.
    """
    _check(a, b, mask)
    scales = min(len(weights), 1 + int(torch.tensor(min(a.shape[2:]) / width).log2().floor()))
    if scales < 1:
        raise ValueError(f"images of {tuple(a.shape[2:])} are smaller than a window of {width}")
    total = sum(weights[:scales])
    with torch.autocast(a.device.type, enabled=False):
        result = a.new_ones((), dtype=torch.float32)
        for scale in range(scales):
            luminance, structure = _terms(a, b, width, window, stride)
            values = luminance * structure if scale == scales - 1 else structure
            inside = None if mask is None else _window_mask(mask, width, stride)
            # A power below one has no slope at 0, hence the small floor.
            result = result * _average(values, inside).clamp_min(1e-4) ** (weights[scale] / total)
            a, b = functional.avg_pool2d(a.float(), 2), functional.avg_pool2d(b.float(), 2)
            mask = None if mask is None else functional.avg_pool2d(mask.float(), 2)
        return result


def masked_l1(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference, weighted by the mask. Raises ValueError on unequal shapes."""
    _check(a, b, mask)
    return _average((a.float() - b.float()).abs(), None if mask is None else mask.float())


def masked_mse(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference, weighted by the mask. Raises ValueError on unequal shapes."""
    _check(a, b, mask)
    return _average((a.float() - b.float()) ** 2, None if mask is None else mask.float())


def mask_bce(mask: Tensor, face: Tensor) -> Tensor:
    """Binary cross-entropy of a predicted mask 0..1 against the true one 0..1, a scalar."""
    _check(mask, face, None)
    with torch.autocast(mask.device.type, enabled=False):
        return functional.binary_cross_entropy(mask.float().clamp(1e-6, 1 - 1e-6), face.float())

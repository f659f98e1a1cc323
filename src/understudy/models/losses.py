"""Differences between images that a network can learn from, as batched tensor operations.

Images are (N, C, H, W) in 0..1, masks (N, 1, H, W) in 0..1. Everything is computed in float32
whatever comes in and whatever autocast says: the variances inside SSIM are differences of
nearly equal numbers, and in bfloat16 they become noise or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

C1, C2 = 0.01**2, 0.03**2
SIGMA = 1.5
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Window = Literal["gaussian", "tent"]
TENT = (1, 2, 2)
"""Shifts that make the tent window: (1 1) * (1 0 1) * (1 0 1) = 1 1 2 2 1 1. Its variance of
2.25 pixels is that of the Gaussian with sigma 1.5."""

WIDTHS: dict[Window, int] = {"gaussian": 11, "tent": 1 + sum(TENT)}

LUMA = (0.299, 0.587, 0.114)

SURE = 1e-6
"""A mask is at least so far from 0 and 1 where its logarithm is taken."""

AT_ONCE = 500_000
"""Values that a loss works on together on a processor, so that they stay in its cache."""


def _check(a: Tensor, b: Tensor, mask: Tensor | None) -> None:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            f"two batches of equal shape are needed, not {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if mask is not None and mask.shape != (len(a), 1, *a.shape[2:]):
        raise ValueError(f"a mask of {tuple(mask.shape)} does not fit images of {tuple(a.shape)}")


def _tent(images: Tensor, way: int) -> Tensor:
    """Means over the tent window, by a few additions of shifted images.

    Images are added as one long line of numbers, which is fastest, so what runs over the end
    of a row or an image is mixed with the next one: only windows that lie wholly inside are
    right.

    Args:
        way: 1 for windows that begin at their pixel, -1 for the adjoint of that.
    """
    line = images.flatten()
    spare, other = torch.empty_like(line), torch.empty_like(line)
    for pixels in (1, images.shape[-1]):
        for shift in TENT:
            step = shift * pixels
            inner, edge = slice(-step), slice(-step, None)
            if way < 0:
                inner, edge = slice(step, None), slice(step)
            torch.add(line[:-step], line[step:], out=spare[inner])
            spare[edge] = line[edge]
            line, spare, other = spare, other, spare
    return line.mul_(0.25 ** len(TENT)).view(images.shape)


class _Tent(torch.autograd.Function):
    """`_tent` with its adjoint, for slopes that are 0 where the window is not fully inside."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return _tent(images, 1)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> Tensor:
        return _tent(slopes, -1)


def _blur(images: Tensor, window: Window) -> Tensor:
    """Weighted mean over windows that begin at each pixel; those that do not lie wholly
    inside are left out (gaussian) or meaningless (tent)."""
    if window == "tent":
        blurred: Tensor = _Tent.apply(images)  # type: ignore[no-untyped-call]
        return blurred
    channels, width = images.shape[1], WIDTHS["gaussian"]
    x = torch.arange(width, device=images.device, dtype=torch.float32) - (width - 1) / 2
    taps = torch.exp(-(x**2) / (2 * SIGMA**2))
    rows = (taps / taps.sum()).view(1, 1, width, 1).repeat(channels, 1, 1, 1)
    images = functional.conv2d(images, rows, groups=channels)
    return functional.conv2d(images, rows.transpose(2, 3), groups=channels)


def _weights(a: Tensor, mask: Tensor | None, window: Window) -> Tensor:
    """The weight of each window, of sum 1 over all images and channels: the mask at its
    centre, laid out as `_blur` does."""
    width = WIDTHS[window]
    edge, height, length = (width - 1) // 2, a.shape[2] - width + 1, a.shape[3] - width + 1
    if mask is None:
        mask = a.new_ones((len(a), 1, *a.shape[2:]))
    inside = mask[:, :, edge : edge + height, edge : edge + length].float()
    weights: Tensor = inside / (inside.sum() * a.shape[1]).clamp_min(1e-6)
    if window == "tent":
        weights = functional.pad(weights, (0, width - 1, 0, width - 1))
    return weights


def _sums(a: Tensor, b: Tensor, weights: Tensor, window: Window, whole: bool) -> Tensor:
    """Weighted sum of the similarity, or of its contrast and structure term alone."""
    a, b = a.float(), b.float()
    stack = torch.cat((a, b, a * a + b * b, a * b), dim=1)
    mean_a, mean_b, squares, product = _blur(stack, window).chunk(4, dim=1)
    means = mean_a * mean_b
    mean_squares = mean_a * mean_a + mean_b * mean_b
    values = (2 * (product - means) + C2) / (squares - mean_squares + C2)
    if whole:
        values = values * (2 * means + C1) / (mean_squares + C1)
    return (values * weights).sum()


def _ssim_and_slopes(a: Tensor, b: Tensor, weights: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """`_sums` with the tent window, and its slopes for `a`, worked out by hand."""
    stack = torch.cat((a, b, a * a + b * b, a * b), dim=1)
    mean_a, mean_b, squares, product = _tent(stack, 1).chunk(4, dim=1)
    means = mean_a * mean_b
    mean_squares = (mean_a * mean_a).addcmul_(mean_b, mean_b)
    below = 1 / (squares - mean_squares + C2)
    above = (product - means).mul_(2).add_(C2)
    share = below * weights
    slope_mean = -mean_b
    if whole:
        low, high = 1 / (mean_squares + C1), means.mul_(2).add_(C1)
        slope_mean = mean_b * (above - high) * low
        share_low = share * low
        values = above * high * share_low
        # d values / d product, d squares and d mean_a, the others held fast.
        slope_product = high * share_low
        slope_mean = slope_mean.mul_(share).addcmul_(values * mean_a, below - low)
    else:
        values = above * share
        slope_product = share
        slope_mean = slope_mean.mul_(share).addcmul_(values * mean_a, below)
    slope_squares = values * below
    slopes = torch.cat((slope_mean, slope_squares, slope_product.expand_as(values)), dim=1)
    back_mean, back_squares, back_product = _tent(slopes, -1).chunk(3, dim=1)
    total = (back_mean - a * back_squares).addcmul_(b, back_product).mul_(2)
    return values.sum(), total


def _l1_and_slopes(a: Tensor, b: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sum of absolute differences, and its slopes for `a`."""
    difference = a - b
    slopes = difference.sign() * weights
    return (difference * slopes).sum(), slopes


def _bce_and_slopes(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the binary cross-entropy, and its slopes for `a`."""
    a = a.clamp(SURE, 1 - SURE)
    rest = 1 - a
    value = torch.lerp(rest.log(), a.log(), b).sum()
    return -value, (a - b) / rest.mul_(a)


class _Pieces(torch.autograd.Function):
    """A sum over images whose slopes are worked out at once, a few images at a time: on a
    processor nothing then leaves its cache, which is several times as fast."""

    @staticmethod
    def forward(
        ctx: Any, work: Callable[..., tuple[Tensor, Tensor]], a: Tensor, *others: Tensor
    ) -> Tensor:
        together = max(1, AT_ONCE // (4 * a[0].numel())) if a.device.type == "cpu" else len(a)
        total = a.new_zeros((), dtype=torch.float32)
        slopes = torch.empty_like(a)
        for first in range(0, len(a), together):
            some = slice(first, first + together)
            parts = [each[some].float().contiguous() for each in (a, *others)]
            value, slopes[some] = work(*parts)
            total += value
        ctx.save_for_backward(slopes)
        ctx.others = len(others)
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return None, slope * slopes, *(None for _ in range(ctx.others))


def sum_in_pieces(
    work: Callable[..., tuple[Tensor, Tensor]], a: Tensor, *others: Tensor
) -> Tensor | None:
    """The sum that `work` gives, when only `a` needs slopes; None otherwise."""
    if not a.requires_grad or any(each.requires_grad for each in others):
        return None
    result: Tensor = _Pieces.apply(work, a, *others)  # type: ignore[no-untyped-call]
    return result


def _similarity(a: Tensor, b: Tensor, mask: Tensor | None, window: Window, whole: bool) -> Tensor:
    """Mean SSIM, or of its contrast and structure term alone unless `whole`."""
    width = WIDTHS[window]
    if min(a.shape[2:]) < width:
        raise ValueError(f"images of {tuple(a.shape[2:])} are smaller than a window of {width}")
    with torch.autocast(a.device.type, enabled=False):
        weights = _weights(a, mask, window)
        result = None
        if window == "tent":
            result = sum_in_pieces(partial(_ssim_and_slopes, whole=whole), a, b, weights)
        return _sums(a, b, weights, window, whole) if result is None else result


def ssim(
    a: Tensor,
    b: Tensor,
    mask: Tensor | None = None,
    *,
    window: Window = "gaussian",
) -> Tensor:
    """Mean structural similarity, a scalar of at most 1.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004: 11-pixel Gaussian of sigma 1.5, K1 = 0.01, K2 = 0.03, only
    windows that lie wholly inside, each channel for itself.

    Slopes are there for `a` and `b`; they come cheapest with the tent window, when only `a`
    needs them.

    Args:
        mask: weight of each window, read at its centre; all the same when None.
        window: `gaussian`, or `tent` for a cheap window of 6 pixels and the same variance.

    Raises:
        ValueError: shapes differ or the images are smaller than the window.
    """
    _check(a, b, mask)
    return _similarity(a, b, mask, window, whole=True)


def ms_ssim(
    a: Tensor,
    b: Tensor,
    mask: Tensor | None = None,
    *,
    window: Window = "gaussian",
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
    ratio = min(a.shape[2:]) / WIDTHS[window]
    scales = max(1, min(len(weights), 1 + math.floor(math.log2(ratio)))) if ratio > 0 else 1
    total = sum(weights[:scales])
    a, b = a.float(), b.float()
    result = a.new_ones(())
    for scale in range(scales):
        last = scale == scales - 1
        value = _similarity(a, b, mask, window, whole=last)
        # A power below one has no slope at 0, hence the small floor.
        result = result * value.clamp_min(1e-4) ** (weights[scale] / total)
        if not last:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
            mask = None if mask is None else functional.avg_pool2d(mask.float(), 2)
    return result


def luma(images: Tensor) -> Tensor:
    """Brightness (N, 1, H, W) of RGB images (N, 3, H, W), by ITU-R BT.601."""
    return (images.new_tensor(LUMA) @ images.flatten(2)).view(-1, 1, *images.shape[2:])


def _average(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean()
    return (values * mask).sum() / (mask.sum() * values.shape[1]).clamp_min(1e-6)


def masked_l1(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference, weighted by the mask. Raises ValueError on unequal shapes."""
    _check(a, b, mask)
    if mask is None:
        return (a.float() - b.float()).abs().mean()
    weights = mask.float() / (mask.float().sum() * a.shape[1]).clamp_min(1e-6)
    result = sum_in_pieces(_l1_and_slopes, a, b, weights)
    return ((a.float() - b.float()).abs() * weights).sum() if result is None else result


def masked_mse(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference, weighted by the mask. Raises ValueError on unequal shapes."""
    _check(a, b, mask)
    return _average((a.float() - b.float()) ** 2, None if mask is None else mask.float())


def mask_bce(mask: Tensor, face: Tensor) -> Tensor:
    """Binary cross-entropy of a predicted mask 0..1 against the true one 0..1, a scalar."""
    _check(mask, face, None)
    with torch.autocast(mask.device.type, enabled=False):
        result = sum_in_pieces(_bce_and_slopes, mask, face)
        if result is not None:
            return result / mask.numel()
        return functional.binary_cross_entropy(mask.float().clamp(SURE, 1 - SURE), face.float())

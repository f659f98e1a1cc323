"""Compare the amount of fine detail of two pictures, independent of its exact place.

A network that is asked for every pixel draws the mean of what might be there, which is smooth:
absolute differences and structural similarity both reward it for leaving out what it cannot
place. Here only the strength of the detail counts, as in the contrast term of structural
similarity (Wang et al., 2004) and in texture statistics (Gatys, Ecker and Bethge, "Texture
synthesis using convolutional neural networks", 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.models.losses import sum_in_pieces

SQUARE = 4
"""Detail is measured in overlapping windows of 2 x 2 squares of so many pixels a side."""

FAINT = 1e-6
"""Added to the squares of detail, so that the root has a slope where there is none."""


def _around(bright: Tensor) -> Tensor:
    """Mean of 3 x 3 pixels, of those that lie wholly inside: (N, 1, H - 2, W - 2)."""
    rows = bright[..., :-2, :] + bright[..., 1:-1, :]
    rows += bright[..., 2:, :]
    mean = rows[..., :-2] + rows[..., 1:-1]
    mean += rows[..., 2:]
    return mean.div_(9)


def _fine(bright: Tensor) -> Tensor:
    """Brightness without its mean over 3 x 3 pixels; 0 at the border.

    Narrower measures of detail, as a Laplacian of five pixels, are fooled by a pattern of single
    pixels that no one sees as detail.
    """
    fine = torch.zeros_like(bright)
    fine[..., 1:-1, 1:-1] = bright[..., 1:-1, 1:-1] - _around(bright)
    return fine


def _fine_back(slopes: Tensor) -> Tensor:
    """The adjoint of `_fine`, for slopes that are 0 at the border."""
    padded = torch.nn.functional.pad(slopes, (1, 1, 1, 1))
    return slopes - _around(padded)


def _windows(values: Tensor) -> Tensor:
    """Means over the windows: (N, 1, H, W) to (N, 1, H / SQUARE - 1, W / SQUARE - 1)."""
    count, _, height, width = values.shape
    across = values.reshape(count, 1, height, width // SQUARE, SQUARE).sum(4)
    squares = across.reshape(count, 1, height // SQUARE, SQUARE, width // SQUARE).sum(3)
    pairs = squares[..., 1:, :] + squares[..., :-1, :]
    means: Tensor = (pairs[..., 1:] + pairs[..., :-1]) / (2 * SQUARE) ** 2
    return means


def _spread(values: Tensor) -> Tensor:
    """The adjoint of `_windows`."""
    padded = torch.nn.functional.pad(values, (1, 1, 1, 1))
    pairs = padded[..., 1:, :] + padded[..., :-1, :]
    squares = (pairs[..., 1:] + pairs[..., :-1]) / (2 * SQUARE) ** 2
    return squares.repeat_interleave(SQUARE, 2).repeat_interleave(SQUARE, 3)


def detail(bright: Tensor) -> Tensor:
    """Root mean square of the fine detail in each window, from 0.

    Args:
        bright: (N, 1, H, W), 0..1; H and W are multiples of `SQUARE`, two of them at least.

    Returns:
        (N, 1, H / SQUARE - 1, W / SQUARE - 1).
    """
    return (_windows(_fine(bright) ** 2) + FAINT).sqrt()


def _difference_and_slopes(a: Tensor, b: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sum of the absolute differences in detail, and its slopes for `a`."""
    fine = _fine(a)
    found = (_windows(fine * fine) + FAINT).sqrt()
    difference = found - detail(b)
    slopes = difference.sign() * weights
    value = (difference * slopes).sum()
    inner = _spread(slopes / found).mul_(fine)
    return value, _fine_back(inner)


def texture(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference in the strength of fine detail, a scalar from 0.

    Args:
        a, b: brightness (N, 1, H, W), 0..1, as `losses.luma` gives it; sides as for `detail`.
        mask: (N, 1, H, W), 0..1: how much each place counts.
    """
    with torch.autocast(a.device.type, enabled=False):
        weights = _windows(mask.float())
        weights = weights / weights.sum().clamp_min(1e-6)
        result = sum_in_pieces(_difference_and_slopes, a, b, weights)
        if result is None:
            result = ((detail(a.float()) - detail(b.float())).abs() * weights).sum()
        return result

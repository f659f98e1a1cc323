"""Approximate positions of eyes and mouth in every aligned face, as soft spots."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.faces.align import CORE, TEMPLATE


def _corners() -> Tensor:
    """Inner corners of the eyes and corners of the mouth, (4, 2), shares of the core's side."""
    return torch.from_numpy((TEMPLATE - (1 - CORE) / 2) / CORE)


def _spot(size: int, middle: Tensor, wide: float, high: float) -> Tensor:
    """A Gaussian, 1 in its `middle`; deviations as shares of the side: (1, 1, size, size)."""
    line = (torch.arange(size) + 0.5) / size
    across, down = ((line - middle[0]) / wide) ** 2, ((line - middle[1]) / high) ** 2
    return torch.exp(-across[None] / 2 - down[:, None] / 2)[None, None]


def _eyes(size: int, wide: float, high: float) -> Tensor:
    left, right, _, _ = _corners()
    outward = (right - left) * 0.6
    return torch.maximum(
        _spot(size, left - outward, wide, high), _spot(size, right + outward, wide, high)
    )


def eyes(size: int) -> Tensor:
    """Float (1, 1, size, size), 0..1."""
    return _eyes(size, 0.08, 0.05)


def around_eyes(size: int) -> Tensor:
    """All of the eyes, with lids and lashes: float32 (1, 1, size, size), 0..1."""
    return (1.5 * _eyes(size, 0.1, 0.06)).clamp(max=1).float()


def mouth(size: int) -> Tensor:
    """Float (1, 1, size, size), 0..1."""
    return _spot(size, _corners()[2:].mean(0), 0.11, 0.07)

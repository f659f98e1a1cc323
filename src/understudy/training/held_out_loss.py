"""How well a network redraws held-out faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.models.base import SwapModel
from understudy.models.losses import masked_l1, masked_mse, ssim
from understudy.training.augment import core

CHUNK = 16


@dataclass(frozen=True)
class Figures:
    """Means over faces, inside the face mask, pixels in 0..1.

    Attributes:
        l1: mean absolute difference.
        ssim: structural similarity, at most 1.
        psnr: decibels, at most 100.
    """

    l1: float
    ssim: float
    psnr: float


@torch.no_grad()
def measure(model: SwapModel, crops: Tensor, person: str) -> Figures:
    """Redraw faces of `person` with the person's own decoder and compare.

    Args:
        crops: uint8 (N, 4, S', S') as `augment.planes` packs them, N >= 1; the central part
            is used unchanged.
    """
    device = next(model.parameters()).device
    rows: list[tuple[float, float, float]] = []
    for part in torch.split(crops, CHUNK):
        images, masks = core(part.to(device), model.size)
        drawn = model.swap(images.contiguous(memory_format=torch.channels_last), person)[0].float()
        for one in range(len(images)):
            pick = slice(one, one + 1)
            pair = drawn[pick], images[pick], masks[pick]
            error = float(masked_mse(*pair))
            decibels = min(100.0, -10 * torch.tensor(max(error, 1e-12)).log10().item())
            rows.append((float(masked_l1(*pair)), float(ssim(*pair)), decibels))
    means = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
    return Figures(*means)

"""What a base reads from a latent: mouth opening, head pose, and so on.

A linear map for each trait, fitted by ridge regression (Hoerl and Kennard, 1970) on faces for which
the truth is known, such as renders. The latent is trained only for redrawing: what cannot
be read from it linearly is not in it in a form that decoders of all people share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 0.01
"""Weight of the penalty, per face."""

SIDES = (0.05, 0.95)
"""Quantiles of the truth that a typical person reaches."""

POOR = 0.5
"""Correlation below which a trait is left out."""


@dataclass(frozen=True)
class Readings:
    """Attributes:
    names: of T traits.
    weight: float32 (T, LATENT).
    bias: float32 (T,).
    low, high: float32 (T,), what a usual person reaches (`SIDES`), in the labels' units.
    """

    names: tuple[str, ...]
    weight: Tensor
    bias: Tensor
    low: Tensor
    high: Tensor

    def read(self, latents: Tensor) -> Tensor:
        """Of latents (N, LATENT): float32 (N, T)."""
        return latents @ self.weight.T + self.bias

    def agreement(self, latents: Tensor, truth: Tensor) -> dict[str, float]:
        """Correlation of readings with the truth (N, T); 0 where nothing changes."""
        pairs = zip(self.names, self.read(latents).T, truth.T, strict=True)
        found = {}
        for name, read, value in pairs:
            moves = float(read.std()) > 0 and float(value.std()) > 0
            found[name] = float(torch.corrcoef(torch.stack((read, value)))[0, 1]) if moves else 0.0
        return found

    def only(self, names: list[str]) -> Readings:
        """Some of the readings, in the order of `self.names`."""
        rows = [self.names.index(name) for name in self.names if name in names]
        values = (self.weight[rows], self.bias[rows], self.low[rows], self.high[rows])
        return Readings(tuple(self.names[row] for row in rows), *values)


def fit(names: tuple[str, ...], latents: Tensor, truth: Tensor) -> Readings:
    """Fit the readings.

    Args:
        latents: float32 (N, LATENT), of faces of many people.
        truth: float32 (N, T).
    """
    middle, mean = latents.mean(0), truth.mean(0)
    apart = latents - middle
    square = apart.T @ apart + RIDGE * len(latents) * torch.eye(latents.shape[1])
    weight = torch.linalg.solve(square, apart.T @ (truth - mean)).T.contiguous()
    low, high = torch.quantile(truth, torch.tensor(SIDES), dim=0)
    return Readings(names, weight, mean - weight @ middle, low, high)

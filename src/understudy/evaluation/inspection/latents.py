"""Statistics of latents of any network: numbers in, numbers out.

Latents here are float64 (N, D), a row for each face; a network's own shape is flattened.
Nothing draws from a global source: the same seed gives the same latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.types import Float64s

Bools = NDArray[np.bool_]

KEPT = 0.99
"""Share of the latents' variance that the fit uses; the rest counts as noise."""

RIDGE = np.logspace(-3, 4, 29)
"""Penalties to choose from, in units of one whitened latent's sum of squares over 1000 faces."""


@dataclass(frozen=True)
class Cloud:
    """The normal distribution fitted to a set of latents.

    Attributes:
        mean: (D,).
        axes: (K, D), principal axes of unit length, the widest first.
        deviation: (K,), standard deviation along each, above 0.
    """

    mean: Float64s
    axes: Float64s
    deviation: Float64s

    def whiten(self, latents: Float64s) -> Float64s:
        """Latents (N, D) as coordinates (N, K), each of variance 1 over the set."""
        whitened: Float64s = (latents - self.mean) @ self.axes.T / self.deviation
        return whitened

    def place(self, whitened: Float64s) -> Float64s:
        """Latents from coordinates (N, K); the part off the axes is the mean."""
        latents: Float64s = self.mean + (whitened * self.deviation) @ self.axes
        return latents


def cloud(latents: Float64s, kept: float = 1.0) -> Cloud:
    """Fit a normal distribution to latents (N, D), N >= 2.

    Args:
        kept: share of the variance that the axes together must hold.
    """
    mean = latents.mean(0)
    _, singular, axes = np.linalg.svd(latents - mean, full_matrices=False)
    power = singular**2
    total = power.sum()
    if total <= 0:
        raise ValueError("the latents are all equal and have no directions")
    share = np.cumsum(power) / total
    count = int(np.searchsorted(share, min(kept, 1 - 1e-9))) + 1
    return Cloud(mean, axes[:count], singular[:count] / np.sqrt(len(latents) - 1))


def from_prior(count: int, dimensions: int, seed: int) -> Float64s:
    """Draws (count, dimensions) from the standard normal distribution."""
    return np.random.default_rng(seed).standard_normal((count, dimensions))


def from_cloud(count: int, fitted: Cloud, seed: int) -> Float64s:
    """Draws (count, D) from a fitted normal distribution."""
    return fitted.place(from_prior(count, len(fitted.deviation), seed))


def between(first: Float64s, last: Float64s, count: int) -> Float64s:
    """`count` latents on the straight line from one latent (D,) to another, both included."""
    share = np.linspace(0, 1, count)[:, None]
    line: Float64s = (1 - share) * first + share * last
    return line


def farthest(whitened: Float64s) -> tuple[int, int]:
    """The two rows of (N, K) with the largest distance."""
    square = (whitened**2).sum(1)
    distance = square[:, None] + square[None] - 2 * whitened @ whitened.T
    first, last = divmod(int(distance.argmax()), len(whitened))
    return min(first, last), max(first, last)


@dataclass(frozen=True)
class Direction:
    """Where in the latents a measured trait grows.

    Attributes:
        vector: (D,), one standard deviation of the latents that way: of all steps that are as
            likely, the one that changes the predicted trait most.
        slope: predicted change of the trait along it, in the trait's standard deviations.
        r2: share of the trait's variance that the latents predict on faces that were kept out
            of the fit; at most 1, below 0 when they know less than the mean.
        penalty: of the ridge, as chosen on the faces of the fit.
    """

    vector: Float64s
    slope: float
    r2: float
    penalty: float


def directions(
    latents: Float64s, traits: Mapping[str, Float64s], held_out: Bools
) -> dict[str, Direction]:
    """Regress each trait on the latents; the gradient is its direction.

    Ridge regression (Hoerl and Kennard, 1970) of the standardised trait on whitened latents, so
    that a step's length says how likely it is; the penalty is the one with the least
    generalised cross-validation error (Golub, Heath and Wahba, 1979). Traits that never change
    are left out.

    Args:
        latents: (N, D).
        traits: by name (N,).
        held_out: (N,), faces that only `r2` is measured on.
    """
    fit = ~held_out
    fitted = cloud(latents[fit], KEPT)
    inputs, others = fitted.whiten(latents[fit]), fitted.whiten(latents[held_out])
    found = {}
    for name, values in traits.items():
        mean, spread = values[fit].mean(), values[fit].std()
        if spread < 1e-9:
            continue
        wanted = (values[fit] - mean) / spread
        coefficients, penalty = _ridge(inputs, wanted)
        true = (values[held_out] - mean) / spread
        unexplained = float(((true - others @ coefficients) ** 2).sum())
        variation = float(((true - true.mean()) ** 2).sum())
        slope = float(np.linalg.norm(coefficients))
        if slope < 1e-9 or variation < 1e-12:
            continue
        vector = fitted.place((coefficients / slope)[None])[0] - fitted.mean
        found[name] = Direction(vector, slope, 1 - unexplained / variation, penalty)
    return found


def _ridge(inputs: Float64s, wanted: Float64s) -> tuple[Float64s, float]:
    """Coefficients (K,) and the penalty, inputs (N, K) and what they are to give (N,)."""
    left, singular, right = np.linalg.svd(inputs, full_matrices=False)
    power, seen = singular**2, left.T @ wanted
    best: tuple[float, float] | None = None
    for penalty in RIDGE * len(inputs) / 1000:
        shrink = power / (power + penalty)
        rest = float(((wanted - left @ (shrink * seen)) ** 2).sum())
        score = rest / max(len(inputs) - float(shrink.sum()), 1e-9) ** 2
        if best is None or score < best[0]:
            best = score, float(penalty)
    assert best is not None
    coefficients: Float64s = right.T @ (singular / (power + best[1]) * seen)
    return coefficients, best[1]


def steadiness(steps: Float64s) -> float:
    """Largest over mean of the steps (N,) along a path: 1 where all are alike, N where one
    jump is all there is; 0 for a path that stands still."""
    mean = float(steps.mean())
    return float(steps.max()) / mean if mean > 0 else 0.0

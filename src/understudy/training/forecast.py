"""Forecast whether a training is still improving, and the gain from more time.

The held-out similarity of a network over training time follows a curve that rises ever more
slowly. The later half of its history is fitted with `ceiling - b * t**-c` for several c (and
`a + b log t`, the limit for c -> 0); the best fit is followed into the future. Learning
curves of this kind: Domhan, Springenberg and Hutter, "Speeding up automatic hyperparameter
optimization of deep neural networks by extrapolation of learning curves", 2015.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENOUGH = 4
"""Smallest number of measurements for a forecast."""

WORTHWHILE = 0.002
"""Gain of SSIM below which no difference is visible."""

_POWERS = (0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Outlook:
    """Attributes:
    improving: whether it still gets visibly better; None while unknown.
    now: SSIM on the fitted curve at the end of the history; the last measured one when
        nothing could be fitted, None without any.
    gain: expected gain of SSIM from `minutes` more; None while unknown.
    minutes: the additional time asked about.
    text: the forecast in plain words.
    """

    improving: bool | None
    now: float | None
    gain: float | None
    minutes: float
    text: str


def outlook(history: Sequence[tuple[float, float]], minutes: float) -> Outlook:
    """Judge a training by its measurements.

    Args:
        history: (minutes trained, held-out SSIM), oldest first.
        minutes: additional time to forecast.
    """
    points = [(t, y) for t, y in history if t > 0 and math.isfinite(y)]
    if len(points) < ENOUGH:
        return Outlook(
            None,
            points[-1][1] if points else None,
            None,
            minutes,
            f"Too early to tell whether it is still improving: {len(points)} of the {ENOUGH} "
            "measurements needed.",
        )
    late = points[-max(ENOUGH, math.ceil(len(points) / 2)) :]
    t, y = np.array(late, float).T
    end = float(t[-1])
    best: tuple[float, float, float] | None = None
    for power in _POWERS:
        fitted = _fit(_shape(t, power), y)
        error = float(np.sqrt(np.mean((fitted[0] + fitted[1] * _shape(t, power) - y) ** 2)))
        now, later = (
            fitted[0] + fitted[1] * _shape(np.array([x]), power)[0] for x in (end, end + minutes)
        )
        if best is None or error < best[0] * 0.98:
            best = (error, float(now), float(min(later, 1.0)))
    assert best is not None
    error, now, later = best
    gain = later - now
    seen = float(y[-1] - y[0])
    if seen < -max(2 * error, WORTHWHILE):
        text = (
            f"It is getting worse (held-out SSIM {y[0]:.3f} -> {y[-1]:.3f}); more time will "
            "not help, but more varied footage would."
        )
        return Outlook(False, now, gain, minutes, text)
    improving = gain > max(WORTHWHILE, error / 2)
    if improving:
        text = (
            f"Still improving: {_span(minutes)} more would likely raise the held-out SSIM from "
            f"{now:.3f} to about {later:.3f}."
        )
    else:
        text = (
            f"It hardly improves any more: {_span(minutes)} more would likely change the held-out "
            f"SSIM of {now:.3f} by less than {max(WORTHWHILE, abs(gain), error / 2):.3f}."
        )
    return Outlook(improving, now, gain, minutes, text)


def _shape(t: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    return np.log(t) if power == 0 else -(t**-power)


def _fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares line: intercept and slope."""
    if np.ptp(x) < 1e-12:
        return float(y.mean()), 0.0
    slope, intercept = np.polyfit(x, y, 1)
    return float(intercept), float(slope)


def _span(minutes: float) -> str:
    if minutes >= 1:
        return f"{minutes:.3g} minute{'' if round(minutes, 2) == 1 else 's'}"
    return f"{minutes * 60:.2g} seconds"

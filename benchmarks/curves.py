"""Curves as a picture, for documents."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from understudy.media.html_report import Plot, number, ticks
from understudy.types import Image

WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 62
INKS = ((128, 128, 128), (217, 84, 30), (31, 119, 180), (138, 95, 191))
SOFT, RULE, BLACK = (95, 105, 112), (222, 222, 216), (30, 30, 30)
MARGIN = 0.08


def picture(plots: Sequence[Plot], columns: int = 2) -> Image:
    """All plots, RGB uint8, so many side by side."""
    drawn = [_plot(plot) for plot in plots]
    drawn += [np.full_like(drawn[0], 255)] * (-len(drawn) % columns)
    rows = [np.hstack(drawn[first : first + columns]) for first in range(0, len(drawn), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def _write(
    canvas: Image, text: str, x: float, y: float, ink: tuple[int, int, int], size: float = 0.42
) -> None:
    face = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, (round(x), round(y)), face, size, ink, 1, cv2.LINE_AA)


def _plot(plot: Plot) -> Image:
    canvas: Image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    known = [value for curve in plot.curves for value in curve.values if value is not None]
    if not known:
        _write(canvas, f"{plot.title}: not measured", LEFT, 20, BLACK, 0.5)
        return canvas
    spare = MARGIN * (max(known) - min(known) or 1)
    low, high = min(known) - spare, max(known) + spare
    # Minutes double from point to point: equal steps keep the first ones apart.
    places = np.linspace(LEFT + 12, WIDTH - RIGHT - 12, len(plot.x))

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    _write(canvas, plot.title, LEFT, 20, BLACK, 0.5)
    for tick in ticks(low, high):
        if low <= tick <= high:
            y = round(up(tick))
            cv2.line(canvas, (LEFT, y), (WIDTH - RIGHT, y), RULE, 1)
            _write(canvas, f"{tick:g}", 8, y + 4, SOFT)
    for x, value in zip(places, plot.x, strict=True):
        _write(canvas, f"{value:g}", x - 5, HEIGHT - BOTTOM + 18, SOFT)
    _write(canvas, plot.x_label, WIDTH - RIGHT - 9 * len(plot.x_label), HEIGHT - BOTTOM + 34, SOFT)
    at = float(LEFT)
    # Grey is for what is only there to compare with.
    inks = INKS if plot.curves[0].label == "untouched" else INKS[1:]
    for curve, ink in zip(plot.curves, inks, strict=False):
        points = [
            (round(x * 16), round(up(value) * 16))
            for x, value in zip(places, curve.values, strict=True)
            if value is not None
        ]
        cv2.polylines(canvas, [np.array(points, np.int32)], False, ink, 2, cv2.LINE_AA, 4)
        for x, y in points:
            cv2.circle(canvas, (x, y), 3 * 16, ink, -1, cv2.LINE_AA, 4)
        last = next((value for value in reversed(curve.values) if value is not None), None)
        text = f"{curve.label} {number(last, 3 if high < 2 else 2)}"
        cv2.line(canvas, (round(at), HEIGHT - 12), (round(at) + 18, HEIGHT - 12), ink, 2)
        _write(canvas, text, at + 24, HEIGHT - 8, BLACK)
        at += 48 + 7.5 * len(text)
    return canvas

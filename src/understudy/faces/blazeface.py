"""BlazeFace: one network on one square of a frame, and what its candidates amount to.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019), the
short range file (128 px, faces that fill a good part of the frame) and the full range file
(192 px, smaller faces). Both answer with one row per anchor: box centre and size, then six
points, all relative to the anchor's centre and in pixels of the input; and one logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.tflite import TfliteNetwork
from understudy.types import Box, Floats, Image

LOGIT_LIMIT = 100.0
"""Logits are clipped to this before the sigmoid, so that it cannot overflow."""


@dataclass(frozen=True)
class Detection:
    """A face candidate.

    Attributes:
        box: (x0, y0, x1, y1), pixels of the frame; from the brows to the chin.
        score: 0..1.
        keypoints: float32 (6, 2), pixels of the frame: the eye at image left, the eye at image
            right, nose tip, mouth, the ear at image left, the ear at image right (of an
            upright face).
    """

    box: Box
    score: float
    keypoints: Floats


@dataclass(frozen=True)
class Region:
    """A square part of a frame: upper left corner and side, in pixels; may reach outside."""

    x: float
    y: float
    side: float


def anchors(side: int, layers: Sequence[tuple[int, int]]) -> Floats:
    """Anchor centres in pixels of the input, float32 (n, 2), in the order of the outputs.

    Args:
        side: of the input.
        layers: (stride, anchors per cell) of each output layer.
    """
    parts = []
    for stride, count in layers:
        cells = side // stride
        ys, xs = np.mgrid[:cells, :cells].astype(np.float32)
        centres = np.stack([(xs + 0.5) * stride, (ys + 0.5) * stride], axis=-1)
        parts.append(centres.reshape(-1, 1, 2).repeat(count, axis=1).reshape(-1, 2))
    return np.concatenate(parts)


def overlap(box: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Intersection over union of `box` (4,) with `boxes` (n, 4), or the share of the smaller
    one that is covered, scaled down, whichever is larger.

    The second term catches a part of a face inside the whole face. Returns (n,), 0..1.
    """
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(box[2:] - box[:2]))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.maximum(area + areas - inside, 1e-9)
    smaller = np.maximum(np.minimum(area, areas), 1e-9)
    result: NDArray[np.floating] = np.maximum(inside / union, 0.6 * inside / smaller)
    return result


def merge(rows: Floats, scores: Floats, limit: float = 0.3) -> list[tuple[Floats, float]]:
    """Weighted non-maximum suppression (BlazeFace, section 3.4).

    Candidates that overlap the best one are averaged with their scores as weights, which is
    steadier from frame to frame than keeping the best.

    Args:
        rows: float32 (n, 16), x0, y0, x1, y1 and six points.
        scores: float32 (n,).

    Returns:
        (row, best score) of each face, best first.
    """
    order = np.argsort(-scores, kind="stable")
    faces = []
    while order.size:
        best = order[0]
        same = overlap(rows[best, :4], rows[order, :4]) >= limit
        same[0] = True
        group = order[same]
        # A part of the face, or another network's idea of the box, must not bend the mean.
        sides = rows[group, 2] - rows[group, 0]
        near = np.abs(np.log(np.maximum(sides, 1e-6) / sides[0])) < 0.35
        group = group[near]
        weights = scores[group] / scores[group].sum()
        faces.append(((weights[:, None] * rows[group]).sum(axis=0), float(scores[best])))
        order = order[~same]
    return faces


class BlazeFace:
    """One of the two networks on one square region.

    Args:
        path: the .tflite file.
        layers: (stride, anchors per cell) of each output layer.
        threshold: score from which a candidate counts.
    """

    def __init__(self, path: Path, layers: Sequence[tuple[int, int]], threshold: float) -> None:
        self.network = TfliteNetwork(path)
        self.side = self.network.side
        self.threshold = threshold
        self._anchors = anchors(self.side, layers)
        self._logit = float(np.log(threshold / (1 - threshold)))

    def candidates(
        self, image: Image, region: Region, mirrored: bool = False
    ) -> tuple[Floats, Floats]:
        """Rows (n, 16) in pixels of the frame and scores (n,) above the threshold, unmerged.

        Args:
            mirrored: show the network the region's mirror image; the answer is for the region.
        """
        square = _cut(image, region, self.side)
        if mirrored:
            square = np.ascontiguousarray(square[:, ::-1])
        values, logits = self.network(square.astype(np.float32) * np.float32(1 / 127.5) - 1)
        flat = logits.reshape(-1)
        found = np.flatnonzero(flat > self._logit)
        rows = values[found].astype(np.float32)
        centres = self._anchors[found]
        middle, size = rows[:, :2] + centres, rows[:, 2:4].copy()
        points = rows[:, 4:].reshape(-1, 6, 2) + centres[:, None]
        corners = np.stack([middle - size / 2, middle + size / 2, *points.transpose(1, 0, 2)], 1)
        if mirrored:
            corners[..., 0] = self.side - corners[..., 0]
            corners[:, :2, 0] = corners[:, 1::-1, 0]
            corners[:, 2:] = corners[:, [3, 2, 4, 5, 7, 6]]
        origin = np.array([region.x - 0.5, region.y - 0.5], np.float32)
        frame = corners * np.float32(region.side / self.side) + origin
        clipped = np.clip(flat[found], -LOGIT_LIMIT, LOGIT_LIMIT)
        scores = (1 / (1 + np.exp(-clipped))).astype(np.float32)
        return frame.reshape(-1, 16).astype(np.float32), scores


def _cut(image: Image, region: Region, size: int) -> Image:
    """The region as (size, size, 3), black outside the frame."""
    height, width = image.shape[:2]
    x0, y0 = max(0, round(region.x)), max(0, round(region.y))
    x1 = min(width, round(region.x + region.side))
    y1 = min(height, round(region.y + region.side))
    scale = size / region.side
    w = max(1, min(size, round((x1 - x0) * scale)))
    h = max(1, min(size, round((y1 - y0) * scale)))
    part = image[y0:y1, x0:x1]
    # Averaging over whole pixels is ten times as fast as over parts of pixels; what is left to
    # shrink after it, by less than two, a linear look-up does without skipping anything.
    whole = int(1 / scale)
    if whole > 1 and min(part.shape[:2]) >= whole:
        rows, columns = part.shape[0] // whole, part.shape[1] // whole
        even = part[: rows * whole, : columns * whole]
        smaller = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
        part = np.asarray(smaller, np.uint8)
    small = cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR)
    square = np.zeros((size, size, 3), np.uint8)
    left = min(size - w, max(0, round((x0 - region.x) * scale)))
    top = min(size - h, max(0, round((y0 - region.y) * scale)))
    square[top : top + h, left : left + w] = small
    return square

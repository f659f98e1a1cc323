"""Pictures and faces for the gauges: a textured head, without any network."""

from __future__ import annotations

import cv2
import numpy as np

from understudy.faces.pose import reference
from understudy.types import Face, Floats, Image, Pose

SIDE = 256


def face(
    x: float = 128, y: float = 128, size: float = 150, track: int = 0, side: int = SIDE
) -> Face:
    """The reference head, `size` pixels high, around (x, y)."""
    points = reference().points.astype(np.float64)
    points = (points - points.mean(0)) / np.ptp(points[:, 1]) * size
    points[:, :2] += (x, y)
    landmarks = points.astype(np.float32)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(box, landmarks, 0.9, Pose(0.0, 0.0, 0.0), track)


def texture(seed: int, side: int = SIDE) -> Image:
    """Skin-like detail of every size, RGB uint8."""
    random = np.random.default_rng(seed)
    total = np.full((side, side), 128, np.float32)
    for deviation in (0.7, 1.5, 3, 6):
        noise = random.standard_normal((side, side)).astype(np.float32)
        soft: Floats = np.asarray(cv2.GaussianBlur(noise, (0, 0), deviation), np.float32)
        total += 12 * soft / soft.std()
    return np.repeat(np.clip(total, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def blurred(image: Image, deviation: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation), np.uint8)

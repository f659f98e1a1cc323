"""Heads of one shape, turned, with pictures whose colours say where on the head a pixel lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.conversion.compositing.gallery_detail import GRID
from understudy.faces.align import CORE, alignment, transform_points
from understudy.faces.pose import reference, rotation
from understudy.media.images import encode_image
from understudy.models.gallery import MASK_SIDE, Gallery
from understudy.types import Face, Floats, Image, Pose

SIDE = 128
"""Of the stored pictures, pixels."""


def points(yaw: float = 0.0, roll: float = 0.0) -> Floats:
    """Landmarks in a picture of 200 pixels a side."""
    turned = 45 * reference().points @ rotation(Pose(yaw, 0, roll)).T
    return np.asarray(turned + np.array([100, 95, 0]), np.float32)


def face(landmarks: Floats) -> Face:
    (x0, y0), (x1, y1) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    return Face((float(x0), float(y0), float(x1), float(y1)), landmarks, 1.0, Pose(0, 0, 0), 0)


def ramps(landmarks: Floats, side: int) -> Image:
    """A picture whose colours say where on the head each pixel of a face lies."""
    flat = np.column_stack([landmarks[:, :2], np.ones(468)])
    fit = np.linalg.lstsq(flat, reference().points[:, :2], rcond=None)[0]
    y, x = np.mgrid[:side, :side]
    where = np.stack([x, y, np.ones_like(x)], axis=-1) @ fit
    red, green = (np.clip(128 + 50 * where[..., i], 0, 255) for i in (0, 1))
    return np.stack([red, green, np.full_like(red, 90)], axis=-1).astype(np.uint8)


def stored(yaw: float) -> Floats:
    """Landmarks in the stored crop of a face, pixels."""
    return transform_points(alignment(points(yaw), SIDE), points(yaw))


def mesh(yaw: float) -> Floats:
    """The mesh as `Gallery.meshes` has it: float32 (468, 3)."""
    scale = np.sqrt(np.linalg.det(alignment(points(yaw), 1)[:, :2]))
    depth = points(yaw)[:, 2] * scale
    return np.column_stack([(stored(yaw)[:, :2] + 0.5) / SIDE, depth]).astype(np.float32)


def gallery(yaws: Sequence[float], pictures: Sequence[Image] | None = None) -> Gallery:
    """Their pictures, those of `ramps` when none are given."""
    meshes = np.stack([mesh(yaw) for yaw in yaws])
    pictures = pictures or [ramps(stored(yaw), SIDE) for yaw in yaws]
    masks = np.full((len(yaws), MASK_SIDE, MASK_SIDE), 255, np.uint8)
    encoded = tuple(encode_image(one, ".png") for one in pictures)
    gazes = np.zeros((len(yaws), 2), np.float32)
    return Gallery(encoded, meshes, masks, gazes, meshes[..., :2].mean(0))


def wanted(yaw: float) -> Floats:
    """The same mesh in pixels of the core crop."""
    shares = (stored(yaw)[:, :2] + 0.5) / SIDE
    return np.asarray((shares - (1 - CORE) / 2) / CORE * GRID - 0.5, np.float32)

"""Head pose: the turn that carries a stated head shape onto a face's mesh.

The shape is `reference.json`, made by `reference.py`. The fit is the least-squares similarity in
three dimensions (Umeyama, "Least-squares estimation of transformation parameters between two
point patterns", 1991) over points that stay put when the face moves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from understudy.types import Float64s, Floats, Pose

STABLE = np.array(
    [
        # nose: bridge, wings, base
        *(6, 168, 197, 195, 5, 4, 1, 2, 98, 327, 48, 278, 129, 358, 122, 351, 193, 417),
        # corners of the eyes
        *(33, 133, 263, 362),
        # forehead and temples
        *(8, 9, 151, 10, 108, 337, 69, 299, 71, 301, 21, 251, 162, 389, 127, 356),
        # cheekbones
        *(116, 345, 117, 346, 118, 347, 50, 280, 101, 330, 123, 352, 234, 454),
    ]
)
"""Mesh points that neither lips, lower jaw, lids nor brows carry along."""


@dataclass(frozen=True)
class Similarity:
    """`scale * rotation @ point + shift`.

    Attributes:
        scale: above 0.
        rotation: float64 (d, d), determinant 1.
        shift: float64 (d,).
    """

    scale: float
    rotation: Float64s
    shift: Float64s


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Similarity:
    """The similarity that carries `source` to `target` with the least sum of squares.

    Umeyama (1991), equations 39-43; without reflection.

    Args:
        source, target: (n, d), n >= d, not all on one point.
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    middle_a, middle_b = a.mean(axis=0), b.mean(axis=0)
    a, b = a - middle_a, b - middle_b
    u, singular, vt = np.linalg.svd(b.T @ a)
    signs = np.ones(len(singular))
    signs[-1] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * signs) @ vt
    scale = float((singular * signs).sum() / max(float((a * a).sum()), 1e-12))
    return Similarity(scale, rotation, middle_b - scale * rotation @ middle_a)


def rotation(pose: Pose) -> Float64s:
    """Rotation matrix (3, 3) of a pose: roll, then pitch, then yaw.

    Axes as in `Face.landmarks`: x to image right, y down, z away from the camera.
    """
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    result: Float64s = about_y @ about_x @ about_z
    return result


def angles(matrix: Float64s) -> Pose:
    """The pose of a rotation matrix (3, 3); inverse of `rotation` for |pitch| < 90."""
    yaw = np.arctan2(-matrix[0, 2], matrix[2, 2])
    pitch = np.arcsin(np.clip(matrix[1, 2], -1, 1))
    roll = np.arctan2(matrix[1, 0], matrix[1, 1])
    return Pose(*(float(v) for v in np.degrees([yaw, pitch, roll])))


@dataclass(frozen=True)
class Reference:
    """A mean head seen from the front.

    Attributes:
        points: float32 (468, 3), axes as in `Face.landmarks`, centred on the stable points,
            root mean square distance of these from their centre 1.
    """

    points: Floats

    def fit(self, landmarks: Floats) -> Similarity:
        """The similarity that carries the reference onto a face's landmarks (468, 3)."""
        return similarity(self.points[STABLE], landmarks[STABLE])

    def pose(self, landmarks: Floats) -> Pose:
        """Pose of a face with these landmarks, float (468, 3)."""
        return angles(self.fit(landmarks).rotation)


@cache
def reference() -> Reference:
    """The package's reference head."""
    text = resources.files("understudy.faces").joinpath("reference.json").read_text("utf-8")
    return Reference(np.array(json.loads(text)["points"], np.float32))

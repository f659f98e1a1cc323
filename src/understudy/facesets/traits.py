"""Traits measured on one face picture, by name, for real and drawn faces of any person."""

from __future__ import annotations

import numpy as np

from understudy.faces.masks import face_mask
from understudy.faces.openings import eye_opening, mouth_opening
from understudy.facesets.faceset import Faceset
from understudy.facesets.split import Indices
from understudy.media.colour import luma
from understudy.runtime.parquet import unvectors
from understudy.tracks.scan_store import LANDMARKS
from understudy.types import Floats, Image, Pose

TRAITS = ("mouth", "eyes", "yaw", "pitch", "brightness", "side light")
"""mouth, eyes: openings as in `metrics`; yaw, pitch: degrees as in `Pose`; brightness: mean luma
of the face, 0..1; side light: by how much its half at image right is brighter than the other,
as a share of the mean."""

FOREHEAD, CHIN = 10, 152


def measure(image: Image, points: Floats, landmarks: Floats, pose: Pose) -> tuple[float, ...]:
    """The `TRAITS` of a face.

    Args:
        image: RGB uint8 (S, S, 3).
        points: (468, 2 or 3), the mesh in pixels of the image.
        landmarks: (468, 3), the mesh in three dimensions, in any unit and place.
        pose: of the head.
    """
    left, right = eye_opening(landmarks)
    mask = face_mask(points, image.shape[0], soft=0)
    grey = luma(image) / 255
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    top, along = points[FOREHEAD, :2], points[CHIN, :2] - points[FOREHEAD, :2]
    across = (rows - top[1]) * along[0] - (columns - top[0]) * along[1]
    halves = [
        float((grey * mask * half).sum() / max(float((mask * half).sum()), 1e-6))
        for half in (across > 0, across < 0)
    ]
    brightness = float((grey * mask).sum() / max(float(mask.sum()), 1e-6))
    return (
        mouth_opening(landmarks),
        (left + right) / 2,
        pose.yaw,
        pose.pitch,
        brightness,
        (halves[1] - halves[0]) / max(brightness, 1e-6),
    )


def of_faceset(faceset: Faceset, size: int, rows: Indices) -> tuple[Image, Image, Floats]:
    """A faceset's rows as input of a network of `size` pixels, and their traits.

    Returns:
        RGB uint8 (n, size, size, 3), masks uint8 (n, size, size), traits float32 (n, 6) in the
        order of `TRAITS`.

    Raises:
        FacesError, MediaError: a picture cannot be read.
    """
    arrays = faceset.load(size, rows=rows.tolist())
    images, masks = arrays.core()
    edge = (arrays.images.shape[1] - size) // 2
    solid = unvectors(faceset.table["landmarks"]).reshape(-1, LANDMARKS, 3)[rows]
    traits = [
        measure(image, points - edge, mesh, Pose(*map(float, pose)))
        for image, points, mesh, pose in zip(
            images, arrays.landmarks, solid, arrays.pose, strict=True
        )
    ]
    return images, masks, np.array(traits, np.float32)

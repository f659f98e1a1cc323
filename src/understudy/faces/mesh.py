"""The face mesh: 468 points in three dimensions on one face.

Network: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile
GPUs" (2019). It wants a square crop of 192 px, 0..1, turned so that the eyes are level, 1.5
times the size of the face; it answers with the points in pixels of the crop and a logit that
says whether the crop holds a face. Point numbers are those of the published topology.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from understudy.faces.blazeface import Detection
from understudy.faces.pose import Reference
from understudy.faces.tflite import TfliteNetwork
from understudy.types import Face, Floats, Image

POINTS = 468
EYE_LEFT, EYE_RIGHT = 33, 263
"""Outer corners of the eye at image left and of the eye at image right."""

ROOM = 1.5
"""Side of the crop over the longer side of the face's box."""


class Mesh:
    """Args:
    path: the .tflite file.
    reference: head shape that the pose is measured against.
    """

    def __init__(self, path: Path, reference: Reference) -> None:
        self._network = TfliteNetwork(path)
        self._reference = reference

    def from_detection(self, image: Image, detection: Detection) -> Face:
        """Mesh of a detected face."""
        x0, y0, x1, y1 = detection.box
        centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        eyes = detection.keypoints[1] - detection.keypoints[0]
        return self._run(image, centre, ROOM * max(x1 - x0, y1 - y0), eyes)

    def from_face(self, image: Image, face: Face) -> Face:
        """Mesh of the same face a frame later: looks where it was."""
        points = face.landmarks[:, :2]
        eyes = points[EYE_RIGHT] - points[EYE_LEFT]
        # The box is taken in the axes of the head, so that a tilted head gets no larger crop.
        axis = eyes / max(float(np.hypot(*eyes)), 1e-6)
        turn = np.array([[axis[0], axis[1]], [-axis[1], axis[0]]])
        level = points @ turn.T
        low, high = level.min(axis=0), level.max(axis=0)
        return self._run(image, (low + high) / 2 @ turn, ROOM * float((high - low).max()), eyes)

    def _run(self, image: Image, centre: Floats, side: float, eyes: Floats) -> Face:
        size = self._network.side
        scale = max(side, 8.0) / size
        angle = float(np.arctan2(eyes[1], eyes[0]))
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        middle = (size - 1) / 2
        # Maps crop to frame: what warpAffine wants with WARP_INVERSE_MAP, and the way back.
        matrix = np.column_stack([turn, centre - turn @ [middle, middle]])
        crop = cv2.warpAffine(
            image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        values, logit, *_ = self._network(crop.astype(np.float32) * np.float32(1 / 255))
        points = values.reshape(POINTS, 3).astype(np.float64)
        # The network counts pixels from the crop's corner, this package from pixel centres.
        xy = (points[:, :2] - 0.5) @ turn.T + matrix[:, 2]
        landmarks = np.column_stack([xy, points[:, 2] * scale]).astype(np.float32)
        low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
        score = 1 / (1 + np.exp(-float(np.clip(logit.reshape(-1)[0], -50, 50))))
        return Face(
            box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            landmarks=landmarks,
            score=float(score),
            pose=self._reference.pose(landmarks),
        )

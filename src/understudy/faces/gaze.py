"""Where eyes look: the iris between the corners of the eye.

Network: Ablavatski et al., "Real-time Pupil Tracking from Monocular Video for Digital Puppetry"
(2020). It wants a square crop of 64 px about one eye, 0..1, level, of a right eye's shape (the
other is mirrored), and answers with the eye's contour and five points of the iris, in pixels of
the crop.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from understudy.faces.tflite import TfliteNetwork
from understudy.types import Face, Float64s, Floats, Image

ROOM = 2.3
"""Side of the crop over the width of the eye."""

EYES = ((33, 133), (362, 263))
"""Corners of the eye at image left and of the one at image right, each from image left on."""

LEAST = 6.0
"""Pixels between the corners of an eye below which its iris is not to be found."""


class Gaze:
    """Args:
    path: of `iris_landmark.tflite`, see `understudy.faces.weights.store`.

    Raises:
        WeightsError: it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self._network = TfliteNetwork(path)

    def __call__(self, image: Image, face: Face) -> float | None:
        """How far aside the eyes look: the iris from the middle between the corners, to image
        right, as a share of their distance, mean of both eyes; 0 is straight on. None where the
        eyes are too small.

        Args:
            image: RGB uint8 (height, width, 3), the picture in which the face was measured.
        """
        found = self.both(image, face.landmarks)
        return None if found is None else float(np.mean(found))

    def both(self, image: Image, landmarks: Floats) -> tuple[float, float] | None:
        """As a call, for the eye at image left and the one at image right each.

        Args:
            landmarks: float32 (468, 2 or more), pixels of the picture.
        """
        found = []
        for mirrored, corners in enumerate(EYES):
            left, right = landmarks[list(corners), :2].astype(np.float64)
            if np.hypot(*(right - left)) < LEAST:
                return None
            found.append(self._aside(image, left, right, bool(mirrored)))
        return found[0], found[1]

    def _aside(self, image: Image, left: Float64s, right: Float64s, mirrored: bool) -> float:
        across = right - left
        width = float(np.hypot(*across))
        side = self._network.side
        scale = ROOM * width / side
        cos, sin = across / width * scale
        turn = np.array([[cos, -sin], [sin, cos]])
        middle = (side - 1) / 2
        matrix = np.column_stack([turn, (left + right) / 2 - turn @ [middle, middle]])
        crop: Floats = np.asarray(
            cv2.warpAffine(
                image, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            ),
            np.float32,
        )
        if mirrored:
            crop = np.ascontiguousarray(crop[:, ::-1])
        iris = min(self._network(crop * np.float32(1 / 255)), key=np.size)
        x = float(iris.reshape(-1, 3)[0, 0]) - 0.5 - middle
        return (-x if mirrored else x) * scale / width

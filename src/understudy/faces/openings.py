"""Opening of eyes and mouth, and distance of the eyes, from the mesh alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from understudy.types import Floats

# Mesh points as in the face mesh's published topology. "Left" and "right" are the person's.
MOUTH_CORNERS = (78, 308)
MOUTH_LIPS = ((82, 87), (13, 14), (312, 317))
RIGHT_EYE_CORNERS = (33, 133)
RIGHT_EYE_LIDS = ((160, 144), (159, 145), (158, 153))
LEFT_EYE_CORNERS = (263, 362)
LEFT_EYE_LIDS = ((387, 373), (386, 374), (385, 380))


def _gap(landmarks: Floats, pair: tuple[int, int]) -> float:
    return float(np.linalg.norm(landmarks[pair[0]] - landmarks[pair[1]]))


def _opening(
    landmarks: Floats, pairs: Sequence[tuple[int, int]], corners: tuple[int, int]
) -> float:
    width = _gap(landmarks, corners)
    return sum(_gap(landmarks, pair) for pair in pairs) / len(pairs) / width if width > 0 else 0.0


def mouth_opening(landmarks: Floats) -> float:
    """Height between the inner lips over the width of the inner mouth, in 3-D; 0 is shut."""
    return _opening(landmarks, MOUTH_LIPS, MOUTH_CORNERS)


def eye_opening(landmarks: Floats) -> tuple[float, float]:
    """Height between the lids over the eye's width, in 3-D: (person's left, right).

    The "eye aspect ratio" of Soukupova and Cech, 2016, with three pairs of lid points.
    """
    return (
        _opening(landmarks, LEFT_EYE_LIDS, LEFT_EYE_CORNERS),
        _opening(landmarks, RIGHT_EYE_LIDS, RIGHT_EYE_CORNERS),
    )


def inter_ocular(landmarks: Floats) -> float:
    """Distance between the middles of the two eyes in the image, pixels."""
    points = landmarks[:, :2]
    left = points[list(LEFT_EYE_CORNERS)].mean(0)
    right = points[list(RIGHT_EYE_CORNERS)].mean(0)
    return float(np.linalg.norm(left - right))

"""What is measured on one picture, with the reference head as the face."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.evaluation.inspection.face_check import AROUND, SIDE, Finder
from understudy.faces.masks import LIPS
from understudy.faces.pose import reference
from understudy.facesets.traits import TRAITS, measure
from understudy.types import Face, Floats, Image, Pose

SIZE = 96
POSE = Pose(3, -4, 5)


def head(scale: float = 60) -> Floats:
    points = reference().points
    points = (points - points.mean(0)) / np.ptp(points[:, 1]) * scale
    placed: Floats = (points + np.array([SIZE / 2, SIZE / 2, 0])).astype(np.float32)
    return placed


def look(image: Image, landmarks: Floats) -> dict[str, float]:
    return dict(zip(TRAITS, measure(image, landmarks, landmarks, POSE), strict=True))


def test_light_is_measured_on_the_face_alone() -> None:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[:, : SIZE // 2], image[:, SIZE // 2 :] = 60, 120
    lit = look(image, head())
    assert lit["brightness"] == pytest.approx(90 / 255, abs=0.01)
    assert lit["side light"] == pytest.approx(60 / 90, abs=0.03)
    image[:6], image[-6:] = 255, 255
    assert look(image, head()) == lit
    assert look(image[:, ::-1].copy(), head())["side light"] == pytest.approx(-60 / 90, abs=0.03)


def test_shape_and_pose() -> None:
    image = np.full((SIZE, SIZE, 3), 80, np.uint8)
    still, opened = head(), head()
    below = LIPS[opened[LIPS, 1] > np.median(opened[LIPS, 1])]
    opened[below, 1] += 4
    opened[[87, 14, 317], 1] += 4
    assert look(image, opened)["mouth"] > look(image, still)["mouth"] + 0.1
    assert look(image, opened)["eyes"] == look(image, still)["eyes"]
    assert (look(image, still)["yaw"], look(image, still)["pitch"]) == (3, -4)


class BrightSquares:
    """Sees a face in every framed picture whose middle is bright."""

    def __init__(self) -> None:
        self.shapes: set[tuple[int, ...]] = set()

    def faces(self, image: Image) -> list[Face]:
        self.shapes.add(image.shape)
        if image[image.shape[0] // 2, image.shape[1] // 2].mean() < 100:
            return []
        points = head(SIDE * 0.6) + np.float32((image.shape[0] - SIZE) / 2)
        return [Face((0, 0, 1, 1), points, 0.9, Pose(1, 2, 3))]


def test_a_finder_frames_and_counts() -> None:
    eyes = BrightSquares()
    finder = Finder(eyes)
    pictures = [np.full((64, 64, 3), value, np.uint8) for value in (200, 20, 220, 180)]
    assert finder.share(pictures) == 0.75
    side = SIDE + 2 * round(AROUND * SIDE)
    assert eyes.shapes == {(side, side, 3)}
    seen = finder.traits(pictures)
    assert seen[1] is None
    assert seen[0] is not None
    assert seen[0][TRAITS.index("brightness")] == pytest.approx(200 / 255, abs=0.01)

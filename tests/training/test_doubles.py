"""Doubles: another person's picture in the shape and light of a face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.faces.align import alignment, transform_points
from understudy.faces.pose import reference, rotation
from understudy.training.doubles import Doubles
from understudy.types import Floats, Pose

SIDE = 80


def meshes(yaws: list[float], wide: float) -> Floats:
    """Aligned meshes of one head, `wide` times as wide as the reference, turned."""
    points = []
    for yaw in yaws:
        head = reference().points * np.array([wide, 1, 1])
        turned = (head @ rotation(Pose(yaw, 0, 0)).T).astype(np.float32)
        points.append(transform_points(alignment(turned, SIDE), turned))
    return np.asarray(points, np.float32)


def pictures(points: Floats, color: tuple[int, int, int], light: list[float]) -> Tensor:
    """Flat faces with a dot on the tip of the nose; the fourth plane is the mask."""
    crops = np.zeros((len(points), 4, SIDE, SIDE), np.uint8)
    for crop, mesh, gain in zip(crops, points, light, strict=True):
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        hull = cv2.convexHull(np.rint(mesh).astype(np.int32))
        cv2.fillConvexPoly(image, hull, tuple(int(c * gain) for c in color))
        mask = (image.max(-1) > 0).astype(np.uint8) * 255
        x, y = np.rint(mesh[1]).astype(int)
        cv2.circle(image, (x, y), 3, (255, 255, 255), -1)
        crop[:3], crop[3] = image.transpose(2, 0, 1), mask
    return torch.from_numpy(crops)


@pytest.fixture(scope="module")
def doubles() -> Doubles:
    yaws = [-30.0, -15.0, 0.0, 15.0, 30.0]
    a, b = meshes(yaws, 1.0), meshes(yaws[::-1], 1.15)
    crops = {
        "ada": pictures(a, (200, 120, 100), [0.5, 0.7, 1.0, 1.0, 0.6]),
        "ben": pictures(b, (90, 60, 50), [1.0] * 5),
    }
    landmarks = {"ada": torch.from_numpy(a), "ben": torch.from_numpy(b)}
    return Doubles(crops, landmarks)


def draw(doubles: Doubles, person: str, seed: int = 0) -> Tensor:
    return doubles.draw(person, torch.arange(5), torch.Generator().manual_seed(seed))


def nose(picture: Tensor) -> tuple[float, float]:
    """Where the white dot is."""
    grey = picture.float().min(0).values
    weight = (grey > 0.75 * grey.max()).float()
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


def test_a_double_takes_the_pose_of_the_face_and_the_shape_of_its_own_person(
    doubles: Doubles,
) -> None:
    yaws = [-30.0, -15.0, 0.0, 15.0, 30.0]
    a, b = meshes(yaws, 1.0), meshes(yaws, 1.15)
    wanted = b.mean(0) + a - a.mean(0)
    for picture, mesh in zip(draw(doubles, "ada"), wanted, strict=True):
        x, y = nose(picture)
        assert x == pytest.approx(mesh[1, 0], abs=4.0)
        assert y == pytest.approx(mesh[1, 1], abs=4.0)


def test_a_double_takes_the_light_of_the_face(doubles: Doubles) -> None:
    middle = draw(doubles, "ada")[:, 0, SIDE // 2 - 12, SIDE // 2].float()
    assert middle[2] > 1.25 * middle[0]
    assert middle[2] < 140


def test_doubles_are_a_function_of_the_generator(doubles: Doubles) -> None:
    torch.testing.assert_close(draw(doubles, "ben", 3), draw(doubles, "ben", 3))


def test_doubles_are_uint8_and_as_large_as_the_crops(doubles: Doubles) -> None:
    drawn = draw(doubles, "ben")
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (5, 3, SIDE, SIDE)


def test_of_many_people_those_most_alike_are_taken() -> None:
    """Everybody looks ahead but one, who turns as the face does: the doubles are theirs."""
    turned = [-30.0, -15.0, 15.0, 30.0]
    crowd = {"ada": meshes(turned, 1.0), "alike": meshes(turned * 4, 1.1)}
    crowd |= {f"other{number}": meshes([0.0, 1.0, 2.0, 3.0], 0.9) for number in range(6)}
    red, blue = (200, 60, 60), (60, 60, 200)
    crops = {
        name: pictures(mesh, red if name == "alike" else blue, [1.0] * len(mesh))
        for name, mesh in crowd.items()
    }
    landmarks = {name: torch.from_numpy(mesh) for name, mesh in crowd.items()}
    doubles = Doubles(crops, landmarks, ["ada"])
    rows = torch.arange(4).repeat(50)
    drawn = doubles.draw("ada", rows, torch.Generator().manual_seed(0)).float()
    middle = drawn[:, :, SIDE // 2 - 12, SIDE // 2]
    mine = float((middle[:, 0] > middle[:, 2]).float().mean())
    # Four of sixteen; drawn from the people at random it would be one of seven.
    assert 0.18 < mine < 0.35
    few = Doubles(
        {name: crops[name] for name in ("ada", "alike")},
        {name: landmarks[name] for name in ("ada", "alike")},
    )
    middle = few.draw("ada", rows, torch.Generator().manual_seed(0)).float()
    assert bool((middle[:, 0, SIDE // 2 - 12, SIDE // 2] > 100).all())

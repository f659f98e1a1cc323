"""Crops: where things land, the way back, and what warping does to pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.faces.align import (
    ANCHORS,
    BROWS,
    CHIN,
    CORE,
    FACE,
    TEMPLATE,
    TOP,
    alignment,
    core_alignment,
    invert,
    transform_points,
    warp,
)
from understudy.faces.pose import reference, rotation
from understudy.types import Floats, Image, Pose


def face(scale: float = 60, angle: float = 0, x: float = 200, y: float = 150) -> Floats:
    points = reference().points @ rotation(Pose(0, 0, angle)).T * scale + np.array([x, y, 0])
    return np.asarray(points, np.float32)


faces = st.builds(
    face,
    scale=st.floats(4, 600),
    angle=st.floats(-180, 180),
    x=st.floats(-500, 4000),
    y=st.floats(-500, 4000),
)


@settings(deadline=None)
@given(faces, st.integers(16, 1024))
def test_a_reference_head_lands_on_the_template(landmarks: Floats, size: int) -> None:
    crop = transform_points(alignment(landmarks, size), landmarks)
    np.testing.assert_allclose((crop[ANCHORS] + 0.5) / size, TEMPLATE, atol=2e-3)


@settings(deadline=None)
@given(faces, st.sampled_from([64, 96, 128, 256]))
def test_the_core_is_the_middle_of_the_stored_crop(landmarks: Floats, size: int) -> None:
    stored = transform_points(alignment(landmarks, size), landmarks) + 0.5
    core = transform_points(core_alignment(landmarks, size), landmarks) + 0.5
    np.testing.assert_allclose(core, (stored - (1 - CORE) / 2 * size) / CORE, atol=2e-3 * size)


def test_the_core_holds_the_inner_face_with_room_below() -> None:
    points = transform_points(core_alignment(face(), 100), face()) + 0.5
    assert points[list(BROWS), 1].min() == pytest.approx(100 * TOP, abs=0.2)
    assert points[CHIN, 1] == pytest.approx(100 * (TOP + FACE), abs=0.2)
    assert points[:, 0].mean() == pytest.approx(50, abs=0.5)
    assert points[:, 0].min() > 10
    assert points[:, 0].max() < 90


@settings(deadline=None)
@given(faces)
def test_a_turn_of_the_head_hardly_changes_the_scale(landmarks: Floats) -> None:
    def scale(points: Floats) -> float:
        return float(np.sqrt(np.linalg.det(alignment(points, 256)[:, :2].astype(np.float64))))

    straight = reference().points * 60
    for yaw in (-35, 35):
        aside = (straight @ rotation(Pose(yaw, 0, 0)).T).astype(np.float32)
        assert scale(aside) == pytest.approx(scale(straight), rel=0.06)


@settings(deadline=None)
@given(faces, st.integers(16, 512))
def test_invert_leads_back(landmarks: Floats, size: int) -> None:
    matrix = alignment(landmarks, size)
    back = transform_points(invert(matrix), transform_points(matrix, landmarks))
    spread = float(np.abs(landmarks[:, :2]).max()) + 1
    np.testing.assert_allclose(back, landmarks[:, :2], atol=2e-4 * spread)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_warping_by_nothing_changes_nothing() -> None:
    image = noise(32, 32)
    matrix = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_array_equal(warp(image, matrix, 32), image)


def test_warping_by_whole_pixels_moves_pixels() -> None:
    image = noise(40, 50)
    matrix = np.array([[1, 0, -7], [0, 1, -3]], np.float32)
    np.testing.assert_array_equal(warp(image, matrix, 24), image[3:27, 7:31])


@pytest.mark.parametrize("factor", [2, 4])
def test_shrinking_averages_all_pixels(factor: int) -> None:
    image = noise(32 * factor, 32 * factor)
    scale = 1 / factor
    middle = (scale - 1) / 2
    matrix = np.array([[scale, 0, middle], [0, scale, middle]], np.float32)
    means = image.reshape(32, factor, 32, factor, 3).mean(axis=(1, 3))
    assert np.abs(warp(image, matrix, 32) - means).max() <= 1


def test_a_point_of_light_lands_where_the_matrix_says() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[120:123, 80:83] = 255
    matrix = alignment(face(scale=30, angle=25, x=90, y=110), 128)
    crop = warp(image, matrix, 128)[..., 0].astype(np.float64)
    ys, xs = np.mgrid[:128, :128]
    centre = np.array([(crop * xs).sum(), (crop * ys).sum()]) / crop.sum()
    np.testing.assert_allclose(
        centre, transform_points(matrix, np.array([[81.0, 121.0]]))[0], atol=0.1
    )


def test_outside_the_frame_the_border_goes_on() -> None:
    image = np.full((20, 20, 3), (10, 90, 200), np.uint8)
    matrix = np.array([[1, 0, 30], [0, 1, -30]], np.float32)
    assert (warp(image, matrix, 16) == (10, 90, 200)).all()

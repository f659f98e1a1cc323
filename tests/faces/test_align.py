"""Crops: where things land, the way back, and what warping does to pixels."""

from __future__ import annotations

import cv2
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
    warp_quickly,
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


def scene(height: int, width: int) -> Image:
    """Detail of every size, as films have it: the finer, the fainter."""
    rng = np.random.default_rng(1)
    layers = [
        cv2.resize(rng.normal(0, 30 / 2**n, (3 << n, 4 << n, 3)), (width, height)) for n in range(7)
    ]
    return np.asarray(np.clip(128 + np.sum(layers, axis=0), 0, 255), np.uint8)


def turned(scale: float, degrees: float, centre: tuple[float, float], size: int) -> Floats:
    turn = np.asarray(cv2.getRotationMatrix2D(centre, degrees, scale), np.float32)
    shift = np.array([(size - 1) / 2 - centre[0], (size - 1) / 2 - centre[1]], np.float32)
    return turn + np.column_stack([np.zeros((2, 2), np.float32), shift])


@pytest.mark.parametrize("scale", [0.2, 0.41, 0.5, 0.55, 0.7, 0.9, 1, 1.7])
@pytest.mark.parametrize("centre", [(250.3, 199.8), (20.0, 390.0), (-900.0, 40.0)])
def test_quick_warping_comes_near_to_the_exact_average(
    scale: float, centre: tuple[float, float]
) -> None:
    image, matrix = scene(400, 500), turned(scale, 17, centre, 96)
    large = matrix.astype(np.float64) * 8
    large[:, 2] += 3.5
    fine = cv2.warpAffine(
        image.astype(np.float32),
        large,
        (768, 768),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    exact = cv2.resize(fine, (96, 96), interpolation=cv2.INTER_AREA)

    def decibels(crop: Image) -> float:
        return float(10 * np.log10(255**2 / max(np.square(crop - exact).mean(), 1e-9)))

    quick = decibels(warp_quickly(image, matrix, 96))
    assert quick > 44
    assert quick > decibels(warp(image, matrix, 96)) - 4


def test_quick_warping_of_a_plane_is_that_of_a_channel() -> None:
    image, matrix = scene(300, 300), turned(0.6, -9, (150, 140), 64)
    np.testing.assert_array_equal(
        warp_quickly(np.ascontiguousarray(image[..., 1]), matrix, 64),
        warp_quickly(image, matrix, 64)[..., 1],
    )

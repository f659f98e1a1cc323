"""Fits and angles against geometry that is known, and against rendered heads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.faces.pose import STABLE, angles, reference, rotation, similarity
from understudy.faces.reference import mean_head, mirror_pairs, normal
from understudy.types import Floats, Pose

turns = st.builds(Pose, yaw=st.floats(-80, 80), pitch=st.floats(-70, 70), roll=st.floats(-170, 170))


def turned(pose: Pose, scale: float = 80.0, shift: tuple[float, ...] = (300, 200, 0)) -> Floats:
    points = reference().points @ rotation(pose).T * scale + np.array(shift)
    return np.asarray(points, np.float32)


@settings(deadline=None)
@given(turns)
def test_angles_undo_rotation(pose: Pose) -> None:
    matrix = rotation(pose)
    assert np.linalg.det(matrix) == pytest.approx(1)
    back = angles(matrix)
    assert (back.yaw, back.pitch, back.roll) == pytest.approx(
        (pose.yaw, pose.pitch, pose.roll), abs=1e-6
    )


@settings(deadline=None)
@given(turns, st.floats(5, 500))
def test_pose_of_a_turned_reference_is_the_turn(pose: Pose, scale: float) -> None:
    got = reference().pose(turned(pose, scale))
    assert (got.yaw, got.pitch, got.roll) == pytest.approx(
        (pose.yaw, pose.pitch, pose.roll), abs=0.05
    )


def test_signs_are_those_of_pose() -> None:
    nose = reference().points[1] * 80

    def tip(pose: Pose) -> Floats:
        return np.asarray(turned(pose, shift=(0, 0, 0))[1] - nose, np.float32)

    assert tip(Pose(30, 0, 0))[0] > 10, "yaw > 0 moves the nose to image right"
    assert tip(Pose(0, 30, 0))[1] < -10, "pitch > 0 moves the nose up"
    head = turned(Pose(0, 0, 30), shift=(0, 0, 0))
    left, right = head[33], head[263]
    assert right[1] > left[1] + 10, "roll > 0 turns clockwise in the image: image right goes down"


def test_reference_is_symmetric_upright_and_normal() -> None:
    points = reference().points.astype(np.float64)
    assert points.shape == (468, 3)
    pairs = mirror_pairs(points)
    assert (pairs[pairs] == np.arange(468)).all()
    np.testing.assert_allclose(points[pairs] * [-1, 1, 1], points, atol=1e-4)
    np.testing.assert_allclose(normal(points), points, atol=1e-4)
    assert points[10, 1] < points[168, 1] < points[1, 1] < points[152, 1]
    assert points[33, 0] < 0 < points[263, 0]
    assert points[1, 2] < points[234, 2], "the nose is nearer to the camera than the ear"


def test_mean_head_finds_the_shape_behind_turned_meshes() -> None:
    rng = np.random.default_rng(3)
    poses = [Pose(*rng.uniform(-25, 25, 3)) for _ in range(40)]
    meshes = [
        turned(p, rng.uniform(40, 90)) + rng.normal(0, 0.4, (468, 3)).astype(np.float32)
        for p in poses
    ]
    np.testing.assert_allclose(mean_head(meshes, poses), reference().points, atol=0.01)


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-180, 180), st.integers(-500, 500)
)
def test_similarity_recovers_what_was_done(
    seed: int, scale: float, angle: float, shift: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(12, 2))
    a = np.radians(angle)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    fit = similarity(points, scale * points @ turn.T + shift)
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-6)
    np.testing.assert_allclose(fit.shift, shift, atol=1e-4 * max(1, scale))


def test_similarity_does_not_mirror() -> None:
    points = reference().points[STABLE]
    fit = similarity(points, points * np.array([-1, 1, 1], np.float32))
    assert np.linalg.det(fit.rotation) == pytest.approx(1)

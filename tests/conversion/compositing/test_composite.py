"""What a patch may and may not do to a frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.conversion.compositing.colour_transfer import (
    GAIN_LIMIT,
    apply_gains,
    linear_gains,
    weighted_median,
)
from understudy.conversion.compositing.composite import feathered, swap_patch
from understudy.faces.align import core_alignment, transform_points, warp
from understudy.faces.masks import face_mask, reach_mask
from understudy.faces.pose import reference
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Image, Patch, Pose

SIZE = 128
WIDTH, HEIGHT = 320, 240


def face_at(x: float, y: float, width: float, roll: float = 0.0) -> Face:
    """The reference head with its mesh `width` px wide around (x, y)."""
    points = np.array(reference().points, np.float64)
    points *= width / np.ptp(points[:, 0])
    turn = np.deg2rad(roll)
    points[:, :2] @= np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = (points[:, :2].min(0) + points[:, :2].max(0)) / 2
    points[:, :2] += np.array([x, y]) - middle
    landmarks = points.astype(np.float32)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(box, landmarks, 1.0, Pose(0, 0, roll))


def smooth_picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    noise = np.random.default_rng(seed).uniform(40, 215, (height // 8, width // 8, 3))
    picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def hull_of(face: Face) -> Floats:
    """The inner face in the frame's own pixels, (HEIGHT, WIDTH)."""
    return face_mask(face.landmarks, WIDTH, soft=0.0)[:HEIGHT]


def within(patch: Patch, picture: NDArray[Any]) -> NDArray[Any]:
    h, w = patch.alpha.shape
    return picture[patch.y : patch.y + h, patch.x : patch.x + w]


def laid(frame: Image, patch: Patch) -> Image:
    result = frame.astype(np.float32)
    h, w = patch.alpha.shape
    part = result[patch.y : patch.y + h, patch.x : patch.x + w]
    part += patch.alpha[..., None] * (patch.image - part)
    return np.rint(result).astype(np.uint8)


def swap(
    frame: Image,
    face: Face,
    output: NDArray[Any] | None = None,
    mask: Floats | None = None,
    settings: ConvertSettings | None = None,
    size: int = SIZE,
    learned: bool = False,
) -> Patch:
    """The patch for `output`; without one for what the frame shows itself."""
    matrix = core_alignment(face.landmarks, size)
    drawn = warp(frame, matrix, size) / 255 if output is None else output
    if mask is None:
        mask = np.ones((size, size), np.float32)
    settings = settings or ConvertSettings()
    patch = swap_patch(
        frame, face, drawn.astype(np.float32), mask, matrix, settings, learned=learned
    )
    assert patch is not None
    return patch


@pytest.mark.parametrize("width", [40.0, 90.0, 160.0])
@pytest.mark.parametrize("feather", [0.0, 0.08, 0.3])
@pytest.mark.parametrize("roll", [0.0, 25.0])
def test_alpha_is_zero_outside_the_inner_face(width: float, feather: float, roll: float) -> None:
    face = face_at(150, 118, width, roll)
    patch = swap(smooth_picture(0), face, settings=ConvertSettings(feather=feather))
    assert patch.alpha.dtype == np.float32
    assert patch.alpha.min() == 0
    assert patch.alpha.max() > 0.95
    assert patch.alpha.max() <= 1
    assert np.all(patch.alpha[within(patch, hull_of(face)) == 0] == 0)


def test_the_patch_is_no_larger_than_the_face() -> None:
    face = face_at(150, 118, 90)
    patch = swap(smooth_picture(0), face)
    rows, columns = np.nonzero(hull_of(face))
    h, w = patch.alpha.shape
    assert columns.min() - 4 <= patch.x
    assert rows.min() - 4 <= patch.y
    assert patch.x + w <= columns.max() + 5
    assert patch.y + h <= rows.max() + 5
    assert patch.image.shape == (h, w, 3)


def test_the_learned_mask_cuts_out_what_is_not_face() -> None:
    frame, face = smooth_picture(0), face_at(150, 118, 90)
    mask = np.ones((SIZE, SIZE), np.float32)
    mask[:, SIZE // 2 :] = 0
    patch = swap(frame, face, mask=mask)
    edge = transform_points(
        cv2.invertAffineTransform(core_alignment(face.landmarks, SIZE)).astype(np.float32),
        np.array([[SIZE / 2, SIZE / 2]]),
    )[0, 0]
    columns = patch.x + np.arange(patch.alpha.shape[1])
    assert np.all(patch.alpha[:, columns > edge + 1] == 0)
    assert patch.alpha[:, columns < edge - 15].max() > 0.95


@pytest.mark.parametrize("color", ["linear-gain", "reinhard", "none"])
@pytest.mark.parametrize(("width", "close"), [(40.0, 4.0), (85.0, 1.5), (160.0, 1.5)])
def test_the_same_face_again_changes_nothing(color: str, width: float, close: float) -> None:
    frame, face = smooth_picture(1), face_at(150, 118, width)
    patch = swap(frame, face, settings=ConvertSettings.model_validate({"color": color}))
    difference = np.abs(laid(frame, patch).astype(int) - frame)
    assert difference.mean(where=patch_area(frame, patch)) < close


def patch_area(frame: Image, patch: Patch) -> NDArray[np.bool_]:
    area = np.zeros(frame.shape, bool)
    h, w = patch.alpha.shape
    area[patch.y : patch.y + h, patch.x : patch.x + w] = patch.alpha[..., None] > 0
    return area


@pytest.mark.parametrize("color", ["linear-gain", "reinhard"])
def test_another_light_is_matched(color: str) -> None:
    frame, face = smooth_picture(2), face_at(150, 118, 100)
    matrix = core_alignment(face.landmarks, SIZE)
    true = warp(frame, matrix, SIZE)
    tinted = apply_gains(true, np.array([0.6, 0.8, 0.5]))
    settings = ConvertSettings.model_validate({"color": color})
    output = tinted / 255
    patch = swap(frame, face, output, settings=settings)
    untouched = swap(frame, face, output, settings=ConvertSettings(color="none"))
    area = patch_area(frame, patch)

    def error(result: Patch) -> float:
        return float(np.abs(laid(frame, result).astype(int) - frame).mean(where=area))

    assert error(untouched) > 15
    assert error(patch) < (2.5 if color == "linear-gain" else 6)


def test_gains_undo_a_change_of_light() -> None:
    picture = smooth_picture(3, 64, 64) // 2
    weights = np.ones((64, 64), np.float32)
    gains = np.array([1.5, 0.7, 1.1])
    changed = apply_gains(picture, gains)
    np.testing.assert_allclose(linear_gains(picture, changed, weights), gains, rtol=0.02)
    np.testing.assert_array_equal(linear_gains(picture, picture, weights), 1)
    np.testing.assert_array_equal(apply_gains(picture, np.ones(3)), picture)


def test_gains_stay_sane_in_the_dark_and_without_a_mask() -> None:
    picture = smooth_picture(3, 64, 64)
    black = np.zeros_like(picture)
    weights = np.ones((64, 64), np.float32)
    assert np.all(linear_gains(picture, black, weights) == 1 / GAIN_LIMIT)
    assert np.all(linear_gains(black, picture, weights) == GAIN_LIMIT)
    np.testing.assert_array_equal(linear_gains(black, picture, 0 * weights), 1)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 5)), min_size=1, max_size=40))
def test_weighted_median_is_the_median_of_repeated_values(pairs: list[tuple[int, int]]) -> None:
    values = np.array([value for value, _ in pairs], np.uint8)
    weights = np.array([weight for _, weight in pairs], np.float32)
    if not weights.any():
        return
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    found = weighted_median(values, weights)
    low, high = repeated[(len(repeated) - 1) // 2], repeated[len(repeated) // 2]
    assert low - 0.5 <= found <= high + 0.5


def test_a_median_moves_smoothly_with_the_picture() -> None:
    ramp = np.linspace(90, 110, 4096)
    weights = np.ones(4096, np.float32)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4096)
    found = [
        weighted_median(np.rint(ramp + shift + noise).astype(np.uint8), weights)
        for shift in np.linspace(0, 1, 11)
    ]
    steps = np.diff(found)
    assert np.all(np.abs(steps - 0.1) < 0.08)


def test_feathering_goes_inwards_only() -> None:
    yy, xx = np.mgrid[:SIZE, :SIZE]
    radius = np.hypot(xx - 63.5, yy - 63.5)
    hull = np.clip(50.5 - radius, 0, 1).astype(np.float32)
    ones = np.ones_like(hull)
    for width in (0.0, 4.0, 8.0, 16.0):
        alpha = feathered(ones, hull, width, 1)
        assert np.all(alpha[radius > 49.5] == 0)
        assert np.all(alpha[radius < 48 - 1.3 * width] > 0.97)
        assert np.all(np.diff(alpha[64, 64:]) <= 1e-6)


def test_a_large_face_is_enlarged_smoothly() -> None:
    """No stairs: a ramp drawn by the network stays a ramp at five times the size."""
    face = face_at(300, 300, 400)
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, :, None], (64, 64, 3))
    frame = np.full((600, 600, 3), 128, np.uint8)
    patch = swap(frame, face, ramp.copy(), settings=ConvertSettings(color="none"), size=64)
    h, w = patch.alpha.shape
    assert w > 250
    row = patch.image[h // 2, w // 4 : 3 * w // 4, 0].astype(int)
    assert row[-1] - row[0] > 40
    steps = np.diff(row)
    assert steps.min() >= 0
    assert steps.max() <= 2


def test_a_small_face_is_averaged_down() -> None:
    """A checkerboard finer than the frame's pixels becomes grey, not moire."""
    face = face_at(150, 118, 30)
    board = ((np.indices((SIZE, SIZE)).sum(0) % 2)[..., None] * np.ones(3)).astype(np.float32)
    frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    patch = swap(frame, face, board, settings=ConvertSettings(color="none"))
    inside = patch.image[patch.alpha > 0.5].astype(int)
    assert np.abs(inside - 127.5).max() < 30


@pytest.mark.parametrize("centre", [(0.0, 118.0), (319.0, 0.0), (150.0, 239.0), (-20.0, -20.0)])
def test_a_face_over_the_border_gives_a_patch_within_the_frame(
    centre: tuple[float, float],
) -> None:
    frame, face = smooth_picture(4), face_at(*centre, 120)
    patch = swap(frame, face)
    h, w = patch.alpha.shape
    assert 0 <= patch.x < patch.x + w <= WIDTH
    assert 0 <= patch.y < patch.y + h <= HEIGHT
    assert patch.alpha.max() > 0
    difference = np.abs(laid(frame, patch).astype(int) - frame)
    assert difference.mean(where=patch_area(frame, patch)) < 3


def test_a_face_outside_the_frame_gives_no_patch() -> None:
    frame, face = smooth_picture(4), face_at(-400, 100, 120)
    matrix = core_alignment(face.landmarks, SIZE)
    output = np.zeros((SIZE, SIZE, 3), np.float32)
    mask = np.ones((SIZE, SIZE), np.float32)
    assert swap_patch(frame, face, output, mask, matrix, ConvertSettings()) is None


def test_a_learned_mask_may_reach_past_the_mesh_but_not_far() -> None:
    """Another person's face may be wider than the one in the frame."""
    frame, face = smooth_picture(0), face_at(150, 118, 90)
    bound = reach_mask(face.landmarks, WIDTH)[:HEIGHT]
    inner = swap(frame, face)
    wide = swap(frame, face, learned=True)
    assert np.all(wide.alpha[within(wide, bound) == 0] == 0)
    assert wide.alpha.sum() > 1.3 * inner.alpha.sum()


def test_a_learned_mask_is_kept_to() -> None:
    frame, face = smooth_picture(0), face_at(150, 118, 90)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[50:90, 40:64] = 1
    patch = swap(frame, face, mask=mask, learned=True)
    points = transform_points(
        core_alignment(face.landmarks, SIZE),
        np.argwhere(patch.alpha > 0)[:, ::-1] + np.array([patch.x, patch.y]),
    )
    assert points[:, 0].min() > 38
    assert points[:, 0].max() < 65
    assert points[:, 1].min() > 48
    assert points[:, 1].max() < 91

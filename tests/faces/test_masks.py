"""Face masks on the reference head, and against the true masks of rendered faces."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import WeightsError
from understudy.faces.align import BROWS, CHIN, alignment, transform_points
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.masks import face_mask, reach_mask, visible_mask
from understudy.faces.pose import reference
from understudy.settings import ScanSettings
from understudy.types import Floats


def crop_points(size: int) -> Floats:
    head = (reference().points * 70 + np.array([100, 100, 0])).astype(np.float32)
    return transform_points(alignment(head, size), head)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_range_shape_and_containment(size: int) -> None:
    points = crop_points(size)
    mask, hull = face_mask(points, size), reach_mask(points, size)
    for grey in (mask, hull):
        assert grey.shape == (size, size)
        assert grey.dtype == np.float32
        assert grey.min() == 0
        assert grey.max() == pytest.approx(1, abs=1e-6)
    assert (hull - mask).min() > -0.01, "the inner face lies inside the hull"
    assert 0.2 < mask.mean() < 0.3
    assert mask.mean() < hull.mean() < 0.42
    inside = [1, 4, 168, 13, 14, 33, 263, 61, 291, 105, 334, 50, 280]
    for x, y in np.round(points[inside]).astype(int):
        assert mask[y, x] > 0.95
    for corner in (mask[0, 0], mask[0, -1], mask[-1, 0], mask[-1, -1]):
        assert corner == 0


def test_same_at_every_size() -> None:
    large = face_mask(crop_points(256), 256).reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(large - face_mask(crop_points(64), 64)).mean() < 0.005


def test_hard_edge_on_request_and_nothing_outside_the_crop() -> None:
    points = crop_points(128)
    hard = face_mask(points, 128, soft=0)
    assert ((hard == 0) | (hard == 1)).mean() > 0.97
    assert face_mask(points + 500, 128).max() == 0


def test_agrees_with_the_truth(shared_data: Path) -> None:
    try:
        analyser = FaceAnalyser(ScanSettings())
    except WeightsError as error:
        pytest.skip(str(error))
    folder = shared_data / "synthetic"
    ious, turns = [], []
    for person in ("ada", "ben", "chen"):
        truth = json.loads((folder / f"test1_{person}.json").read_text())["frames"]
        with (
            av.open(str(folder / f"test1_{person}.mp4")) as film,
            av.open(str(folder / f"test1_{person}_mask.mkv")) as masks,
        ):
            for index, (picture, grey) in enumerate(
                zip(film.decode(video=0), masks.decode(video=0), strict=True)
            ):
                if index % 10:
                    continue
                image = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                face = max(analyser.faces(image), key=lambda face: face.score)
                mine = face_mask(face.landmarks, 256) > 0.5
                true = grey.to_ndarray(format="gray") > 127
                ious.append((mine & true).sum() / (mine | true).sum())
                pose, right = face.pose, truth[index]
                errors = (
                    pose.yaw - right["yaw"],
                    pose.pitch - right["pitch"],
                    pose.roll + right["roll"],
                )
                turns.append(errors)
    assert np.mean(ious) > 0.9
    assert np.min(ious) > 0.82
    yaw, pitch, roll = np.abs(turns).mean(axis=0)
    assert yaw < 2
    assert pitch < 2.5
    assert roll < 1


def test_visible_mask_leaves_out_hair_and_keeps_the_shaded_cheek() -> None:
    """A drawn face: skin, one cheek in shadow, dark hair from the brows up."""
    size = 160
    landmarks = transform_points(alignment(reference().points, size), reference().points)
    rows, columns = np.mgrid[:size, :size]
    image = np.full((size, size, 3), (60, 120, 80), np.uint8)
    skin = face_mask(landmarks, size, soft=0.0) > 0.5
    head = reach_mask(landmarks, size) > 0.5
    image[head] = (215, 170, 145)
    image[skin & (columns > 95)] = (120, 92, 78)
    brows = landmarks[list(BROWS), 1].min()
    image[head & (rows < brows - 12)] = (25, 18, 15)
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    mask = visible_mask(image, landmarks) > 127
    hair = head & (rows < brows - 18)
    assert mask[hair].mean() < 0.05
    middle = skin & (rows > brows + 8) & (rows < landmarks[CHIN, 1] - 12)
    assert mask[middle].mean() > 0.9
    assert not mask[~head].any()
    np.testing.assert_array_equal(mask, visible_mask(image, landmarks) > 127)

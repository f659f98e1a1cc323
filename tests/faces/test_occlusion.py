"""What lies in front of a face, on a frame of the sample film and on pictures of nothing."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from understudy.demo import SAMPLE
from understudy.errors import WeightsError
from understudy.faces.align import CORE, alignment, transform_points, warp
from understudy.faces.occlusion import (
    SHIPPED,
    SIDE,
    OcclusionNet,
    look,
    read,
    shipped,
    shown_masks,
    write,
)
from understudy.faces.pose import reference
from understudy.media.video import VideoReader
from understudy.runtime.quantized_weights import SCALE
from understudy.types import Floats, Image

FRAME = 30
TO_CORE: Floats = np.array([[0.588, -0.0228, -13.7906], [0.0228, 0.588, -28.4355]], np.float32)
"""Where the core crop of that frame's face lies, found once by the mesh."""


def film(name: str) -> Image:
    with VideoReader(SAMPLE / name) as reader:
        return next(frame.image for frame in reader if frame.index == FRAME)


@pytest.fixture(scope="module")
def crop() -> Image:
    return warp(film("scene.mp4"), TO_CORE, SIDE)


@pytest.fixture(scope="module")
def truth() -> Floats:
    """The face as it shows in `crop`, 0..1."""
    mask = warp(film("scene-mask.mp4"), TO_CORE, SIDE)[..., 0]
    return np.asarray(mask, np.float32) / np.float32(255)


def with_bar(crop: Image) -> tuple[Image, Image]:
    """A grey bar over the mouth, and where it lies."""
    where = np.zeros((SIDE, SIDE), np.uint8)
    cv2.line(where, (-5, 78), (SIDE + 5, 92), 255, 16, cv2.LINE_AA)
    share = where[..., None] / 255
    return np.rint(crop * (1 - share) + np.array([70, 75, 80]) * share).astype(np.uint8), where


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_clean_face_is_not_covered_and_shows_where_it_is(crop: Image, truth: Floats) -> None:
    covered, shown = look(shipped(), [crop])
    assert covered.shape == shown.shape == (1, SIDE, SIDE)
    assert covered.dtype == shown.dtype == np.float32
    assert covered[0][truth > 0.8].mean() < 0.02
    assert overlap(shown[0] > 0.5, truth > 0.5) > 0.88


def test_what_is_in_front_is_found_and_no_longer_shown_as_face(crop: Image, truth: Floats) -> None:
    picture, where = with_bar(crop)
    covered, shown = look(shipped(), [picture])
    face = truth > 0.5
    assert overlap((covered[0] > 0.5)[face], (where > 127)[face]) > 0.7
    assert shown[0][face & (where > 127)].mean() < 0.15
    assert shown[0][face & (where == 0)].mean() > 0.8


@pytest.mark.parametrize("side", [64, 256])
def test_crops_of_any_size_give_the_same_place(crop: Image, truth: Floats, side: int) -> None:
    how = cv2.INTER_AREA if side < SIDE else cv2.INTER_CUBIC
    picture = cv2.resize(with_bar(crop)[0], (side, side), interpolation=how)
    covered = look(shipped(), [np.asarray(picture, np.uint8)])[0][0]
    usual = look(shipped(), [with_bar(crop)[0]])[0][0]
    face = truth > 0.5
    assert overlap((covered > 0.5)[face], (usual > 0.5)[face]) > 0.75


def test_no_pictures_and_many() -> None:
    assert look(shipped(), [])[0].shape == (0, SIDE, SIDE)
    pictures = list(np.random.default_rng(0).integers(0, 256, (18, SIDE, SIDE, 3), np.uint8))
    covered, shown = look(shipped(), pictures)
    alone = look(shipped(), pictures[17:])
    np.testing.assert_allclose(covered[17], alone[0][0], atol=1e-4)
    assert 0 <= min(covered.min(), shown.min()) <= max(covered.max(), shown.max()) <= 1


def test_it_is_small() -> None:
    assert SHIPPED.stat().st_size < 600_000
    net, training = read(SHIPPED)
    assert sum(value.numel() for value in net.parameters()) < 600_000
    assert not any(value.requires_grad for value in net.parameters())
    assert training["people"] == 66
    assert len(training["aside"]) == 6


def test_written_and_read_to_within_half_a_step(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = OcclusionNet()
    write(tmp_path / "net.safetensors", net, {"steps": 3})
    again, training = read(tmp_path / "net.safetensors")
    assert training == {"steps": 3}
    stored = safetensors.torch.load_file(tmp_path / "net.safetensors")
    for name, value in net.state_dict().items():
        apart = (again.state_dict()[name] - value).abs()
        if value.dim() < 2:
            assert apart.max() <= value.abs().max() / 1000
        else:
            steps = stored[name + SCALE].view(-1, *[1] * (value.dim() - 1))
            assert bool((apart <= 0.501 * steps).all())


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(WeightsError, match="cannot be read"):
        read(path)
    path.write_bytes(SHIPPED.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="damaged"):
        read(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="damaged"):
        read(path)
    about = json.dumps({"schema_version": 9, "training": {}})
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"occlusion": about})
    with pytest.raises(WeightsError, match="schema 9"):
        read(path)
    about = json.dumps({"schema_version": 1, "training": {}})
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"occlusion": about})
    with pytest.raises(WeightsError, match="does not fit"):
        read(path)


def stored(side: int) -> tuple[Image, Floats]:
    """The stored crop of the frame, and the reference head's mesh in it."""
    grown = TO_CORE * np.float32(CORE * side / SIDE)
    grown[:, 2] += (CORE * side / SIDE - 1) / 2 + side * (1 - CORE) / 2
    head = (reference().points * 70 + np.array([100, 100, 0])).astype(np.float32)
    return warp(film("scene.mp4"), grown, side), transform_points(alignment(head, side), head)


@pytest.mark.parametrize("side", [80, 160])
def test_masks_of_stored_crops_lie_where_the_face_does(truth: Floats, side: int) -> None:
    picture, points = stored(side)
    mask = shown_masks(picture[None], points[None])[0]
    assert mask.shape == (side, side)
    assert mask.dtype == np.uint8
    edge = round(side * (1 - CORE) / 2)
    inner = cv2.resize(mask[edge : side - edge, edge : side - edge], (SIDE, SIDE))
    assert overlap(inner > 127, truth > 0.5) > 0.85


def test_a_picture_of_nothing_falls_back_on_the_mesh() -> None:
    _, points = stored(160)
    flat = np.full((160, 160, 3), 128, np.uint8)
    mask = shown_masks(flat[None], points[None])[0]
    assert mask[80, 80] == 255
    assert mask[0].max() == 0

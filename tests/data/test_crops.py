"""Crops out of every kind of picture."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from understudy.data.crops import Crop, make_crop
from understudy.faces.align import warp
from understudy.faces.pose import reference
from understudy.media import colour, planes
from understudy.media.images import decode_image
from understudy.types import Face, Frame, Image, Pose

LIMITED_601 = colour.Tags(6, colour.LIMITED, 6, 6)
KINDS = {
    "as WebP": ("yuv420p", LIMITED_601),
    "untagged": ("yuv420p", None),
    "HD": ("yuv420p", colour.Tags(1, colour.LIMITED, 1, 1)),
    "full range": ("yuv420p", colour.Tags(6, colour.FULL, 6, 6)),
    "4:4:4": ("yuv444p", LIMITED_601),
    "deep": ("yuv420p10le", LIMITED_601),
    "RGB": ("rgb24", colour.Tags(0, colour.FULL, 1, 1)),
}


def painting(height: int, width: int) -> Image:
    rng = np.random.default_rng(5)
    coarse = rng.integers(50, 206, (9, 9, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame(kind: str, width: int, height: int) -> Frame:
    pixel_format, tags = KINDS[kind]
    picture = av.VideoFrame.from_ndarray(painting(height, width), format="rgb24")
    colour.put_tags(picture, colour.Tags(0, colour.FULL, 1, 1))
    if pixel_format != "rgb24":
        picture = planes.convert(picture, pixel_format, tags or LIMITED_601)
    if tags is None:
        colour.put_tags(picture, colour.Tags(2, colour.UNSPECIFIED_RANGE, 2, 2))
    return Frame(7, Fraction(7, 25), picture, planes.to_rgb)


def face(scale: float = 120, x: float = 210.4, y: float = 170.7) -> Face:
    points = reference().points * scale + np.array([x, y, 0])
    return Face((0, 0, 1, 1), points.astype(np.float32), 0.9, Pose(0, 0, 0), track=3)


def by_way_of_rgb(crop: Crop, frame: Frame) -> Image:
    return warp(frame.image, crop.matrix, 256)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize(("scale", "size"), [(120, (421, 333)), (30, (360, 288))])
def test_a_crop_shows_what_the_frame_shows(
    kind: str, suffix: str, scale: float, size: tuple[int, int]
) -> None:
    shot = frame(kind, *size)
    crop = make_crop(shot, face(scale), 256, suffix)
    assert (crop.frame, crop.track, crop.width, crop.height) == (7, 3, *size)
    off = decode_image(crop.image).astype(int) - by_way_of_rgb(crop, shot)
    assert np.abs(off).mean() < 1.6
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.6
    # Half a pixel of colour in a wrong place would show as a slope that goes with the edges.
    assert np.abs(off).max() < 14


@pytest.mark.parametrize("kind", KINDS)
def test_sharpness_does_not_go_by_the_kind_of_picture(kind: str) -> None:
    want = make_crop(frame("RGB", 421, 333), face(), 256, ".png").sharpness
    assert make_crop(frame(kind, 421, 333), face(), 256, ".webp").sharpness == pytest.approx(
        want, rel=0.15
    )


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_a_crop_of_the_same_frame_is_the_same(suffix: str) -> None:
    first, second = (make_crop(frame("as WebP", 300, 300), face(), 256, suffix) for _ in range(2))
    assert first.image == second.image

"""Interlaced films: every field becomes a picture, whether flags are right or not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from understudy.media.fields import order_of
from understudy.media.video import SegmentWriter, VideoReader, join, probe
from understudy.settings import EncodeSettings
from understudy.types import Image

WIDTH, HEIGHT = 96, 480
MOMENTS = 24
"""Fields; half as many pictures."""


def moment(index: int) -> Image:
    """A bright bar that goes to the right, four pixels in a field, over a soft ground."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ground = 60 + 20 * np.sin(y / 40) + 10 * np.cos(x / 15)
    bar = np.clip(4 - np.abs(x - (8 + 3.2 * index)), 0, 1) * 120
    return np.repeat(np.rint(ground + bar)[..., None], 3, 2).astype(np.uint8)


def bar(image: Image) -> float:
    """Where the bar is, pixels."""
    light = np.clip(image[..., 0].astype(np.float64) - 110, 0, None).sum(0)
    return float((light * np.arange(WIDTH)).sum() / light.sum())


def woven(first: Image, second: Image, upper_first: bool) -> Image:
    both = first.copy()
    both[1 if upper_first else 0 :: 2] = second[1 if upper_first else 0 :: 2]
    return both


def film(path: Path, upper_first: bool = True, flagged: bool = False, whole: bool = False) -> Path:
    """Interlaced at 25 pictures a second; `whole` has one moment in both fields of a picture."""
    codec, options = "ffv1", {}
    if flagged:
        order = "tff=1" if upper_first else "bff=1"
        codec, options = "libx264", {"x264-params": f"{order}:keyint=4", "crf": "6"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(0, MOMENTS, 2):
            second = moment(index if whole else index + 1)
            image = woven(moment(index), second, upper_first)
            frame = av.VideoFrame.from_ndarray(image[..., 0].copy(), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def combs(image: Image) -> float:
    """Difference of neighbouring lines in the picture's middle, mean."""
    grey = image[100:380, :, 0].astype(float)
    return float(np.abs(np.diff(grey, axis=0)).mean())


@pytest.mark.parametrize("upper_first", [True, False])
@pytest.mark.parametrize("flagged", [True, False])
def test_every_field_becomes_a_picture(upper_first: bool, flagged: bool, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", upper_first, flagged)
    info = probe(path)
    assert info.rate == 50
    assert info.fields == ("tff" if upper_first else "bff")
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(MOMENTS))
    times = [float(frame.time) for frame in frames]
    assert times == pytest.approx([0.02 * n for n in range(MOMENTS)], abs=1e-3)
    for index, frame in enumerate(frames[1:-1], 1):
        assert bar(frame.image) == pytest.approx(bar(moment(index)), abs=1)
        assert combs(frame.image) < 2 * combs(moment(index)) + 0.5


def test_whole_pictures_that_are_flagged_stay_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", flagged=True, whole=True)
    info = probe(path)
    assert info.fields == ""
    assert info.rate == 25
    with VideoReader(path) as reader:
        assert len(list(reader)) == MOMENTS // 2


def test_ordinary_films_are_left_alone(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", whole=True)
    assert probe(path).fields == ""


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("deviation", [4, 12, 30])
def test_grain_is_not_taken_for_combs(moving: bool, deviation: int) -> None:
    random = np.random.default_rng(2)
    pictures = []
    for index in range(9):
        grain = random.normal(0, deviation, (HEIGHT, WIDTH, 1))
        image = np.clip(moment(2 * index if moving else 0) + grain, 0, 255).astype(np.uint8)
        pictures.append(av.VideoFrame.from_ndarray(image[..., 0].copy(), format="gray"))
    assert order_of(pictures) == ""


def test_combs_are_seen_through_grain() -> None:
    random = np.random.default_rng(2)
    pictures = []
    for index in range(0, 18, 2):
        both = woven(moment(index), moment(index + 1), upper_first=False)
        image = np.clip(both + random.normal(0, 8, both.shape[:2])[..., None], 0, 255)
        plain = np.ascontiguousarray(image[..., 0].astype(np.uint8))
        pictures.append(av.VideoFrame.from_ndarray(plain, format="gray"))
    assert order_of(pictures) == "bff"


@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize("first", [1, 4, 8, 9, 13, 23])
def test_a_part_is_as_in_the_whole(flagged: bool, first: int, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", flagged=flagged)
    with VideoReader(path) as whole:
        every = list(whole)
    end = every[first + 4].time if first + 4 < MOMENTS else None
    with VideoReader(path, every[first].time, end) as part:
        frames = list(part)
    wanted = every[first : first + 4]
    assert [(f.index, f.time) for f in frames] == [(f.index, f.time) for f in wanted]
    for one, other in zip(frames, wanted, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_it_is_told_and_written_as_whole_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv")
    how: dict[str, Any] = {"preset": "ultrafast"}
    with (
        VideoReader(path) as reader,
        SegmentWriter(tmp_path / "0.nut", reader.info, EncodeSettings(**how)) as out,
    ):
        for frame in reader:
            out.write(frame)
    made = tmp_path / "out.mp4"
    told = join([tmp_path / "0.nut"], made, path, None, None, EncodeSettings(**how))
    assert any("is interlaced; each of its fields became one picture, 50" in each for each in told)
    info = probe(made)
    assert info.fields == ""
    assert info.rate == 50
    assert info.frames == MOMENTS
    assert info.duration == pytest.approx(Fraction(MOMENTS, 50), abs=0.02)

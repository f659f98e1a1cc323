"""Films whose frames change size midway come in the size of their first frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.changing_films import changing_film
from tests.support.clips import HEIGHT, WIDTH, number, painting
from understudy.media import colour, planes
from understudy.media.resize import fitted
from understudy.media.video import VideoReader, probe
from understudy.media.writer import SegmentWriter
from understudy.settings import EncodeSettings
from understudy.types import Image

SMALL, LARGE = (WIDTH, HEIGHT), (2 * WIDTH, 2 * HEIGHT)
KINDS = [
    ("a.ts", "libx264", "yuv420p"),
    ("a.mkv", "libx264", "yuv444p"),
    ("a.mkv", "libvpx-vp9", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.mkv", "mjpeg", "yuvj422p"),
]


def film(path: Path, *parts: tuple[int, int], codec: str = "libx264", **given: object) -> Path:
    return changing_film(path, painting, parts, 8, codec, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "codec", "pixel_format"), KINDS)
@pytest.mark.parametrize("parts", [(SMALL, LARGE), (LARGE, SMALL), (SMALL, LARGE, SMALL)])
def test_every_frame_comes_once_in_the_size_of_the_first(
    tmp_path: Path, name: str, codec: str, pixel_format: str, parts: tuple[tuple[int, int], ...]
) -> None:
    path = film(tmp_path / name, *parts, codec=codec, pixel_format=pixel_format)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(8 * len(parts)))
    assert {(f.picture.width, f.picture.height) for f in frames} == {parts[0]}
    assert {frame.picture.format.name for frame in frames} == {reader.info.pixel_format}
    for index, frame in enumerate(frames):
        assert abs(number(frame.image) - index) <= 1
        wanted = painting(index, *parts[0]).astype(int)
        assert np.abs(frame.image - wanted).mean() < 6
    (told,) = reader.damage
    width, height = parts[1]
    assert f"{name}: 8 frames, the first at 0.320 s, are {width}x{height}" in told
    assert f"resized to {parts[0][0]}x{parts[0][1]}" in told
    assert "cut the film there" in told


def test_a_part_tells_only_of_its_own_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", SMALL, LARGE)
    for start, end, count, at in ((0, 9, 1, "0.320"), (10, 13, 3, "0.400"), (0, 8, 0, "")):
        with VideoReader(path, Fraction(start, 25), Fraction(end, 25)) as reader:
            frames = list(reader)
        assert [frame.index for frame in frames] == list(range(start, end))
        assert {(f.picture.width, f.picture.height) for f in frames} == {SMALL}
        told = [f"a.ts: {count} frames, the first at {at} s"] if count else []
        assert [sentence.split(",")[:2] for sentence in reader.damage] == [
            each.split(",") for each in told
        ]


def test_only_a_few_of_many_sizes_are_named(tmp_path: Path) -> None:
    sizes = [(WIDTH + 16 * n, HEIGHT) for n in range(6)]
    with VideoReader(film(tmp_path / "a.ts", *sizes)) as reader:
        assert len(list(reader)) == 48
    (told,) = reader.damage
    assert "40 frames" in told
    assert "80x48, 96x48, 112x48, ... and were resized" in told


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        # A phone is turned; a wide film follows a high one.
        (((64, 48), (48, 64)), (slice(None), slice(14, 50))),
        (((48, 64), (64, 48)), (slice(14, 50), slice(None))),
    ],
)
def test_the_shape_is_kept_and_the_rest_is_black(
    tmp_path: Path,
    pixel_format: str,
    parts: tuple[tuple[int, int], ...],
    seen: tuple[slice, slice],
) -> None:
    path = film(tmp_path / "a.ts", *parts, pixel_format=pixel_format)
    with VideoReader(path) as reader:
        *_, last = reader
    black: NDArray[np.uint8] = np.ones(last.image.shape[:2], np.uint8)
    black[seen] = 0
    # A sample of chroma may be shared by the pixels on both sides of the edge.
    black = np.asarray(cv2.erode(black, np.ones((3, 3), np.uint8)), np.uint8)
    assert last.image[black > 0].max() <= 6
    picture = last.image[seen]
    height, width = picture.shape[:2]
    assert (
        np.abs(picture[3:-3, 3:-3].astype(int) - painting(15, width, height)[3:-3, 3:-3]).mean() < 8
    )


def test_pixels_that_are_not_square_are_counted(tmp_path: Path) -> None:
    """Both parts are shown in the same shape, so nothing is left black."""
    aspects = (Fraction(16, 9), Fraction(1))
    path = film(tmp_path / "a.ts", (72, 60), (128, 60), aspects=aspects)
    with VideoReader(path) as reader:
        *_, last = reader
    assert reader.info.pixel_aspect == Fraction(16, 9)
    assert last.picture.width == 72
    assert np.abs(last.image.astype(int) - painting(15, 128, 60)).mean() < 4


def test_pixels_that_change_shape_alone_are_brought_to_the_first_shape(tmp_path: Path) -> None:
    """Broadcasts change between 16:9 and 4:3 without another word."""
    aspects = (Fraction(1), Fraction(1, 2))
    path = film(tmp_path / "a.ts", (64, 48), (64, 48), aspects=aspects)
    with VideoReader(path) as reader:
        *_, last = reader
    assert last.image.shape[:2] == (48, 64)
    assert last.image[:, :14].max() <= 6
    assert last.image[:, 50:].max() <= 6
    narrow = cv2.resize(painting(15, 64, 48), (32, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(last.image[:, 18:46].astype(int) - narrow[:, 2:30]).mean() < 8
    (told,) = reader.damage
    assert "are 64x48 with pixels 1:2 and were resized to 64x48" in told


def test_colours_stay_when_a_larger_part_uses_another_matrix(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", SMALL, LARGE, spaces=(6, 1))
    with VideoReader(path) as reader:
        *_, last = reader
    assert colour.colour_of(last.picture).matrix == "bt601"
    assert np.abs(last.image.astype(int) - painting(15)).mean() < 4


def test_what_is_brought_to_size_can_be_written(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", SMALL, (50, 70), codec="mjpeg", pixel_format="yuvj422p")
    settings = EncodeSettings(codec="ffv1")
    with (
        VideoReader(path) as reader,
        SegmentWriter(tmp_path / "b.mkv", reader.info, settings) as out,
    ):
        read = []
        for frame in reader:
            out.write(frame)
            read.append(frame.image)
    with VideoReader(tmp_path / "b.mkv") as written:
        for frame, image in zip(written, read, strict=True):
            assert np.abs(frame.image.astype(int) - image).max() <= 2


@pytest.mark.parametrize(
    "pixel_format", ["rgb24", "gray", "gray10le", "yuv420p10le", "yuv440p", "yuvj420p"]
)
@pytest.mark.parametrize("size", [(30, 90), (91, 31), (1, 1), (63, 47)])
def test_any_form_can_be_fitted_into_any_size(
    tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    image: Image = np.full((size[1], size[0], 3), (180, 120, 90), np.uint8)
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    colour.put_tags(picture, colour.Tags(0, colour.FULL))
    path = film(tmp_path / "a.ts", (63, 47), pixel_format="yuv444p")
    tags = colour.Tags(range=colour.FULL) if pixel_format[:4] in ("rgb2", "yuvj") else colour.Tags()
    info = probe(path)
    info = info.reshaped(63, 47) if pixel_format == "rgb24" else info
    info = type(info)(**{**vars(info), "pixel_format": pixel_format, "tags": tags})
    info = type(info)(**{**vars(info), "colour": colour.resolve(tags, pixel_format, 63, 47)})
    result = fitted(picture, info, Fraction(1))
    assert (result.width, result.height) == (63, 47)
    assert result.format.name == pixel_format
    rgb = planes.to_rgb(result).astype(int)
    centre = np.array([180, 120, 90]) if not pixel_format.startswith("gray") else 134
    assert np.abs(rgb[23, 31] - centre).max() <= 12
    blank = size != (63, 47)
    assert (np.median([rgb[0, 0].max(), rgb[-1, -1].max()]) <= 6) == blank

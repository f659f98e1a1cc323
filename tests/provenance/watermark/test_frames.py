"""The mark on pictures of every form."""

from __future__ import annotations

from collections.abc import Iterable

import av
import cv2
import numpy as np
import pytest

from understudy.media import colour as colours
from understudy.media import planes
from understudy.provenance.watermark.frames import Marker, luma
from understudy.provenance.watermark.reading import Reader

RECORD = 0xC0FFEE42


def scene(width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """Something with edges, slopes and grain, RGB."""
    source = np.random.default_rng(seed)
    small = source.integers(40, 215, (height // 16, width // 16, 3), np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    image += source.normal(0, 3, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def read(pictures: Iterable[av.VideoFrame]) -> int | None:
    """The number in the mark of some frames of one film."""
    reader = Reader()
    for one in pictures:
        reader.add(luma(one))
    return reader.read().record_id


def picture(pixel_format: str, seed: int = 0) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(scene(seed=seed), format="rgb24")
    rgb.color_range = colours.FULL
    if pixel_format == "rgb48le":
        return av.VideoFrame.from_ndarray(scene(seed=seed).astype(np.uint16) * 257, "rgb48le")
    if pixel_format == "rgb24":
        return rgb
    return planes.convert(rgb, pixel_format, colours.for_rgb(320, 240))


FORMATS = ("yuv420p", "yuv422p10le", "yuv444p", "gray", "rgb24", "rgb48le")


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_the_mark_is_read_back_from_every_form(pixel_format: str) -> None:
    marker = Marker(320, 240, RECORD, 42.0)
    marked = [marker(picture(pixel_format, seed)) for seed in range(6)]
    assert {one.format.name for one in marked} == {pixel_format}
    assert read(marked) == RECORD


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_what_is_marked_is_a_copy_and_near(pixel_format: str) -> None:
    plain = picture(pixel_format)
    before = [view.copy() for view in planes.arrays(plain)]
    marked = Marker(320, 240, RECORD, 46.0)(plain)
    for view, old in zip(planes.arrays(plain), before, strict=True):
        assert np.array_equal(view, old)
    difference = luma(marked) - luma(plain)
    assert 0 < float(np.square(difference).mean()) < 255**2 * 10 ** (-44 / 10)
    if not pixel_format.startswith("rgb"):
        for view, old in zip(planes.arrays(marked)[1:], before[1:], strict=True):
            assert np.array_equal(view, old)


def test_luma_is_black_to_white_in_every_range() -> None:
    grey = np.tile(np.array([[0, 128, 255]], np.uint8).repeat(80, 1), (64, 1))
    full = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, 2), format="rgb24")
    full.color_range = colours.FULL
    limited = planes.convert(full, "yuv420p", colours.for_rgb(240, 64))
    for one in (full, limited, planes.convert(full, "yuv420p10le", colours.for_rgb(240, 64))):
        assert np.allclose(luma(one), grey, atol=1.5)


def test_without_a_mark_nothing_is_read() -> None:
    assert read(picture("yuv420p", seed) for seed in range(4)) is None
    assert read([]) is None

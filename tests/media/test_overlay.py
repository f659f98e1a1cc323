"""Patches in native planes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.colour import Tags
from understudy.media.video import lay, to_rgb
from understudy.types import Patch

FORMATS = ["yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuv420p10le", "yuv444p10le", "yuvj420p"]
FORMATS += ["gray", "rgb24", "rgb48le"]


def noise(pixel_format: str, width: int, height: int, tags: Tags | None = None) -> av.VideoFrame:
    picture = av.VideoFrame(width, height, pixel_format)
    random = np.random.default_rng(5)
    for plane in planes.arrays(picture):
        plane[...] = random.integers(60, 190, plane.shape)
    colours.put_tags(picture, tags or Tags(1, 1, 1, 1))
    picture.pts, picture.time_base = 7, Fraction(1, 25)
    return picture


def samples(picture: av.VideoFrame) -> list[Any]:
    return [plane.copy() for plane in planes.arrays(picture)]


def patch(x: int, y: int, w: int, h: int, alpha: float | None = None) -> Patch:
    random = np.random.default_rng(6)
    share = random.random((h, w)) if alpha is None else np.full((h, w), alpha)
    return Patch(x, y, random.integers(0, 256, (h, w, 3), dtype=np.uint8), share.astype(np.float32))


@pytest.mark.parametrize("pixel_format", FORMATS)
@given(
    x=st.integers(-20, 45),
    y=st.integers(-20, 35),
    w=st.integers(1, 30),
    h=st.integers(1, 30),
    size=st.sampled_from([(40, 30), (41, 31)]),
)
@settings(max_examples=25, deadline=None)
def test_what_is_not_covered_stays_to_the_bit_and_the_picture_too(
    pixel_format: str, x: int, y: int, w: int, h: int, size: tuple[int, int]
) -> None:
    picture = noise(pixel_format, *size)
    before = samples(picture)
    one = patch(x, y, w, h)
    one.alpha[: h // 2] = 0
    result = lay(picture, [one])
    assert all(np.array_equal(a, b) for a, b in zip(before, samples(picture), strict=True))
    assert result.format.name == pixel_format
    assert (result.pts, result.time_base) == (7, Fraction(1, 25))
    assert colours.tags_of(result) == colours.tags_of(picture)
    covered = np.zeros((size[1], size[0]), bool)
    inside_y, inside_x = slice(max(0, y), max(0, y + h)), slice(max(0, x), max(0, x + w))
    cut = one.alpha[max(0, -y) :, max(0, -x) :]
    target = covered[inside_y, inside_x]
    target |= cut[: target.shape[0], : target.shape[1]] > 0
    form = planes.form_of(pixel_format)
    assert form is not None
    for number, (after, old) in enumerate(zip(samples(result), before, strict=True)):
        mask: Any = covered
        if number and form.kind == "yuv":
            across, down = 1 << form.shift[0], 1 << form.shift[1]
            padded = np.pad(mask, ((0, -mask.shape[0] % down), (0, -mask.shape[1] % across)))
            mask = padded.reshape(
                padded.shape[0] // down, down, padded.shape[1] // across, across
            ).any((1, 3))
        assert np.array_equal(after[~mask], old[~mask])


def test_without_patches_it_is_the_very_same_picture() -> None:
    picture = noise("yuv420p", 40, 30)
    assert lay(picture, []) is picture
    assert lay(picture, [patch(100, 100, 4, 4, 1.0), patch(2, 2, 4, 4, 0.0)]) is picture


@pytest.mark.parametrize("tags", [Tags(1, 1), Tags(6, 1), Tags(9, 2), Tags(1, 2)], ids=str)
@pytest.mark.parametrize("pixel_format", [f for f in FORMATS if f != "gray"])
def test_an_opaque_flat_patch_reads_back_as_its_colour(pixel_format: str, tags: Tags) -> None:
    picture = noise(pixel_format, 41, 31, tags)
    for colour in ((200, 60, 90), (0, 0, 0), (255, 255, 255), (20, 180, 240)):
        image = np.broadcast_to(np.array(colour, np.uint8), (31, 41, 3)).copy()
        result = lay(picture, [Patch(0, 0, image, np.ones((31, 41), np.float32))])
        # One step of 8-bit chroma is about two of blue.
        assert np.abs(to_rgb(result).astype(int) - colour).max() <= 3


def test_chroma_is_the_alpha_weighted_mean_of_its_pixels() -> None:
    picture = noise("yuv420p", 4, 4)
    before = samples(picture)
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = (250, 30, 30)
    alpha = np.array([[0.5, 0.0], [0.0, 0.0]], np.float32)
    after = samples(lay(picture, [Patch(2, 0, image, alpha)]))
    matrix = colours.yuv_from_rgb(colours.colour_of(picture), 8)
    yuv = matrix @ np.array([250, 30, 30, 1.0])
    assert after[0][0, 2] == round(0.5 * yuv[0] + 0.5 * before[0][0, 2])
    for plane in (1, 2):
        wanted = round(0.125 * yuv[plane] + 0.875 * before[plane][0, 1])
        assert after[plane][0, 1] == wanted
        assert after[plane][0, 0] == before[plane][0, 0]


def test_a_border_sample_of_an_odd_picture_counts_only_pixels_that_exist() -> None:
    picture = noise("yuv420p", 5, 5)
    image = np.broadcast_to(np.array((200, 60, 90), np.uint8), (1, 1, 3)).copy()
    result = samples(lay(picture, [Patch(4, 4, image, np.ones((1, 1), np.float32))]))
    yuv = colours.yuv_from_rgb(colours.colour_of(picture), 8) @ np.array([200, 60, 90, 1.0])
    assert [plane[-1, -1] for plane in result] == [round(float(value)) for value in yuv]


def test_ten_bits_keep_finer_steps_than_eight() -> None:
    picture = noise("yuv444p10le", 64, 4, Tags(1, 1))
    image = np.full((4, 64, 3), 100, np.uint8)
    alpha = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (4, 64)).copy()
    planes.arrays(picture)[0][...] = 400
    luma = samples(lay(picture, [Patch(0, 0, image, alpha)]))[0]
    wanted = 400 + alpha * ((16 + 219 * 100 / 255) * 4 - 400)
    assert np.abs(luma - wanted).max() <= 0.51

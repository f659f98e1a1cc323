"""RGB out of planes, against the exact matrices."""

from __future__ import annotations

from typing import Any, get_args

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.colour import Colour, Matrix, Tags

SPACES: dict[Matrix, int] = {"bt601": 6, "bt709": 1, "bt2020": 9, "smpte240m": 7, "fcc": 4}
FORMATS = [
    f"yuv{layout}p{deep}" for layout in ("420", "422", "440", "444") for deep in ("", "10le")
]


def flat(pixel_format: str, values: tuple[int, ...], tags: Tags) -> av.VideoFrame:
    picture = av.VideoFrame(18, 10, pixel_format)
    for plane, value in zip(planes.arrays(picture), values, strict=True):
        plane[...] = value
    colours.put_tags(picture, tags)
    return picture


def exact(code: tuple[int, ...], matrix: Matrix, full: bool, bits: int) -> Any:
    """R'G'B' on 0..255, straight from the definitions in BT.601, BT.709 and BT.2020."""
    kr, kb = colours.SHARES[matrix]
    scale = 2 ** (bits - 8)
    y, cb, cr = (float(value) for value in code)
    if full:
        top = 2**bits - 1
        y, cb, cr = y / top, (cb - 128 * scale) / top, (cr - 128 * scale) / top
    else:
        y = (y / scale - 16) / 219
        cb, cr = (cb / scale - 128) / 224, (cr / scale - 128) / 224
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.array([red, green, blue]) * 255, 0, 255)


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("matrix", get_args(Matrix))
@pytest.mark.parametrize("full", [False, True])
def test_rgb_is_what_the_matrix_says(pixel_format: str, matrix: Matrix, full: bool) -> None:
    bits = 10 if pixel_format.endswith("10le") else 8
    random = np.random.default_rng(1)
    tags = Tags(SPACES[matrix], colours.FULL if full else colours.LIMITED, 1, 1)
    for _ in range(6):
        code = tuple(int(v) << (bits - 8) for v in random.integers([40, 70, 70], [220, 190, 190]))
        image = planes.to_rgb(flat(pixel_format, code, tags))
        assert image.shape == (10, 18, 3)
        assert image.dtype == np.uint8
        assert np.abs(image - exact(code, matrix, full, bits)).max() <= 1.3


@given(
    st.sampled_from(get_args(Matrix)),
    st.booleans(),
    st.sampled_from([8, 10, 12]),
    st.tuples(*[st.integers(0, 255)] * 3),
)
@settings(max_examples=60, deadline=None)
def test_the_two_maps_undo_each_other(
    matrix: Matrix, full: bool, bits: int, rgb: tuple[int, int, int]
) -> None:
    colour = Colour(matrix, full, False)
    yuv = colours.yuv_from_rgb(colour, bits) @ np.array([*rgb, 1.0])
    back = colours.rgb_from_yuv(colour, bits) @ np.array([*yuv, 1.0])
    assert np.allclose(back, rgb, atol=1e-2)


@pytest.mark.parametrize(
    ("full", "black", "white"), [(False, 16, 235), (True, 0, 255)], ids=["limited", "full"]
)
def test_black_and_white_are_black_and_white(full: bool, black: int, white: int) -> None:
    tags = Tags(1, colours.FULL if full else colours.LIMITED)
    assert (planes.to_rgb(flat("yuv420p", (black, 128, 128), tags)) == 0).all()
    assert (planes.to_rgb(flat("yuv420p", (white, 128, 128), tags)) == 255).all()


def test_untagged_films_are_guessed_by_size_and_yuvj_is_full() -> None:
    untagged = Tags()
    assert colours.resolve(untagged, "yuv420p", 640, 480) == Colour("bt601", False, True)
    assert colours.resolve(untagged, "yuv420p", 720, 576) == Colour("bt601", False, True)
    assert colours.resolve(untagged, "yuv420p", 1280, 720) == Colour("bt709", False, True)
    assert colours.resolve(untagged, "yuv420p", 720, 1280) == Colour("bt709", False, True)
    assert colours.resolve(untagged, "yuvj420p", 640, 480).full
    assert colours.resolve(Tags(9, 1), "yuv420p10le", 640, 480) == Colour("bt2020", False, False)


TURNS = [planes.Turn(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]


@pytest.mark.parametrize("how", TURNS)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "rgb24"])
@pytest.mark.parametrize("size", [(18, 10), (17, 9)])
def test_turning_moves_samples_and_changes_none(
    how: planes.Turn, pixel_format: str, size: tuple[int, int]
) -> None:
    picture = av.VideoFrame(*size, pixel_format)
    random = np.random.default_rng(2)
    for plane in planes.arrays(picture):
        plane[...] = random.integers(0, 256, plane.shape)
    colours.put_tags(picture, Tags(9, 2, 9, 16))
    turned = planes.turn(picture, how)
    assert colours.tags_of(turned) == Tags(9, 2, 9, 16)
    assert (turned.width, turned.height) == (size[::-1] if how.transpose else size)
    for after, before in zip(planes.arrays(turned), planes.arrays(picture), strict=True):
        wanted = before.swapaxes(0, 1) if how.transpose else before
        wanted = wanted[:, ::-1] if how.mirror_x else wanted
        wanted = wanted[::-1] if how.mirror_y else wanted
        assert np.array_equal(after, wanted)


@pytest.mark.parametrize("how", [t for t in TURNS if not t.mirrored])
def test_clockwise_is_the_angle_by_which_the_picture_turns(how: planes.Turn) -> None:
    picture = av.VideoFrame.from_ndarray(
        np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8), format="rgb24"
    )
    (before,) = planes.arrays(picture)
    (after,) = planes.arrays(planes.turn(picture, how))
    assert np.array_equal(after, np.rot90(before, -how.clockwise // 90))


@pytest.mark.parametrize(
    ("pixel_format", "simple"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("yuva420p", "yuv420p"),
        ("yuv420p10be", "yuv420p10le"),
        ("pal8", "rgb24"),
        ("bgra", "rgb24"),
        ("gbrp", "rgb24"),
        ("gbrp10le", "rgb48le"),
        ("ya8", "gray"),
        ("yuv444p", "yuv444p"),
    ],
)
def test_other_formats_come_down_to_a_few(pixel_format: str, simple: str) -> None:
    assert planes.simple_format(pixel_format) == simple


def test_interleaved_chroma_is_taken_apart_without_loss() -> None:
    random = np.random.default_rng(4)
    planar = av.VideoFrame(16, 8, "yuv420p")
    for plane in planes.arrays(planar):
        plane[...] = random.integers(16, 236, plane.shape)
    planar.color_range, planar.colorspace = 1, 1
    woven = planes.simplify(planar.reformat(format="nv12"))
    assert woven.format.name == "yuv420p"
    for after, before in zip(planes.arrays(woven), planes.arrays(planar), strict=True):
        assert np.array_equal(after, before)


def test_transparency_is_laid_over_white() -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, 3:] = (10, 20, 30, 255)
    picture = planes.simplify(av.VideoFrame.from_ndarray(rgba, format="rgba"))
    (image,) = planes.arrays(picture)
    assert (image[:, :3] == 255).all()
    assert (image[:, 3:] == (10, 20, 30)).all()

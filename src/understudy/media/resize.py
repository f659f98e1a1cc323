"""Resize pictures that have another size than the film's first picture.

Broadcasts change between programmes, calls between good and bad lines, phones when they are
turned; a film that is written has one size. What players do is done here: the picture is scaled,
its shape is kept, and what it leaves free is black.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
from av.video.reformatter import ColorRange

from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.info import MediaInfo

SAME_SHAPE = Fraction(1, 40)
"""Share of a side that is stretched rather than filled with black: pixel aspects are rounded, and
some films count pixels that are never shown."""


def fitted(picture: av.VideoFrame, info: MediaInfo, aspect: Fraction) -> av.VideoFrame:
    """The picture in the size, format and colour tags of its film.

    Args:
        picture: upright, in a format with a `planes.Form`, with its own colour tags.
        info: of the film.
        aspect: width over height of one of the picture's pixels.
    """
    wide, high = _within(picture, info, aspect)
    # The tags say what a letter for full range says, and only swscale's plain names take tags.
    name = planes.plain(info.pixel_format)
    source = colours.colour_of(picture)
    tags = replace(info.tags, range=colours.FULL) if info.colour.full else info.tags
    rgb = planes.form_of(picture.format.name)
    own = info.colour if rgb is not None and rgb.kind == "rgb" else source
    scaled = picture.reformat(
        width=wide,
        height=high,
        format=name,
        src_colorspace=colours.SWSCALE[own.matrix],
        dst_colorspace=colours.SWSCALE[info.colour.matrix],
        src_color_range=ColorRange.JPEG if source.full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if info.colour.full else ColorRange.MPEG,
        interpolation=planes.ACCURATE,
        threads=1,
    )
    if (wide, high) != (info.width, info.height):
        scaled = _on_black(scaled, info)
    elif name != info.pixel_format:
        scaled = planes.copy(scaled, info.pixel_format)
    colours.put_tags(scaled, tags)
    return scaled


def _within(picture: av.VideoFrame, info: MediaInfo, aspect: Fraction) -> tuple[int, int]:
    """Width and height that the picture takes of the film's, whole samples of every plane."""
    shape = picture.width * aspect / info.pixel_aspect, Fraction(picture.height)
    sides = info.width, info.height
    scale = min(side / own for side, own in zip(sides, shape, strict=True))
    form = planes.form_of(info.pixel_format)
    across, down = form.shift if form is not None else (0, 0)
    found = []
    for side, own, shift in zip(sides, shape, (across, down), strict=True):
        taken = own * scale
        if side - taken <= side * SAME_SHAPE:
            found.append(side)
        else:
            found.append(max(1, round(taken) >> shift) << shift)
    return found[0], found[1]


def _on_black(picture: av.VideoFrame, info: MediaInfo) -> av.VideoFrame:
    """The picture in the middle of a black one of the film's size."""
    form = planes.form_of(info.pixel_format)
    assert form is not None
    new = planes.blank(info.width, info.height, info.pixel_format, picture)
    black = 0 if info.colour.full or form.kind == "rgb" else 16 << (form.bits - 8)
    # A multiple of what one sample of the coarsest plane covers, so that all planes agree.
    left, top = (
        (side - own) // 2 >> shift
        for side, own, shift in zip(
            (info.width, info.height), (picture.width, picture.height), form.shift, strict=True
        )
    )
    for number, (target, source) in enumerate(
        zip(planes.arrays(new), planes.arrays(picture), strict=True)
    ):
        chroma = number > 0
        target[...] = 1 << (form.bits - 1) if chroma else black
        x, y = (left, top) if chroma else (left << form.shift[0], top << form.shift[1])
        target[y : y + source.shape[0], x : x + source.shape[1]] = source
    return new

"""A picture's planes as arrays: views, turning, format changes and RGB.

Every picture that a reader hands out is in one of a few forms: planar YUV (4:2:0, 4:2:2,
4:4:0, 4:4:4; 8 to 16 bits, little endian), grey, or packed RGB of 8 or 16 bits. `simplify`
converts any other form to the nearest of these, without loss where possible.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from understudy.media import colour as colours
from understudy.media.colour import Colour
from understudy.types import Floats, Image

Plane = NDArray[Any]

_YUV = re.compile(r"yuvj?(420|422|440|444)p(?:(9|10|12|14|16)le)?")
_GREY = re.compile(r"gray(?:(9|10|12|14|16)le)?")
_SHIFTS = {"420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}

# swscale's default rounds towards zero and takes shortcuts; these flags do not.
ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


class Form(NamedTuple):
    """A pixel format that this module works in.

    Attributes:
        kind: "yuv", "grey" or "rgb" (packed).
        bits: of one sample.
        shift: log2 of the chroma planes' reduction, (horizontal, vertical).
    """

    kind: str
    bits: int
    shift: tuple[int, int]


class Turn(NamedTuple):
    """How stored pictures become upright: first transpose, then mirror x and y."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def clockwise(self) -> int:
        """0, 90, 180 or 270 degrees, not counting a mirror image."""
        if self.transpose:
            return 90 if self.mirror_x else 270
        return 180 if self.mirror_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether the display matrix mirrors as well as turns."""
        return (self.transpose + self.mirror_x + self.mirror_y) % 2 == 1


def form_of(pixel_format: str) -> Form | None:
    """The form of a pixel format; None for one that needs `simplify` first."""
    if match := _YUV.fullmatch(pixel_format):
        return Form("yuv", int(match[2] or 8), _SHIFTS[match[1]])
    if match := _GREY.fullmatch(pixel_format):
        return Form("grey", int(match[1] or 8), (0, 0))
    if pixel_format in ("rgb24", "rgb48le"):
        return Form("rgb", 8 if pixel_format == "rgb24" else 16, (0, 0))
    return None


def plain(pixel_format: str) -> str:
    """The format's name without the letter that marks full range (yuvj420p -> yuv420p)."""
    return pixel_format.replace("yuvj", "yuv")


def simple_format(pixel_format: str) -> str:
    """The nearest format with a `Form`."""
    if form_of(pixel_format):
        return pixel_format
    known = av.VideoFormat(pixel_format)
    bits = known.components[0].bits
    if known.is_rgb or known.has_palette:
        return "rgb48le" if bits > 8 else "rgb24"
    deep = "" if bits <= 8 else f"{min(b for b in (10, 12, 14, 16) if b >= bits)}le"
    if len(known.components) < 3:
        return f"gray{deep}"
    narrow, low = known.chroma_width(64) < 64, known.chroma_height(64) < 64
    layout = {(True, True): "420", (True, False): "422", (False, True): "440"}.get((narrow, low))
    return f"yuv{layout or '444'}p{deep}"


def transparent(pixel_format: str) -> bool:
    """Whether pictures of this format say how transparent they are."""
    known = av.VideoFormat(pixel_format)
    return known.has_palette or any(each.is_alpha for each in known.components)


def opacity(picture: av.VideoFrame) -> Floats | None:
    """The alpha (h, w), 0..1, of a planar YUV picture; None where it has none."""
    name = picture.format.name
    if not name.startswith("yuva"):
        return None
    bits = picture.format.components[3].bits
    plane = picture.planes[3]
    order = ">u2" if name.endswith("be") else "<u2"
    dtype = np.dtype(np.uint8 if bits == 8 else order)
    rows = np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return rows[: plane.height, : plane.width].astype(np.float32) / np.float32(2**bits - 1)


def arrays(picture: av.VideoFrame) -> list[Plane]:
    """Views on the planes: (h, w) each, (h, w, 3) for packed RGB; uint8 or uint16.

    Writing into them is allowed only for pictures made by `blank` or `copy`.
    """
    form = form_of(picture.format.name)
    if form is None:
        raise ValueError(f"no plane views of {picture.format.name}")
    dtype = np.dtype(np.uint8 if form.bits == 8 else "<u2")
    channels = 3 if form.kind == "rgb" else 1
    views = []
    for plane in picture.planes:
        rows = np.frombuffer(memoryview(plane), dtype).reshape(
            -1, plane.line_size // dtype.itemsize
        )
        view = rows[: plane.height, : plane.width * channels]
        views.append(view.reshape(plane.height, plane.width, 3) if channels == 3 else view)
    return views


def blank(width: int, height: int, pixel_format: str, like: av.VideoFrame) -> av.VideoFrame:
    """A new picture with the time and colour tags of `like`; its planes are not set yet."""
    picture = av.VideoFrame(width, height, pixel_format)
    picture.pts = like.pts
    if like.time_base:
        picture.time_base = like.time_base
    colours.put_tags(picture, colours.tags_of(like))
    return picture


def copy(picture: av.VideoFrame, pixel_format: str | None = None) -> av.VideoFrame:
    """The same samples in planes of their own, under another name of the same layout if given."""
    new = blank(picture.width, picture.height, pixel_format or picture.format.name, picture)
    for target, source in zip(arrays(new), arrays(picture), strict=True):
        target[...] = source
    return new


def on_its_side(pixel_format: str) -> str:
    """The format of a picture that was turned by 90 degrees: 4:2:2 and 4:4:0 change places."""
    swap = {"422": "440", "440": "422"}
    return re.sub("422|440", lambda match: swap[match[0]], pixel_format)


def turn(picture: av.VideoFrame, how: Turn) -> av.VideoFrame:
    """The picture turned upright, sample for sample (4:2:2 turned on its side is 4:4:0)."""
    if how == Turn():
        return picture
    name, width, height = picture.format.name, picture.width, picture.height
    if how.transpose:
        width, height = height, width
        name = on_its_side(name)
    new = blank(width, height, name, picture)
    for target, source in zip(arrays(new), arrays(picture), strict=True):
        view = source.swapaxes(0, 1) if how.transpose else source
        view = view[:, ::-1] if how.mirror_x else view
        target[...] = view[::-1] if how.mirror_y else view
    return new


def convert(
    picture: av.VideoFrame, pixel_format: str, tags: colours.Tags | None = None
) -> av.VideoFrame:
    """The picture in another pixel format, and with other tags if given, as exactly as
    swscale can."""
    source = colours.colour_of(picture)
    name = plain(pixel_format)
    if tags is None:
        tags = colours.tags_of(picture)
        if name.startswith("rgb") or name.startswith("gbr"):
            tags = colours.Tags(0, colours.FULL, tags.primaries, tags.transfer)
    target = colours.resolve(tags, pixel_format, picture.width, picture.height)
    rgb = form_of(picture.format.name)
    matrix = target.matrix if rgb is not None and rgb.kind == "rgb" else source.matrix
    new = picture.reformat(
        format=name,
        src_colorspace=colours.SWSCALE[matrix],
        dst_colorspace=colours.SWSCALE[target.matrix],
        src_color_range=ColorRange.JPEG if source.full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG if target.full else ColorRange.MPEG,
        interpolation=ACCURATE,
        threads=1,
    )
    colours.put_tags(new, tags)
    return new


def simplify(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture in a format with a `Form`; transparency is laid over white."""
    name = picture.format.name
    target = simple_format(name)
    if target == name:
        return picture
    if target.startswith("rgb"):
        if "a" in name.replace("pal", "") or picture.format.has_palette:
            wide = target == "rgb48le"
            rgba = picture.reformat(format="rgba64le" if wide else "rgba", threads=1)
            flat = over_white(rgba.to_ndarray())
            new = av.VideoFrame.from_ndarray(flat, format=target)
            new.pts = picture.pts
            if picture.time_base:
                new.time_base = picture.time_base
        else:
            new = picture.reformat(format=target, threads=1)
        new.colorspace, new.color_range = 0, colours.FULL
        return new
    return convert(picture, target, colours.tags_of(picture))


def over_white(rgba: Plane) -> Plane:
    """(h, w, 4) with straight alpha laid over white: (h, w, 3) of the same type."""
    top = np.iinfo(rgba.dtype).max
    alpha = rgba[..., 3:]
    if bool((alpha == top).all()):
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / top
    mixed = rgba[..., :3] * share + top * (1.0 - share)
    return np.rint(mixed).astype(rgba.dtype)


def to_rgb(picture: av.VideoFrame) -> Image:
    """RGB uint8 (h, w, 3) of a picture, through its own matrix and range.

    8-bit YUV: chroma brought to full size linearly (samples centred, as `lay` writes them),
    then one affine map, within one code value of the exact matrix. Else swscale with accurate
    rounding.
    """
    form = form_of(picture.format.name)
    if form is None:
        return to_rgb(simplify(picture))
    if form.kind == "rgb":
        (packed,) = arrays(picture)
        if form.bits == 8:
            return packed.copy()
        return ((packed.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if form.kind == "yuv" and form.bits == 8:
        return rgb_of_8_bit(arrays(picture), colours.colour_of(picture))
    rgb: Image = convert(picture, "rgb24").to_ndarray().astype(np.uint8, copy=False)
    return rgb


def rgb_of_8_bit(planes: list[Plane], colour: Colour) -> Image:
    """RGB uint8 (h, w, 3) of the three planes of an 8-bit YUV picture; see `to_rgb`."""
    luma, *chroma = planes
    height, width = luma.shape
    full = []
    for plane in chroma:
        across = -(-width // plane.shape[1])
        down = -(-height // plane.shape[0])
        if (across, down) != (1, 1):
            size = (plane.shape[1] * across, plane.shape[0] * down)
            plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
        full.append(plane)
    matrix = colours.rgb_from_yuv(colour, 8).astype(np.float32)
    return cast(Image, cv2.transform(cv2.merge([luma, *full]), matrix))

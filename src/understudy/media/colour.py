"""The meaning of the numbers in a picture's planes: matrix and range, and the exact arithmetic.

Matrices: ITU-R BT.601-7, BT.709-6, BT.2020-2, SMPTE 240M, FCC 47 CFR 73.682. Codes of the
tags: ITU-T H.273 (the same numbers in H.264, HEVC, VP9, AV1, mp4 and Matroska).

A film without tags is read as players read it: BT.709 when its larger side is at least 1280
or its smaller side above 576, else BT.601; limited range for YUV, full range for grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats, Image

Matrix = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc"]

# Kr and Kb: the shares of red and blue in luma.
SHARES: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

UNSPECIFIED_SPACE = 2
UNSPECIFIED_RANGE = 0
LIMITED, FULL = 1, 2

_OF_SPACE: dict[int, Matrix] = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
# The names that swscale gives the same matrices (SWS_CS_*).
SWSCALE: dict[Matrix, int] = {"bt709": 1, "fcc": 4, "bt601": 5, "smpte240m": 7, "bt2020": 9}


@dataclass(frozen=True)
class Tags:
    """The four colour tags in the file (H.273 codes; 2, 0, 2, 2 = not specified)."""

    space: int = UNSPECIFIED_SPACE
    range: int = UNSPECIFIED_RANGE
    primaries: int = 2
    transfer: int = 2

    def or_else(self, other: Tags) -> Tags:
        """These tags, with what they leave unsaid taken from `other`."""
        return Tags(
            other.space if self.space in (UNSPECIFIED_SPACE, 0) else self.space,
            other.range if self.range == UNSPECIFIED_RANGE else self.range,
            other.primaries if self.primaries in (2, 0) else self.primaries,
            other.transfer if self.transfer in (2, 0) else self.transfer,
        )


@dataclass(frozen=True)
class Colour:
    """How to read a picture's planes.

    Attributes:
        matrix: between R'G'B' and Y'CbCr.
        full: True when black to white is 0 to 2**bits - 1, False for 16 to 235 (times
            2**(bits - 8)).
        guessed: True when the file does not say which matrix it uses.
    """

    matrix: Matrix
    full: bool
    guessed: bool


def tags_of(thing: av.VideoFrame | av.VideoCodecContext) -> Tags:
    """The tags on a frame or on a stream's codec context."""
    return Tags(
        int(thing.colorspace),
        int(thing.color_range),
        int(thing.color_primaries),
        int(thing.color_trc),
    )


def put_tags(thing: av.VideoFrame | av.VideoCodecContext, tags: Tags) -> None:
    """Write all four tags."""
    thing.colorspace = tags.space
    thing.color_range = tags.range
    thing.color_primaries = tags.primaries
    thing.color_trc = tags.transfer


def guess_matrix(width: int, height: int) -> Matrix:
    """The matrix that players assume for an untagged film of this size in pixels."""
    large = max(width, height) >= 1280 or min(width, height) > 576
    return "bt709" if large else "bt601"


def resolve(tags: Tags, pixel_format: str, width: int, height: int) -> Colour:
    """Matrix and range of a picture with these tags, pixel format and size."""
    said = _OF_SPACE.get(tags.space)
    if tags.range == UNSPECIFIED_RANGE:
        full = pixel_format.startswith(("yuvj", "gray", "rgb", "gbr"))
    else:
        full = tags.range == FULL
    return Colour(said or guess_matrix(width, height), full, said is None)


def colour_of(picture: av.VideoFrame) -> Colour:
    """Matrix and range of a picture, from its tags or as players would guess."""
    return resolve(tags_of(picture), picture.format.name, picture.width, picture.height)


def for_rgb(width: int, height: int) -> Tags:
    """The tags of a YUV film made from RGB pictures of this size: limited range."""
    if guess_matrix(width, height) == "bt709":
        return Tags(1, LIMITED, 1, 1)
    return Tags(6, LIMITED, 6, 6)


def rgb_from_yuv(colour: Colour, bits: int) -> NDArray[np.float64]:
    """(3, 4) affine map from code values (Y, Cb, Cr) of `bits` to R, G, B on 0..255."""
    kr, kb = SHARES[colour.matrix]
    kg = 1.0 - kr - kb
    unit = 2.0 ** (bits - 8)
    top = 2.0**bits - 1.0
    luma, chroma, black = (top, top, 0.0) if colour.full else (219 * unit, 224 * unit, 16 * unit)
    linear = np.array(
        [
            [1.0, 0.0, 2.0 * (1.0 - kr)],
            [1.0, -2.0 * kb * (1.0 - kb) / kg, -2.0 * kr * (1.0 - kr) / kg],
            [1.0, 2.0 * (1.0 - kb), 0.0],
        ]
    ) * (255.0 / np.array([luma, chroma, chroma]))
    offset = -linear @ np.array([black, 128.0 * unit, 128.0 * unit])
    return np.concatenate([linear, offset[:, None]], axis=1)


def yuv_from_rgb(colour: Colour, bits: int) -> Floats:
    """(3, 4) affine map from R, G, B on 0..255 to code values (Y, Cb, Cr) of `bits`."""
    forward = rgb_from_yuv(colour, bits)
    linear = np.linalg.inv(forward[:, :3])
    offset = -linear @ forward[:, 3:]
    return np.concatenate([linear, offset], axis=1).astype(np.float32)


def luma(image: Image) -> Floats:
    """BT.601 luma of an RGB picture (h, w, 3), float32 (h, w), 0..255."""
    return image.astype(np.float32) @ _LUMA

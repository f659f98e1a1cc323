"""What faceswap writes into the face pictures that it extracts.

A PNG text under the keyword `faceswap` holds a Python literal with the face's place in its frame
and the name of the film or picture that it is from. We take from it which pictures belong to one
film, and in which order; where the face is in the picture, our own networks measure.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import MediaError
from understudy.facesets.imports import literal, png_header

KEYWORD = "faceswap"
_NUMBERED = re.compile(r"(.*?)[ _.-]*([0-9]{1,9})")

Pixel = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Name = Annotated[str, Field(max_length=4096)]
Point = Annotated[
    tuple[
        Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)],
        Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)],
    ],
    Field(strict=False),
]


class Alignments(BaseModel):
    """Where the face is in its frame, in pixels: box and 4, 51 or 68 landmarks."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    x: Pixel
    y: Pixel
    w: Pixel
    h: Pixel
    landmarks_xy: Annotated[tuple[Point, ...], Field(strict=False, min_length=4, max_length=256)]


class Source(BaseModel):
    """Where the face is from."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    source_filename: Name
    source_is_video: bool = False
    face_index: Annotated[int, Field(ge=0, le=100_000)] = 0


class Header(BaseModel):
    """One picture's header; other fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    alignments: Alignments
    source: Source

    @property
    def film(self) -> tuple[str, int]:
        """Name of the film, or of the series of pictures, and the frame's number in it."""
        name = PurePosixPath(PureWindowsPath(self.source.source_filename).name).stem
        numbered = _NUMBERED.fullmatch(name)
        return (numbered[1] or name, int(numbered[2])) if numbered else (name, 0)


def header(data: bytes) -> Header | None:
    """The header of a PNG file; None when faceswap did not write it.

    Args:
        data: the file's bytes.

    Raises:
        MediaError: the file or its header is damaged, hostile or of another form. Nothing in it
            was run.
    """
    text = png_header.text(data, KEYWORD)
    if text is None:
        return None
    value = literal.read(text)
    try:
        return Header.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the header"
        raise MediaError(
            f"The faceswap header is not valid: {where[:100]}: {first['msg'][:200]}.",
            "Remove the file, or extract it again.",
        ) from error

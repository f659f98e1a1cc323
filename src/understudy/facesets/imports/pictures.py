"""One face in one picture file from elsewhere: read with distrust, found again, cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from understudy.errors import MediaError
from understudy.faces.align import alignment, warp
from understudy.facesets.crops import SUFFIXES, Crop, sharpness, stored_side
from understudy.facesets.imports import png_header
from understudy.facesets.imports.faceswap import Header, header
from understudy.media.images import decode_image, encode_image
from understudy.settings import ExtractSettings
from understudy.types import Face, Floats, Image

LARGEST = 64 << 20
"""Largest size of a picture's file, in bytes."""

SIDES = (32, 8192)
"""Smallest and largest side of a picture in pixels."""

PADDING = 0.5
"""Edge that is put around a picture in which no face is found, as a share of its longer side:
the detector wants to see more than a face."""


class FindsFaces(Protocol):
    """Whatever finds and measures faces; `faces.analyser.FaceAnalyser` is one."""

    def faces(self, image: Image) -> list[Face]: ...

    def embed(self, image: Image, face: Face) -> Floats: ...


@dataclass(frozen=True)
class Cut:
    """One picture's face.

    Attributes:
        name, sha256: of the picture's file.
        group: what it is from, a film or a folder; number: its place there.
        second: the face's place in its frame.
        header: whether faceswap says so.
    """

    name: str
    sha256: str
    group: str
    number: int
    second: int
    header: bool
    face: Face
    crop: Crop
    embedding: Floats

    @property
    def order(self) -> tuple[int, int, str]:
        return self.number, self.second, self.name


def read(path: Path) -> bytes:
    """A picture's file. Raises MediaError."""
    try:
        size = path.stat().st_size
        if not 0 < size <= LARGEST:
            raise MediaError(f"With {size} bytes it cannot be a picture of a face.", "Remove it.")
        return path.read_bytes()
    except OSError as error:
        raise MediaError(
            f"It cannot be read ({error.strerror}).", "Check the name and the permissions."
        ) from error


def look(
    path: Path, data: bytes, sha256: str, finder: FindsFaces, settings: ExtractSettings
) -> Cut:
    """The face in the middle of a picture.

    Args:
        path: of the picture; data: what `read` gave; sha256: of that.

    Raises:
        MediaError: the picture or its header is damaged or hostile, or there is no face.
    """
    said: Header | None = None
    if png_header.is_png(data):
        # Said by the header alone, before a decoder sets aside memory for it.
        _check_size(*(int.from_bytes(data[at : at + 4], "big") for at in (16, 20)))
        said = header(data)
    image = decode_image(data, path.name)
    _check_size(image.shape[1], image.shape[0])
    face = _face(image, finder)
    group, number = said.film if said else (path.parent.name or "pictures", 0)
    return Cut(
        name=_printable(path.name),
        sha256=sha256,
        group=_printable(group),
        number=number,
        second=said.source.face_index if said else 0,
        header=said is not None,
        face=face,
        crop=_crop(image, face, settings),
        embedding=finder.embed(image, face),
    )


def _printable(text: str) -> str:
    """`text` without bytes that are not UTF-8."""
    return text.encode(errors="replace").decode()


def _crop(image: Image, face: Face, settings: ExtractSettings) -> Crop:
    """The aligned picture of a face, as extraction makes it."""
    size = stored_side(face.landmarks, settings.size)
    matrix = alignment(face.landmarks, size)
    cut = warp(image, matrix, size)
    height, width = image.shape[:2]
    encoded = encode_image(cut, SUFFIXES[settings.format])
    return Crop(0, face.track, width, height, size, sharpness(cut), matrix, encoded)


def _face(image: Image, finder: FindsFaces) -> Face:
    """The face in the middle. Raises MediaError."""
    face = _middle(finder.faces(image), image)
    if face is not None:
        return face
    pad = round(max(image.shape[:2]) * PADDING)
    wide = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    face = _middle(finder.faces(wide), wide)
    if face is None:
        raise MediaError("No face was found in its centre.", "Remove it.")
    x0, y0, x1, y1 = face.box
    landmarks = face.landmarks - np.array([pad, pad, 0], np.float32)
    box = (x0 - pad, y0 - pad, x1 - pad, y1 - pad)
    return Face(box, landmarks, face.score, face.pose)


def _check_size(width: int, height: int) -> None:
    """Raises MediaError when a picture is too small or too large."""
    if not all(SIDES[0] <= side <= SIDES[1] for side in (width, height)):
        raise MediaError(
            f"A face picture of {width} x {height} pixels cannot be used.",
            f"Use pictures of {SIDES[0]} to {SIDES[1]} pixels.",
        )


def _middle(faces: Sequence[Face], image: Image) -> Face | None:
    """The largest face that the picture's middle lies in."""
    y, x = image.shape[0] / 2, image.shape[1] / 2
    around = [
        face
        for face in faces
        if face.box[0] <= x <= face.box[2] and face.box[1] <= y <= face.box[3]
    ]
    return max(around, key=lambda face: face.box[2] - face.box[0], default=None)


def has_pickle(data: bytes) -> bool:
    """Whether a JPEG file carries data of DeepFaceLab: an APP15 segment (ITU-T T.81, B.2.4.6)
    of a pickle."""
    place = 2
    while data[:2] == b"\xff\xd8" and data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xEF:
            return True
        if marker == 0xDA or length < 2:
            return False
        place += 2 + length
    return False

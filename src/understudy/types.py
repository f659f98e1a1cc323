"""Values that the stages exchange: frozen, with their axes, units and ranges.

Pixel coordinates are (x, y), x to the right and y down, with (0, 0) at the centre of the
upper left pixel. Images are RGB, uint8, (height, width, 3). Times are seconds as exact
fractions. Angles are degrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Float64s = NDArray[np.float64]
Box = tuple[float, float, float, float]


def shown_size(width: int, height: int, pixel_aspect: Fraction) -> tuple[int, int]:
    """Width and height in square pixels of a picture whose pixels have this width over height.

    No side becomes smaller.
    """
    if pixel_aspect >= 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


@dataclass(frozen=True)
class Frame:
    """One decoded frame, upright.

    Attributes:
        index: position in the file, counted from its first frame (0), whatever part is read.
        time: presentation time in seconds, exact.
        picture: the decoded planes as in the file (pixel format, bit depth and
            colour tags untouched), already turned upright.
        to_rgb: converts `picture` to RGB; use `image`.
        pixel_aspect: width over height of one pixel of `picture`.
    """

    index: int
    time: Fraction
    picture: av.VideoFrame
    to_rgb: Callable[[av.VideoFrame], Image]
    pixel_aspect: Fraction = Fraction(1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of `image`."""
        return shown_size(self.picture.width, self.picture.height, self.pixel_aspect)

    @cached_property
    def image(self) -> Image:
        """RGB uint8 (height, width, 3) of square pixels, read-only by convention; converted on
        first use. Faces, patches and all coordinates are in its pixels."""
        return self.to_rgb(self.picture)


@dataclass(frozen=True)
class Patch:
    """An image to lay over a frame: `alpha * image + (1 - alpha) * frame`.

    Attributes:
        x, y: position of the patch's upper left pixel in `Frame.image`; may be negative or reach
            past the border (pixels outside are dropped).
        image: RGB uint8 (h, w, 3).
        alpha: float32 (h, w), 0..1. Where it is 0, the frame is bit-identical.
    """

    x: int
    y: int
    image: Image
    alpha: Floats


@dataclass(frozen=True)
class Pose:
    """Head pose in degrees: yaw > 0 turned to image right, pitch > 0 looking up, roll > 0
    turned clockwise in the image."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True)
class Face:
    """One face in one frame.

    Attributes:
        box: (x0, y0, x1, y1) around the landmarks, pixels of the frame.
        landmarks: float32 (468, 3): the mesh, x and y in pixels of the frame, z in the same
            scale (smaller is closer to the camera).
        score: 0..1, confidence of the mesh that this is a face.
        pose: of the head.
        track: number of the track that this face belongs to, unique within one film; -1
            while unknown.
        embedding: float32 (128,) identity embedding, or None where it was not measured.
            Distances are Euclidean; below about 0.6 two faces are likely the same person.
        share: 0..1, how much of what shows there is this track's person; below 1 where one
            person turns into another in a dissolve or a morph. Such a face is there twice, once
            for each track.
    """

    box: Box
    landmarks: Floats
    score: float
    pose: Pose
    track: int = -1
    embedding: Floats | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Track:
    """One face followed through one shot.

    Attributes:
        number: unique within one film.
        shot: number of the shot, from 0.
        first, last: frame indices, both included.
        faces: how many frames of the track contain a face.
        embedding: float32 (128,), mean over the measured frames; None when none was measured.
    """

    number: int
    shot: int
    first: int
    last: int
    faces: int
    embedding: Floats | None

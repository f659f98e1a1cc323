"""Films in which one painted person turns into another, and a tracker that follows the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from tests.support.painted_people import COLOURS, GROUND, SIZE, Act, ColourTracker, embedding, paint
from understudy.types import Face, Floats, Frame, Image, Pose

STEEPLY = 2.05
"""The identity network sees the one who shows more: so much faster than the picture it changes."""

APART = 20
"""Frames between two measurements of the tracker."""


def dissolve(path: Path, shares: Sequence[float], before: str = "red", after: str = "blue") -> Path:
    """Write a film of one face: `shares` of its second person, 0..1, frame by frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8", "g": "12"})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index, share in enumerate(shares):
            one, two = (
                paint([Act(who, 0, len(shares), 90)], index).astype(np.float32)
                for who in (before, after)
            )
            image = np.rint((1 - share) * one + share * two).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def turning(before: int, over: int, after: int) -> list[float]:
    """Shares for so many frames of one, a dissolve over so many, and so many of the other."""
    return [0.0] * before + [(n + 1) / (over + 1) for n in range(over)] + [1.0] * after


def share_of_blue(pixels: Image) -> float:
    """How much blue is in pixels (..., 3) of red and blue, 0..1, however dark they are."""
    red, _, blue = pixels.reshape(-1, 3).astype(np.float64).mean(0)
    (r0, _, b0), (r1, _, b1) = COLOURS["red"], COLOURS["blue"]
    share = (r0 * blue - b0 * red) / ((b1 - b0) * red + (r0 - r1) * blue)
    return float(np.clip(share, 0, 1))


def seen(pixels: Image) -> Floats:
    """Whom an identity network would see in a face."""
    share = np.float32(np.clip((share_of_blue(pixels) - 0.5) * STEEPLY + 0.5, 0, 1))
    return np.asarray((1 - share) * embedding("red") + share * embedding("blue"), np.float32)


@dataclass
class Follower(ColourTracker):
    """Follows the one face in view, whoever it shows."""

    def update(self, frame: Frame) -> list[Face]:
        self.calls += 1
        image = frame.image.astype(np.int16)
        rows, columns = np.nonzero(np.abs(image - np.array(GROUND)).sum(2) > 60)
        if len(rows) < 100:
            return []
        x, y = float(columns.mean()), float(rows.mean())
        self.tracks["red"] = 0
        middle = frame.image[int(y) - 16 : int(y) + 16, int(x) - 12 : int(x) + 12]
        known = seen(middle) if self.calls % APART == 1 else None
        return [replace(self._face("red", x, y), pose=Pose(0, 0, 0), score=0.95, embedding=known)]

    def identify(self, chips: Image) -> Floats:
        return np.stack([seen(chip[55:95, 60:90]) for chip in chips])

"""Films of painted people, and a tracker that knows them by their colour.

Everything else is real: files, decoding, alignment, storing. So the tests of the stages around
the face networks run in seconds and know what must come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from understudy.faces.pose import reference
from understudy.types import Face, Floats, Frame, Image, Pose

SIZE = 192
COLOURS = {"red": (200, 60, 50), "green": (50, 190, 70), "blue": (60, 70, 210)}
GROUND = (120, 120, 120)


@dataclass(frozen=True)
class Act:
    """Somebody in view: whose colour, over which frames (the end not included), where."""

    who: str
    first: int
    end: int
    x: float
    y: float = SIZE / 2


def paint(acts: Sequence[Act], index: int) -> Image:
    image = np.full((SIZE, SIZE, 3), GROUND, np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for act in acts:
        if act.first <= index < act.end:
            x, y = act.x + 6 * np.sin(index / 5), act.y + 5 * np.cos(index / 7)
            inside = ((columns - x) / 26) ** 2 + ((rows - y) / 34) ** 2 <= 1
            image[inside] = COLOURS[act.who]
            image[inside & ((rows + columns + index) % 8 < 2)] //= 2
    return image


def film(path: Path, frames: int, acts: Sequence[Act], rate: int = 25) -> Path:
    """Write a film of `frames` frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8", "g": "12"})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(paint(acts, index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def embedding(who: str) -> Floats:
    """One corner of the space for each person, far from all others."""
    vector = np.zeros(128, np.float32)
    vector[sorted(COLOURS).index(who)] = 1
    return vector


@dataclass
class ColourTracker:
    """Finds the painted people; its memory matters, as that of a real tracker does."""

    shot: int = 0
    calls: int = 0
    tracks: dict[str, int] = field(default_factory=dict)
    middle: dict[str, tuple[float, float]] = field(default_factory=dict)
    made: int = 0
    seen: list[int] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Of every mesh that it finds, pixels; the painted faces are as high."""
        return 60

    def update(self, frame: Frame) -> list[Face]:
        self.calls += 1
        self.seen.append(frame.index)
        image = frame.image[::2, ::2].astype(np.int16)
        faces = []
        for who, colour in COLOURS.items():
            near = np.abs(image - colour).sum(2) < 90
            if near.sum() < 25:
                self.tracks.pop(who, None)
                self.middle.pop(who, None)
                continue
            if who not in self.tracks:
                self.tracks[who] = self.made
                self.made += 1
            rows, columns = np.nonzero(near)
            x, y = 2 * float(columns.mean()), 2 * float(rows.mean())
            before = self.middle.get(who, (x, y))
            x, y = 0.7 * x + 0.3 * before[0], 0.7 * y + 0.3 * before[1]
            self.middle[who] = (x, y)
            faces.append(self._face(who, x, y))
        return faces

    def back(self, frame: Frame, face: Face) -> Face | None:
        """Nobody comes late, so nobody was there before."""
        return None

    def identify(self, chips: Image) -> Floats:
        """By the colour in the middle of each chip."""
        middle = chips[:, 60:90, 60:90].reshape(len(chips), -1, 3).astype(np.int16)
        return np.stack([embedding(_nearest(pixels)) for pixels in middle])

    def _face(self, who: str, x: float, y: float) -> Face:
        head = reference().points
        points = (head - head.mean(0)) / np.ptp(head[:, 1]) * self.height
        landmarks = (points + np.array([x, y, 0])).astype(np.float32)
        low, high = landmarks.min(0), landmarks.max(0)
        measured = self.calls % 3 == 1
        wobble = np.float32(0.01) * np.sin(np.arange(128, dtype=np.float32) + self.calls)
        return Face(
            box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
            landmarks=landmarks,
            score=0.9,
            pose=Pose(self.calls / 7, x / 3, y / 11),
            track=self.tracks[who],
            embedding=embedding(who) + wobble if measured else None,
        )

    def state(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "tracks": dict(self.tracks),
            "middle": {who: list(place) for who, place in self.middle.items()},
            "made": self.made,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.calls, self.made = state["calls"], state["made"]
        self.tracks = dict(state["tracks"])
        self.middle = {who: (x, y) for who, (x, y) in state["middle"].items()}


def _nearest(pixels: NDArray[np.int16]) -> str:
    """Whose colour most pixels (n, 3) have."""
    counts = {
        who: int((np.abs(pixels - colour).sum(1) < 90).sum()) for who, colour in COLOURS.items()
    }
    return max(counts, key=lambda who: counts[who])


def seconds(frame: int, rate: int = 25) -> Fraction:
    """When a frame of a painted film is shown."""
    return Fraction(frame, rate)

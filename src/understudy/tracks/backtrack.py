"""Faces from when they came into view.

While a film is looked through, a new face is found some frames late, because the detector does not
look at every frame. Frames therefore wait a while with their faces, and a face that appears is
followed backwards through those that wait, to where it came from: a swap begins with the face and
does not pop up on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.faces.analyser import covered
from understudy.types import Face, Frame

WAITING_BYTES = 96 << 20
"""Largest total size of waiting pictures; large frames wait for a shorter time."""

BYTES_PER_PIXEL = 5
"""Size of a frame: its native planes and its RGB picture, with a margin."""


class FollowsBack(Protocol):
    """The required methods of a tracker."""

    def back(self, frame: Frame, face: Face) -> Face | None:
        """The face `face` in the previous frame; None if it is not there."""


@dataclass(frozen=True)
class Waiting:
    """A frame with its faces, and the shot that it belongs to."""

    frame: Frame
    shot: int
    faces: list[Face]


class Entrances:
    """Fed every frame in order with the faces found in it, gives them back some frames later,
    with faces that were found only after them.

    Args:
        tracker: that found the faces.
        most: frames that wait, at most.
    """

    def __init__(self, tracker: FollowsBack, most: int) -> None:
        self._tracker, self._most = tracker, most
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        """How many frames wait."""
        return len(self._waiting)

    def add(self, frame: Frame, shot: int, faces: Sequence[Face]) -> Iterator[Waiting]:
        """Take the next frame; gives those that have waited long enough, oldest first."""
        before = {face.track for face in self._waiting[-1].faces} if self._waiting else set()
        for face in faces:
            if face.track not in before:
                self._follow(face, shot)
        self._waiting.append(Waiting(frame, shot, list(faces)))
        width, height = frame.size
        pixels = width * height
        most = min(self._most, WAITING_BYTES // (pixels * BYTES_PER_PIXEL))
        while len(self._waiting) > most:
            yield self._waiting.popleft()

    def rest(self) -> Iterator[Waiting]:
        """All frames that wait still, oldest first."""
        while self._waiting:
            yield self._waiting.popleft()

    def _follow(self, face: Face, shot: int) -> None:
        """Put a face that has just appeared into the frames before."""
        for row in reversed(self._waiting):
            if row.shot != shot or any(other.track == face.track for other in row.faces):
                return
            found = self._tracker.back(row.frame, face)
            if found is None or covered(found, row.faces):
                return
            row.faces.append(found)
            face = found

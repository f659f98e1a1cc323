"""When a followed face becomes another person's: measured backwards, where it is worth it.

A track goes on through a dissolve, a morph, a cut that nobody saw, or a face that leaves as another
enters in its place. The tracker measures who it shows now and then; when two such measurements
differ, the frames between are measured too, halving the way again and again, so that a change is
known to the frame and a still shot costs nothing. For that the faces cut out since the last
measurement are kept. Nothing is kept from one chunk of a scan to the next: the faces at both ends
of a chunk are measured instead, so that a scan goes on exactly as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from understudy.faces.identity import face_chips
from understudy.tracks.tracker import PATIENCE, STEADILY, good_view
from understudy.types import Face, Floats, Frame, Image

CHANGED = 0.5
"""Embedding distance of two measurements of a track from which the frames between are measured. Of
one person, measured 20 frames apart, 99 of 100 lay nearer."""

FINELY = 0.25
"""Embedding distance down to which the way is halved further."""

ENDS = 4
"""Frames since its last measurement after which a track's end is measured."""

AROUND = 0.4
"""How much of a face's surroundings is kept on each side, as a share of its larger side: more than
a chip shows."""

FINE = 80
"""Pixels of a face's width that are kept at least; more tell no more."""

HELD = PATIENCE * STEADILY + 1
"""Faces of one track that are kept, at most."""


@dataclass(frozen=True)
class Late:
    """What was measured of a face in an earlier frame.

    Attributes:
        index: of the frame.
        track: of the face.
        embedding: float32 (128,).
    """

    index: int
    track: int
    embedding: Floats


class Identifies(Protocol):
    """What is needed of a tracker."""

    def identify(self, chips: Image) -> Floats: ...


@dataclass(frozen=True)
class _Cut:
    """What is kept of a face in frame `index`: its surroundings, RGB uint8 (h, w, 3), made `factor`
    times smaller from pixel `corner` of the frame on, and its mesh in the frame. A chip is made of
    it only when it is measured."""

    index: int
    good: bool
    part: Image
    landmarks: Floats
    corner: tuple[int, int]
    factor: int

    @classmethod
    def of(cls, frame: Frame, face: Face, good: bool) -> _Cut:
        x0, y0, x1, y1 = face.box
        room = AROUND * max(x1 - x0, y1 - y0)
        height, width = frame.image.shape[:2]
        # At least one pixel, for faces that lie outside of the frame altogether.
        left = int(np.clip(x0 - room, 0, width - 1))
        top = int(np.clip(y0 - room, 0, height - 1))
        right, bottom = max(int(x1 + room), left + 1), max(int(y1 + room), top + 1)
        part = frame.image[top:bottom, left:right]
        factor = max(int((x1 - x0) // FINE), 1)
        # Whole blocks of pixels become one; a face at the frame's border may have none left.
        rows, columns = part.shape[0] // factor, part.shape[1] // factor
        if factor > 1 and min(rows, columns) > 0:
            whole = part[: rows * factor, : columns * factor]
            part = np.asarray(
                cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
            )
        else:
            part, factor = part.copy(), 1
        return cls(frame.index, good, part, face.landmarks, (left, top), factor)

    def chip(self) -> Image:
        """RGB uint8 (1, 150, 150, 3), see `face_chips`."""
        points = self.landmarks.astype(np.float32)
        points[:, :2] = (points[:, :2] - self.corner + 0.5) / self.factor - 0.5
        return face_chips(self.part, [points])


@dataclass
class _Since:
    """A track since its last measurement, in frame `index`, if there was one."""

    index: int = 0
    embedding: Floats | None = None
    cuts: list[_Cut] = field(default_factory=list)


class Changes:
    """Fed every frame in order with its faces; tells what else was measured.

    Args:
        tracker: that found the faces.
    """

    def __init__(self, tracker: Identifies) -> None:
        self._tracker = tracker
        self._tracks: dict[int, _Since] = {}
        self._begins = True

    def add(self, frame: Frame, faces: Sequence[Face]) -> list[Late]:
        """Take the next frame; gives what was measured of its faces and of earlier ones."""
        late: list[Late] = []
        for face in faces:
            known = face.track in self._tracks
            since = self._tracks.setdefault(face.track, _Since())
            embedding = face.embedding
            good = good_view(face, frame.image)
            if embedding is None:
                cut = _Cut.of(frame, face, good)
                if self._begins or (good and not known):
                    embedding = self._identity(cut)
                    late.append(Late(frame.index, face.track, embedding))
                else:
                    since.cuts = [*since.cuts[1 - HELD :], cut]
            if embedding is not None:
                late += self._between(face.track, since, frame.index, embedding)
                self._tracks[face.track] = _Since(frame.index, embedding)
        self._begins = False
        here = {face.track for face in faces}
        for track in [track for track in self._tracks if track not in here]:
            late += self._end(track, self._tracks.pop(track))
        return late

    def rest(self) -> list[Late]:
        """What is measured at the end of a chunk. The next frame begins another one."""
        late: list[Late] = []
        for track, since in self._tracks.items():
            late += self._end(track, since)
        self._tracks, self._begins = {}, True
        return late

    def _end(self, track: int, since: _Since) -> list[Late]:
        """Measure the last good view of a track."""
        last = next((cut for cut in reversed(since.cuts) if cut.good), None)
        if last is None or (since.embedding is not None and last.index - since.index < ENDS):
            return []
        embedding = self._identity(last)
        found = self._between(track, since, last.index, embedding)
        return [Late(last.index, track, embedding), *found]

    def _between(self, track: int, since: _Since, index: int, embedding: Floats) -> list[Late]:
        """Measure on the way from the last measurement to this one, if they differ."""
        if since.embedding is None or _apart(since.embedding, embedding) <= CHANGED:
            return []
        cuts = [cut for cut in since.cuts if cut.index < index]
        return self._halved(track, cuts, since.embedding, embedding)

    def _halved(
        self, track: int, cuts: Sequence[_Cut], before: Floats, after: Floats
    ) -> list[Late]:
        if not cuts or _apart(before, after) <= FINELY:
            return []
        middle = len(cuts) // 2
        here = self._identity(cuts[middle])
        return [
            *self._halved(track, cuts[:middle], before, here),
            Late(cuts[middle].index, track, here),
            *self._halved(track, cuts[middle + 1 :], here, after),
        ]

    def _identity(self, cut: _Cut) -> Floats:
        return np.asarray(self._tracker.identify(cut.chip())[0], np.float32)


def _apart(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(one - other))

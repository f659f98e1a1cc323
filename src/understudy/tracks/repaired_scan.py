"""A scan with repaired tracks: created by `repair`, used by conversions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from understudy.faces.analyser import covered
from understudy.tracks.division import Mixture
from understudy.tracks.scan_store import FrameRow, Scan
from understudy.types import Face, Floats, Pose, Track

AROUND = 2
"""Frames over which the speed of a face at the edge of a gap is measured."""

HIDES = 0.5
"""Overlap with another person's face from which a missed face is behind it."""


@dataclass(frozen=True)
class Gap:
    """Frames in which a track's face was missed: those between `before` and `after`."""

    track: int
    before: int
    after: int


@dataclass(frozen=True)
class Stretch:
    """Frames `first` to `last`, both included, in which a scanned track counts as `number`."""

    first: int
    last: int
    number: int


@dataclass(frozen=True)
class MendedScan(Scan):
    """A scan whose tracks were put right; everything else is the scan's.

    A face that was filled in has score 0 and no embedding. It moves on the cubic curve through
    its places before and after with its speeds there (Hermite's), which lies half as far from the
    truth as the straight line where someone walks.

    Attributes:
        mended: the tracks.
        stretches: what the scanned tracks count as, by number.
        gaps: the filled parts.
        brief: numbers of tracks too short to be anything but a flash.
        together: pairs of tracks, lower number first, that are in view at the same time.
        cuts: frames in which a track counts as another one after all, by its number.
        mixtures: where the face of one track turns into that of another. There it is given twice,
            once for each, with its `share`.
    """

    mended: tuple[Track, ...] = ()
    stretches: Mapping[int, tuple[Stretch, ...]] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    brief: frozenset[int] = frozenset()
    together: frozenset[tuple[int, int]] = frozenset()
    cuts: Mapping[int, tuple[Stretch, ...]] = field(default_factory=dict)
    mixtures: tuple[Mixture, ...] = ()

    @cached_property
    def tracks(self) -> list[Track]:
        """Every track, by number."""
        return list(self.mended)

    @cached_property
    def _gaps_at(self) -> dict[int, list[Gap]]:
        found: dict[int, list[Gap]] = {}
        for gap in self.gaps:
            start, end = self.place(gap.before), self.place(gap.after)
            assert start is not None
            assert end is not None
            for place in range(start + 1, end):
                found.setdefault(self.indices[place], []).append(gap)
        return found

    @cached_property
    def _mixed_at(self) -> dict[int, list[Mixture]]:
        found: dict[int, list[Mixture]] = {}
        for mixture in self.mixtures:
            for index in mixture.shares:
                found.setdefault(index, []).append(mixture)
        return found

    def faces(self, index: int) -> list[Face]:
        """Faces of the frame with this index, filled ones last; none outside of the scan."""
        found = [
            replace(face, track=_number(self.stretches, face.track, index))
            for face in super().faces(index)
        ]
        for gap in self._gaps_at.get(index, ()):
            face = self._filled(gap, index)
            if not covered(face, found, HIDES):
                found.append(face)
        for mixture in self._mixed_at.get(index, ()):
            found = [half for face in found for half in _halves(face, mixture, index)]
        if not self.cuts:
            return found
        return [replace(f, track=_number(self.cuts, f.track, index)) for f in found]

    def __iter__(self) -> Iterator[FrameRow]:
        """Every scanned frame with its faces as `faces` gives them, in order."""
        for row in super().__iter__():
            yield replace(row, faces=tuple(self.faces(row.index)))

    def _filled(self, gap: Gap, index: int) -> Face:
        start, place, end = (self.place(at) for at in (gap.before, index, gap.after))
        assert start is not None
        assert place is not None
        assert end is not None
        before, after = self._face(gap.track, start), self._face(gap.track, end)
        assert before is not None
        assert after is not None
        length = self.times[end] - self.times[start]
        share = float((self.times[place] - self.times[start]) / length)
        way = _middle(after) - _middle(before)
        bend = share * (1 - share) ** 2 * (self._way(gap.track, start, -AROUND, length, way) - way)
        bend -= share**2 * (1 - share) * (self._way(gap.track, end, AROUND, length, way) - way)
        return between(before, after, share, np.asarray(bend, np.float32), gap.track)

    def _face(self, track: int, place: int) -> Face | None:
        """The scanned face of a mended track."""
        if not 0 <= place < self.frames:
            return None
        index = self.indices[place]
        for face in super().faces(index):
            if _number(self.stretches, face.track, index) == track:
                return face
        return None

    def _way(self, track: int, place: int, away: int, length: Fraction, straight: Floats) -> Floats:
        """How far a face would go in a gap of `length` seconds at its speed beside the gap."""
        here, there = self._face(track, place), self._face(track, place + away)
        if here is None or there is None:
            return straight
        speed = (_middle(there) - _middle(here)) / float(
            self.times[place + away] - self.times[place]
        )
        return speed * np.float32(length)


def _halves(face: Face, mixture: Mixture, index: int) -> list[Face]:
    """A face once for each of the two people who show in it; as it is if it is another one."""
    if face.track not in (mixture.before, mixture.after):
        return [face]
    share = mixture.shares[index]
    shares = {mixture.before: 1 - share, mixture.after: share}
    return [replace(face, track=track, share=part) for track, part in shares.items()]


def _middle(face: Face) -> Floats:
    """Mean of the landmarks, (x, y)."""
    return np.asarray(face.landmarks[:, :2].mean(0), np.float32)


def _number(stretches: Mapping[int, tuple[Stretch, ...]], track: int, index: int) -> int:
    """What a track counts as in a frame."""
    for stretch in stretches.get(track, ()):
        if stretch.first <= index <= stretch.last:
            return stretch.number
    return track


def between(before: Face, after: Face, share: float, bend: Floats, track: int) -> Face:
    """A face that was missed, from the same face before and after.

    Args:
        share: of the way from `before` to `after`, 0..1.
        bend: (x, y), its distance from the straight path, pixels.
    """

    def mix(a: Any, b: Any) -> Any:
        return (1 - share) * a + share * b

    poses = ((getattr(f.pose, name) for name in ("yaw", "pitch", "roll")) for f in (before, after))
    box = np.array(mix(np.array(before.box), np.array(after.box))) + np.tile(bend, 2)
    x0, y0, x1, y1 = (float(side) for side in box)
    landmarks = mix(before.landmarks, after.landmarks).astype(np.float32)
    landmarks[:, :2] += bend
    return Face(
        box=(x0, y0, x1, y1),
        landmarks=landmarks,
        score=0.0,
        pose=Pose(*(mix(a, b) for a, b in zip(*poses, strict=True))),
        track=track,
    )

"""Tracks that show one person after another, divided where one becomes the other.

A track goes on through a dissolve, a morph, a cut that nobody saw, or a face that leaves as another
enters in its place. What was measured along it tells: one person's measurements lie together, in
any pose and light (in films of one person the means of two parts of a track were never seen further
apart than 0.33), two people's do not (0.65 and more). In the frames between, each measurement lies
between both people's means, and where it lies tells how much shows of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from understudy.tracks.measurements import Rows, read_rows, voted
from understudy.tracks.scan_store import Scan
from understudy.types import Float64s, Track

APART = 0.6
"""Embedding distance of two parts of a track from which they show two people."""

ALIKE = 0.5
"""Embedding distance up to which neighbours are put together, before it is known who is who."""

STRANGE = 0.75
"""The same for a part after which the first person is back: a hand or a shadow passes, too."""

BACK = 0.45
"""Embedding distance up to which the person after such a part is the one before it."""

TIGHT = 0.6
"""Share of the distance between two parts within which the measurements of each must lie from its
mean, root mean square."""

STRAIGHT = 0.5
"""Measurements that lie this much beside the straight way between two people, as a share of the
distance to the nearer one, at most, show both of them."""

LEAST = 2
"""Fewest sure measurements of one person."""

SURE = (45.0, 30.0)
"""Degrees of yaw and pitch up to which a measurement can say that this is another person."""

WIDE = 32.0
"""Pixels of a face's width from which it can."""

PURE = 0.25
"""Share of the way between two people up to which a measurement counts as one person's."""

AROUND = 6
"""Measurements beside the change that tell where it begins and ends, on each side."""

EDGE = 0.1
"""Share of the way at both ends of a change that is no more than the noise of measurements."""

STEEP = 4.1
"""A dissolve lasts so many times as long as measurements take from a quarter of the way to three
quarters of it, because a mixture of two people looks like the one who shows more: in dissolves of 6
and 12 frames, whose shares are known to the pixel, it was 4.1 and 4.2 times as long."""

BEYOND = 0.2
"""Share of a change that may lie beyond the measurements that see only one of both."""

NOTHING = 0.07
"""A smaller share of somebody does not show."""


@dataclass(frozen=True)
class Part:
    """Frames `first` to `last` of a scanned track, both included, in which mostly one person
    shows. The first part has the number of the track, later ones have numbers of their own."""

    first: int
    last: int
    number: int


@dataclass(frozen=True)
class Mixture:
    """Frames in which one part of a track turns into the next.

    Attributes:
        before, after: numbers of the parts.
        shares: 0..1, how much shows of the person after, by frame; never falls.
    """

    before: int
    after: int
    shares: Mapping[int, float]


@dataclass(frozen=True)
class Division:
    """The tracks of a scan, each of one person.

    Attributes:
        tracks: all of them, by number.
        parts: of the tracks that were divided, by their number in the scan.
        mixtures: where one becomes the other.
    """

    tracks: tuple[Track, ...]
    parts: Mapping[int, tuple[Part, ...]] = field(default_factory=dict)
    mixtures: tuple[Mixture, ...] = ()

    def number(self, track: int, index: int) -> int:
        """What a scanned track counts as in a frame."""
        for part in self.parts.get(track, ()):
            if part.first <= index <= part.last:
                return part.number
        return track

    def mixed(self, track: int, index: int) -> bool:
        """Whether two people show in a face at once."""
        return track in self.parts and any(
            index in mixture.shares and self.number(track, index) in (mixture.before, mixture.after)
            for mixture in self.mixtures
        )


def divide(scan: Scan, rows: Rows | None = None) -> Division:
    """Divide the tracks of a scan that show more than one person.

    Args:
        rows: of the scan, where they are read already.

    Raises:
        DamagedTable: a chunk of the scan is damaged.
    """
    rows = read_rows(scan) if rows is None else rows
    fresh = int(rows.track.max(initial=-1)) + 1
    tracks: list[Track] = []
    parts: dict[int, tuple[Part, ...]] = {}
    mixtures: list[Mixture] = []
    order = np.lexsort((rows.place, rows.track))
    for own in np.split(order, np.flatnonzero(np.diff(rows.track[order])) + 1):
        if not len(own):
            continue
        track, changes = int(rows.track[own[0]]), _changes(scan, rows, own)
        numbers = [track, *range(fresh, fresh + len(changes))]
        fresh += len(changes)
        of_one = _OfOne(scan, rows, own, numbers, changes)
        tracks += of_one.tracks()
        mixtures += of_one.mixtures()
        if changes:
            parts[track] = tuple(Part(t.first, t.last, t.number) for t in of_one.tracks())
    tracks.sort(key=lambda track: track.number)
    return Division(tuple(tracks), parts, tuple(mixtures))


@dataclass(frozen=True)
class _OfOne:
    """What becomes of one track: its rows in order, the numbers of its parts, and how much shows of
    each next person in each row."""

    scan: Scan
    rows: Rows
    own: NDArray[np.int64]
    numbers: Sequence[int]
    changes: Sequence[Float64s]

    @property
    def _frames(self) -> list[int]:
        return [self.scan.indices[place] for place in self.rows.place[self.own]]

    @staticmethod
    def _between(change: Float64s) -> NDArray[np.bool_]:
        return np.asarray((change > NOTHING) & (change < 1 - NOTHING), bool)

    def mixtures(self) -> list[Mixture]:
        found, frames = [], self._frames
        for (before, after), change in zip(pairwise(self.numbers), self.changes, strict=True):
            between = np.flatnonzero(self._between(change))
            if len(between):
                shares = {frames[n]: float(change[n]) for n in between}
                found.append(Mixture(before, after, shares))
        return found

    def tracks(self) -> list[Track]:
        """The parts; whoever shows more in a frame has it."""
        mixed = np.zeros(len(self.own), bool)
        which = np.zeros(len(self.own), int)
        for change in self.changes:
            mixed |= self._between(change)
            which += change > 0.5
        found, frames = [], self._frames
        for at, number in enumerate(self.numbers):
            whole = np.flatnonzero(which == at)
            if not len(whole):
                continue
            alone = self.rows.identity(self.own[whole[~mixed[whole]]])
            identity = self.rows.identity(self.own[whole]) if alone is None else alone
            shot = self.scan.shots[int(self.rows.place[self.own[whole[0]]])]
            first, last = frames[whole[0]], frames[whole[-1]]
            found.append(Track(number, shot, first, last, len(whole), identity))
        return found


def _changes(scan: Scan, rows: Rows, own: NDArray[np.int64]) -> list[Float64s]:
    """For each time that a track (rows in order) becomes another person's, how much shows of that
    person in each of its rows: (n,), 0..1, rising."""
    at = np.flatnonzero(rows.measured[own])
    if len(at) < 2 * LEAST:
        return []
    embeddings = rows.embedding[own[at]].astype(np.float64)
    sure = _sure(scan, rows, own[at])
    people = _People(embeddings, rows.quality[own[at]], sure)
    starts = people.starts()
    places = np.arange(len(own), dtype=np.float64)
    bounds = [0, *starts, len(at)]
    changes = []
    for n, start in enumerate(starts):
        begins, ends = people.ramp(bounds[n], start, bounds[n + 2], places[at])
        share = (places - begins) / max(ends - begins, 1e-6)
        changes.append(np.clip(share, 0, 1))
    return changes


def _sure(scan: Scan, rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which measurements are good enough to say that this is another person."""
    box = rows.box[chosen]
    good = (np.abs(rows.pose[chosen]) < SURE).all(axis=1) & (box[:, 2] - box[:, 0] >= WIDE)
    if (size := scan.meta.get("size")) is not None:
        good &= (box[:, :2] >= 0).all(axis=1) & (box[:, 2:] < np.array(size)).all(axis=1)
    return np.asarray(good, bool)


@dataclass(frozen=True)
class _People:
    """The measurements of a track in order: (n, 128), their quality (n,), and which are sure."""

    embeddings: Float64s
    quality: Float64s
    sure: NDArray[np.bool_]

    def starts(self) -> list[int]:
        """The measurements with which other people begin: neighbours that are alike are put
        together, the most alike first, until who is left is apart."""
        starts = self._groups()
        while (idle := self._idle(starts)) is not None:
            del starts[idle]
        return starts[1:]

    def _groups(self) -> list[int]:
        """With which measurements the groups begin that neighbours make."""
        own = np.flatnonzero(self.sure)
        starts = [int(one) for one in own]
        weights = [float(one) for one in self.quality[own]]
        means = list(self.embeddings[own])
        gaps = [_distance(one, two) for one, two in pairwise(means)]
        while gaps and (least := min(gaps)) <= ALIKE:
            at = gaps.index(least)
            total = weights[at] + weights[at + 1]
            means[at] = (weights[at] * means[at] + weights[at + 1] * means[at + 1]) / total
            weights[at] = total
            del means[at + 1], weights[at + 1], starts[at + 1], gaps[at]
            for near in (at - 1, at):
                if 0 <= near < len(gaps):
                    gaps[near] = _distance(means[near], means[near + 1])
        return [0, *starts[1:]]

    def _idle(self, starts: Sequence[int]) -> int | None:
        """Number of a group that is nobody new; None when every group is."""
        bounds = [*starts, len(self.sure)]
        groups = [np.flatnonzero(self.sure[a:b]) + a for a, b in pairwise(bounds)]
        if len(groups) < 2:
            return None
        means = [self._mean(group) for group in groups]
        for n, group in enumerate(groups):
            if len(group) < LEAST:
                return max(n, 1)
            if 0 < n < len(groups) - 1 and self._passes(*means[n - 1 : n + 2]):
                return n
        for n in range(1, len(groups)):
            if _distance(means[n - 1], means[n]) <= ALIKE:
                return n
            if self._pair(bounds[n - 1], bounds[n], bounds[n + 1]) is None:
                return n
        return None

    @staticmethod
    def _passes(before: Float64s, here: Float64s, after: Float64s) -> bool:
        """Whether a group between two others is only a hand before the face of the first, who is
        back after it, or both of the others at once."""
        if _distance(before, after) < BACK:
            return _distance(before, here) < STRANGE
        straight = after - before
        share = float((here - before) @ straight) / float(straight @ straight)
        beside = _distance(here, before + share * straight)
        nearer = min(_distance(here, before), _distance(here, after))
        return PURE < share < 1 - PURE and beside < STRAIGHT * nearer

    def _pair(self, first: int, start: int, end: int) -> tuple[Float64s, Float64s] | None:
        """Means of the two people before and after; None when it is one person."""
        left = np.flatnonzero(self.sure[first:start]) + first
        right = np.flatnonzero(self.sure[start:end]) + start
        if min(len(left), len(right)) < LEAST:
            return None
        one, two = self._mean(left), self._mean(right)
        for _ in range(2):
            way = self._way(one, two)
            left, right = left[way[left] < PURE], right[way[right] > 1 - PURE]
            if min(len(left), len(right)) < LEAST:
                return None
            one, two = self._mean(left), self._mean(right)
        apart = float(np.linalg.norm(two - one))
        spread = max(self._spread(left, one), self._spread(right, two))
        return (one, two) if apart > APART and spread < TIGHT * apart else None

    def ramp(self, first: int, start: int, end: int, places: Float64s) -> tuple[float, float]:
        """From where to where somebody comes, who begins with measurement `start`; the same place
        twice where it happens at once.

        Args:
            places: of the measurements, (n,), in frames in which there is a face.
        """
        pair = self._pair(first, start, end)
        places, here = places[first:end], start - first
        sudden = float(places[here - 1] + places[here]) / 2
        if pair is None:
            return sudden, sudden
        way = self._way(*pair)[first:end]
        while here > 1 and way[here - 1] > 0.5:
            here -= 1
        while here < len(way) - 1 and way[here] <= 0.5:
            here += 1
        low = float(np.clip(way[max(here - AROUND, 0) : here].min(), 0, 0.4))
        high = float(np.clip(way[here : here + AROUND].max(), 0.6, 1))
        way = np.clip((way - low) / (high - low), 0, 1)
        # Far from the change a measurement wanders without anybody's coming or going.
        before = max((n for n in range(here) if way[n] <= EDGE), default=0)
        after = min((n for n in range(here, len(way)) if way[n] >= 1 - EDGE), default=len(way) - 1)
        rising = np.maximum.accumulate(way[before : after + 1])
        if places[after] - places[before] <= 1:
            middle = float(places[before] + places[after]) / 2
            return middle, middle
        quarters = np.interp([0.25, 0.75], rising, places[before : after + 1])
        length, middle = STEEP * float(np.diff(quarters)[0]), float(quarters.mean())
        begins = max(middle - length / 2, float(places[before]) - length * BEYOND)
        ends = min(middle + length / 2, float(places[after]) + length * BEYOND)
        return (begins, ends) if ends > begins else (middle, middle)

    def _mean(self, chosen: NDArray[np.intp]) -> Float64s:
        return np.asarray(voted(self.embeddings[chosen], self.quality[chosen]), np.float64)

    def _spread(self, chosen: NDArray[np.intp], mean: Float64s) -> float:
        away = np.linalg.norm(self.embeddings[chosen] - mean, axis=1)
        return float(np.sqrt((away**2).mean()))

    def _way(self, one: Float64s, two: Float64s) -> Float64s:
        """How far each measurement lies on the way between two people, 0 and 1 at their means."""
        straight = two - one
        return np.asarray(
            (self.embeddings - one) @ straight / max(float(straight @ straight), 1e-12)
        )


def _distance(one: Float64s, two: Float64s) -> float:
    return float(np.linalg.norm(one - two))

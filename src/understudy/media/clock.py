"""One growing clock for a file whose own jumps.

Recordings that were joined, cut out of broadcasts, split by a camera or taken up again after a lost
line carry time stamps that start again, or leap, in the middle: for all of their tracks, and not at
the very same packet of each. Here every packet gets the time at which a player would play it: each
part of the file continues where the pictures of the previous part end, and sound keeps its distance
from the pictures of its own part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

STEADY = frozenset({"mov", "matroska", "avi", "gif", "apng", "nut", "ivf"})
"""Containers that have one clock by their make, and an index: they are taken at their word."""

LEAPING = frozenset({"mpegts", "mpeg"})
"""Containers that always run on: a long time without packets is a clock that was set forward. In
others a picture may stand for as long as it likes."""

ROUND = Fraction(1 << 33, 90000)
"""Seconds after which the clock of such a container begins again by itself; a clock that is set
back is read as one that has come round."""

BACK = Fraction(1, 10)
"""Seconds by which decoding times may go back before the clock counts as set back: less is a
muxer's rounding."""

AHEAD = Fraction(10)
"""Seconds without a packet of any track after which the clock counts as set forward; less is a
gap that is kept."""

ASIDE = Fraction(1)
"""Seconds by which a track may begin earlier in a part than it ended in the part before."""

FIRST = 8
"""Packets of pictures in which the earliest of a part is looked for: they are stored in another
order than that of showing."""

PATIENCE = 1000
"""Packets that are held at most while a new part's pictures are waited for."""

KNOWN = 8
"""How many parts back a track may still be: packets of different tracks change parts one after
the other."""


@dataclass(frozen=True)
class Jump:
    """Where a clock jumps.

    Attributes:
        at: on the growing clock, seconds, the beginning of the new part.
        by: seconds from the file's own clock to where it continues; negative for back.
    """

    at: Fraction
    by: Fraction


@dataclass
class _Track:
    """Position of a track.

    Attributes:
        part: of its last packet.
        last: when that is decoded by the file's clock.
        decoded, end: on the growing clock, when it is over in decoding and where the track ends.
        delay: from decoding to showing it, seconds.
    """

    part: int = 0
    last: Fraction | None = None
    decoded: Fraction | None = None
    end: Fraction | None = None
    delay: Fraction = Fraction(0)


@dataclass
class _Known:
    """The times of a packet by the file's clock, seconds.

    Attributes:
        guessed: whether the time of showing was made by the demuxer out of the next packet's time
            of decoding, which is of another part already; that of decoding stands for it.
    """

    decoded: Fraction
    shown: Fraction
    length: Fraction
    guessed: bool


def jumps(container: InputContainer) -> bool:
    """Whether the clock of such a container may jump."""
    return container.format.name.split(",")[0] not in STEADY


@dataclass
class Clock:
    """Packets of one opened file, from its beginning, with times of one growing clock.

    Attributes:
        jumps: found so far.
    """

    container: InputContainer
    jumps: list[Jump] = field(default_factory=list)

    def __post_init__(self) -> None:
        cover = av.stream.Disposition.attached_pic
        films = [s.index for s in self.container.streams.video if not s.disposition & cover]
        self._leader = films[0] if films else None
        self._leaps = self.container.format.name in LEAPING
        self._offsets = [Fraction(0)]
        self._tracks: dict[int, _Track] = {}
        self._end: Fraction | None = None

    def packets(self) -> Iterator[tuple[Packet[Any], int]]:
        """Every packet with its times set, and the number of its part; those that carry no time
        stay as they are."""
        coming = iter(self.container.demux())
        held: deque[Packet[Any]] = deque()
        while True:
            packet = held.popleft() if held else next(coming, None)
            if packet is None:
                return
            known = _known(packet)
            track = self._tracks.setdefault(packet.stream.index, _Track(self._newest(packet)))
            if known is not None and not self._goes_on(track, known):
                leads = packet.stream.index == self._leader
                part = self._other(track, known, BACK if leads else ASIDE)
                track.part = self._begin(packet, track, coming, held) if part is None else part
            if known is not None:
                self._move(packet, track, known)
            yield packet, track.part

    def _newest(self, packet: Packet[Any]) -> int:
        """The part in which a track begins that was not there before."""
        known = _known(packet)
        if known is None or self._end is None or len(self._offsets) == 1:
            return len(self._offsets) - 1
        end = self._end
        return min(
            range(len(self._offsets)),
            key=lambda part: abs(known.decoded + self._offsets[part] - end),
        )

    def _goes_on(self, track: _Track, known: _Known) -> bool:
        """Whether a packet follows those before it by the clock of its track's part."""
        if track.last is not None and known.decoded < track.last - BACK:
            return False
        if self._end is None or not self._leaps:
            return True
        return known.decoded + self._offsets[track.part] <= self._end + AHEAD

    def _other(self, track: _Track, known: _Known, aside: Fraction) -> int | None:
        """The part by whose clock the packet follows; None where there is none.

        A later part may begin a little before the track's end in its own; to an earlier one it
        comes back where single packets had other times.
        """
        if track.decoded is None or self._end is None:
            return None
        newest = len(self._offsets) - 1
        near = []
        for part in range(max(0, newest - KNOWN), newest + 1):
            time = known.decoded + self._offsets[part]
            least = track.decoded - (aside if part > track.part else BACK)
            most = self._end + AHEAD if part > track.part else track.decoded + ASIDE
            if part != track.part and least <= time <= most:
                near.append((abs(time - track.decoded), -part))
        return -min(near)[1] if near else None

    def _begin(
        self,
        packet: Packet[Any],
        track: _Track,
        coming: Iterator[Packet[Any]],
        held: deque[Packet[Any]],
    ) -> int:
        """Begin a part: its pictures follow the pictures of the part before it.

        Where a track without pictures jumps first, the packets to come tell when its pictures
        do; where they do not, its own packets follow one another.
        """
        leader = self._tracks.get(self._leader) if self._leader is not None else None
        own = _known(packet)
        assert own is not None
        first = [own] if packet.stream.index == self._leader else []
        steady = 0
        ahead: list[Packet[Any]] = []
        follows = track
        if leader is not None:
            for later in self._looked_at(coming, held, ahead):
                if later.stream.index != self._leader or (known := _known(later)) is None:
                    continue
                if not first and self._goes_on(leader, known):
                    steady += 1
                    if steady > 2 * FIRST:
                        break
                    continue
                first.append(known)
                if len(first) >= FIRST:
                    break
        held.extendleft(reversed(ahead))
        # A single packet with a wrong time has no others after it.
        shown = [each.shown for each in first if each.decoded - first[0].decoded <= AHEAD]
        shown = [time for time in shown if time >= first[0].shown - ASIDE]
        if shown and leader is not None:
            begin, follows = min(shown), leader
        else:
            begin = own.shown
        end = follows.end if follows.end is not None else self._end or Fraction(0)
        before = end - self._offsets[follows.part]
        self._offsets.append(end - begin)
        by = begin - before
        if self._leaps and abs(by) > ROUND / 2:
            by -= ROUND if by > 0 else -ROUND
        self.jumps.append(Jump(end, by))
        return len(self._offsets) - 1

    def _looked_at(
        self,
        coming: Iterator[Packet[Any]],
        held: deque[Packet[Any]],
        ahead: list[Packet[Any]],
    ) -> Iterator[Packet[Any]]:
        """The packets to come, which go to `ahead` as they are looked at."""
        while len(ahead) < PATIENCE:
            packet = held.popleft() if held else next(coming, None)
            if packet is None:
                return
            ahead.append(packet)
            yield packet

    def _move(self, packet: Packet[Any], track: _Track, known: _Known) -> None:
        offset = self._offsets[track.part]
        base = packet.time_base
        shift = round(offset / base)
        if packet.pts is not None and packet.dts is not None and known.guessed:
            packet.pts = packet.dts + round(track.delay / base)
        elif packet.pts is not None and packet.dts is not None:
            track.delay = known.shown - known.decoded
        if packet.dts is not None:
            packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift
        track.last = known.decoded
        track.decoded = known.decoded + known.length + offset
        end = known.shown + known.length + offset + (track.delay if known.guessed else 0)
        track.end = end if track.end is None else max(track.end, end)
        self._end = end if self._end is None else max(self._end, end)


def _known(packet: Packet[Any]) -> _Known | None:
    """The times of a packet; None where it has none."""
    if not packet.size or not packet.time_base:
        return None
    decoded = packet.dts if packet.dts is not None else packet.pts
    if decoded is None:
        return None
    shown = packet.pts if packet.pts is not None else decoded
    base = Fraction(packet.time_base)
    guessed = abs(shown - decoded) * base > AHEAD
    length = (packet.duration or 0) * base
    return _Known(decoded * base, (decoded if guessed else shown) * base, length, guessed)

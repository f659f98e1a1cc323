"""The inside of reading a film: where to start, decoding, numbering and damage."""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import pixel_shape, planes
from understudy.media.clock import Clock, jumps
from understudy.media.fields import Fields
from understudy.media.info import MediaInfo
from understudy.media.overlay import lay
from understudy.media.resize import fitted
from understudy.types import Frame, Patch

_MOST_THREADS = 8
# How much of the end may be missing before a film counts as cut off, seconds.
_SLACK = Fraction(1, 4)
# Packets at the end of a part that a container may take for damaged.
_CUT = 4
# Other sizes that a sentence names at most.
_SIZES = 3
# Containers that store their length up front, so that a shorter file has been cut.
_HONEST = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv"})


class Index:
    """Where a part of a film begins.

    Attributes:
        target: first time stamp wanted.
        before: number of frames before it.
        key: decoding and presentation time stamps of the key frame to start decoding at; None
            when decoding must start at the file's beginning.
    """

    def __init__(self, target: int, before: int, key: tuple[int, int] | None) -> None:
        self.target, self.before, self.key = target, before, key


def _hidden(packet: Packet[Any], codec: str) -> bool:
    """Whether a packet gives no frame to show: edited out, or a VP8 reference (RFC 6386, 9.1)."""
    if packet.is_discard:
        return True
    return codec == "vp8" and packet.size > 0 and not bytes(packet)[0] & 0x10


def survey(
    container: InputContainer, stream: VideoStream, target: int, *, lead: bool = False
) -> Index | None:
    """Count the frames before `target` by reading packets without decoding them.

    Args:
        lead: whether frames before the target are needed too.

    Nothing that comes after a packet with a decoding time at or after `target` can be shown
    before it. None when packets carry no times.
    """
    codec = stream.codec_context.name
    before = 0
    key: tuple[int, int] | None = None
    jumping = jumps(container)
    packets = (each for each, _ in Clock(container).packets()) if jumping else None
    try:
        for packet in packets or container.demux(stream):
            if packet.size == 0 or packet.stream.index != stream.index:
                continue
            if packet.pts is None or packet.dts is None:
                return None
            if packet.is_keyframe and packet.pts <= target - lead:
                key = packet.dts, packet.pts
            if packet.dts >= target:
                break
            if packet.pts < target and not _hidden(packet, codec):
                before += 1
    except av.error.FFmpegError:
        return None
    return Index(target, before, key)


Timed = Iterator["tuple[Packet[Any], int]"]
"""Packets with times that grow, and the number of the part of the file that each is in: a decoder
knows nothing in one part of another."""


def in_order(container: InputContainer, clock: Clock) -> Timed:
    """All packets of a file."""
    if jumps(container):
        return clock.packets()
    return ((packet, 0) for packet in container.demux())


def from_key(
    container: InputContainer, stream: VideoStream, index: Index, clock: Clock
) -> Timed | None:
    """Packets from the key frame on; None when the container does not seek so exactly.

    Where a clock jumps, one time may be that of many places: what lies before is read, but not
    decoded.
    """
    assert index.key is not None
    if jumps(container):
        return _after(clock.packets(), stream, index.key)
    packets = _sought(container, stream, index.key)
    return None if packets is None else ((packet, 0) for packet in packets)


def _after(packets: Timed, stream: VideoStream, key: tuple[int, int]) -> Timed:
    begun = False
    for packet, part in packets:
        mine = packet.stream.index == stream.index
        begun = begun or (mine and packet.is_keyframe and (packet.dts, packet.pts) == key)
        if begun or not mine:
            yield packet, part


def _sought(
    container: InputContainer, stream: VideoStream, key: tuple[int, int]
) -> Iterator[Packet[Any]] | None:
    dts, pts = key
    try:
        container.seek(dts, stream=stream, backward=True)
    except av.error.FFmpegError:
        return None
    packets = container.demux()

    def rest(first: list[Packet[Any]]) -> Iterator[Packet[Any]]:
        yield from first
        yield from packets

    held: list[Packet[Any]] = []
    try:
        for packet in packets:
            held.append(packet)
            if packet.stream.index == stream.index:
                if packet.is_keyframe and packet.pts is not None and packet.pts <= pts:
                    return rest(held)
                return None
    except av.error.FFmpegError:
        return None
    return None


class Decoding:
    """One run over one opened film.

    Args:
        info: of the film.
        start, end: the part to deliver, seconds.
        damage: gets sentences on what could not be decoded or kept as it is.
        index: where decoding begins; None for the beginning of the file.
        clock: that gives the packets their times.
    """

    def __init__(
        self,
        info: MediaInfo,
        start: Fraction | None,
        end: Fraction | None,
        damage: list[str],
        container: InputContainer,
        stream: VideoStream,
        index: Index | None,
        clock: Clock,
    ) -> None:
        self.clock, self.part = clock, 0
        self.doubtful: deque[bool] = deque(maxlen=_CUT)
        self.info, self.start, self.end, self.damage = info, start, end, damage
        self.container, self.stream = container, stream
        self.waiting: list[int] = []
        self.timed = True
        self.target = index.target if index else None
        self.next = index.before if index else 0
        self.last: Fraction | None = None
        self.whole = index is None and self.end is None
        self.packets = self.failed = self.lost = self.marred = self.repaired = 0
        self.reached = Fraction(0)
        self.failure = ""
        self.to_rgb = pixel_shape.rgb_of(info.pixel_aspect)
        self.resized = 0
        self.sizes: dict[str, Fraction] = {}
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)

    def frames(self, packets: Timed) -> Iterator[Frame]:
        start, end = self.start, self.end
        delivered = 0
        try:
            with closing(self._decoded(packets)) as pictures:
                for number, picture in self._numbered(pictures):
                    frame = self._frame(number, picture)
                    if end is not None and frame.time >= end:
                        self.waiting.clear()
                        return
                    if start is None or frame.time >= start:
                        delivered += 1
                        yield frame
            self._look_at_the_end()
        finally:
            self._tell()
        if not delivered and (self.failed or self.failure):
            raise MediaError(
                f"No frame of {self.info.path} can be decoded at this point ({self.failure}).",
                "Copy or download it again, or choose another part.",
            )

    def _numbered(
        self, pictures: Iterator[av.VideoFrame | None]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures with their numbers; of an interlaced film one for each field."""
        info = self.info
        if not info.fields or info.rate is None:
            for picture in pictures:
                if picture is not None:
                    self.marred += picture.is_corrupt
                    yield self._number(picture.pts), picture
            return
        fields = Fields(info.fields, 2 * info.time_base, info.rate / 2)
        for picture in pictures:
            if picture is None:
                yield from fields.rest()
            else:
                self.marred += picture.is_corrupt
                yield from fields.add(picture, self._number(picture.pts))
        yield from fields.rest()

    def _decoded(self, packets: Timed) -> Generator[av.VideoFrame | None, None, None]:
        """The pictures; None where a part of the file ends."""
        codec = self.stream.codec_context.name
        packets = iter(packets)
        while True:
            try:
                coming = next(packets, None)
            except av.error.FFmpegError as error:
                self.failure = error.strerror or type(error).__name__
                coming = None
            if coming is None:
                break
            packet, part = coming
            if packet.size and packet.pts is not None and packet.time_base:
                stop = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                self.reached = max(self.reached, stop)
            if packet.stream.index != self.stream.index or not packet.size:
                continue
            self.packets += 1
            if part != self.part:
                yield from self._end_part(part)
                yield None
            if packet.pts is None:
                self.timed = False
            elif not _hidden(packet, codec) and (self.target is None or packet.pts >= self.target):
                heapq.heappush(self.waiting, packet.pts)
            self.doubtful.append(packet.is_corrupt)
            self.failed += packet.is_corrupt
            yield from self._decode(packet)
        yield from self._decode(None)

    def _end_part(self, part: int) -> list[av.VideoFrame]:
        """The pictures that the decoder holds still, before it begins with another part."""
        # The last packets are marked as damaged only because another part comes after them.
        self.failed -= sum(self.doubtful)
        self.doubtful.clear()
        pictures = self._decode(None) if self.packets > 1 else []
        self.stream.codec_context.flush_buffers()
        self.part = part
        return pictures

    def _decode(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            self.failed += 1
            self.failure = error.strerror or type(error).__name__
            return []

    def _frame(self, index: int, picture: av.VideoFrame) -> Frame:
        base = self.info.time_base
        step = 1 / self.info.rate if self.info.rate else base
        if picture.pts is None:
            time = Fraction(0) if self.last is None else self.last + step
        else:
            time = picture.pts * base - self.info.start
        if self.last is not None and time <= self.last:
            time = self.last + base
            self.repaired += 1
        self.last = time
        tags = colours.tags_of(picture).or_else(self.info.tags)
        opacity = planes.opacity(picture)
        picture = planes.simplify(picture)
        if opacity is not None and opacity.min() < 1:
            white = np.full((*opacity.shape, 3), 255, np.uint8)
            picture = lay(picture, [Patch(0, 0, white, 1 - opacity)])
        if picture.format.name.startswith("rgb"):
            tags = self.info.tags
        picture = planes.turn(picture, self.info.turn)
        colours.put_tags(picture, tags)
        size = self.info.width, self.info.height, self.info.pixel_aspect
        aspect = self._aspect()
        if (picture.width, picture.height, aspect) != size:
            picture = self._resized(picture, time, aspect)
        picture.time_base = base
        picture.pts = round((time + self.info.start) / base)
        return Frame(index, time, picture, self.to_rgb, self.info.pixel_aspect)

    def _aspect(self) -> Fraction:
        """Width over height of the pixels of the picture decoded last, upright."""
        own = pixel_shape.believed(self.stream.codec_context.sample_aspect_ratio)
        if own == self.info.coded_aspect:
            return self.info.pixel_aspect
        return 1 / own if self.info.turn.transpose else own

    def _resized(self, picture: av.VideoFrame, time: Fraction, aspect: Fraction) -> av.VideoFrame:
        """The picture in the size and pixel shape of the film's first frame."""
        if (self.start is None or time >= self.start) and (self.end is None or time < self.end):
            self.resized += 1
            said = f"{picture.width}x{picture.height}"
            if said == f"{self.info.width}x{self.info.height}":
                said += f" with pixels {aspect.numerator}:{aspect.denominator}"
            self.sizes.setdefault(said, time)
        return fitted(picture, self.info, aspect)

    def _number(self, pts: int | None) -> int:
        """Position in the file: how many frames are to be shown before this time stamp."""
        if self.timed and pts is not None:
            if self.target is not None and pts < self.target:
                return -1
            while self.waiting and self.waiting[0] < pts:
                heapq.heappop(self.waiting)
                self.next += 1
                self.lost += 1
            if self.waiting and self.waiting[0] == pts:
                heapq.heappop(self.waiting)
        self.next += 1
        return self.next - 1

    def _look_at_the_end(self) -> None:
        self.lost += len(self.waiting)
        self.waiting.clear()
        if self.end is not None:
            return
        name = self.info.path.name
        told = self.stream.frames
        length = self.container.duration
        if self.whole and told and self.packets < told:
            self.damage.append(f"{name} is cut off: it contains {self.packets} of {told} frames.")
        elif length and self.container.format.name in _HONEST:
            missing = Fraction(length, av.time_base) - (self.reached - self._file_start())
            if missing > _SLACK:
                self.damage.append(
                    f"{name} is cut off: the last {float(missing):.2f} s are missing."
                )

    def _file_start(self) -> Fraction:
        return Fraction(self.container.start_time or 0, av.time_base)

    def _tell(self) -> None:
        name = self.info.path.name
        for count, what in (
            (
                self.failed,
                "packets could not be decoded" + f" ({self.failure})" * bool(self.failure),
            ),
            (self.lost, "frames could not be decoded and are skipped"),
            (self.marred, "frames are damaged and shown as far as possible"),
            (self.repaired, "time stamps did not increase and were moved to the next tick"),
        ):
            if count:
                self.damage.append(f"{name}: {count} {what}.")
        for jump in self.clock.jumps[:1]:
            count = len(self.clock.jumps)
            times = "once" if count == 1 else f"{count} times, first"
            way = "back" if jump.by < 0 else "forward"
            self.damage.append(
                f"{name}: its clock jumps {times} after {float(jump.at - self.info.start):.3f} s, "
                f"{way} by {float(abs(jump.by)):.3f} s. The frames after the jump follow directly "
                "after the frames before it."
            )
        if self.resized:
            sizes = ", ".join([*self.sizes][:_SIZES]) + ", ..." * (len(self.sizes) > _SIZES)
            self.damage.append(
                f"{name}: {self.resized} frames, the first at "
                f"{float(min(self.sizes.values())):.3f} s, are {sizes} and were resized to "
                f"{self.info.width}x{self.info.height}, the size of the film's first frame. "
                "To keep their size, cut the film there."
            )

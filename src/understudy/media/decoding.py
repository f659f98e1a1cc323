"""The inside of reading a film: where to start, decoding, numbering and damage."""

from __future__ import annotations

import heapq
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes, shape
from understudy.media.fitting import fitted
from understudy.media.info import MediaInfo
from understudy.types import Frame

_MOST_THREADS = 8
# How much of the end may be missing before a film counts as cut off, seconds.
_SLACK = Fraction(1, 4)
# Other sizes that a sentence names at most.
_SIZES = 3
# Containers that store their length up front, so that a shorter file has been cut.
_HONEST = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv"})


class Index:
    """Where a part of a film begins.

    Attributes:
        target: first time stamp wanted.
        before: number of frames that come before it.
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


def survey(container: InputContainer, stream: VideoStream, target: int) -> Index | None:
    """Count the frames before `target` by reading packets without decoding them.

    Nothing that comes after a packet with a decoding time at or after `target` can be shown
    before it. None when packets carry no times.
    """
    codec = stream.codec_context.name
    before = 0
    key: tuple[int, int] | None = None
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None or packet.dts is None:
                return None
            if packet.is_keyframe and packet.pts <= target:
                key = packet.dts, packet.pts
            if packet.dts >= target:
                break
            if packet.pts < target and not _hidden(packet, codec):
                before += 1
    except av.error.FFmpegError:
        return None
    return Index(target, before, key)


def from_key(
    container: InputContainer, stream: VideoStream, index: Index
) -> Iterator[Packet[Any]] | None:
    """Packets from the key frame on; None when the container does not seek so exactly."""
    assert index.key is not None
    dts, pts = index.key
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
    ) -> None:
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
        self.to_rgb = shape.rgb_of(info.pixel_aspect)
        self.resized = 0
        self.sizes: dict[str, Fraction] = {}
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)

    def frames(self, packets: Iterator[Packet[Any]]) -> Iterator[Frame]:
        start, end = self.start, self.end
        delivered = 0
        try:
            with closing(self._decoded(packets)) as pictures:
                for picture in pictures:
                    frame = self._frame(picture)
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
                f"No frame of {self.info.path} can be decoded there ({self.failure}).",
                "Copy or download it again, or choose another part.",
            )

    def _decoded(self, packets: Iterator[Packet[Any]]) -> Generator[av.VideoFrame, None, None]:
        codec = self.stream.codec_context.name
        packets = iter(packets)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self.failure = error.strerror or type(error).__name__
                packet = None
            if packet is None:
                break
            if packet.size and packet.pts is not None and packet.time_base:
                stop = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                self.reached = max(self.reached, stop)
            if packet.stream.index != self.stream.index or not packet.size:
                continue
            self.packets += 1
            if packet.pts is None:
                self.timed = False
            elif not _hidden(packet, codec) and (self.target is None or packet.pts >= self.target):
                heapq.heappush(self.waiting, packet.pts)
            if packet.is_corrupt:
                self.failed += 1
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            self.failed += 1
            self.failure = error.strerror or type(error).__name__
            return []

    def _frame(self, picture: av.VideoFrame) -> Frame:
        if picture.is_corrupt:
            self.marred += 1
        index = self._number(picture.pts)
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
        picture = planes.simplify(picture)
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
        own = shape.believed(self.stream.codec_context.sample_aspect_ratio)
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
            self.damage.append(f"{name} is cut off: {self.packets} of {told} frames are there.")
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
            (self.lost, "frames could not be decoded and are left out"),
            (self.marred, "frames are damaged and shown as far as they can be"),
            (self.repaired, "time stamps did not grow and were moved to the next tick"),
        ):
            if count:
                self.damage.append(f"{name}: {count} {what}.")
        if self.resized:
            sizes = ", ".join([*self.sizes][:_SIZES]) + ", ..." * (len(self.sizes) > _SIZES)
            self.damage.append(
                f"{name}: {self.resized} frames, the first at "
                f"{float(min(self.sizes.values())):.3f} s, are {sizes} and were brought to "
                f"{self.info.width}x{self.info.height}, the size of the film's first frame. "
                "Cut the film there to keep their own size."
            )

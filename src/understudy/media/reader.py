"""Frames out of a film: each once, in order of presentation, upright, with exact times."""

from __future__ import annotations

import heapq
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.images import read_image
from understudy.media.probe import MediaInfo, image_files, open_video, probe
from understudy.types import Frame

PREFETCH = 4
"""Frames decoded ahead of the consumer."""

_MOST_THREADS = 8
_SLACK = Fraction(1, 4)


class VideoReader:
    """A film, GIF, image or folder of images as `Frame`s; iterate over it, as often as needed.

    A thread of its own decodes a few frames ahead. `Frame.index` counts the coded frames from
    the file's first, wherever reading starts; a frame that cannot be decoded leaves a gap in
    the numbers. `Frame.time` is the file's own time stamp less that of its first frame.

    Args:
        path: what to read.
        start, end: seconds; the first frame is that at or after `start`, the last is before
            `end`. None is the film's own beginning or end.
        rate: frames a second of a folder of images; 25 when not given.

    Attributes:
        info: what `probe` says of the film.
        damage: sentences on what could not be decoded, filled while reading.

    Raises:
        MediaError: as `probe`; or, while reading, when nothing at all can be decoded.
    """

    def __init__(
        self,
        path: Path | str,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        rate: Fraction | None = None,
    ) -> None:
        self.path = Path(path)
        self.info: MediaInfo = probe(self.path, rate)
        self.start = None if start is None or start <= 0 else Fraction(start)
        self.end = None if end is None else Fraction(end)
        self.damage: list[str] = []
        self._running: list[_Ahead] = []

    @property
    def frames(self) -> int | None:
        """About how many frames will come; None when unknown."""
        total, rate = self.info.frames, self.info.rate
        if self.start is None and self.end is None:
            return total
        if rate is None or (self.end is None and total is None):
            return None
        last = self.end if total is None else min(self.end or total / rate, total / rate)
        assert last is not None
        return max(0, round((last - (self.start or 0)) * rate))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding; iterators that are still in use end."""
        for ahead in list(self._running):
            ahead.stop()
        self._running.clear()

    def __iter__(self) -> Iterator[Frame]:
        self.damage.clear()
        source = self._images() if self.info.kind == "images" else self._film()
        ahead = _Ahead(source)
        self._running.append(ahead)
        try:
            yield from ahead
        finally:
            ahead.stop()
            if ahead in self._running:
                self._running.remove(ahead)

    def _images(self) -> Iterator[Frame]:
        step = self.info.time_base
        delivered = 0
        for index, path in enumerate(image_files(self.path)):
            time = index * step
            if self.end is not None and time >= self.end:
                break
            if self.start is not None and time < self.start:
                continue
            try:
                image = read_image(path)
            except MediaError as error:
                self.damage.append(error.problem)
                continue
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = index, step
            colours.put_tags(picture, self.info.tags)
            delivered += 1
            yield Frame(index, time, picture, planes.to_rgb)
        if not delivered and self.damage:
            raise MediaError(self.damage[-1], "Copy or download the images again.")

    def _film(self) -> Iterator[Frame]:
        index = None
        if self.start is not None:
            with open_video(self.path) as (container, stream):
                index = _survey(container, stream, self._ticks(self.start))
        if index is not None and index.key is not None:
            with open_video(self.path) as (container, stream):
                packets = _from_key(container, stream, index)
                if packets is not None:
                    yield from _Decoding(self, container, stream, index).frames(packets)
                    return
        with open_video(self.path) as (container, stream):
            whole = container.demux()
            yield from _Decoding(self, container, stream, None).frames(whole)

    def _ticks(self, time: Fraction) -> int:
        """The first time stamp at or after `time`."""
        exact = (time + self.info.start) / self.info.time_base
        return -(-exact.numerator // exact.denominator)


class _Ahead:
    """Runs an iterator in a thread, at most `PREFETCH` frames ahead."""

    def __init__(self, source: Iterator[Frame]) -> None:
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(PREFETCH)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(source,), name="understudy-decode", daemon=True
        )
        self._thread.start()

    def _run(self, source: Iterator[Frame]) -> None:
        last: BaseException | None = None
        try:
            for frame in source:
                if not self._put(frame):
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised again in the consumer
            last = error
        close = getattr(source, "close", None)
        if close is not None:
            close()
        self._put(last)

    def _put(self, item: Frame | BaseException | None) -> bool:
        while not self._stopping.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Frame]:
        while not self._stopping.is_set():
            try:
                item = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """End the thread and wait until it has closed the file."""
        self._stopping.set()
        self._thread.join()


class _Index:
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


def _survey(container: InputContainer, stream: VideoStream, target: int) -> _Index | None:
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
    return _Index(target, before, key)


def _from_key(
    container: InputContainer, stream: VideoStream, index: _Index
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


class _Decoding:
    """One run over one opened film."""

    def __init__(
        self,
        reader: VideoReader,
        container: InputContainer,
        stream: VideoStream,
        index: _Index | None,
    ) -> None:
        self.reader, self.info = reader, reader.info
        self.container, self.stream = container, stream
        self.waiting: list[int] = []
        self.timed = True
        self.target = index.target if index else None
        self.next = index.before if index else 0
        self.last: Fraction | None = None
        self.whole = index is None and reader.end is None
        self.packets = self.failed = self.lost = self.marred = self.repaired = 0
        self.reached = Fraction(0)
        self.failure = ""
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(os.cpu_count() or 1, _MOST_THREADS)

    def frames(self, packets: Iterator[Packet[Any]]) -> Iterator[Frame]:
        start, end = self.reader.start, self.reader.end
        delivered = 0
        try:
            with closing(self._decoded(packets)) as pictures:  # type: ignore[type-var]
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
                f"No frame of {self.reader.path} can be decoded there ({self.failure}).",
                "Copy or download it again, or choose another part.",
            )

    def _decoded(self, packets: Iterator[Packet[Any]]) -> Iterator[av.VideoFrame]:
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
        picture.time_base = base
        picture.pts = round((time + self.info.start) / base)
        return Frame(index, time, picture, planes.to_rgb)

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
        if self.reader.end is not None:
            return
        name = self.reader.path.name
        told = self.stream.frames
        length = self.container.duration
        if self.whole and told and self.packets < told:
            self.reader.damage.append(
                f"{name} is cut off: {self.packets} of {told} frames are there."
            )
        elif length and self.container.format.name in _HONEST:
            missing = Fraction(length, av.time_base) - (self.reached - self._file_start())
            if missing > _SLACK:
                self.reader.damage.append(
                    f"{name} is cut off: the last {float(missing):.2f} s are missing."
                )

    def _file_start(self) -> Fraction:
        return Fraction(self.container.start_time or 0, av.time_base)

    def _tell(self) -> None:
        name = self.reader.path.name
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
                self.reader.damage.append(f"{name}: {count} {what}.")


# Containers that store their length up front, so that a shorter file has been cut.
_HONEST = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv"})

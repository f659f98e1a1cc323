"""Frames out of a film: each once, in order of presentation, upright, with exact times."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.clock import Clock
from understudy.media.decoding import Decoding, Index, from_key, in_order, survey
from understudy.media.images import read_image
from understudy.media.info import MediaInfo
from understudy.media.pages import Pages
from understudy.media.probe import image_files, is_still, open_video, pages_in, probe
from understudy.media.resize import fitted
from understudy.types import Frame, Image

PREFETCH = 4
"""Frames decoded ahead of the consumer."""


class VideoReader:
    """A film, GIF, image or folder of images as `Frame`s; iterate over it, as often as needed.

    A separate thread decodes a few frames ahead. `Frame.index` counts the coded frames from
    the file's first, wherever reading starts; a frame that cannot be decoded leaves a gap in
    the numbers. `Frame.time` is the file's own time stamp less that of its first frame. All frames
    of a film have the size of its first; images of a folder have their own.

    Args:
        path: what to read.
        start, end: seconds; the first frame is that at or after `start`, the last is before
            `end`. None is the film's own beginning or end.
        rate: frames a second of a folder of images; 25 when not given.

    Attributes:
        info: what `probe` says of the film.
        damage: sentences about parts not decoded or not kept unchanged, filled while reading.

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
        source = self._images() if self.info.container == "images" else self._film()
        ahead = _Ahead(source)
        self._running.append(ahead)
        try:
            yield from ahead
        finally:
            ahead.stop()
            if ahead in self._running:
                self._running.remove(ahead)

    def _images(self) -> Iterator[Frame]:
        base = self.info.time_base
        delivered = 0
        for index, (time, image) in enumerate(self._pictures()):
            if self.end is not None and time >= self.end:
                break
            if image is None or (self.start is not None and time < self.start):
                continue
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = round(time / base), base
            colours.put_tags(picture, self.info.tags)
            delivered += 1
            yield Frame(index, time, picture, planes.to_rgb)
        if not delivered and self.damage:
            raise MediaError(self.damage[-1], "Copy or download the images again.")

    def _pictures(self) -> Iterator[tuple[Fraction, Image | None]]:
        """The pictures with their times; None, and a sentence in `damage`, for one that cannot be
        decoded."""
        pages = None if self.path.is_dir() else pages_in(self.path)
        if pages is not None:
            yield from self._pages(pages)
            return
        for index, path in enumerate(image_files(self.path)):
            time = index * self.info.time_base
            if self.start is not None and time < self.start:
                yield time, None
                continue
            try:
                if self.path.is_dir() and not is_still(path):
                    raise MediaError(f"{path} contains several pictures and was skipped.", "")
                yield time, read_image(path)
            except MediaError as error:
                self.damage.append(error.problem)
                yield time, None

    def _pages(self, pages: Pages) -> Iterator[tuple[Fraction, Image | None]]:
        """As `_pictures`, in the size of the first."""
        size = self.info.width, self.info.height
        resized = 0
        for number, (time, image) in enumerate(
            zip(pages.times(self.info.time_base), pages.images(), strict=True), 1
        ):
            if image is None:
                self.damage.append(f"Picture {number} of {self.path.name} cannot be decoded.")
            elif (image.shape[1], image.shape[0]) != size:
                resized += 1
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                colours.put_tags(picture, self.info.tags)
                image = planes.to_rgb(fitted(picture, self.info, Fraction(1)))
            yield time, image
        if resized:
            self.damage.append(
                f"{self.path.name}: {resized} of {len(pages)} pictures have another size and were "
                f"resized to {size[0]}x{size[1]}, as the first."
            )

    def _film(self) -> Iterator[Frame]:
        index = None
        if self.start is not None:
            with open_video(self.path) as (container, stream):
                interlaced = bool(self.info.fields)
                index = survey(container, stream, self._ticks(self.start), lead=interlaced)
        if index is not None and index.key is not None:
            with open_video(self.path) as (container, stream):
                clock = Clock(container)
                packets = from_key(container, stream, index, clock)
                if packets is not None:
                    yield from self._decoding(container, stream, index, clock).frames(packets)
                    return
        with open_video(self.path) as (container, stream):
            clock = Clock(container)
            whole = in_order(container, clock)
            yield from self._decoding(container, stream, None, clock).frames(whole)

    def _decoding(
        self, container: InputContainer, stream: VideoStream, index: Index | None, clock: Clock
    ) -> Decoding:
        part = self.start, self.end
        return Decoding(self.info, *part, self.damage, container, stream, index, clock)

    def _ticks(self, time: Fraction) -> int:
        """The first time stamp at or after `time`; of the picture that a field at `time` is in."""
        exact = (time + self.info.start) / self.info.time_base
        if self.info.fields:
            # The second field is half a picture later than its picture's own time.
            return math.ceil(exact / 2 - 1 / (self.info.rate or 1) / self.info.time_base / 2)
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

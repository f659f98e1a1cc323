"""Render frames into segments: decoding, drawing and encoding run in parallel."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from understudy.conversion.compositing.occlusion import REACH, Around, Glance
from understudy.conversion.segments import Finished, Segments
from understudy.conversion.swapper import Draws
from understudy.media import side_by_side
from understudy.media.pixel_shape import stored
from understudy.media.video import MediaInfo, SegmentWriter
from understudy.progress import Task
from understudy.runtime.devices import few_threads
from understudy.runtime.prefetch import ahead
from understudy.settings import EncodeSettings
from understudy.types import Face, Frame, Patch

GROUP_FRAMES = 16
"""Largest number of frames whose faces are collected before the network runs."""

GROUP_BYTES = 192 << 20
"""Pictures that a group may hold, roughly; large frames make smaller groups. `REACH` more frames
are held to look ahead."""

RENDER_AHEAD = 8
"""Largest number of finished frames that wait for the encoder."""

FILM, SIDE, MATTE = "film", "side", "matte"
"""Names of the outputs of a segment: the film, input and result side by side, the alpha."""

MATTE_ENCODE = EncodeSettings(codec="ffv1")

BYTES_PER_PIXEL = 6
"""Size of a frame: its native planes and its RGB picture."""


def swapped(
    frames: Iterable[Frame],
    faces: Callable[[int], Sequence[Face]],
    drawer: Draws,
    segment: int,
    first: Fraction | None = None,
) -> Iterator[tuple[Frame, list[Patch]]]:
    """Every frame, in order, with its patches.

    Groups see what lies around them. A segment's first looks again at what lies before it, so
    that what is drawn does not depend on where the reading began.

    Args:
        faces: for `drawer`, by frame index.
        first: time of the first frame to draw, seconds; `lead` says which frames precede it.
    """
    coming = ((frame, faces(frame.index)) for frame in frames)
    before: deque[tuple[Frame, Sequence[Face]]] = deque(maxlen=REACH)
    held = deque(islice(coming, 1))
    while held and first is not None and held[0][0].time < first:
        before.append(held.popleft())
        held.extend(islice(coming, 1))
    seen: dict[tuple[int, int], Glance] = {}
    left = segment
    while held:
        limit = min(_group(held[0][0]), left)
        held.extend(islice(coming, limit + REACH - len(held)))
        group = [held.popleft() for _ in range(min(limit, len(held)))]
        led = [*before] if left == segment else []
        patches = drawer.patches(group, Around(led, [*islice(held, REACH)], seen))
        for (frame, _), laid in zip(group, patches, strict=True):
            yield frame, laid
        before.extend(group)
        left -= len(group)
        if not left:
            left, seen = segment, {}


def lead(times: Sequence[Fraction], first: Fraction | None) -> Fraction | None:
    """Where reading must start in order to draw from `first` on.

    Args:
        times: of the film's frames, seconds, in order.
    """
    return first if first is None else times[max(0, bisect_left(times, first) - REACH)]


def _group(frame: Frame) -> int:
    """How many frames of this size are drawn together."""
    width, height = frame.size
    pixels = width * height
    return max(1, min(GROUP_FRAMES, GROUP_BYTES // (pixels * BYTES_PER_PIXEL)))


@dataclass(frozen=True)
class Laid:
    """Overlays on the pictures of a film besides faces: label and watermark.

    Attributes:
        label: what is laid over the frame shown at a time (seconds); None for nothing.
        marks: by output, the function that adds the watermark.
    """

    label: Callable[[Fraction], Sequence[Patch]] | None = None
    marks: Mapping[str, Callable[[av.VideoFrame], av.VideoFrame]] = field(default_factory=dict)


PLAIN = Laid()


class _Writers:
    """The writers of one segment's outputs; a context manager, as each of them is."""

    def __init__(
        self, paths: dict[str, Path], info: MediaInfo, encode: EncodeSettings, laid: Laid
    ) -> None:
        forms = {
            FILM: (info, encode),
            SIDE: (replace(info, width=2 * side_by_side.even(info.width)), encode),
            MATTE: (_grey(info), MATTE_ENCODE),
        }
        self._label = laid.label
        self._writers = {
            name: SegmentWriter(path, *forms[name], mark=laid.marks.get(name))
            for name, path in paths.items()
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            for writer in self._writers.values():
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame, patches: Sequence[Patch]) -> None:
        faces = stored(frame, patches)
        label = self._label(frame.time) if self._label else ()
        shown = [*faces, *stored(frame, label)]
        self._writers[FILM].write(frame, shown)
        if side := self._writers.get(SIDE):
            side.write(side_by_side.doubled(frame), side_by_side.moved(shown, frame))
        if matte := self._writers.get(MATTE):
            matte.write_rgb(side_by_side.matte(frame, faces), frame.time)


def _grey(info: MediaInfo) -> MediaInfo:
    """Of a matte: each of its pixels is one of the film's."""
    grey = info.reshaped(info.width, info.height, grey=True)
    return replace(grey, pixel_aspect=info.pixel_aspect)


def write_segments(
    frames: Iterable[Frame],
    faces: Callable[[int], Sequence[Face]],
    drawer: Draws,
    length: int,
    segments: Segments,
    info: MediaInfo,
    encode: EncodeSettings,
    task: Task,
    laid: Laid = PLAIN,
    first: Fraction | None = None,
) -> None:
    """Render the missing part of `segments`.

    Args:
        frames: from where the finished segments end to the end of the part, and those that
            `lead` it.
        faces: for `drawer`, by frame index.
        length: frames in a segment.
        info: of the film.
        task: counts every frame.
        laid: label and watermark.
        first: time at which the finished segments end, seconds.

    Raises:
        MediaError: the film cannot be read or the outputs cannot be written.
        StorageError: the disk is full. Finished segments are kept then, as after any other
            error or interruption.
    """
    stream = swapped(frames, faces, drawer, length, first)
    with few_threads(), ahead(stream, RENDER_AHEAD) as rendered:
        following = next(rendered, None)
        while following is not None:
            count = changed = 0
            with _Writers(segments.new_files(), info, encode, laid) as writers:
                for frame, patches in islice(chain([following], rendered), length):
                    writers.write(frame, patches)
                    count += 1
                    changed += bool(patches)
                    task.step()
            following = next(rendered, None)
            after: Fraction | None = following[0].time if following else None
            segments.finish(Finished(count, changed, after))

"""What a conversion leaves alone: samples outside of the face, frames without the person.

Looked at in the picture's own planes, before label, mark and encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.common import Line
from understudy import Project
from understudy.conversion.plan import cast_of, look_for, plan
from understudy.conversion.render import swapped
from understudy.conversion.request import ConversionRequest
from understudy.faces.masks import reach_mask
from understudy.media import planes
from understudy.media.overlay import lay
from understudy.media.video import VideoReader
from understudy.progress import silent
from understudy.tracks.smoothing import Steady
from understudy.types import Face, Frame, Patch

ROOM = 2
"""Samples around the region of a face that are not looked at: its edge runs between pixels."""


@dataclass(frozen=True)
class Spared:
    """What changed where nothing may.

    Attributes:
        film: what was looked at.
        frames: in it; in `without` of these the person is not in view.
        changed_without: frames of those that are not what they were, to the bit.
        samples: outside of the region of the face in the other frames; `changed_samples` of
            these are not what they were.
    """

    film: str
    frames: int
    without: int
    changed_without: int
    samples: int
    changed_samples: int

    def lines(self) -> list[Line]:
        return [
            Line(
                f"{self.film}: samples changed outside the face",
                f"{self.changed_samples} of {self.samples}",
                "0",
            ),
            Line(
                f"{self.film}: frames changed without the person",
                f"{self.changed_without} of {self.without}",
                "0",
            ),
        ]


def one_after_the_other(films: Sequence[Path], frames: int, target: Path) -> Path:
    """The first frames of each film, in one film. They must be of equal size."""
    with av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"crf": "12", "preset": "fast"})
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(chain.from_iterable(_pictures(f, frames) for f in films)):
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pict_type = 0
            frame.pts, frame.time_base = number, Fraction(1, 25)
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))
    return target


def _pictures(film: Path, frames: int) -> Iterator[av.VideoFrame]:
    with av.open(str(film)) as reading:
        yield from islice(reading.decode(video=0), frames)


def spared(project: Project, film: Path, goes: str, comes: str, model: str) -> Spared:
    """Convert a film as `understudy convert` does, up to the encoder, and compare."""
    own = project.settings
    request = ConversionRequest(
        film=film, swaps={goes: comes}, model=model, settings=own.convert, scan=own.scan
    )
    planned = plan(project, request, silent())
    seen = look_for(project, planned, silent())
    cast = cast_of(planned.drawers, seen.matches)
    tracks = {match.track for match in seen.matches if match.chosen}
    steady = Steady(seen.found, own.convert.steady)
    frames = without = changed_without = samples = changed = 0
    with VideoReader(film) as reader:
        for frame, patches in swapped(reader, steady, cast, own.convert.segment):
            frames += 1
            there = [face for face in steady(frame.index) if face.track in tracks]
            differ = _differing(frame, patches)
            if not there:
                without += 1
                changed_without += any(plane.any() for plane in differ)
                continue
            for plane in differ:
                outside = beyond(there, frame, plane.shape)
                samples += int(outside.sum())
                changed += int((plane & outside).sum())
    return Spared(film.stem, frames, without, changed_without, samples, changed)


def _differing(frame: Frame, patches: Sequence[Patch]) -> list[NDArray[np.bool_]]:
    """Where each plane of a frame is not what it was."""
    laid = lay(frame.picture, patches)
    pairs = zip(planes.arrays(frame.picture), planes.arrays(laid), strict=True)
    return [np.asarray(before != after, np.bool_) for before, after in pairs]


def beyond(faces: Sequence[Face], frame: Frame, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Samples of a plane further from every face than a swap may reach."""
    height, width = frame.picture.height, frame.picture.width
    inside = np.zeros((height, width), bool)
    for face in faces:
        inside |= reach_mask(face.landmarks, max(height, width))[:height, :width] > 0
    down, across = -(-height // shape[0]), -(-width // shape[1])
    grown = np.pad(inside, ((0, shape[0] * down - height), (0, shape[1] * across - width)))
    blocks = grown.reshape(shape[0], down, shape[1], across).any((1, 3))
    wider = cv2.dilate(np.asarray(blocks, np.uint8), np.ones((2 * ROOM + 1,) * 2, np.uint8))
    return np.asarray(wider == 0, np.bool_)

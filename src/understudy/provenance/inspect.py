"""Look at a finished film or picture: the mark in it, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from understudy.media.images import read_image
from understudy.media.probe import is_still
from understudy.media.video import VideoReader, probe
from understudy.provenance.fingerprint import Fingerprint, of_still
from understudy.provenance.fingerprint import Sampler as FingerprintSampler
from understudy.provenance.watermark.frames import SAMPLED, grey, luma
from understudy.provenance.watermark.reading import Reader, Reading
from understudy.safeguards.content_guard.guard import Sampler, Verdict, What, check
from understudy.types import Image

SURE = 0.7
"""Likeness that the mark of a finished file has to have: more than reading takes, so that some of
it may be lost later."""


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        kind: "film" or "still".
        width, height: pixels.
        seconds: length; 0 for a still.
        reading: the invisible mark, if there is one.
        fingerprint: how it looks.
    """

    kind: str
    width: int
    height: int
    seconds: float
    reading: Reading
    fingerprint: Fingerprint

    def carries(self, number: int) -> bool:
        """Whether the watermark of this record is in it, with a margin."""
        return self.reading.record_id == number and self.reading.likeness >= SURE


def look(path: Path, closely: bool = False, step: Callable[[], None] | None = None) -> Look:
    """Look at any film or picture.

    Args:
        closely: for a film under examination; see `fingerprint.Sampler`.
        step: called after each frame.

    Raises:
        MediaError: it cannot be read.
    """
    if is_still(path):
        picture = grey(read_image(path))
        reader = Reader()
        reader.add(picture)
        height, width = picture.shape
        return Look("still", width, height, 0.0, reader.read(), of_still(picture))
    info = probe(path)
    every = (info.duration or Fraction(SAMPLED, 25)) / SAMPLED
    reader, prints = Reader(), FingerprintSampler(closely)
    size: tuple[int, int] | None = None
    due = begin = last = None
    with VideoReader(path) as frames:
        for frame in frames:
            begin = frame.time if begin is None else begin
            size = size or (frame.picture.width, frame.picture.height)
            last, since = frame.time, float(frame.time - begin)
            sampled = due is None or frame.time >= due
            if sampled or prints.wants(since):
                shown = luma(frame.picture)
                prints.add(shown, since)
                if sampled and (shown.shape[1], shown.shape[0]) == size:
                    reader.add(shown)
                    due = frame.time + every
            if step is not None:
                step()
    seconds = 0.0 if begin is None or last is None else float(last - begin)
    width, height = size or (info.width, info.height)
    return Look("film", width, height, seconds, reader.read(), prints.fingerprint())


def guarded(
    path: Path, what: What, start: Fraction | None = None, end: Fraction | None = None
) -> Verdict:
    """The content guard's verdict on a film or picture; nothing is read if there is no guard.

    Raises:
        MediaError: it cannot be read.
        TrustError: the guard failed.
    """
    return check(_shown(path, start, end), what)


def _shown(
    path: Path, start: Fraction | None, end: Fraction | None
) -> Iterator[tuple[Fraction, Image]]:
    if is_still(path):
        yield Fraction(0), read_image(path)
        return
    sampler = Sampler()
    with VideoReader(path, start, end) as frames:
        for frame in frames:
            if sampler.takes(frame.index, frame.time):
                yield frame.time, frame.image

"""Read single frames of a film, without reading all frames between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from understudy.media.video import VideoReader
from understudy.tracks.scan_store import Scan
from understudy.types import Frame

TOGETHER = Fraction(10)
"""Seconds between two frames within which the film is read through rather than opened again."""


def frames_at(film: Path, found: Scan, indices: Iterable[int]) -> Iterator[Frame]:
    """Frames of a film in order, each once; those that cannot be decoded are left out.

    Args:
        found: scan of the film.
        indices: of frames in the scan, in any order.

    Raises:
        MediaError: the film cannot be read.
    """
    wanted = set(indices)
    for run in _runs(found, sorted(wanted)):
        times = [found.times[place] for i in run if (place := found.place(i)) is not None]
        with VideoReader(film, times[0], times[-1] + Fraction(1, 1000)) as reader:
            yield from (frame for frame in reader if frame.index in wanted)


def _runs(found: Scan, indices: Sequence[int]) -> list[list[int]]:
    """Frames that are read in one go each."""
    runs: list[list[int]] = []
    for index in indices:
        place, before = found.place(index), found.place(runs[-1][-1]) if runs else None
        assert place is not None
        if before is not None and found.times[place] - found.times[before] <= TOGETHER:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs

"""Interlaced films: two moments in one picture, a field of every other line each.

A face between two moments is combed where it moves, for the detector and in what is laid over it.
So every field becomes a picture of its own, at twice the rate: what a television shows. What is
between its lines is made by FFmpeg's bwdif (after BBC R&D White Paper 155 and Weston's filter).

Flags are not always right: films are stored as if they were interlaced, and fields are flagged as
whole pictures. Where something moves at the beginning of a film, combs themselves are measured.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import av
import av.error
import cv2
import numpy as np
from av.filter import Graph

from understudy.media import planes
from understudy.types import Floats

Order = Literal["", "auto", "tff", "bff"]
"""Which field comes first: none, because pictures are whole; what each picture says; the one of the
upper line; the other."""

HEIGHTS = frozenset({480, 486, 512, 576, 608, 1080, 1088})
"""Stored heights that interlaced films have. In others combs are looked for only when a film says
that it has them: scaled fields cannot be taken apart any more."""

LOOKED_AT = 9
"""Pictures at a film's beginning in which combs are measured, at most."""

MOVES = 8.0
"""Code values by which a place differs from that of the picture before where something moves, mean
over a few lines and columns: single pixels would be chosen for their noise."""

ENOUGH = 300
"""Moving pixels below which nothing is measured."""

WHOLE, COMBED = 0.85, 1.25
"""The step from a line to the next over that to the next but one, where something moves. Whole
pictures are below the first, as things are larger than a line; of noise it is 1; combs are above
the second."""


def order_of(pictures: Sequence[av.VideoFrame]) -> Order:
    """Whether and how a film is interlaced, by its first pictures as they are stored."""
    flagged = any(picture.interlaced_frame for picture in pictures)
    if not flagged and (not pictures or pictures[0].height not in HEIGHTS):
        return ""
    first = pictures[0].width, pictures[0].height
    lumas = [_luma(each) for each in pictures if (each.width, each.height) == first]
    combs = _combs(lumas)
    if combs is None or combs < COMBED:
        return "auto" if flagged and (combs is None or combs >= WHOLE) else ""
    # Where it can be seen, it is not asked of the flags: decoders guess it at key frames.
    return "tff" if _upper_first(lumas) else "bff"


def _luma(picture: av.VideoFrame) -> Floats:
    """Every other column of a picture's luma, code values of 8 bits."""
    simple = planes.simplify(picture)
    form = planes.form_of(simple.format.name)
    assert form is not None
    plane = planes.arrays(simple)[0][:, ::2].astype(np.float32) / np.float32(2 ** (form.bits - 8))
    return np.asarray(cv2.blur(plane[..., 1] if plane.ndim == 3 else plane, (5, 1)), np.float32)


def _combs(lumas: Sequence[Floats]) -> float | None:
    """How much pictures are combed where they move, see `WHOLE`; None where too little moves."""
    near = far = 0.0
    moving = 0
    for before, now in itertools.pairwise(lumas):
        moves = cv2.blur(np.abs(now - before), (9, 5))[1:-1] > MOVES
        moving += int(moves.sum())
        near += float(np.abs(now[1:-1] - now[:-2])[moves].sum())
        far += float(np.abs(now[2:] - now[:-2])[moves].sum())
    return near / max(far, 1e-9) if moving >= ENOUGH else None


def _upper_first(lumas: Sequence[Floats]) -> bool:
    """Whether the field of the first line is the earlier of the two.

    The later field of a picture and the earlier one of the next are one step of time apart, the
    others three.
    """
    upper = lower = 0.0
    for before, now in itertools.pairwise(lumas):
        count = min(len(before[1::2]), len(now[::2]))
        upper += float(np.abs(before[1::2][:count] - now[::2][:count]).mean())
        lower += float(np.abs(before[::2][:count] - now[1::2][:count]).mean())
    return upper <= lower


class Fields:
    """Makes a picture of every field.

    Args:
        order: not "".
        base: unit of the time stamps of what comes in, seconds; that of what goes out is half.
        rate: pictures a second that come in.
    """

    def __init__(self, order: Order, base: Fraction, rate: Fraction) -> None:
        self._order, self._base = order, base
        self._length = max(1, round(1 / rate / base))
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._known: deque[tuple[int, int]] = deque()
        self._last: int | None = None

    def add(self, picture: av.VideoFrame, number: int) -> list[tuple[int, av.VideoFrame]]:
        """Take the picture of this number; gives those fields that are ready, with theirs."""
        shape = picture.width, picture.height, picture.format.name
        ready = self.rest() if self._graph is not None and shape != self._shape else []
        if self._graph is None:
            self._graph, self._shape = self._made(shape), shape
        if picture.pts is None:
            picture.pts = 0 if self._last is None else self._last + self._length
        self._last = picture.pts
        picture.time_base = self._base
        self._known.append((2 * picture.pts, number))
        self._graph.vpush(picture)
        return ready + self._ready()

    def rest(self) -> list[tuple[int, av.VideoFrame]]:
        """What is left at the end of a film or a part of it."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        ready = self._ready()
        self._graph = None
        self._known.clear()
        return ready

    def _made(self, shape: tuple[int, int, str]) -> Graph:
        width, height, name = shape
        graph = Graph()
        form = av.VideoFormat(name)
        source = graph.add_buffer(width=width, height=height, format=form, time_base=self._base)
        doubled = graph.add("bwdif", f"mode=send_field:parity={self._order}:deint=all")
        graph.link_nodes(source, doubled, graph.add("buffersink")).configure()
        return graph

    def _ready(self) -> list[tuple[int, av.VideoFrame]]:
        assert self._graph is not None
        ready: list[tuple[int, av.VideoFrame]] = []
        while True:
            try:
                picture = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return ready
            assert picture.pts is not None
            while len(self._known) > 1 and self._known[1][0] <= picture.pts:
                self._known.popleft()
            begins, number = self._known[0]
            second = picture.pts > begins
            # Half-way to the next picture may be far, where some are missing.
            picture.pts = min(picture.pts, begins + self._length)
            ready.append((2 * number + second, picture))

"""Faces are followed back to where they came from, through the frames that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from understudy.tracks.backtrack import BYTES_PER_PIXEL, WAITING_BYTES, Entrances, Waiting
from understudy.types import Face, Frame, Pose


def face(track: int, x: float) -> Face:
    points = np.zeros((468, 3), np.float32)
    return Face((x, 40, x + 40, 90), points, 0.9, Pose(0, 0, 0), track)


def frame(index: int, side: int = 64) -> Frame:
    picture = av.VideoFrame(side, side, "gray")
    return Frame(index, Fraction(index, 25), picture, lambda _: np.zeros((side, side, 3), np.uint8))


@dataclass
class Path:
    """A face that moves by 5 pixels a frame since frame `since`."""

    since: int
    asked: list[int] = field(default_factory=list)

    def back(self, frame: Frame, face_: Face) -> Face | None:
        self.asked.append(frame.index)
        return face(face_.track, face_.box[0] - 5) if frame.index >= self.since else None


def through(
    entrances: Entrances, found: Sequence[Sequence[Face]], shots: Sequence[int] = ()
) -> list[Waiting]:
    out: list[Waiting] = []
    for index, faces in enumerate(found):
        out += entrances.add(frame(index), shots[index] if shots else 0, faces)
    return [*out, *entrances.rest()]


def numbers(rows: Sequence[Waiting]) -> list[list[int]]:
    return [[one.track for one in row.faces] for row in rows]


def test_a_face_that_is_found_late_is_there_from_the_first() -> None:
    path = Path(since=3)
    found = [[face(0, 500)] + ([face(1, 5.0 * n)] if n >= 7 else []) for n in range(12)]
    rows = through(Entrances(path, 10), found)
    assert [row.frame.index for row in rows] == list(range(12))
    assert numbers(rows) == [[0]] * 3 + [[0, 1]] * 9
    assert [row.faces[1].box[0] for row in rows[3:]] == [5.0 * n for n in range(3, 12)]
    assert path.asked == [6, 5, 4, 3, 2]


def test_no_further_back_than_frames_wait_nor_over_a_cut() -> None:
    late = [[face(0, 100)] if n >= 9 else [] for n in range(12)]
    assert numbers(through(Entrances(Path(0), 4), late)) == [[]] * 5 + [[0]] * 7
    cut = through(Entrances(Path(0), 10), late, [0] * 7 + [1] * 5)
    assert numbers(cut) == [[]] * 7 + [[0]] * 5


def test_a_face_that_was_lost_for_a_while_is_followed_into_the_gap_and_no_further() -> None:
    path = Path(0)
    found = [[face(0, 100 + 5.0 * n)] if n not in (4, 5) else [] for n in range(9)]
    rows = through(Entrances(path, 10), found)
    assert numbers(rows) == [[0]] * 9
    assert path.asked == [5, 4]


def test_nobody_is_drawn_over_another() -> None:
    found = [[face(0, 100)] + ([face(1, 110)] if n >= 5 else []) for n in range(8)]
    assert numbers(through(Entrances(Path(0), 10), found)) == [[0]] * 5 + [[0, 1]] * 3


def test_large_frames_wait_for_a_shorter_time() -> None:
    side = 2048
    entrances = Entrances(Path(0), 50)
    for index in range(9):
        list(entrances.add(frame(index, side), 0, []))
    assert len(entrances) == WAITING_BYTES // (side * side * BYTES_PER_PIXEL) < 9

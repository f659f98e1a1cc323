"""What is measured backwards when somebody changes, and what is not when nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.heads import SIDE, face
from understudy.tracks.face_changes import HELD, Changes, Late
from understudy.types import Face, Floats, Frame, Image, Pose

MEASURED = 20
"""Frames between two measurements of the tracker."""


def vector(share: float) -> Floats:
    known = np.zeros(128, np.float32)
    known[0], known[1] = 1 - share, share
    return known


def frame(index: int, share: float) -> Frame:
    """A frame as bright as the share of a second person in it."""
    image = np.full((SIDE, SIDE, 3), round(200 * share), np.uint8)
    picture = av.VideoFrame(SIDE, SIDE, "rgb24")
    return Frame(index, Fraction(index, 25), picture, lambda _: image)


def seen(track: int = 0, size: float = 90, known: Floats | None = None) -> Face:
    return replace(face(size=size, track=track), score=0.95, embedding=known)


@dataclass
class Bright:
    """Takes a chip's brightness for whom it shows."""

    measured: list[float] = field(default_factory=list)

    def identify(self, chips: Image) -> Floats:
        shares = chips.reshape(len(chips), -1).mean(1) / 200
        self.measured += [float(share) for share in shares]
        return np.stack([vector(float(share)) for share in shares])


def through(shares: Sequence[float], size: float = 90) -> tuple[list[Late], Bright]:
    tracker = Bright()
    changes = Changes(tracker)
    late = []
    for index, share in enumerate(shares):
        known = vector(share) if index % MEASURED == 0 else None
        late += changes.add(frame(index, share), [seen(size=size, known=known)])
    return [*late, *changes.rest()], tracker


def test_nobody_who_stays_is_measured_again() -> None:
    late, tracker = through([0.0] * 100)
    assert [one.index for one in late] == [99], "the end of a chunk is"
    assert len(tracker.measured) == 1


@pytest.mark.parametrize("size", [90, 230])
@pytest.mark.parametrize("at", [23, 30, 39])
def test_a_sudden_change_is_known_to_the_frame(at: int, size: float) -> None:
    late, _ = through([float(n >= at) for n in range(60)], size)
    known = {one.index: float(one.embedding[1]) for one in late}
    assert known[at - 1] == pytest.approx(0, abs=0.01) if at - 1 > 20 else True
    assert known[at] == pytest.approx(1, abs=0.01)
    assert len(known) <= 7


def test_a_slow_change_is_measured_on_the_way() -> None:
    shares = [float(np.clip((n - 24) / 12, 0, 1)) for n in range(60)]
    late, _ = through(shares)
    inside = [one for one in late if 24 < one.index < 36]
    assert len(inside) >= 3
    for one in late:
        assert float(one.embedding[1]) == pytest.approx(shares[one.index], abs=0.01)


def test_the_end_of_a_track_is_measured() -> None:
    changes = Changes(Bright())
    for index in range(15):
        changes.add(frame(index, 0), [seen(known=vector(0) if index == 0 else None)])
    late = changes.add(frame(15, 0), [])
    assert [(one.index, one.track) for one in late] == [(14, 0)]
    changes.add(frame(16, 0), [seen(1, known=vector(0))])
    changes.add(frame(17, 0), [seen(1)])
    assert changes.add(frame(18, 0), []) == [], "it has just been measured"


def test_a_chunk_begins_and_ends_with_measurements() -> None:
    changes = Changes(Bright())
    changes.add(frame(0, 0), [seen(known=vector(0))])
    for index in range(1, 12):
        changes.add(frame(index, 0), [seen()])
    assert [one.index for one in changes.rest()] == [11]
    assert [one.index for one in changes.add(frame(12, 0), [seen()])] == [12]


def test_what_is_kept_of_a_face_does_not_grow() -> None:
    changes = Changes(Bright())
    aside = replace(seen(), pose=Pose(80, 0, 0))
    for index in range(3 * HELD):
        changes.add(frame(index, 0), [aside])
    (track,) = changes._tracks.values()
    assert len(track.cuts) == HELD


def test_a_face_over_the_border_can_be_kept() -> None:
    changes = Changes(Bright())
    for x in (-400.0, -40.0, 250.0, 700.0):
        one = replace(face(x=x, y=x, size=230), score=0.95)
        changes.add(frame(0, 0), [one])
        late = changes.rest()
        assert all(np.isfinite(one.embedding).all() for one in late)

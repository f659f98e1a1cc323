"""Pieces of tracks become whole ones; gaps are filled; nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.faces.pose import reference
from understudy.runtime import files, parquet
from understudy.tracks.measurements import voted
from understudy.tracks.repair import mend
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.scan_store import (
    SCHEMA_VERSION,
    FrameRow,
    Scan,
    chunk_file,
    write_chunk,
    write_frames,
    write_tracks,
)
from understudy.types import Face, Floats, Pose

RATE = 25


def somebody(who: int, off: float = 0.0) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[who], vector[100 + who] = 1, off
    return vector


def face(track: int, x: float, y: float = 100, who: int | None = None, width: float = 60) -> Face:
    head = reference().points
    points = (head - head.mean(0)) / np.ptp(head[:, 0]) * width
    landmarks = (points + np.array([x, y, 0])).astype(np.float32)
    low, high = landmarks.min(0), landmarks.max(0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    known = None if who is None else somebody(who)
    return Face(box, landmarks, 0.95, Pose(0, 0, 0), track, known)


def stored(
    folder: Path,
    frames: Sequence[Sequence[Face]],
    shots: Sequence[int] = (),
    size: tuple[int, int] | None = None,
) -> Scan:
    """A finished scan with these faces in its frames, of so many pixels."""
    shots = shots or [0] * len(frames)
    rows = [
        FrameRow(n, Fraction(n, RATE), shot, faces)
        for n, (faces, shot) in enumerate(zip(frames, shots, strict=True))
    ]
    write_chunk(folder, 0, rows, {})
    write_frames(folder, rows)
    write_tracks(folder, [parquet.read(chunk_file(folder, 0))])
    meta = {"schema_version": SCHEMA_VERSION, "frames": len(rows), "sha256": "0", "files": {}}
    sized = {} if size is None else {"size": list(size)}
    files.write_json(folder / "meta.json", {**meta, **sized})
    return Scan.open(folder)


def centres(found: MendedScan, track: int) -> dict[int, float]:
    return {
        index: float(one.landmarks[:, 0].mean())
        for index in found.indices
        for one in found.faces(index)
        if one.track == track
    }


def test_a_lost_face_goes_on_as_one_track_without_a_gap(tmp_path: Path) -> None:
    frames = [
        [] if 10 <= n < 15 else [face(0 if n < 10 else 1, 50 + 3 * n, who=4)] for n in range(30)
    ]
    found = mend(stored(tmp_path, frames))
    assert [(t.number, t.first, t.last, t.faces) for t in found.tracks] == [(0, 0, 29, 30)]
    for index, x in centres(found, 0).items():
        assert x == pytest.approx(50 + 3 * index, abs=0.01)
    filled = [index for index in found.indices if found.faces(index)[0].score == 0]
    assert filled == [10, 11, 12, 13, 14]
    passed = [(row.index, one.track) for row in found for one in row.faces]
    assert passed == [(index, 0) for index in range(30)], "as one asks for them frame by frame"
    assert found.faces(12)[0].embedding is None
    assert not found.brief


def test_a_filled_face_keeps_its_speed(tmp_path: Path) -> None:
    def way(n: int) -> float:
        return 100 + 60 * float(np.sin(n / 6))

    frames = [[] if 10 <= n < 17 else [face(0, way(n))] for n in range(30)]
    found = mend(stored(tmp_path, frames))
    middle = centres(found, 0)
    straight = {n: way(9) + (way(17) - way(9)) * (n - 9) / 8 for n in range(10, 17)}
    wrong = max(abs(middle[n] - way(n)) for n in straight)
    assert wrong < max(abs(straight[n] - way(n)) for n in straight) / 2


def test_nothing_crosses_a_cut(tmp_path: Path) -> None:
    frames = [[face(n // 10, 100, who=1)] if n % 10 not in (8, 9) else [] for n in range(20)]
    found = mend(stored(tmp_path, frames, [n // 10 for n in range(20)]))
    assert [(t.number, t.shot, t.faces) for t in found.tracks] == [(0, 0, 8), (1, 1, 8)]
    assert found.faces(9) == []


@pytest.mark.parametrize(("first", "second"), [(1, 2), (1, None)])
def test_who_is_not_the_same_is_not_joined(tmp_path: Path, first: int, second: int | None) -> None:
    far = 100 if second is not None else 200
    frames = [
        [] if 10 <= n < 14 else [face(0, 100, who=first) if n < 10 else face(1, far, who=second)]
        for n in range(25)
    ]
    found = mend(stored(tmp_path, frames))
    assert [t.number for t in found.tracks] == [0, 1]
    assert found.faces(11) == []


def test_a_track_that_comes_back_on_somebody_else_is_broken(tmp_path: Path) -> None:
    frames = [[] if n == 10 else [face(3, 100, who=1 if n < 10 else 2)] for n in range(25)]
    found = mend(stored(tmp_path, frames))
    assert [(t.number, t.first, t.last) for t in found.tracks] == [(3, 0, 9), (4, 11, 24)]
    assert [one.track for one in found.faces(9) + found.faces(11)] == [3, 4]


def test_a_face_behind_another_is_not_drawn_over_it(tmp_path: Path) -> None:
    frames = [[face(1, 102, who=2)] if 10 <= n < 13 else [face(0, 100, who=1)] for n in range(25)]
    found = mend(stored(tmp_path, frames))
    assert [[one.track for one in found.faces(n)] for n in (9, 11, 13)] == [[0], [1], [0]]


def test_a_flash_is_brief_but_a_short_shot_is_not(tmp_path: Path) -> None:
    frames = [[face(0, 100)] if n in (5, 6) else [] for n in range(30)]
    frames += [[face(1, 100)], *([face(2, 100)] for _ in range(8))]
    found = mend(stored(tmp_path, frames, [0] * 30 + [1] + [2] * 8))
    assert found.brief == {0}
    assert [t.number for t in found.tracks] == [0, 1, 2]


def test_what_is_filled_in_between_does_not_count_as_found(tmp_path: Path) -> None:
    frames = [[face(0, 100)] if n in (5, 12, 13) else [] for n in range(40)]
    found = mend(stored(tmp_path, frames))
    assert [(t.number, t.faces) for t in found.tracks] == [(0, 9)]
    assert found.brief == {0}


@pytest.mark.parametrize(
    ("x", "first", "last", "brief"),
    [
        (300, 10, 20, True),
        (300, 10, 30, False),
        (40, 10, 20, False),
        (610, 10, 20, False),
        (300, 0, 10, False),
        (300, 35, 49, False),
    ],
)
def test_a_face_found_for_a_moment_inside_of_the_picture_only_flashes(
    tmp_path: Path, x: float, first: int, last: int, brief: bool
) -> None:
    frames = [[face(0, x, 200)] if first <= n <= last else [] for n in range(50)]
    frames += [[] for _ in range(10)]
    found = mend(stored(tmp_path, frames, [0] * 50 + [1] * 10, (640, 480)))
    assert found.brief == ({0} if brief else set())


def test_a_film_of_one_frame_and_one_without_faces(tmp_path: Path) -> None:
    single = mend(stored(tmp_path / "one", [[face(0, 100, who=1)]]))
    assert [(t.number, t.faces) for t in single.tracks] == [(0, 1)]
    assert not single.brief
    assert mend(stored(tmp_path / "none", [[], []])).tracks == []


def test_tracks_in_view_together_are_told(tmp_path: Path) -> None:
    frames = [
        [face(0, 60), *([face(1, 200)] if n >= 10 else []), *([face(2, 320)] if n < 5 else [])]
        for n in range(20)
    ]
    assert mend(stored(tmp_path, frames)).together == {(0, 1), (0, 2)}


def test_one_bad_measurement_does_not_sway_the_vote() -> None:
    many = np.stack([somebody(1, 0.01 * n) for n in range(9)] + [somebody(2)])
    vote = voted(many.astype(np.float64), np.ones(10))
    assert np.linalg.norm(vote - somebody(1)) < 0.1
    assert np.linalg.norm(many.mean(0) - somebody(1)) > 0.1
    poor = voted(np.stack([somebody(1), somebody(2)]).astype(np.float64), np.array([1.0, 0.01]))
    assert np.linalg.norm(poor - somebody(1)) < 0.05


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    present=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39), max_size=3),
    numbers=st.lists(st.integers(0, 5), min_size=3, max_size=3, unique=True),
)
def test_no_face_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory,
    present: list[list[bool]],
    cuts: set[int],
    numbers: list[int],
) -> None:
    shots = [sum(cut <= n for cut in cuts) for n in range(len(present))]
    frames = [
        [
            face(number + 10 * shot, 60 + 100 * place, who=place if n % 4 == 0 else None)
            for place, (number, there) in enumerate(zip(numbers, here, strict=True))
            if there
        ]
        for n, (here, shot) in enumerate(zip(present, shots, strict=True))
    ]
    scan = stored(tmp_path_factory.mktemp("scan"), frames, shots)
    found = mend(scan)
    counted = dict.fromkeys((t.number for t in found.tracks), 0)
    for index, shot in zip(found.indices, shots, strict=True):
        faces = found.faces(index)
        assert len({one.track for one in faces}) == len(faces)
        seen = [one for one in faces if one.score > 0]
        assert [one.box for one in seen] == [one.box for one in scan.faces(index)]
        for one in faces:
            track = next(t for t in found.tracks if t.number == one.track)
            assert track.first <= index <= track.last
            assert track.shot == shot
            counted[one.track] += 1
    assert counted == {t.number: t.faces for t in found.tracks}

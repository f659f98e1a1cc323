"""The tracker: on painted faces that an analyser of known answers finds, and on rendered films."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import WeightsError
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.blazeface import Detection
from understudy.faces.pose import reference
from understudy.settings import ScanSettings
from understudy.tracks.tracker import FIRST, GAP, PATIENCE, STEADILY, Tracker, turned
from understudy.types import Face, Floats, Frame, Image, Pose

SCALE = 20.0
WIDTH = 320


@dataclass
class Known:
    """Finds spots: a spot is one pixel of (255, n, 0) where person n's face is."""

    detections: list[bool] = field(default_factory=list)
    embedded: int = 0

    def spots(self, image: Image) -> list[tuple[int, int, int]]:
        ys, xs = np.nonzero(image[..., 0] == 255)
        return [(int(x), int(y), int(image[y, x, 1])) for y, x in zip(ys, xs, strict=True)]

    def detect(self, image: Image, thorough: bool = True) -> list[Detection]:
        self.detections.append(thorough)
        points = np.zeros((6, 2), np.float32)
        return [
            Detection((x - 20.0, y - 20.0, x + 20.0, y + 20.0), 0.9, points)
            for x, y, _ in self.spots(image)
        ]

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        x0, y0, x1, y1 = start.box
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        near = [
            (float(np.hypot(x - middle[0], y - middle[1])), x, y) for x, y, _ in self.spots(image)
        ]
        if not near or min(near)[0] > 30:
            return None
        _, x, y = min(near)
        points = reference().points * SCALE
        middle_of = (points.max(axis=0) + points.min(axis=0)) / 2
        landmarks = (points - middle_of + np.array([x, y, 0])).astype(np.float32)
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return Face(box, landmarks, 0.99, Pose(0, 0, 0))

    def embed(self, image: Image, face: Face) -> Floats:
        self.embedded += 1
        x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        who = min((np.hypot(sx - x, sy - y), n) for sx, sy, n in self.spots(image))[1]
        return whose(who)

    def identify(self, chips: Image) -> Floats:
        return np.stack([whose(int(chip.max(axis=(0, 1))[1])) for chip in chips])


def whose(who: int) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[who] = 1
    return vector


def frame(index: int, *people: tuple[int, int, int], ground: int = 0) -> Frame:
    """A frame of a film at 25 per second with people (x, y, number) on a patterned ground."""
    ramp = np.random.default_rng(ground).integers(0, 200, (6, 8, 3)).astype(np.uint8)
    image = np.kron(ramp, np.ones((40, 40, 1), np.uint8))
    for x, y, number in people:
        image[y, x] = (255, number, 0)
    picture = av.VideoFrame(WIDTH, 240, "rgb24")
    return Frame(index, Fraction(index, 25), picture, lambda _: image)


def showing(image: Image) -> Callable[[av.VideoFrame], Image]:
    return lambda _: image


def run(
    frames: list[Frame], settings: ScanSettings | None = None
) -> tuple[list[list[int]], Tracker, Known]:
    known = Known()
    tracker = Tracker(known, settings or ScanSettings())
    return [[face.track for face in tracker.update(f)] for f in frames], tracker, known


def test_two_people_keep_their_numbers_and_are_detected_rarely() -> None:
    frames = [frame(k, (60 + k, 100, 1), (240 - k, 120, 2)) for k in range(50)]
    numbers, tracker, known = run(frames)
    assert numbers == [[0, 1]] * 50
    assert len(known.detections) == 5
    assert known.detections == [True] + [False] * 4
    assert tracker.shot == 0


def test_a_face_that_comes_later_is_found_within_detect_every() -> None:
    frames = [frame(k, (60, 100, 1), *([(240, 120, 2)] if k >= 3 else [])) for k in range(20)]
    numbers, _, _ = run(frames, ScanSettings(detect_every=7))
    assert numbers == [[0]] * 7 + [[0, 1]] * 13


@pytest.mark.parametrize(("missing", "after"), [(5, 0), (20, 1)])
def test_a_short_gap_keeps_the_number_a_long_one_does_not(missing: int, after: int) -> None:
    frames = [frame(k, *([] if 10 <= k < 10 + missing else [(100, 100, 1)])) for k in range(50)]
    numbers, _, _ = run(frames)
    assert numbers[:10] == [[0]] * 10
    assert all(found == [] for found in numbers[10 : 10 + missing])
    assert numbers[-1] == [after]
    assert missing / Fraction(25) <= GAP or after


def test_another_person_in_the_gap_gets_another_number() -> None:
    frames = [
        frame(k, *([] if 10 <= k < 13 else [(100, 100, 1 if k < 10 else 2)])) for k in range(30)
    ]
    numbers, _, _ = run(frames)
    assert numbers[0] == [0]
    assert numbers[-1] == [1]


def test_two_tracks_on_one_face_become_the_older() -> None:
    apart = [frame(k, (130, 100, 1), (160, 100, 2)) for k in range(3)]
    numbers, _, _ = run(apart + [frame(3 + k, (145, 100, 1)) for k in range(9)])
    assert numbers[0] == [0, 1]
    assert numbers[-1] == [0]


class Lagging(Known):
    """Its mesh moves a third of the way to the face in one look."""

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        face = super().mesh(image, start)
        if face is None or not isinstance(start, Face):
            return face
        x = (start.box[0] + start.box[2]) / 2 + (face.box[0] - start.box[0]) * 2 / 3
        shift = np.array([x - (face.box[0] + face.box[2]) / 2, 0, 0], np.float32)
        landmarks = face.landmarks + shift
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return replace(face, landmarks=landmarks, box=box)


def test_a_mesh_that_lags_behind_looks_again() -> None:
    tracker = Tracker(Lagging(), ScanSettings())
    for k in range(20):
        x = 60 + 14 * max(0, k - 5)
        (face,) = tracker.update(frame(k, (x, 100, 1)))
        middle = (face.box[0] + face.box[2]) / 2
        assert abs(middle - x) < 0.1 * (face.box[2] - face.box[0])
        assert face.track == 0


class Restless(Known):
    """Its mesh finds no rest after frame 5."""

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        face = super().mesh(image, start)
        if face is None or not isinstance(start, Face) or image[0, 0, 2] != 255:
            return face
        away = 12 if start.landmarks[0, 0] < face.landmarks[0, 0] + 1 else -12
        landmarks = face.landmarks + np.array([away, 0, 0], np.float32)
        x0, y0, x1, y1 = face.box
        return replace(face, landmarks=landmarks, box=(x0 + away, y0, x1 + away, y1))


def test_a_mesh_without_rest_is_lost_not_laid_beside_the_face() -> None:
    tracker = Tracker(Restless(), ScanSettings())
    for k in range(12):
        shown = frame(k, (100, 100, 1))
        shown.image[0, 0, 2] = 255 if k > 5 else 0
        for face in tracker.update(shown):
            assert abs((face.box[0] + face.box[2]) / 2 - 100) < 1


class Sliding(Known):
    """Where the picture is marked, its mesh slides aside, but not where it is led by a detection,
    unless the mark is full; what slides is squeezed as if half of the head were seen."""

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        face = super().mesh(image, start)
        mark = int(image[0, 0, 2])
        if face is None or mark < 254 or (isinstance(start, Detection) and mark < 255):
            return face
        landmarks = face.landmarks.copy()
        middle = landmarks[:, 0].mean()
        aside = landmarks[:, 0] > middle
        landmarks[aside, 0] = middle + 0.3 * (landmarks[aside, 0] - middle)
        return replace(face, landmarks=landmarks)


@pytest.mark.parametrize("mark", [254, 255])
def test_a_mesh_that_slid_off_its_face_is_begun_anew_or_left_out(mark: int) -> None:
    tracker = Tracker(Sliding(), ScanSettings())
    straight = tracker.update(frame(0, (100, 100, 1)))[0]
    tracks = []
    for k in range(1, 9):
        shown = frame(k, (100, 100, 1))
        shown.image[0, 0, 2] = mark if k == 4 else 0
        faces = tracker.update(shown)
        assert all(turned(straight, face) < 0.01 for face in faces)
        tracks.append([face.track for face in faces])
    assert tracks[:3] == [[0]] * 3
    assert tracks[3] == ([0] if mark == 254 else [])
    assert tracks[-2:] == [[0]] * 2


def test_going_back_a_frame_changes_nothing_in_the_tracker() -> None:
    tracker = Tracker(Known(), ScanSettings())
    before, now = frame(0, (100, 100, 1)), frame(1, (118, 100, 1))
    tracker.update(before)
    (face,) = tracker.update(now)
    state = tracker.state()
    back = tracker.back(before, face)
    assert back is not None
    assert back.track == face.track
    assert (back.box[0] + back.box[2]) / 2 == pytest.approx(100, abs=0.5)
    assert tracker.back(frame(0), face) is None
    assert tracker.state() == state


def test_how_unlike_two_meshes_are_does_not_hang_on_where_they_lie() -> None:
    face = Tracker(Known(), ScanSettings()).update(frame(0, (100, 100, 1)))[0]
    spin = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]], np.float32)
    moved = replace(face, landmarks=face.landmarks @ spin * np.float32(1.7) + np.float32(40))
    assert turned(face, moved) == pytest.approx(0, abs=1e-5)
    narrow = replace(face, landmarks=face.landmarks * np.array([0.4, 1, 1], np.float32))
    assert turned(face, narrow) > 0.2


def test_fast_motion_is_searched_more_often() -> None:
    still = run([frame(k, (60, 100, 1)) for k in range(30)])[2]
    moving = run([frame(k, (40 + 8 * k, 100, 1)) for k in range(30)])[2]
    assert len(moving.detections) > 2 * len(still.detections)


def test_frames_of_another_size_end_all_tracks() -> None:
    frames = [frame(k, (100, 100, 1)) for k in range(6)]
    for k in range(6, 12):
        picture = np.repeat(np.repeat(frame(k).image, 2, axis=0), 2, axis=1)
        picture[200, 200] = (255, 1, 0)
        frames.append(Frame(k, Fraction(k, 25), frames[0].picture, showing(picture)))
    numbers, tracker, _ = run(frames)
    assert numbers == [[0]] * 6 + [[1]] * 6
    assert tracker.shot == 1


def test_a_cut_ends_all_tracks_and_counts_a_shot() -> None:
    frames = [frame(k, (100, 100, 1), ground=1 if k < 10 else 2) for k in range(20)]
    numbers, tracker, known = run(frames)
    assert numbers == [[0]] * 10 + [[1]] * 10
    assert tracker.shot == 1
    assert known.detections[-1] is True, "after a cut the search is thorough again"


def test_identity_is_measured_now_and_then() -> None:
    known = Known()
    tracker = Tracker(known, ScanSettings())
    faces = [tracker.update(frame(k, (100, 100, 1)))[0] for k in range(400)]
    at = [k for k, face in enumerate(faces) if face.embedding is not None]
    assert at[:FIRST] == [0, 5, 10]
    assert at[FIRST:] == list(range(10 + STEADILY, 400, STEADILY))
    assert known.embedded == len(at)
    few = run([frame(0, (100, 100, 1))])[2]
    assert few.embedded == 1


class Aside(Known):
    """Its faces look aside."""

    def mesh(self, image: Image, start: Detection | Face) -> Face | None:
        face = super().mesh(image, start)
        return None if face is None else replace(face, pose=Pose(60, 0, 0))


def test_poor_views_are_measured_more_rarely_but_they_are() -> None:
    tracker = Tracker(Aside(), ScanSettings())
    faces = [tracker.update(frame(k, (100, 100, 1)))[0] for k in range(200)]
    at = [k for k, face in enumerate(faces) if face.embedding is not None]
    assert at == list(range(10, 200, PATIENCE * STEADILY))


def everything(tracker: Tracker, frames: list[Frame]) -> list[list[tuple[object, ...]]]:
    return [
        [
            (
                face.track,
                face.box,
                face.score,
                face.pose,
                face.landmarks.tobytes(),
                None if face.embedding is None else face.embedding.tobytes(),
            )
            for face in tracker.update(f)
        ]
        for f in frames
    ]


def interrupted(
    make: Callable[[], Tracker], frames: list[Frame], stop: int
) -> list[list[tuple[object, ...]]]:
    first = make()
    begun = everything(first, frames[:stop])
    second = make()
    second.restore(json.loads(json.dumps(first.state())))
    assert second.state() == first.state()
    return begun + everything(second, frames[stop:])


def test_goes_on_from_its_state_as_if_uninterrupted() -> None:
    frames = [
        frame(
            k,
            *([] if 20 <= k < 24 else [(60 + k, 100, 1)]),
            *([(250, 120, 2)] if k > 6 else []),
            ground=1 if k < 40 else 2,
        )
        for k in range(60)
    ]

    def make() -> Tracker:
        return Tracker(Known(), ScanSettings())

    whole = everything(make(), frames)
    for stop in (1, 7, 21, 23, 25, 39, 40, 41, 55):
        assert interrupted(make, frames, stop) == whole


@pytest.fixture(scope="module")
def analyser() -> FaceAnalyser:
    try:
        return FaceAnalyser(ScanSettings())
    except WeightsError as error:
        pytest.skip(str(error))


def film(path: Path, first: int, last: int) -> list[Frame]:
    def rgb(picture: av.VideoFrame) -> Image:
        return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)

    with av.open(str(path)) as source:
        return [
            Frame(index, Fraction(index, 25), picture, rgb)
            for index, picture in enumerate(source.decode(video=0))
            if first <= index < last
        ]


def test_a_rendered_film_is_one_track_and_resumes_to_the_bit(
    shared_data: Path, analyser: FaceAnalyser
) -> None:
    frames = film(shared_data / "synthetic" / "test1_ada.mp4", 0, 40)

    def make() -> Tracker:
        return Tracker(analyser, ScanSettings())

    whole = everything(make(), frames)
    assert [[face[0] for face in faces] for faces in whole] == [[0]] * 40
    assert any(face[5] is not None for faces in whole for face in faces)
    assert interrupted(make, frames, 13) == whole


def test_two_people_side_by_side(shared_data: Path, analyser: FaceAnalyser) -> None:
    frames = film(shared_data / "real" / "clips" / "r02_grid_two_people_composite.mp4", 0, 60)
    tracker = Tracker(analyser, ScanSettings())
    count: Counter[int] = Counter()
    for shown in frames:
        count.update(face.track for face in tracker.update(shown))
    assert count == {0: 60, 1: 60}

"""Decoding and merging of candidates on known numbers; detection on real films and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import WeightsError
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.blazeface import Detection, anchors, merge, overlap
from understudy.faces.detect import tiles
from understudy.faces.tflite import TfliteNetwork
from understudy.settings import ScanSettings
from understudy.types import Image


@pytest.fixture(scope="module")
def analyser() -> FaceAnalyser:
    try:
        return FaceAnalyser(ScanSettings(min_face=20))
    except WeightsError as error:
        pytest.skip(str(error))


def test_anchors_of_both_networks() -> None:
    short = anchors(128, [(8, 2), (16, 6)])
    assert short.shape == (896, 2)
    np.testing.assert_array_equal(short[:4], [[4, 4], [4, 4], [12, 4], [12, 4]])
    np.testing.assert_array_equal(short[512], [8, 8])
    assert anchors(192, [(4, 1)]).shape == (2304, 2)


def row(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y + side] + [x + side / 2] * 12


def test_merge_averages_one_face_and_keeps_two_apart() -> None:
    rows = np.array([row(10, 10, 100), row(14, 10, 100), row(300, 40, 60)], np.float32)
    faces = merge(rows, np.array([0.9, 0.3, 0.8], np.float32))
    assert len(faces) == 2
    assert faces[0][0][0] == pytest.approx(11)
    assert faces[0][1] == pytest.approx(0.9)
    np.testing.assert_allclose(faces[1][0], row(300, 40, 60), atol=1e-4)


def test_merge_drops_a_part_of_a_face_without_bending_the_box() -> None:
    rows = np.array([row(10, 10, 100), row(20, 20, 40)], np.float32)
    faces = merge(rows, np.array([0.9, 0.85], np.float32))
    assert len(faces) == 1
    np.testing.assert_allclose(faces[0][0], row(10, 10, 100), atol=1e-4)


def test_overlap_of_known_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [2, 2, 4, 4]], np.float64)
    got = overlap(boxes[0], boxes)
    np.testing.assert_allclose(got, [1, 1 / 3, 0, 0.6], atol=1e-9)


@settings(deadline=None)
@given(st.integers(10, 4000), st.integers(10, 4000), st.integers(192, 800))
def test_tiles_cover_the_frame(width: int, height: int, side: int) -> None:
    regions = tiles(width, height, side)
    for length, axis in ((width, "x"), (height, "y")):
        starts = sorted({getattr(region, axis) for region in regions})
        assert starts[0] <= 0
        assert starts[-1] + side >= length
        assert all(b - a <= side * 2 / 3 + 1 for a, b in pairwise(starts))


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"no network at all")
    with pytest.raises(WeightsError, match=r"net\.tflite"):
        TfliteNetwork(path)


def test_nothing_in_pictures_of_nothing(analyser: FaceAnalyser) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3)).astype(np.uint8)
    for image in (np.zeros((40, 30, 3), np.uint8), noise, np.full((700, 90, 3), 255, np.uint8)):
        assert analyser.detect(image) == []


def frames(path: Path, every: int) -> Iterator[Image]:
    with av.open(str(path)) as film:
        for index, picture in enumerate(film.decode(video=0)):
            if index % every == 0:
                image = picture.to_ndarray(format="rgb24")
                yield np.ascontiguousarray(np.rot90(image, picture.rotation // 90))


@pytest.mark.parametrize(
    ("film", "hit", "mean"),
    [
        ("r01", 1.0, 1.0),
        ("r02", 1.0, 2.0),
        ("r09", 0.6, 0.65),
        ("r10", 1.0, 3.0),
        ("r11", 1.0, 1.0),
        ("r12", 1.0, 2.0),
        ("r14", 0.8, 1.2),
        ("r15", 1.0, 1.0),
    ],
)
def test_films_with_faces(
    shared_data: Path, analyser: FaceAnalyser, film: str, hit: float, mean: float
) -> None:
    path = next((shared_data / "real" / "clips").glob(f"{film}_*"))
    counts = [len(analyser.detect(image)) for image in frames(path, 25)]
    assert np.mean(np.array(counts) > 0) >= hit
    assert np.mean(counts) >= mean


def picture(path: Path) -> Image:
    image = cv2.imread(str(path))
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)


@pytest.mark.slow
def test_no_faces_where_there_are_none(shared_data: Path, analyser: FaceAnalyser) -> None:
    for path in sorted((shared_data / "real" / "noface").iterdir()):
        assert analyser.detect(picture(path)) == [], path.name
        assert analyser.faces(picture(path)) == [], path.name
    path = next((shared_data / "real" / "clips").glob("r13_*"))
    assert [len(analyser.detect(image)) for image in frames(path, 60)] == [0] * 20


def test_a_face_cut_by_an_edge_or_behind_a_hand(shared_data: Path, analyser: FaceAnalyser) -> None:
    path = next((shared_data / "real" / "clips").glob("r09_*"))
    cut = ((77, 180, 420), (165, -200, 200), (223, -240, 240), (54, 460, 800))
    empty = (168, 180, 200, 250)
    wanted = {*empty, *(index for index, _, _ in cut)}
    pictures = {i: image for i, image in enumerate(frames(path, 2)) if i in wanted}
    for index, x0, x1 in cut:
        found = analyser.detect(pictures[index])
        assert len(found) == 1, index
        assert x0 < found[0].box[0] < found[0].box[2] < x1, index
    for index in empty:
        assert analyser.detect(pictures[index]) == [], index
    # Where a look is to cost little, none of this is done.
    assert analyser.detect(pictures[223], thorough=False) == []


def test_doubtful_places(shared_data: Path, analyser: FaceAnalyser) -> None:
    portrait = picture(shared_data / "real" / "faces" / "nasa_astronaut.png")
    (face,) = analyser.detect(portrait)
    assert analyser._detector.likely(portrait, face)
    height = portrait.shape[0]
    beside = Detection((0, height - 60, 60, height), 0.6, face.keypoints)
    assert not analyser._detector.likely(portrait, beside)
    x0, y0, x1, y1 = face.box
    turned = np.ascontiguousarray(portrait[::-1])
    box = (x0, height - 1 - y1, x1, height - 1 - y0)
    assert not analyser._detector.likely(turned, Detection(box, 0.6, face.keypoints))


def test_one_face_in_every_portrait(shared_data: Path, analyser: FaceAnalyser) -> None:
    for path in sorted((shared_data / "real" / "faces").iterdir()):
        image = picture(path)
        faces = analyser.faces(image)
        assert len(faces) == len(analyser.detect(image)) == 1, path.name
        assert faces[0].score > 0.9
        left, right, nose, chin = (faces[0].landmarks[k, :2] for k in (33, 263, 1, 152))
        assert left[0] < nose[0] < right[0], path.name
        assert max(left[1], right[1]) < nose[1] < chin[1], path.name

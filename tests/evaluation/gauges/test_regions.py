from __future__ import annotations

import numpy as np

from tests.support.heads import SIDE, face
from understudy.evaluation.gauges.regions import BORDER, KEPT_OFF, PLACES, regions
from understudy.faces.masks import EYES_AND_BROWS, LIPS, face_mask


def test_eyes_and_mouth_lie_inside_the_face_and_apart() -> None:
    mesh = face().landmarks
    where = regions([mesh], (SIDE, SIDE))
    assert where is not None
    assert tuple(where.weights) == PLACES
    inner, eyes, mouth = (where.weights[place] for place in PLACES)
    assert (eyes <= inner).all()
    assert (mouth <= inner).all()
    assert not (eyes * mouth).any()
    for part, weight in ((EYES_AND_BROWS[0], eyes), (EYES_AND_BROWS[1], eyes), (LIPS, mouth)):
        x, y = mesh[part, :2].mean(0) - (where.columns.start, where.rows.start)
        assert weight[int(y), int(x)] == 1
    assert eyes.sum() < 0.3 * inner.sum()


def test_the_rectangle_leaves_room_where_the_frame_has_any() -> None:
    where = regions([face(x=60).landmarks], (SIDE, SIDE))
    assert where is not None
    rows, columns = (np.flatnonzero(where.weights["face"].any(axis)) for axis in (1, 0))
    assert rows[0] == BORDER
    assert where.columns.start == 0
    assert where.columns.stop == columns[-1] + BORDER + 1


def test_what_the_pictures_share_counts() -> None:
    both = regions([face(x=120).landmarks, face(x=136).landmarks], (SIDE, SIDE))
    one = regions([face(x=120).landmarks], (SIDE, SIDE))
    assert both is not None
    assert one is not None
    assert both.weights["face"].sum() < one.weights["face"].sum()


def test_a_known_mask_takes_the_place_of_the_mesh() -> None:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[100:180, 90:170] = 1
    other = np.zeros((SIDE, SIDE), np.float32)
    other[100:180, 90:150] = 1
    where = regions([face().landmarks], mask.shape, [mask, other])
    assert where is not None
    lost = KEPT_OFF - 1
    assert where.weights["face"].sum() == (80 - lost) * (60 - lost)


def test_the_mesh_gives_the_mask_that_the_frame_has() -> None:
    mesh = face(x=130.5, y=125.25).landmarks
    where = regions([mesh], (SIDE, SIDE))
    assert where is not None
    whole = np.zeros((SIDE, SIDE), bool)
    whole[where.rows, where.columns] = where.weights["face"] > 0
    inner = face_mask(mesh[:, :2], SIDE) > 0.5
    assert not (whole & ~inner).any()
    assert whole.sum() > 0.75 * inner.sum()


def test_a_face_outside_of_the_frame_has_no_regions() -> None:
    assert regions([face(x=-400).landmarks], (SIDE, SIDE)) is None
    assert regions([face(size=12).landmarks], (SIDE, SIDE)) is None

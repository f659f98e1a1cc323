from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.support.heads import SIDE, blurred, face, texture
from understudy.evaluation.gauges.detail import (
    FURTHEST,
    PATCH,
    Crispness,
    Detail,
    DetailSum,
    bands,
    energies,
)
from understudy.evaluation.gauges.regions import regions
from understudy.media.colour import luma
from understudy.types import Float64s, Floats, Image


def measured(truth: Image, swap: Image) -> Detail:
    where = regions([face().landmarks], truth.shape)
    assert where is not None
    total = DetailSum()
    total.add(truth, swap, where)
    found = total.result()
    assert found is not None
    return found


def places(detail: Detail) -> list[Crispness]:
    found = [detail.face, detail.eyes, detail.mouth]
    assert None not in found
    return [one for one in found if one is not None]


def test_the_truth_itself_is_perfect() -> None:
    for one in places(measured(texture(1), texture(1))):
        assert one.detail == pytest.approx((1, 1, 1))
        assert one.found == pytest.approx((1, 1, 1))


def test_blur_loses_fine_detail_first() -> None:
    for one in places(measured(texture(1), blurred(texture(1), 1.5))):
        fine, middle, coarse = one.detail
        assert fine < 0.4
        assert fine < middle < coarse < 1
        assert one.found[0] < one.found[1] < one.found[2] < 1


def test_a_shift_within_reach_is_forgiven_and_one_beyond_is_not() -> None:
    for one in places(measured(texture(1), np.roll(texture(1), (1, 2), (0, 1)))):
        assert one.found == pytest.approx((1, 1, 1), abs=0.02)
        assert one.detail == pytest.approx((1, 1, 1), abs=0.1)
    further = measured(texture(1), np.roll(texture(1), 3 * FURTHEST, 1))
    assert further.face is not None
    assert further.face.found[0] < 0.2


def test_noise_is_detail_in_the_wrong_place() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 1)).astype(np.uint8)
    for one in places(measured(texture(1), np.repeat(noise, 3, axis=2))):
        assert one.detail[0] > 1.5
        assert one.found[0] < 0


def test_another_face_has_as_much_detail_and_nothing_is_found() -> None:
    one = measured(texture(1), texture(7)).face
    assert one is not None
    assert one.detail == pytest.approx((1, 1, 1), abs=0.15)
    assert one.found[0] < 0.1


def test_a_place_is_judged_by_itself() -> None:
    truth, swap = texture(1), texture(1)
    where = regions([face().landmarks], truth.shape)
    assert where is not None
    soft = blurred(truth, 2)
    eyes = np.zeros((SIDE, SIDE), bool)
    grown = cv2.dilate(where.weights["eyes"], np.ones((25, 25), np.uint8)) > 0
    eyes[where.rows, where.columns] = grown
    swap[eyes] = soft[eyes]
    found = measured(truth, swap)
    assert found.eyes is not None
    assert found.mouth is not None
    assert found.eyes.detail[0] < 0.3
    assert found.mouth.detail[0] == pytest.approx(1, abs=0.01)


def test_frames_are_added_up() -> None:
    where = regions([face().landmarks], (SIDE, SIDE))
    assert where is not None
    total = DetailSum()
    assert total.result() is None
    total.add(texture(1), texture(1), where)
    total.add(texture(2), np.full((SIDE, SIDE, 3), 128, np.uint8), where)
    found = total.result()
    assert found is not None
    assert found.face is not None
    assert found.face.detail == pytest.approx((0.5**0.5,) * 3, abs=0.05)
    assert found.face.found == pytest.approx((0.5,) * 3, abs=0.05)


def test_a_picture_without_detail_has_nothing_to_compare_with() -> None:
    plain = np.full((SIDE, SIDE, 3), 100, np.uint8)
    found = measured(plain, texture(1))
    assert (found.face, found.eyes, found.mouth) == (None, None, None)


def plainly(truth: Floats, swap: Floats, weight: Floats) -> Float64s:
    """The same energies in the plainest way, a band at a time over the whole picture."""
    columns = []
    for a, b in zip(np.moveaxis(bands(truth), 2, 0), np.moveaxis(bands(swap), 2, 0), strict=True):
        best = np.full(a.shape, np.inf, np.float32)
        for dy in range(-FURTHEST, FURTHEST + 1):
            for dx in range(-FURTHEST, FURTHEST + 1):
                turn = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
                moved = cv2.warpAffine(b, turn, b.shape[::-1], borderMode=cv2.BORDER_REFLECT)
                best = np.minimum(best, cv2.boxFilter((a - moved) ** 2, -1, (PATCH, PATCH)))
        maps = [cv2.boxFilter(one * one, -1, (PATCH, PATCH)) for one in (a, b)] + [best]
        columns.append([float((one * weight).sum()) for one in maps])
    return np.array(columns).T


def test_the_quick_way_gives_what_the_plain_way_gives() -> None:
    truth, swap = luma(texture(1)), luma(np.roll(blurred(texture(1), 0.8), 1, 0))
    where = regions([face(x=60).landmarks], truth.shape)
    assert where is not None
    whole = np.zeros(truth.shape, np.float32)
    whole[where.rows, where.columns] = where.weights["face"]
    quick = energies(
        truth[where.rows, where.columns], swap[where.rows, where.columns], where.weights
    )
    np.testing.assert_allclose(quick["face"], plainly(truth, swap, whole), rtol=1e-3)

from __future__ import annotations

import numpy as np
import pytest

from understudy.faces import openings
from understudy.faces.openings import eye_opening, inter_ocular, mouth_opening


def test_mouth_and_eyes_open() -> None:
    points = np.zeros((468, 3), np.float32)
    points[78], points[308] = (0, 0, 0), (40, 0, 0)
    for upper, lower in openings.MOUTH_LIPS:
        points[upper], points[lower] = (20, -5, 0), (20, 5, 0)
    points[263], points[362] = (60, -40, 0), (40, -40, 0)
    for upper, lower in openings.LEFT_EYE_LIDS:
        points[upper], points[lower] = (50, -43, 0), (50, -37, 0)
    points[33], points[133] = (-20, -40, 0), (0, -40, 0)
    assert mouth_opening(points) == pytest.approx(10 / 40)
    assert eye_opening(points) == pytest.approx((6 / 20, 0))
    assert inter_ocular(points) == pytest.approx(60)
    turn = 2.5 * np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    turned = (points @ turn.T + np.array([7, -9, 0])).astype(np.float32)
    assert mouth_opening(turned) == pytest.approx(10 / 40, rel=1e-4)
    assert mouth_opening(np.zeros((468, 3), np.float32)) == 0

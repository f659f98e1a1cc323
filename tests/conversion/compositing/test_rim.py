"""A swap goes on to the edge of the face that it replaces, and no further than it is told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.rim import carried_on, rim
from understudy.types import Floats

SIDE = 128
SKIN, HAIR = np.array([0.8, 0.6, 0.5], np.float32), np.array([0.1, 0.05, 0.05], np.float32)


def disc(radius: float) -> Floats:
    """A face of this radius about the middle, with a soft edge."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.asarray(np.clip(radius - np.hypot(x, y) + 0.5, 0, 1), np.float32)


def drawn(radius: float) -> Floats:
    """Skin within the radius, the other person's dark hair beyond."""
    inside = disc(radius)[..., None]
    return np.asarray(inside * SKIN + (1 - inside) * HAIR, np.float32)


def width(alpha: Floats) -> int:
    return int((alpha[SIDE // 2] > 0.5).sum())


def test_skin_goes_on_beyond_what_was_drawn_and_hair_does_not() -> None:
    filled = carried_on(drawn(40), disc(40))
    assert np.abs(filled - SKIN).max() < 0.05
    inner = disc(34) > 0.5
    np.testing.assert_allclose(filled[inner], drawn(40)[inner], atol=0.02)


def test_the_rim_reaches_as_far_past_both_edges_as_it_is_told() -> None:
    reaches = [width(rim(drawn(40), disc(40), disc(40), widen).alpha) for widen in (1 / 64, 1 / 32)]
    around = [width(np.maximum(disc(36), one)) for one in (np.zeros((SIDE, SIDE), np.float32),)]
    assert around[0] == 72
    for pixels, widen in ((2, 1 / 64), (4, 1 / 32)):
        found = rim(drawn(40), disc(40), disc(40), widen)
        whole = np.maximum(found.alpha, disc(38))
        assert abs(width(whole) - 2 * (40 + pixels)) <= 2
    assert reaches[1] > reaches[0]


def test_a_narrower_face_stops_at_its_own_edge() -> None:
    found = rim(drawn(30), disc(30), disc(45), 1 / 64)
    assert np.all(found.alpha[disc(36) == 0] < 0.02)


def test_away_from_the_edge_of_the_face_that_goes_there_is_no_rim() -> None:
    found = rim(drawn(30), disc(30), disc(60), 1 / 64)
    assert found.alpha[disc(50) > 0].max() < 0.01
    np.testing.assert_allclose(found.output[disc(50) > 0.5], drawn(30)[disc(50) > 0.5], atol=1e-3)


def test_nothing_drawn_is_no_rim() -> None:
    nothing = np.zeros((SIDE, SIDE), np.float32)
    found = rim(drawn(40), nothing, disc(40), 1 / 64)
    assert not found.alpha.any()
    assert np.isfinite(found.output).all()


def test_where_nothing_is_sure_nothing_turns_black() -> None:
    grey = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    unsure = np.full((SIDE, SIDE), 0.45, np.float32)
    found = rim(grey, unsure, disc(40), 1 / 64)
    assert found.alpha.max() > 0.1
    assert found.output[found.alpha > 0].min() > 0.55
    # Also where only the far side of the face is sure.
    half = np.where(np.arange(SIDE) < SIDE // 8, 1, unsure).astype(np.float32)
    assert rim(grey, half, disc(60), 1 / 64).output.min() > 0.55


@pytest.mark.parametrize("side", [32, 64, 96, 256])
def test_every_size_of_network_has_one(side: int) -> None:
    small = cv2.resize(disc(40), (side, side), interpolation=cv2.INTER_AREA)
    colours = cv2.resize(drawn(40), (side, side), interpolation=cv2.INTER_AREA)
    found = rim(np.asarray(colours), np.asarray(small), np.asarray(small), 1 / 64)
    assert found.output.shape == (side, side, 3)
    assert found.alpha.shape == (side, side)
    assert 0 <= found.alpha.min() <= found.alpha.max() <= 1
    assert found.alpha.max() > 0.3

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.heads import blurred, face, texture
from understudy.evaluation.gauges.jumps import change, jumps, notable, steady_mesh
from understudy.types import Face, Image

SIDE = 128
WHOLE = np.ones((SIDE, SIDE), np.float32)
INNER = WHOLE.copy()
INNER[:12], INNER[-12:], INNER[:, :12], INNER[:, -12:] = 0, 0, 0, 0


def clip(jump: int | None) -> list[Image]:
    """Twelve frames that drift by a pixel, and in one of them another face."""
    smooth = blurred(texture(3, SIDE), 1)
    other = blurred(texture(8, SIDE), 1)
    return [np.roll(other if n == jump else smooth, n, 1) for n in range(12)]


def changes(frames: list[Image]) -> list[float | None]:
    return [None, *(change(before, after, INNER) for before, after in pairwise(frames))]


SECONDS = [n / 25 for n in range(12)]


def test_what_flow_explains_is_no_change() -> None:
    smooth = blurred(texture(3, SIDE), 1)
    moved = np.roll(smooth, 2, 1)
    plain = np.abs(smooth.astype(float) - moved)[INNER > 0].mean()
    left = change(smooth, moved, INNER)
    assert left is not None
    assert left < 0.3 * plain
    assert change(smooth, smooth, INNER) == pytest.approx(0, abs=0.2)
    assert change(smooth, moved, 0 * WHOLE) is None


def test_one_jump_is_found_and_its_moment_named() -> None:
    still, jumping = changes(clip(None)), changes(clip(7))
    quiet, loud = jumps(still, SECONDS), jumps(jumping, SECONDS)
    assert quiet is not None
    assert loud is not None
    assert quiet.ratio is not None
    assert loud.ratio is not None
    assert quiet.ratio < 2
    assert loud.ratio > 4
    assert loud.at in (SECONDS[7], SECONDS[8])
    assert loud.pairs == 11
    assert loud.median == pytest.approx(quiet.median, rel=0.3)
    assert loud.largest > 4 * quiet.largest
    assert set(notable(jumping, still, SECONDS)) == {SECONDS[7], SECONDS[8]}
    # Where the film itself jumps, as at a flash, the swap may.
    assert notable(jumping, jumping, SECONDS) == []
    assert notable(still, jumping, SECONDS) == []


def test_figures_of_known_changes() -> None:
    found = jumps([None, 1.0, 1.0, 4.0, None, 2.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    assert (found.mean, found.median, found.largest) == (2.0, 1.5, 4.0)
    assert found.ratio == pytest.approx(4 / 1.5)
    assert (found.at, found.pairs) == (0.3, 4)
    assert jumps([None, None], [0, 1]) is None
    assert notable([None], [None], [0.0]) == []


def test_the_mesh_is_smoothed_over_its_own_track() -> None:
    def trembling(index: int) -> Face | None:
        if not 0 <= index < 40:
            return None
        return replace(face(x=128 + 3 * (-1) ** index), track=0 if index < 20 else 1)

    mesh = steady_mesh(trembling, 10)
    assert mesh is not None
    steady = face(x=128).landmarks
    assert np.abs(mesh - steady).max() < 0.3
    assert steady_mesh(trembling, 50) is None

    def cut(index: int) -> Face | None:
        return replace(face(x=100 if index < 20 else 160), track=0 if index < 20 else 1)

    at_cut = steady_mesh(cut, 20)
    assert at_cut is not None
    np.testing.assert_allclose(at_cut, face(x=160).landmarks, atol=1e-3)

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.provenance.watermark.code import SYMBOLS, encode
from understudy.provenance.watermark.pattern import Floats, flatten, level, pattern, tile, tile_side
from understudy.provenance.watermark.reading import THRESHOLD, Reader, score
from understudy.provenance.watermark.search import Geometry, Place, Search, settle, shifted

ID = 0x1234ABCD


def grain(width: int, height: int, amplitude: float = 1.0) -> Floats:
    """Nothing but the mark."""
    symbols = np.append(encode(ID), np.float32(1.0))
    side = tile_side(width, height)
    one = tile(symbols[pattern().owner], side)
    tiled = np.tile(one, (-(-height // side), -(-width // side)))[:height, :width]
    return np.asarray(128 + amplitude * tiled, np.float32)


def true_place(width: int, height: int) -> Place:
    """Where the tile lies in a film that nothing was done to."""
    side = tile_side(width, height)
    shift = -(width // 2) / side % 1, -(height // 2) / side % 1
    return Place(Geometry(1.0, 0.0, False), shift, 0.0)


@given(st.floats(0, 0.999), st.floats(0, 19), st.floats(0, 0.999), st.floats(0, 19))
def test_the_score_grows_with_both_of_its_parts(
    likeness: float, z: float, more: float, higher: float
) -> None:
    least = score(likeness, z)
    assert least >= 0
    assert score(max(likeness, more), max(z, higher)) >= least


def test_what_chance_reaches_is_below_the_threshold_and_what_a_weak_mark_does_above() -> None:
    assert score(0.56, 4.4) < THRESHOLD - 7
    assert score(0.62, 6.5) > THRESHOLD + 7
    assert score(-1.0, -3.0) == 0
    assert np.isfinite(score(1.0, 20.0))


def test_levelling_lets_quiet_parts_count_as_much_as_loud_ones() -> None:
    noise = np.random.default_rng(1).normal(0, 1, (200, 300)).astype(np.float32)
    noise[:, 150:] *= 3
    even = level(noise, 120)
    assert even.shape == noise.shape
    assert even[:, 170:].std() == pytest.approx(even[:, :130].std(), rel=0.2)
    np.testing.assert_allclose(level(noise * 5 + 3, 120), even, atol=1e-3)
    assert not level(np.zeros((40, 60), np.float32), 64).any()


def test_flattening_takes_slopes_and_bounds_edges() -> None:
    slope = np.tile(np.linspace(0, 255, 400, dtype=np.float32), (300, 1))
    assert np.abs(flatten(slope, 160)[20:-20, 20:-20]).max() < 0.1
    edge = np.where(np.arange(400) < 200, 20, 230).astype(np.float32)
    assert np.abs(flatten(np.tile(edge, (300, 1)), 160)).max() <= 2.5


def test_the_true_place_is_among_the_first_guesses() -> None:
    width, height = 300, 260
    search = Search(level(flatten(grain(width, height), 160), 160), (width, height))
    first = next(search.places())
    settled = settle(search.values(first), first)
    best = max(settled, key=lambda place: place.z)
    wanted = true_place(width, height)
    assert best.geometry == pytest.approx(wanted.geometry)
    apart = np.subtract(best.shift, wanted.shift)
    assert np.abs(apart - np.rint(apart)).max() < 0.005
    assert best.z > 15


def test_the_shift_is_taken_off_every_frequency() -> None:
    width, height = 300, 260
    search = Search(level(flatten(grain(width, height), 160), 160), (width, height))
    place = true_place(width, height)
    known = pattern()
    along = shifted(search.values([place, place]), [place, place]).real
    assert along.shape == (2, len(known.owner))
    signs = np.append(encode(ID), np.float32(1.0))[known.owner]
    assert np.mean(np.sign(along[0]) == signs) > 0.98
    assert np.sum(known.owner == SYMBOLS) == 64 * known.rings


def test_frames_that_move_are_read_better_than_each_alone() -> None:
    rng = np.random.default_rng(2)
    marked = grain(256, 256, 0.8)
    noise = [cv2.GaussianBlur(rng.normal(0, 30, (256, 256)), (0, 0), 1.5) for _ in range(24)]
    together, alone = Reader(), Reader()
    for one in noise:
        together.add(marked + one)
    alone.add(marked + noise[0])
    assert alone.read().record_id is None
    found = together.read()
    assert found.record_id == ID
    assert found.score > alone.read().score + 20

"""Highlights, whites of eyes and teeth are bounded by the film's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.turned_heads import mesh
from understudy.conversion.compositing.face_parts import FaceParts
from understudy.conversion.compositing.grain import luma
from understudy.conversion.compositing.shine import (
    DARK,
    below,
    ceiling,
    sheen,
    whitening,
)
from understudy.types import Floats

SIDE = 128
ALL = np.ones((SIDE, SIDE), np.float32)


def skin(level: float, shine: float = 0.0, at: tuple[int, int] = (64, 64)) -> Floats:
    """Even skin with one round highlight of a few pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    near = np.exp(-0.5 * np.square(np.hypot(rows - at[0], columns - at[1]) / 2.5))
    return np.asarray(level + shine * near, np.float32)


def shown(face: Floats, film: Floats) -> Floats:
    """Luma of a grey face under the film's ceiling."""
    return luma(below(np.repeat(face[..., None], 3, 2), ceiling(face, film, film, ALL)))


def test_a_highlight_goes_where_the_films_skin_is_matt() -> None:
    face = skin(160, 80)
    result = shown(face, skin(160))
    assert result.max() < 160 + 80 / 2
    assert result.max() > 160
    far = face < 160.5
    assert np.abs(result[far] - face[far]).max() < 1


def test_a_highlight_stays_where_the_film_has_one_nearby() -> None:
    face = skin(160, 80)
    assert shown(face, skin(150, 80, at=(63, 66))).max() > 225
    assert shown(face, skin(150, 80, at=(20, 20))).max() < 200


def test_shadows_and_brows_are_left_alone() -> None:
    face = skin(160, -120)
    assert np.abs(shown(face, skin(160)) - face).max() < 4


def test_off_the_skin_nothing_is_bounded() -> None:
    face, film = skin(160, 80), skin(160)
    high = ceiling(face, film, film, np.zeros_like(ALL))
    assert (below(np.repeat(face[..., None], 3, 2), high)[..., 1] == face).all()


def test_a_bounded_highlight_keeps_its_colour() -> None:
    colour = np.array([1.0, 0.8, 0.6], np.float32)
    face = skin(160, 80)[..., None] * colour
    plane = luma(face)
    film = np.full_like(plane, plane[0, 0])
    result = below(face, ceiling(plane, film, film, ALL))
    assert result[64, 64] / result[64, 64, 0] == pytest.approx(colour, abs=1e-4)
    assert result[64, 64, 0] < face[64, 64, 0] - 40


@pytest.mark.parametrize("opening", [0, 1, 2])
def test_whites_become_as_bright_as_the_films(opening: int) -> None:
    parts = FaceParts(turned(), SIDE)
    openings = (*parts.eyes, parts.mouth)
    inside = openings[opening] > 0.9
    film = np.full((SIDE, SIDE), 140, np.float32)
    picture = film.copy()
    picture[openings[opening] > 0.3] = 240
    gains = whitening(picture, film, openings)
    result = (picture + DARK) * gains - DARK
    assert 140 < result[inside].mean() < 195
    assert np.abs(gains[openings[opening] < 0.001] - 1).max() < 0.001


def test_eyes_that_differ_little_stay_as_they_are() -> None:
    parts = FaceParts(turned(), SIDE)
    film = np.full((SIDE, SIDE), 140, np.float32)
    assert (whitening(film * np.float32(1.15), film, (*parts.eyes, parts.mouth)) == 1).all()


def turned() -> Floats:
    """A mesh with an open mouth, pixels."""
    points = mesh(0.0)[:, :2].astype(np.float32)
    low, high = points.min(0), points.max(0)
    return np.asarray((points - low) / (high - low).max() * 90 + 19, np.float32)


def test_skin_of_the_film_goes_on_shining_under_a_matt_face() -> None:
    colour = np.array([0.8, 0.5, 0.3], np.float32)
    film = skin(90)[..., None] * colour + (skin(0, 70, at=(40, 64)))[..., None]
    face = skin(90)[..., None] * colour
    result = face * sheen(face, film, ALL)
    high = result[40, 64] / face[40, 64]
    # Where the film shines, in the colour of its light and less strongly.
    assert 1.2 < high[0] < high[1] < high[2]
    assert luma(result)[40, 64] < luma(film)[40, 64]
    assert result[90, 64] == pytest.approx(face[90, 64])
    # A face that shines there on its own stays as it is.
    assert np.abs(sheen(film, film, ALL) - 1).max() < 0.01
    assert (sheen(face, film, np.zeros_like(ALL)) == 1).all()

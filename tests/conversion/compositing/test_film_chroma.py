"""Swaps in films that have few colours or none: no others come in with the face."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from understudy.conversion.compositing.colour_transfer import match_colour
from understudy.conversion.compositing.film_chroma import in_its_colours
from understudy.settings import ConvertSettings
from understudy.types import Float64s, Floats, Image

SIDE = 160
LINEAR = 2.2


def person(
    skin: tuple[int, int, int], lips: tuple[int, int, int], iris: tuple[int, int, int]
) -> Image:
    """A face lit from the left, before grey, in natural colours."""
    picture = np.full((SIDE, SIDE, 3), (96, 110, 130), np.float64)
    cv2.rectangle(picture, (0, 110), (SIDE, SIDE), (150, 60, 40), -1)
    cv2.ellipse(picture, (80, 80), (56, 70), 0, 0, 360, skin, -1)
    cheek = np.zeros((SIDE, SIDE), np.float64)
    for x in (50, 110):
        cv2.circle(cheek, (x, 95), 14, 1.0, -1)
    blush = cv2.GaussianBlur(cheek, (0, 0), 6)[..., None]
    picture += blush * np.array([8, -12, -8])
    for x in (56, 104):
        cv2.ellipse(picture, (x, 66), (12, 7), 0, 0, 360, (225, 222, 220), -1)
        cv2.circle(picture, (x, 66), 6, iris, -1)
        cv2.circle(picture, (x, 66), 2, (12, 10, 10), -1)
    cv2.ellipse(picture, (80, 116), (22, 9), 0, 0, 360, lips, -1)
    cv2.rectangle(picture, (66, 113), (94, 118), (230, 226, 214), -1)
    picture *= np.linspace(1.08, 0.72, SIDE)[None, :, None]
    return np.asarray(np.rint(cv2.GaussianBlur(picture, (0, 0), 1.0).clip(0, 255)), np.uint8)


ACTOR = person((214, 170, 146), (176, 88, 86), (70, 48, 30))
COMES = person((232, 196, 176), (206, 70, 84), (40, 128, 84))


def oval() -> Floats:
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(mask, (80, 80), (50, 62), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 2.0).astype(np.float32)


def light(image: Image, shares: tuple[float, float, float]) -> Float64s:
    return np.asarray(np.clip((image / 255) ** LINEAR @ np.array(shares), 0, 1), np.float64)


def black_and_white(image: Image) -> Float64s:
    grey = image @ np.array([0.299, 0.587, 0.114])
    return np.asarray(np.repeat(grey[..., None], 3, 2), np.float64)


def sepia(image: Image) -> Float64s:
    """A toned print: warm in the middle, nearly neutral at both ends."""
    grey = black_and_white(image) / 255
    return np.asarray(
        255 * (grey + 4 * grey * (1 - grey) * np.array([0.10, 0.01, -0.13])), np.float64
    )


def sodium(image: Image) -> Float64s:
    """All colours are one wavelength's."""
    lit = light(image, (0.6, 0.4, 0.0))[..., None] * np.array([1, 0.62, 0.06])
    return np.asarray(255 * lit ** (1 / LINEAR), np.float64)


def infrared(image: Image) -> Float64s:
    lit = light(image, (0.8, 0.3, -0.1))[..., None] ** (1 / LINEAR)
    return np.asarray(255 * lit * np.array([0.9, 1, 0.85]), np.float64)


ONE_HUE = {each.__name__: each for each in (black_and_white, sepia, sodium, infrared)}


def two_strip(image: Image) -> Float64s:
    """Red and cyan, and nothing else."""
    cyan = image[..., 1] * 0.6 + image[..., 2] * 0.4
    return np.asarray(np.stack([image[..., 0], cyan, 0.95 * cyan], -1), np.float64)


def stored(picture: Float64s) -> Image:
    """As a film keeps it: with grain of its luma, and chroma of half the size."""
    grain = np.random.default_rng(3).normal(0, 1.5, picture.shape[:2])
    codes = np.clip(picture + grain[..., None], 0, 255).astype(np.float32) / np.float32(255)
    ycc = cv2.cvtColor(codes, cv2.COLOR_RGB2YCrCb)
    small = cv2.resize(ycc[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ycc[..., 1:] = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    rgb = cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB).clip(0, 1)
    return np.asarray(np.rint(255 * rgb), np.uint8)


def swapped(film: Image) -> tuple[Image, Image]:
    """Who comes in the film's light, and the same in its colours."""
    matched = match_colour(COMES, film, oval(), ConvertSettings())
    return matched, in_its_colours(matched, film, oval(), film)


def off(image: Image, how: Callable[[Image], Float64s]) -> Float64s:
    """How far the inner face is from the colours that a process gives to greys of each luma."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, 2)
    line = how(greys)[:, 0]
    weights = np.array([0.299, 0.587, 0.114])
    luma = line @ weights
    inner = image[oval() > 0.9].astype(np.float64)
    wanted = np.stack([np.interp(inner @ weights, luma, line[:, c]) for c in range(3)], -1)
    return np.asarray(np.abs(inner - wanted).max(1), np.float64)


@pytest.mark.parametrize("kind", sorted(ONE_HUE))
def test_one_hue_stays_one_hue(kind: str) -> None:
    how = ONE_HUE[kind]
    film = stored(how(ACTOR))
    before, after = swapped(film)
    usual = np.percentile(off(film, how), 95)
    assert np.percentile(off(before, how), 95) > usual + 8, "else there is nothing to mend"
    assert np.percentile(off(after, how), 95) < usual + 2.5


def test_grey_has_no_chroma_at_all() -> None:
    _, after = swapped(np.rint(black_and_white(ACTOR)).astype(np.uint8))
    inner = after[oval() > 0.9].astype(int)
    assert np.ptp(inner, axis=1).max() <= 1
    assert inner.std() > 10, "the face is still there"


def test_luma_is_the_face_s_own() -> None:
    before, after = swapped(stored(sepia(ACTOR)))
    weights = np.array([0.299, 0.587, 0.114])
    gap = (after.astype(np.float64) - before) @ weights
    assert np.abs(gap[oval() > 0.9]).max() < 2


def test_two_strips_of_colour_stay_two() -> None:
    """Lips are still red, but nothing is green or blue."""
    film = stored(two_strip(ACTOR))
    before, after = swapped(film)
    lips, iris = (slice(106, 111), slice(70, 90)), (slice(63, 70), slice(99, 103))

    def between(image: Image, where: tuple[slice, slice]) -> float:
        part = image[where].astype(np.float64)
        return float(np.abs(part[..., 1] * 0.95 - part[..., 2]).mean())

    assert between(before, iris) > 10
    assert between(after, iris) < 4
    assert between(after, lips) < 4
    red = after[lips].astype(int)
    assert (red[..., 0] - red[..., 1]).mean() > 25


@pytest.mark.parametrize("tint", [(1, 1, 1), (1, 0.8, 0.6), (0.7, 0.9, 1)])
def test_a_film_of_ordinary_colours_changes_nothing(tint: tuple[float, float, float]) -> None:
    before, after = swapped(stored(ACTOR * np.array(tint)))
    assert after is before


def test_pale_films_get_pale_faces() -> None:
    """As chroma fades from a film, it fades from the swap, without a step."""
    grey = black_and_white(ACTOR)
    left = []
    for share in np.linspace(0, 1, 9):
        _, after = swapped(stored(grey + share * (ACTOR - grey)))
        inner = after[oval() > 0.9].astype(np.float64)
        left.append(float((inner - inner.mean(1, keepdims=True)).std(0).max()))
    assert left[0] < 1
    steps = np.diff(left)
    assert (steps > -0.2).all()
    assert steps.max() < 0.4 * left[-1]


def test_too_little_face_is_left_alone() -> None:
    weights = np.zeros((SIDE, SIDE), np.float32)
    film = stored(sepia(ACTOR))
    assert in_its_colours(COMES, film, weights, film) is COMES

"""A face drawn out of a person's own pictures."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from tests.support.turned_heads import SIDE, face, gallery, points, ramps, stored, wanted
from understudy.conversion.compositing.gallery_detail import GRID, Place
from understudy.conversion.detailer import Detailer, Galleries
from understudy.conversion.gallery_drawer import GalleryDrawer, GalleryWarp, draw
from understudy.conversion.gallery_picks import FramePicks, Pick
from understudy.errors import SettingsError
from understudy.faces.masks import LIPS, face_mask
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image

PLAIN = ConvertSettings(color="none", occlusion=False, grain=0)
CPU = torch.device("cpu")


def only(**rows: int) -> FramePicks:
    return FramePicks(tuple(Pick(row, part, 1.0) for part, row in rows.items()), (1.0, 1.0))


GREY = np.full((GRID, GRID, 3), 128, np.uint8)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_picture_is_bent_to_where_the_mesh_is_wanted(row: int) -> None:
    mesh = wanted(5)
    image, mask = draw(gallery([-8, 0, 15]), only(whole=row, eyes=row, mouth=row), mesh, GREY)
    assert image.shape == (GRID, GRID, 3)
    assert mask.shape == (GRID, GRID)
    inside = face_mask(mesh, GRID, 0.0) > 0
    truth = ramps(mesh, GRID).astype(np.float32) / 255
    assert np.abs(image - truth)[inside].mean() < 4 / 255
    assert mask[inside].min() > 0.98


def test_eyes_and_mouth_come_from_pictures_of_their_own() -> None:
    plain = np.full((SIDE, SIDE, 3), 120, np.uint8)
    striped = plain.copy()
    striped[::4] = 200
    both = gallery([0, 0], [plain, striped])
    mesh = wanted(0)
    eyes, mouth = Place(np.eye(2, 3), mesh, 1.0).regions
    for part, region, other in (("eyes", eyes, mouth), ("mouth", mouth, eyes)):
        rows = {"whole": 0, "eyes": 0, "mouth": 0, part: 1}
        image, _ = draw(both, only(**rows), mesh, GREY)
        rough = np.abs(np.diff(image[..., 1], axis=0, append=0))
        assert rough[region > 0.9].mean() > 0.05
        assert rough[other > 0.9].mean() < 0.002
        # Its light is that of the whole face, not its own.
        assert image[region > 0.9].mean() == pytest.approx(120 / 255, abs=0.04)


def test_the_picture_that_looks_as_the_film_does_counts_most() -> None:
    """A mesh may say that a mouth is shut when the film shows it open."""
    shut = np.full((SIDE, SIDE, 3), 150, np.uint8)
    opened = shut.copy()
    x, y = stored(0)[LIPS, :2].mean(0)
    cv2.ellipse(opened, (round(float(x)), round(float(y))), (12, 7), 0, 0, 360, (20, 20, 20), -1)
    both = gallery([0, 0], [shut, opened])
    mesh = wanted(0)
    halves = tuple(Pick(row, "mouth", 0.5) for row in (0, 1))
    picks = FramePicks((Pick(0, "whole", 1.0), Pick(0, "eyes", 1.0), *halves), (1.0, 1.0))
    film = np.full((GRID, GRID, 3), 90, np.uint8)
    x, y = mesh[LIPS].mean(0)
    middle = round(float(y)), round(float(x))
    flat, _ = draw(both, picks, mesh, film)
    cv2.ellipse(film, middle[::-1], (18, 10), 0, 0, 360, (30, 10, 10), -1)
    dark, _ = draw(both, picks, mesh, film)
    assert dark[middle].mean() < 0.6 * flat[middle].mean()


def test_pictures_fade_into_one_another() -> None:
    tones = [np.full((SIDE, SIDE, 3), tone, np.uint8) for tone in (100, 180)]
    both, mesh = gallery([0, 0], tones), wanted(0)
    seen = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        picks = tuple(
            Pick(row, part, weight)
            for part in ("whole", "eyes", "mouth")
            for row, weight in ((0, 1 - share), (1, share))
        )
        image, _ = draw(both, FramePicks(picks, (1.0, 1.0)), mesh, GREY)
        seen.append(255 * float(image[60:120, 60:100].mean()))
    assert seen == pytest.approx([100, 120, 140, 160, 180], abs=1.5)


def film_frame(landmarks: Floats) -> tuple[Frame, Image]:
    image = ramps(landmarks, 200)
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    return Frame(0, Fraction(0), picture, lambda _: image), image


def test_it_goes_into_a_film_as_any_drawn_face_does() -> None:
    own = gallery([-10, 0, 10], [255 - ramps(stored(yaw), SIDE) for yaw in (-10, 0, 10)])
    artist = GalleryWarp(Galleries({"ada": own}, {"chen": own.mean}), PLAIN, CPU)
    landmarks = points(yaw=5, roll=20)
    frame, image = film_frame(landmarks)
    seen = face(landmarks)
    ((patch,),) = artist.drawer("chen", "ada").patches([(frame, [seen])])
    assert patch.x >= 0
    assert patch.y >= 0
    height, width = patch.alpha.shape
    under = image[patch.y : patch.y + height, patch.x : patch.x + width]
    inside = (face_mask(landmarks, 200, 0.0) > 0)[patch.y :, patch.x :][:height, :width]
    sure = inside & (patch.alpha > 0.9)
    assert sure.sum() > 0.5 * inside.sum()
    assert np.abs(patch.image.astype(int) - (255 - under))[sure].mean() < 6
    assert patch.alpha.max() <= 1
    other = artist.drawer("chen", "ada")
    other.patches([film_and_face(-10)])
    ((again,),) = other.patches([(frame, [seen])])
    assert (again.image == patch.image).all()
    assert (again.alpha == patch.alpha).all()


def film_and_face(yaw: float) -> tuple[Frame, list[Face]]:
    return film_frame(points(yaw))[0], [face(points(yaw))]


def test_the_artist_says_who_can_come_and_out_of_what() -> None:
    own = gallery([0])
    artist = GalleryWarp(Galleries({"ada": own}), PLAIN, CPU)
    facts = artist.facts()
    assert (facts["name"], facts["people"]) == ("warp", ["ada"])
    assert facts["galleries"] == {"ada": own.sha256}
    drawer = artist.drawer("any", "ada")
    assert isinstance(drawer, GalleryDrawer)
    assert isinstance(drawer.detailer, Detailer)
    assert drawer.detailer.strength == 1
    with pytest.raises(SettingsError, match="no gallery pictures of ben, only of ada"):
        artist.drawer("chen", "ben")
    less = artist.with_settings(ConvertSettings(detail=0))
    assert less.facts() == facts
    assert less.drawer("any", "ada").detailer.strength == 0

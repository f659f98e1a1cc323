"""A still's face drawn over another face."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from understudy.conversion.warp import Still, Warp, Warper, draw
from understudy.errors import SettingsError
from understudy.faces.masks import face_mask
from understudy.faces.openings import mouth_opening
from understudy.faces.pose import reference, rotation
from understudy.faces.triangles import EYES, INNER_LIPS, LOWER_LIP, polygon
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Image, Patch, Pose

SIDE = 200
PLAIN = ConvertSettings(color="none")


def points(yaw: float = 0.0, roll: float = 0.0, scale: float = 50.0) -> Floats:
    turned = scale * reference().points @ rotation(Pose(yaw, 0, roll)).T
    return np.asarray(turned + np.array([SIDE / 2, SIDE / 2 - 10, 0]), np.float32)


def face(landmarks: Floats) -> Face:
    (x0, y0), (x1, y1) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    return Face((float(x0), float(y0), float(x1), float(y1)), landmarks, 1.0, Pose(0, 0, 0))


def ramps(landmarks: Floats) -> Image:
    """A picture whose colours say where on the head each pixel of a face lies."""
    fit = np.linalg.lstsq(
        np.column_stack([landmarks[:, :2], np.ones(468)]), reference().points[:, :2], rcond=None
    )[0]
    y, x = np.mgrid[:SIDE, :SIDE]
    where = np.stack([x, y, np.ones_like(x)], axis=-1) @ fit
    red, green = (np.clip(128 + 50 * where[..., i], 0, 255) for i in (0, 1))
    return np.stack([red, green, np.full_like(red, 90)], axis=-1).astype(np.uint8)


def laid(image: Image, patch: Patch) -> Image:
    result = image.astype(np.float32)
    height, width = patch.alpha.shape
    place = (slice(patch.y, patch.y + height), slice(patch.x, patch.x + width))
    alpha = patch.alpha[..., None]
    result[place] = alpha * patch.image + (1 - alpha) * result[place]
    return np.rint(result).astype(np.uint8)


def still(scale: float = 50.0, size: int = 1) -> Still:
    landmarks = points(scale=scale)
    image = ramps(landmarks)
    if size > 1:
        side = (size * SIDE, size * SIDE)
        image = np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_CUBIC), np.uint8)
        landmarks = np.concatenate(
            [(landmarks[:, :2] + 0.5) * size - 0.5, landmarks[:, 2:] * size], axis=1
        )
    return Still("ada", image, face(landmarks))


@pytest.mark.parametrize("roll", [0, 40, 180])
@pytest.mark.parametrize("size", [1, 4])
def test_the_stills_colours_come_to_the_same_places_of_the_head(roll: float, size: int) -> None:
    wanted = points(roll=roll, scale=35)
    output, mask = draw(still(size=size), wanted, SIDE)
    assert output.shape == (SIDE, SIDE, 3)
    assert output.dtype == np.float32
    assert mask.shape == (SIDE, SIDE)
    assert set(np.unique(mask)) == {0.0, 1.0}
    truth = ramps(wanted).astype(np.float32) / 255
    inside = cv2.erode(mask, np.ones((3, 3))) > 0
    assert inside.sum() > 3000
    assert np.abs(output - truth)[inside].max() < 4 / 255


def test_mouth_and_eyes_stay_the_films() -> None:
    wanted = points()
    wanted[LOWER_LIP, 1] += 12
    _, mask = draw(still(), wanted, SIDE)
    for ring in (INNER_LIPS, *EYES):
        hole = polygon(wanted[ring], mask.shape)
        assert hole.sum() > 20
        assert not mask[hole].any()


def test_the_film_outside_of_the_face_stays_as_it_is() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    seen = face(points(yaw=20, roll=15))
    patch = Warper(still(), PLAIN).patch(image, seen)
    assert patch is not None
    result = laid(image, patch)
    bound = face_mask(seen.landmarks, SIDE, soft=0.0) > 0
    assert (result[~bound] == image[~bound]).all()
    assert (result[bound] != image[bound]).any(-1).mean() > 0.7


def test_what_turns_away_is_not_drawn() -> None:
    frontal = still()
    profile = dataclasses.replace(frontal, face=face(points(yaw=70)))
    assert draw(profile, points(), SIDE)[1].sum() < 0.8 * draw(frontal, points(), SIDE)[1].sum()
    away = dataclasses.replace(frontal, face=face(points(yaw=180)))
    assert draw(away, points(), SIDE)[1].sum() < 0.05 * draw(frontal, points(), SIDE)[1].sum()


def test_a_face_beyond_the_frame_gives_no_patch_and_one_at_its_edge_does() -> None:
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    warper = Warper(still(), PLAIN)
    for shift, there in (((500, 0), False), ((0, -400), False), ((80, 0), True), ((-90, 60), True)):
        moved = points() + np.array([*shift, 0], np.float32)
        patch = warper.patch(image, face(moved))
        assert (patch is not None) == there
        if patch is not None:
            assert patch.x >= 0
            assert patch.x + patch.image.shape[1] <= SIDE
            assert patch.y >= 0
            assert patch.y + patch.image.shape[0] <= SIDE
            assert patch.alpha.max() > 0.9


def shaded(image: Image) -> Image:
    """The same with light from the left."""
    light = np.linspace(1.2, 0.5, SIDE)[None, :, None]
    return np.clip(image * light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("color", ["auto", "light", "seamless"])
def test_the_films_light_lies_on_the_stills_face(color: str) -> None:
    seen = points()
    film = shaded(np.full((SIDE, SIDE, 3), 150, np.uint8))
    plain = Still("ada", np.full((SIDE, SIDE, 3), (140, 130, 120), np.uint8), face(points()))
    errors = {}
    for how in (color, "linear-gain"):
        settings = ConvertSettings.model_validate({"color": how})
        patch = Warper(plain, settings).patch(film, face(seen))
        assert patch is not None
        inside = face_mask(seen, SIDE) > 0.5
        errors[how] = np.abs(laid(film, patch).astype(float) - film)[inside].mean()
    assert errors[color] < 3
    assert errors[color] < errors["linear-gain"] / 3


def test_the_same_still_gives_the_same_patch_whatever_came_before() -> None:
    image = ramps(points())
    fresh, used = still(size=3), still(size=3)
    for scale in (10.0, 30.0, 55.0):
        Warper(used, PLAIN).patch(image, face(points(scale=scale)))
    one, other = (Warper(each, PLAIN).patch(image, face(points(yaw=10))) for each in (fresh, used))
    assert one is not None
    assert other is not None
    assert (one.image == other.image).all()
    assert (one.alpha == other.alpha).all()


def test_a_still_knows_itself() -> None:
    assert still().sha256 == still().sha256
    assert still().sha256 != still(scale=51).sha256
    changed = still()
    other = Still("ada", changed.image + np.uint8(1), changed.face)
    assert other.sha256 != changed.sha256


def test_only_who_is_in_a_still_can_come() -> None:
    artist = Warp([still()], PLAIN)
    assert list(artist.people) == ["ada"]
    assert artist.facts()["name"] == "warp"
    assert artist.drawer("chen", "ada").still.person == "ada"
    with pytest.raises(SettingsError, match="shows ada, not ben"):
        artist.drawer("chen", "ben")


def test_expression_and_pose_follow_the_film() -> None:
    """The drawn lips lie where the film's lips are, not where the still's were."""
    shut, opened = points(), points(yaw=15)
    opened[LOWER_LIP, 1] += 10
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    cv2.polylines(image, [np.rint(shut[INNER_LIPS, :2]).astype(np.int32)], True, (255, 0, 0), 3)
    output, mask = draw(Still("ada", image, face(shut)), opened, SIDE)
    red = (output[..., 0] - output[..., 1] > 0.3) & (mask > 0)
    low = np.nonzero(red)[0].max()
    assert abs(low - opened[14, 1]) < 4
    assert mouth_opening(opened) > mouth_opening(shut)

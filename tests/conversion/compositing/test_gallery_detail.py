"""Detail of pictures over a drawn face: what comes back, what stays, and how pictures are bent."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.support.heads import blurred, texture
from tests.support.textured_heads import Scene, alike, band, sample
from tests.support.turned_heads import mesh, wanted
from understudy.conversion.compositing import gallery_detail
from understudy.conversion.compositing.gallery_detail import (
    BROAD,
    CONTRAST,
    GRID,
    Field,
    Place,
    bent,
    looking,
    with_detail,
)
from understudy.faces.align import CORE
from understudy.faces.gaze import EYES
from understudy.models.gallery import MASK_SIDE
from understudy.types import Floats, Image

NOWHERE = float("nan")
CORE_TO_SHARES = CORE / GRID


@pytest.mark.parametrize("size", [100, 270, 600])
def test_the_texture_of_the_picture_comes_back(size: int) -> None:
    scene = Scene(size)
    film = texture(3, scene.side)
    drawn = scene.drawn(film)
    result = scene.detailed(drawn, film, film)
    # The finest of these is finer than the grid on which pictures are compared.
    for blurs in ((0.5, 1), (1, 2), (2, 4)):
        own, found, before = (band(image, *blurs)[scene.inner] for image in (film, result, drawn))
        assert alike(own, found) > 0.94
        assert alike(own, before) < alike(own, found)
        assert 0.8 * own.std() < found.std() < 1.1 * own.std()
        assert before.std() < 0.85 * found.std()


def test_strength_says_how_much_comes_back() -> None:
    scene = Scene(150)
    film = texture(3, scene.side)
    drawn = scene.drawn(film)
    none, half, whole = (scene.detailed(drawn, film, film, share) for share in (0, 0.5, 1))
    assert (none == drawn).all()
    assert (whole != drawn)[scene.inner].mean() > 0.5
    assert 0 < whole.min() < whole.max() < 255
    between = (drawn.astype(np.float32) + whole) / 2
    assert np.abs(half - between).max() <= 1


@pytest.mark.parametrize("roll", [0, 30])
def test_what_is_not_face_in_the_picture_brings_nothing(roll: int) -> None:
    """Hair, over one half of the stored crop."""
    scene = Scene(150)
    film = texture(3, scene.side)
    drawn = scene.drawn(film)
    mask = np.full((MASK_SIDE, MASK_SIDE), 255, np.uint8)
    rows, columns = np.mgrid[:MASK_SIDE, :MASK_SIDE] - MASK_SIDE / 2
    angle = np.radians(roll)
    mask[columns * np.cos(angle) + rows * np.sin(angle) > 0] = 0
    samples = scene.samples(film, mask)
    result = with_detail(drawn, film, scene.place(), samples, 1.0)
    # The middle of the stored crop, in the film.
    x, y = np.linalg.solve(scene.to_grid[:, :2], (GRID - 1) / 2 - scene.to_grid[:, 2])
    rows, columns = np.mgrid[: scene.side, : scene.side]
    beyond = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    hair = beyond > 3 * scene.step
    assert (result == drawn)[hair].all()
    skin = np.zeros_like(hair)
    skin[scene.inner] = True
    assert (result != drawn)[skin & (beyond < -6 * scene.step)].mean() > 0.5


def in_other_light(image: Image, kind: str) -> Image:
    values = image.astype(np.float32)
    if kind == "dark":
        values *= 0.5
    elif kind == "coloured":
        values *= np.array([1.2, 0.9, 0.6], np.float32)
    elif kind == "from one side":
        values *= np.linspace(0.5, 1.25, image.shape[1], dtype=np.float32)[:, None]
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["the same", "dark", "coloured", "from one side"])
def test_the_light_of_the_picture_stays_behind(kind: str) -> None:
    scene = Scene(200)
    film = texture(3, scene.side)
    drawn = scene.drawn(film)
    result = scene.detailed(drawn, film, in_other_light(film, kind))
    broad = BROAD * GRID * scene.step
    before, after = (
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), broad) for image in (drawn, result)
    )
    assert np.abs(after - before)[scene.inner].max() < 2
    own, found = (band(image, 0.7, 2)[scene.inner] for image in (film, result))
    assert alike(own, found) > 0.9
    # In the light of the drawn face its contrast is the film's.
    assert 0.85 * own.std() < found.std() < 1.15 * own.std()


def test_an_eye_that_was_not_drawn_is_the_pictures() -> None:
    scene = Scene(200)
    film = scene.portrait()
    drawn = scene.drawn(scene.portrait(eyes=(0,)))
    result = scene.detailed(drawn, film, film)
    left, right = scene.eye(0), scene.eye(1)
    assert film[right].mean() < 60
    assert drawn[right].mean() > 130
    assert result[right].mean() < 0.5 * drawn[right].mean() + 0.5 * film[right].mean()
    # The other was there already.
    assert abs(float(result[left].mean()) - film[left].mean()) < 20
    inner = scene.inner
    assert np.abs(result[inner].mean((0, 1)) - drawn[inner].mean((0, 1))).max() < 4


def test_eyes_that_no_picture_fits_stay_drawn() -> None:
    scene = Scene(200)
    film = scene.portrait()
    drawn = scene.drawn(scene.portrait(eyes=()))
    samples = scene.samples(film)
    fits, not_, asleep = (
        with_detail(drawn, film, place, samples, 1.0)
        for place in (scene.place(), scene.place(shares=(0.0, 1.0)), scene.place(awake=0.0))
    )
    for number in (0, 1):
        eye = scene.eye(number)
        assert not_[eye] == pytest.approx(drawn[eye], abs=1)
        assert fits[eye].mean() < drawn[eye].mean() - 60
        assert fits[eye].mean() <= asleep[eye].mean()
    assert (not_ != drawn)[scene.inner].mean() > 0.3


def test_dark_shining_skin_does_not_glare_on_a_bright_face(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(200)
    noise = np.random.default_rng(5).standard_normal((scene.side,) * 2).astype(np.float32)
    rough = cv2.GaussianBlur(noise, (0, 0), 1.2)[..., None] / 0.23
    film, picture = (
        np.clip(tone + strength * rough, 0, 255).astype(np.uint8).repeat(3, 2)
        for tone, strength in ((200, 3), (45, 6))
    )
    drawn = scene.drawn(film)
    parts = scene.on_film(np.maximum(*scene.place().regions))
    cheeks = np.zeros(parts.shape, bool)
    cheeks[round(0.3 * scene.side) : round(0.75 * scene.side), scene.inner[1]] = True
    cheeks &= parts < 0.02
    assert cheeks.sum() > 2000

    def contrast(image: Image) -> float:
        return float(np.abs(band(image, 0.5, 3)[cheeks]).mean())

    result = scene.detailed(drawn, film, picture)
    assert contrast(film) < contrast(result) < 1.25 * CONTRAST * contrast(film)
    # In the light of the drawn face the picture alone would have so much.
    assert contrast(picture) * 200 / 45 > 6 * contrast(film)
    monkeypatch.setattr(gallery_detail, "CONTRAST", 100.0)
    assert contrast(scene.detailed(drawn, film, picture)) > 4 * contrast(film)


def test_beyond_the_core_crop_the_drawn_face_stays() -> None:
    scene = Scene(150)
    film = texture(3, scene.side)
    drawn = scene.drawn(film)
    result = scene.detailed(drawn, film, film)
    x, y = np.linalg.solve(scene.to_grid[:, :2], (-0.5 - scene.to_grid[:, 2]))
    left, top = round(float(x)), round(float(y))
    core = np.zeros((scene.side, scene.side), bool)
    core[max(top, 0) : top + round(GRID * scene.step), left : left + round(GRID * scene.step)] = 1
    assert (~core).sum() > 10000
    assert (result == drawn)[~core].all()
    assert (result != drawn)[core].mean() > 0.5


def test_of_two_pictures_the_one_that_agrees_with_the_drawn_face_counts() -> None:
    scene = Scene(200)
    film = texture(3, scene.side)
    other = texture(4, scene.side)
    samples = [*scene.samples(other), *scene.samples(film)]
    result = with_detail(scene.drawn(film), film, scene.place(), samples, 1.0)
    own, found, strange = (band(image, 1, 2)[scene.inner] for image in (film, result, other))
    assert alike(own, found) > 0.75
    assert abs(alike(strange, found)) < 0.4


def grid_to_shares() -> Floats:
    """Where the pixels of the grid lie in the stored crop of the same face."""
    line = (np.arange(GRID) + 0.5) * CORE_TO_SHARES + (1 - CORE) / 2
    return np.stack(np.meshgrid(line, line), axis=-1).astype(np.float32)


def off(one: Floats, two: Floats) -> Floats:
    """How far two fields are from one another, pixels of the grid."""
    return np.asarray(np.linalg.norm(one - two, axis=-1) / CORE_TO_SHARES, np.float32)


def place(yaw: float, matrix: Floats | None = None) -> Place:
    chosen = np.eye(2, 3) if matrix is None else matrix
    return Place(np.asarray(chosen, np.float64), wanted(yaw), 1.0)


def test_the_same_mesh_bends_nothing() -> None:
    (field,) = bent(place(0), [mesh(0)[:, :2]])
    assert off(field.fine(), grid_to_shares()).max() < 0.01
    assert off(field.coarse(), field.fine()[1::4, 1::4]).max() < 1


def test_a_turned_and_scaled_mesh_gives_that_turn_and_scale() -> None:
    angle, scale, shift = np.radians(20), 0.7, np.array([0.1, 0.05])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def moved(points: Floats) -> Floats:
        return np.asarray((points - 0.5) @ turn.T + 0.5 + shift, np.float32)

    own = mesh(10)[:, :2]
    fields = bent(place(10), [own, moved(own)])
    assert len(fields) == 2
    assert off(fields[0].fine(), grid_to_shares()).max() < 0.01
    assert off(fields[1].fine(), moved(grid_to_shares())).max() < 0.01


def test_a_bent_mesh_comes_to_lie_where_it_is_wanted() -> None:
    there, own = place(12), mesh(-6)[:, :2]
    (field,) = bent(there, [own])
    x, y = there.mesh.T
    seen = cv2.remap(field.fine(), x[:, None], y[:, None], cv2.INTER_LINEAR)
    found = np.asarray(seen[:, 0], np.float32)
    affine = np.column_stack([there.mesh, np.ones(468)]) @ field.affine
    assert off(found, own).mean() < 0.6 * off(affine.astype(np.float32), own).mean()
    assert off(found, own).mean() < 1


@pytest.mark.parametrize("yaws", [(0, 6), (14, 9)])
def test_the_field_goes_on_beyond_the_mesh_without_a_fold(yaws: tuple[float, float]) -> None:
    (field,) = bent(place(yaws[0]), [mesh(yaws[1])[:, :2]])
    for scale in (1, 3):
        matrix = np.array([[1 / scale, 0, -GRID / 4], [0, 1 / scale, -GRID / 4]])
        side = round(1.5 * GRID * scale)
        seen = field.on_patch(matrix, (slice(0, side), slice(0, side))) / CORE_TO_SHARES
        for axis in (0, 1):
            along = np.diff(seen, axis=axis)[..., 1 - axis] * scale
            assert along.min() > 0.3
            assert along.max() < 1.7
            # No step anywhere: it turns slowly.
            assert np.abs(np.diff(seen, 2, axis=axis)).max() < 0.36 / scale


def test_on_a_patch_as_large_as_the_grid_it_is_the_same_field() -> None:
    there = Place(np.eye(2, 3), wanted(8), 1.0, gaze=(0.1, 0.1))
    (field,) = bent(there, [mesh(-4)[:, :2]])
    field = looking(there, field, (0.0, 0.0))
    whole = field.on_patch(np.eye(2, 3), (slice(0, GRID), slice(0, GRID)))
    assert off(whole, field.fine()).max() < 0.02
    box = slice(31, 77), slice(20, 101)
    assert off(field.on_patch(np.eye(2, 3), box), field.fine()[box]).max() < 0.02


def test_on_a_larger_patch_it_has_no_steps() -> None:
    matrix = np.array([[1 / 3, 0, -1 / 3], [0, 1 / 3, -1 / 3]])
    (field,) = bent(place(0), [mesh(0)[:, :2]])
    seen = field.on_patch(matrix, (slice(0, 3 * GRID), slice(0, 3 * GRID)))
    steps = np.diff(seen[..., 0], axis=1) / CORE_TO_SHARES
    assert np.abs(steps - 1 / 3).max() < 1e-3
    (field,) = bent(place(8), [mesh(-4)[:, :2]])
    seen = field.on_patch(matrix, (slice(0, 3 * GRID), slice(0, 3 * GRID)))
    assert off(seen[1::3, 1::3], field.fine()).max() < 0.02
    # Straight from each pixel of the grid to the next.
    line = seen[1::3]
    for share, between in ((1 / 3, line[:, 2:-2:3]), (2 / 3, line[:, 3:-1:3])):
        straight = (1 - share) * line[:, 1:-3:3] + share * line[:, 4::3]
        assert off(between, straight).max() < 0.02


EYE_SCENE = Scene(400)
IRIS_SHARE = 0.17
"""Radius of the iris over the width of the eye."""


def eyes_looking(aside: float) -> Image:
    """White, with an iris in each eye, so far aside."""
    image = np.full((EYE_SCENE.side, EYE_SCENE.side, 3), 220, np.uint8)
    for ends in EYES:
        left, right = EYE_SCENE.face.landmarks[list(ends), :2].astype(np.float64)
        middle = (left + right) / 2 + aside * (right - left)
        radius = IRIS_SHARE * float(np.hypot(*(right - left)))
        at = round(16 * middle[0]), round(16 * middle[1])
        cv2.circle(image, at, round(16 * radius), (30, 30, 30), -1, cv2.LINE_AA, 4)
    return image


def irises(image: Image) -> list[float]:
    """How far aside each iris is found, as a share of the eye's width, by what is inside the
    lids."""
    found = []
    for number, ends in enumerate(EYES):
        left, right = EYE_SCENE.face.landmarks[list(ends), :2].astype(np.float64)
        row, _ = EYE_SCENE.eye(number)
        near = slice(round(float(left[0])), round(float(right[0])))
        dark = 220 - image[row - 1 : row + 2, near, 1].mean(0)
        x = float((dark * np.arange(near.start, near.stop)).sum() / dark.sum())
        found.append((x - (left[0] + right[0]) / 2) / (right[0] - left[0]))
    return found


def seen_through(field: Field, aside: float = 0.0) -> Image:
    """The stored crop of eyes that look so far aside, as a field bends it."""
    stored = EYE_SCENE.stored(eyes_looking(aside))
    whole = slice(0, EYE_SCENE.side), slice(0, EYE_SCENE.side)
    x, y = cv2.split(field.on_patch(EYE_SCENE.to_grid, whole) * np.float32(len(stored)))
    return np.asarray(cv2.remap(stored, x - 0.5, y - 0.5, cv2.INTER_LINEAR), np.uint8)


def unmoved(there: Place) -> Field:
    (field,) = bent(there, [EYE_SCENE.mesh])
    return field


@pytest.mark.parametrize("aside", [(0.12, 0.12), (-0.1, -0.1), (0.08, -0.05)])
def test_irises_move_to_where_the_film_looks(aside: tuple[float, float]) -> None:
    there = EYE_SCENE.place(gaze=aside)
    width = float(np.ptp(EYE_SCENE.face.landmarks[list(EYES[0]), 0])) / EYE_SCENE.step
    straight, moved = unmoved(there), looking(there, unmoved(there), (0.0, 0.0))
    assert irises(seen_through(straight)) == pytest.approx([0, 0], abs=0.01)
    for found, asked in zip(irises(seen_through(moved)), aside, strict=True):
        # To within a pixel of the grid.
        assert abs(found - asked) * width < 1
        assert found == pytest.approx(asked, abs=0.35 * abs(asked))
    # A picture that looks there already stays as it is.
    same = looking(there, unmoved(there), aside)
    assert (same.fine() == straight.fine()).all()


def test_an_iris_that_is_aside_already_moves_on_from_there() -> None:
    there = EYE_SCENE.place(gaze=(0.24, 0.24))
    moved = looking(there, unmoved(there), (0.12, 0.12))
    assert irises(seen_through(unmoved(there), 0.12)) == pytest.approx([0.12] * 2, abs=0.01)
    assert irises(seen_through(moved, 0.12)) == pytest.approx([0.24] * 2, abs=0.02)


def test_lids_and_all_beyond_stay_in_place() -> None:
    there = EYE_SCENE.place(gaze=(0.15, 0.15))
    straight, moved = unmoved(there), looking(there, unmoved(there), (0.0, 0.0))
    away = off(moved.fine(), straight.fine())
    inside = np.maximum(*there.openings)
    assert away[inside > 0.9].max() > 1.5
    assert (away[inside == 0] == 0).all()
    beyond = cv2.dilate(inside, np.ones((3, 3), np.uint8)) < 0.02
    assert away[beyond].max() < 0.05
    for ends in EYES:
        for x, y in there.mesh[list(ends)]:
            assert away[round(float(y)), round(float(x))] < 0.5


def test_a_gaze_that_is_not_known_moves_nothing() -> None:
    there = EYE_SCENE.place(gaze=(0.15, 0.15))
    for gaze, place in (
        ((NOWHERE, NOWHERE), there),
        ((0.0, 0.0), EYE_SCENE.place(gaze=(NOWHERE, NOWHERE))),
        ((0.0, 0.0), EYE_SCENE.place(gaze=(0.15, 0.15), awake=0.0)),
    ):
        field = unmoved(place)
        assert (looking(place, field, gaze).fine() == field.fine()).all()
    field = unmoved(there)
    away = off(looking(there, field, (NOWHERE, 0.0)).fine(), field.fine())
    left, right = there.openings
    assert away[(left > 0) & (right == 0)].max() == 0
    assert away[right > 0.9].max() > 1.5


def test_an_iris_moves_no_further_than_an_eye_allows() -> None:
    there = EYE_SCENE.place(gaze=(0.9, 0.9))
    field = unmoved(there)
    away = off(looking(there, field, (0.0, 0.0)).fine(), field.fine())
    width = float(np.hypot(*np.diff(there.mesh[list(EYES[0])], axis=0)[0]))
    assert away.max() <= gallery_detail.FARTHEST_LOOK * width + 0.01


def test_the_eyes_of_the_result_look_as_the_film_does() -> None:
    film = eyes_looking(0.1)
    samples = [
        sample(EYE_SCENE.stored(eyes_looking(0.0)), EYE_SCENE.mesh, part=part)
        for part in ("whole", "eyes", "mouth")
    ]
    drawn = blurred(film, 2 * EYE_SCENE.pixel)
    place = EYE_SCENE.place(gaze=(0.1, 0.1))
    result = with_detail(drawn, film, place, samples, 1.0)
    assert irises(film) == pytest.approx([0.1, 0.1], abs=0.01)
    assert irises(result) == pytest.approx([0.1, 0.1], abs=0.03)


def test_pictures_say_what_is_in_an_eye_unless_their_lids_do_not_fit() -> None:
    film = eyes_looking(0.0)
    samples = [
        sample(EYE_SCENE.stored(film), EYE_SCENE.mesh, part=part)
        for part in ("whole", "eyes", "mouth")
    ]
    # A network draws eyes paler that it does not know well.
    pale = np.rint(220 - 0.7 * (220.0 - film)).astype(np.uint8)
    drawn = blurred(pale, 2 * EYE_SCENE.pixel)
    asleep, awake = (
        with_detail(drawn, film, EYE_SCENE.place(lids=share), samples, 1.0) for share in (0.0, 1.0)
    )
    for number in (0, 1):
        row, column = EYE_SCENE.eye(number)
        near = slice(row - 2, row + 3), slice(column - 2, column + 3)
        own, *found = (float(image[near].mean()) for image in (drawn, asleep, awake))
        assert found[1] < found[0] - 8 < own - 8

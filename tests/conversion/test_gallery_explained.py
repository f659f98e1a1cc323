"""What a gallery holds, what a film takes out of it, and what is missing, in words."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.support.turned_heads import gallery, mesh
from understudy.conversion.compositing.gallery_detail import GRID
from understudy.conversion.gallery_explained import (
    DOWN,
    SMALL,
    Played,
    chart,
    lacks,
    leading,
    parts_sheet,
    told,
    traits_of,
    used,
    wanted_mesh,
)
from understudy.conversion.gallery_picks import PARTS, FramePicks, Pick
from understudy.faces.align import CORE
from understudy.faces.masks import EYES_AND_BROWS
from understudy.faces.triangles import LOWER_LIP
from understudy.media.contact_sheet import CAPTION, GAP, TILE
from understudy.types import Floats, Image

YAWS = (-8, -4, 0, 4, 8)


def shut(yaw: float) -> Floats:
    """With both eyes as a line."""
    found = mesh(yaw)
    for lids in EYES_AND_BROWS[:2]:
        found[lids, 1] = found[lids, 1].mean()
    return found


def opened(yaw: float) -> Floats:
    found = mesh(yaw)
    found[LOWER_LIP, 1] += 0.08
    return found


def played(*frames: tuple[Floats, tuple[float, float]], rows: tuple[int, ...] = (2,)) -> Played:
    picks = tuple(Pick(row, part, 1 / len(rows)) for row in rows for part in PARTS)
    wanted = np.stack([one for one, _ in frames])
    return Played(
        [Fraction(number, 10) for number in range(len(frames))],
        [FramePicks(picks, shares) for _, shares in frames],
        wanted,
        wanted,
    )


def test_it_is_told_what_a_gallery_holds() -> None:
    own = gallery(YAWS)
    found = told(own)
    assert (found["pictures"], found["sha256"]) == (5, own.sha256)
    assert found["yaw"] == pytest.approx([-8, 8], abs=1)
    assert found["eyes_shut"] == 0
    assert found["mouth_open"] == 0
    own.meshes[1] = shut(-4)
    own.meshes[3] = opened(4)
    assert (told(own)["eyes_shut"], told(own)["mouth_open"]) == (1, 1)


def test_what_is_missing_is_said_in_words() -> None:
    fits, eyes, mouth = (1.0, 1.0), (0.1, 1.0), (1.0, 0.2)
    film = played(
        (mesh(0), fits),
        (shut(0), eyes),
        (mesh(40), eyes),
        (shut(2), eyes),
        (opened(1), mouth),
        (mesh(1), mouth),
        (shut(1), eyes),
    )
    found = lacks(gallery(YAWS), film)
    assert [(one.what, one.frames, one.first) for one in found] == [
        ("no picture with closed eyes", 3, 0.1),
        ("no picture with the head turned 40 degrees to image right", 1, 0.2),
        ("no picture with mouth open as wide", 1, 0.4),
        ("no picture with mouth of this shape at this head pose", 1, 0.5),
    ]
    assert found[0].sentence("scene.mp4") == (
        "no picture with closed eyes: 3 frames of scene.mp4 fall back to the drawn face "
        "(first at 0.1 s)"
    )
    assert "1 frame of scene.mp4 falls back" in found[1].sentence("scene.mp4")
    assert lacks(gallery(YAWS), played((shut(0), (0.6, 1.0)))) == []


def test_shut_eyes_at_another_turn_are_none_at_this_one() -> None:
    own = gallery((*YAWS, 30))
    own.meshes[5] = shut(30)
    barely = shut(0)
    barely[:, 1] += 0.1 * (mesh(0) - barely)[:, 1]
    (found,) = lacks(own, played((barely, (0.0, 1.0))))
    assert found.what == "no picture with closed eyes at this head pose"


def test_pictures_are_counted_by_part_and_the_nearest_leads() -> None:
    own = gallery(YAWS)
    film = played((mesh(7), (1, 1)), (mesh(8), (1, 1)), (mesh(-8), (1, 1)), rows=(0, 2, 4))
    leads = leading(own, film)
    assert [one["mouth"] for one in leads] == [4, 4, 0]
    found = used(film.times, leads)
    assert {"picture": 4, "part": "eyes", "frames": 2, "first_seconds": 0.0} in found
    assert {"picture": 0, "part": "whole", "frames": 1, "first_seconds": 0.2} in found
    assert len(found) == 6


def test_a_chart_goes_from_left_to_right_as_the_head_turns() -> None:
    tones = {yaw: 40 + 4 * yaw for yaw in range(0, 36, 3)}
    order = [21, 0, 33, 3, 12, 30, 6, 18, 9, 24, 15, 27]
    pictures: list[Image] = [np.full((128, 128, 3), tones[yaw], np.uint8) for yaw in order]
    drawn = chart("ada", gallery(order, pictures))
    step = SMALL + GAP
    assert drawn.shape == (2 * CAPTION + DOWN * step, 2 * step, 3)
    first, second = (drawn[2 * CAPTION :, left : left + SMALL] for left in (0, step))
    left = {int(first[place * step + 30, 30, 0]) for place in range(DOWN)}
    assert left == {tones[yaw] for yaw in range(0, 30, 3)}
    assert {int(second[place * step + 30, 30, 0]) for place in range(2)} == {tones[30], tones[33]}
    assert (second[2 * step :] == 24).all()


def test_moments_stand_above_their_pictures() -> None:
    pictures: list[Image] = [np.full((128, 128, 3), 50 * n, np.uint8) for n in (1, 2, 3)]
    own = gallery((0, 0, 0), pictures)
    film = np.full((128, 128, 3), 210, np.uint8)
    moments = {"0.0 s": (film, dict(zip(PARTS, (0, 1, 2), strict=True)))}
    drawn = parts_sheet(own, moments)
    column = drawn[:, TILE // 2, 0].astype(int)
    assert [tone for tone in (210, 50, 100, 150) if (column == tone).sum() >= TILE - 4] == [
        *(210, 50, 100, 150)
    ]
    assert [int(np.flatnonzero(column == tone)[0]) for tone in (210, 50, 100, 150)] == sorted(
        int(np.flatnonzero(column == tone)[0]) for tone in (210, 50, 100, 150)
    )


def test_a_wanted_mesh_has_the_films_depth() -> None:
    own = mesh(10)
    core = (own[:, :2] - (1 - CORE) / 2) / CORE * GRID - 0.5
    found = wanted_mesh(core.astype(np.float32), own, GRID)
    assert np.allclose(found, own, atol=1e-5)
    assert traits_of(found[None]).yaw[0] == pytest.approx(10, abs=1)

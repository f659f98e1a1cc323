"""What is in front of a face stays in front, and does not flicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.conversion import render
from understudy.conversion.compositing.occlusion import (
    REACH,
    Around,
    Cover,
    Glance,
    certain,
    covers,
    steadied,
)
from understudy.conversion.compositing.visibility import Shown, as_told
from understudy.conversion.render import lead
from understudy.conversion.swapper import Cast, Swapper
from understudy.conversion.warp import Still, Warper
from understudy.demo import SAMPLE
from understudy.faces.align import core_alignment
from understudy.faces.occlusion import SIDE
from understudy.faces.pose import reference
from understudy.media.video import VideoReader
from understudy.models.base import SwapModel
from understudy.models.recipe import Recipe
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image, Patch, Pose

MIDDLE = (slice(40, 80), slice(40, 80))


def square(value: float = 1.0) -> Floats:
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[MIDDLE] = value
    return cover


def noise(seed: int) -> Image:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (16, 16, 3), np.uint8)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def inner() -> Floats:
    """A face that fills the middle of the crop."""
    face = np.zeros((SIDE, SIDE), np.float32)
    face[30:110, 30:100] = 1
    return face


def bar(rows: slice, columns: slice, value: float = 0.97) -> Floats:
    likely = np.zeros((SIDE, SIDE), np.float32)
    likely[rows, columns] = value
    return likely


def test_a_thing_that_comes_in_is_kept_whole_and_steep(inner: Floats) -> None:
    likely = bar(slice(80, 100), slice(0, 70), 0.8)
    assert certain(likely, inner)[80:100, 30:70].max() == 0, "nowhere sure"
    likely[85:90, 40:50] = 0.95
    cover = certain(likely, inner)
    assert cover[80:100, :70].min() == 1
    assert cover[:80].max() == 0


def test_islands_on_the_face_are_glare(inner: Floats) -> None:
    assert certain(bar(slice(50, 70), slice(50, 70)), inner).max() == 0


def test_a_fist_whose_edge_is_faint_is_too_large_for_a_glare(inner: Floats) -> None:
    fist = bar(slice(60, 100), slice(40, 90))
    assert certain(fist, inner)[60:100, 40:90].min() == 1
    assert certain(bar(slice(60, 80), slice(40, 70)), inner).max() == 0


def test_what_hangs_on_the_temple_by_a_neck_is_glare_and_a_fringe_is_not(inner: Floats) -> None:
    likely = bar(slice(0, 30), slice(0, SIDE)) + bar(slice(34, 52), slice(75, 95))
    likely[30:34, 82:88] = 0.97
    cover = certain(likely, inner)
    assert cover.max() == 0
    fringe = bar(slice(0, 40), slice(0, SIDE))
    assert certain(fringe, inner)[30:40, 30:100].min() == 1


def test_a_hand_does_not_speak_for_the_glare_that_a_shadow_joins_to_it(inner: Floats) -> None:
    hand = bar(slice(80, 100), slice(40, SIDE))
    glare = bar(slice(45, 60), slice(75, 95))
    shadow = bar(slice(60, 80), slice(82, 88), 0.4)
    assert certain(hand + shadow, inner)[80:100, 40:100].min() == 1
    cover = certain(hand + shadow + glare, inner)
    assert cover[80:100, 40:100].min() == 1
    assert cover[40:65].max() == 0
    joined = hand + bar(slice(60, 80), slice(82, 88)) + glare
    assert certain(joined, inner)[45:60, 75:95].min() == 1, "one thing"


def test_a_hand_from_above_is_large(inner: Floats) -> None:
    hand = bar(slice(0, 85), slice(50, 75))
    assert certain(hand, inner)[30:85, 50:75].min() == 1


def in_a_row(
    found: Sequence[Floats], crops: Sequence[Image], frames: Sequence[int]
) -> list[Floats]:
    """Covers found in these frames of one track, each steadied by all others."""
    glances = [Glance.of(cover, crop) for cover, crop in zip(found, crops, strict=True)]
    return [
        steadied(
            glance,
            [
                (abs(far - frame), other)
                for far, other in zip(frames, glances, strict=True)
                if far != frame
            ],
        )
        for frame, glance in zip(frames, glances, strict=True)
    ]


def test_what_flickers_over_a_still_picture_is_steadied() -> None:
    found = [square(float(number % 2)) for number in range(4)]
    result = in_a_row(found, [noise(0)] * 4, range(10, 14))
    inside = [float(one[MIDDLE].mean()) for one in result]
    assert max(inside) - min(inside) < 0.5
    assert all(one[:30].max() == 0 for one in result)


def test_what_moves_leaves_no_trail() -> None:
    crops = [np.full((SIDE, SIDE, 3), code, np.uint8) for code in (30, 110, 190)]
    result = in_a_row([square(), square(0.0), square()], crops, range(3))
    assert result[1].max() < 0.05
    assert result[0][MIDDLE].min() > 0.95


@pytest.mark.parametrize(("track", "index"), [(1, 2), (0, 9)])
def test_other_tracks_and_far_frames_do_not_count(track: int, index: int) -> None:
    (bare,) = scene(1)
    alone, another = replace(bare, index=1), replace(barred(bare), index=index)
    first, second = covers([(alone, [head(0)]), (another, [head(track)])])
    assert first == [None]
    ((wanted,),) = covers([(another, [head(track)])])
    assert second[0] is not None
    assert wanted is not None
    np.testing.assert_allclose(second[0].cover, wanted.cover, atol=1e-5)


def flickering(count: int) -> list[tuple[Frame, list[Face]]]:
    """Two people in a still picture; before both a bar is found in every other frame."""
    (bare,) = scene(1)
    hidden = barred(bare)
    return [
        (
            replace(hidden if number % 2 else bare, index=number, time=Fraction(number, 25)),
            [head(0), head(1)],
        )
        for number in range(count)
    ]


@dataclass
class Looker:
    """Draws nothing, but keeps what it finds in front of faces, and how much it remembers."""

    found: list[Cover | None] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    most: int = 0

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        for fronts in covers(frames, around=around):
            self.found += fronts
        self.groups.append(len(frames))
        self.most = max(self.most, len(around.seen) if around else 0)
        return [[] for _ in frames]


def test_covers_are_the_same_wherever_groups_end(monkeypatch: pytest.MonkeyPatch) -> None:
    film = flickering(14)
    whole = covers(film)
    for length in (1, 2, 5):
        monkeypatch.setattr(render, "GROUP_FRAMES", length)
        one, other = Looker(), Looker()
        cast = Cast({0: one, 1: other})
        list(render.swapped([frame for frame, _ in film], lambda n: film[n][1], cast, 100))
        assert one.groups == [length] * (14 // length) + [14 % length] * (14 % length > 0)
        assert one.most <= 2 * (length + 2 * REACH), "of both people"
        for looker, track in ((one, 0), (other, 1)):
            for got, wanted in zip(looker.found, whole, strict=True):
                same = wanted[track]
                assert got is not None
                assert same is not None
                np.testing.assert_allclose(got.cover, same.cover, atol=1e-4)


def test_a_segment_sees_past_its_borders_wherever_the_reading_began() -> None:
    film = flickering(9)
    times = [frame.time for frame, _ in film]

    def drawn(done: int) -> list[Cover | None]:
        looker = Looker()
        first = times[done] if done else None
        began = 0 if first is None else times.index(lead(times, first) or times[0])
        frames = [frame for frame, _ in film[began:]]
        list(render.swapped(frames, lambda n: film[n][1][:1], looker, 4, first))
        return looker.found[-5:]

    whole = covers([(frame, faces[:1]) for frame, faces in film])
    for one, other, (wanted,) in zip(drawn(0), drawn(4), whole[4:], strict=True):
        assert one is not None
        assert other is not None
        assert wanted is not None
        np.testing.assert_array_equal(one.cover, other.cover)
        np.testing.assert_allclose(one.cover, wanted.cover, atol=1e-4)


def test_reading_begins_a_little_before_the_first_frame_to_draw() -> None:
    times = [Fraction(n, 25) for n in range(20)]
    assert lead(times, None) is None
    assert lead(times, times[2]) == 0
    assert lead(times, times[9]) == times[9 - REACH]


def shifted(x: float, y: float, scale: float = 1.0) -> Floats:
    """From a frame to a crop whose upper left corner lies at (x, y) in it."""
    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], np.float32)


def test_a_patch_gives_way_to_the_bit() -> None:
    random = np.random.default_rng(3)
    alpha = random.uniform(0, 1, (90, 70)).astype(np.float32)
    patch = Patch(25, 30, random.integers(0, 256, (90, 70, 3), np.uint8), alpha)
    given = Cover(square(), shifted(10, 20)).before(patch)
    # The square covers x 50 to 90 and y 60 to 100 of the frame.
    assert given.alpha[30:70, 25:65].max() == 0
    left = np.ones((90, 70), bool)
    left[30:70, 25:65] = False
    np.testing.assert_array_equal(given.alpha[left], alpha[left])
    assert (given.x, given.y) == (25, 30)
    assert given.image is patch.image


def test_a_cover_lies_at_the_same_place_at_other_scales() -> None:
    cover = Cover(square(), shifted(0, 0, 0.5))
    seen = cover.seen(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (256, 256))
    assert seen[84:156, 84:156].min() > 0.9
    assert seen[:76].max() < 0.1
    small = Cover(square(), shifted(0, 0, 2.0)).seen(np.eye(3)[:2], (64, 64))
    assert small[22:38, 22:38].min() > 0.9
    assert small[:17].max() < 0.1


def test_light_is_measured_as_if_nothing_were_in_front() -> None:
    bare = np.full((SIDE, SIDE, 3), (180, 140, 120), np.uint8)
    bare[:, :64] = (150, 110, 90)
    whole = shifted(0, 0)
    for colour in (0, 255):
        picture = bare.copy()
        picture[MIDDLE] = colour
        wider = np.asarray(cv2.dilate(square(), np.ones((3, 3), np.uint8)), np.float32)
        cover = Cover(wider, whole)
        filled = cover.away(picture, whole)
        assert np.abs(filled.astype(int) - bare)[MIDDLE].max() <= 31
        clear = cover.cover == 0
        np.testing.assert_array_equal(filled[clear], bare[clear])


def scene(count: int) -> list[Frame]:
    with VideoReader(SAMPLE / "scene.mp4") as reader:
        return [frame for frame, _ in zip(reader, range(count), strict=False)]


def head(track: int = 0) -> Face:
    """The reference head put where the first frames of the scene show theirs."""
    to_core = np.array([[0.6427, -0.1479, -37.1762], [0.1479, 0.6427, -46.6389]])
    straight = reference().points * 70 + np.array([100, 100, 0])
    own = core_alignment(straight.astype(np.float32), SIDE).astype(np.float64)
    core = straight[:, :2] @ own[:, :2].T + own[:, 2]
    points = np.column_stack(
        [(core - to_core[:, 2]) @ np.linalg.inv(to_core[:, :2]).T, straight[:, 2]]
    )
    return Face((0, 0, 1, 1), points.astype(np.float32), 1.0, Pose(0, 0, 0), track)


def barred(frame: Frame) -> Frame:
    image = frame.image.copy()
    cv2.line(image, (0, 160), (image.shape[1], 170), (60, 60, 70), 18)
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    return replace(frame, picture=picture, to_rgb=lambda _: image)


def test_bare_faces_have_no_cover_and_a_bar_gives_one() -> None:
    frames = scene(2)
    assert covers([(frames[0], []), (frames[1], [])]) == [[], []]
    clear, hidden = covers([(frames[0], [head(0)]), (barred(frames[1]), [head(1), head(2)])])
    assert clear == [None]
    assert len(hidden) == 2
    for front in hidden:
        assert front is not None
        assert front.cover.max() > 0.9
        height, width = frames[1].image.shape[:2]
        seen = front.seen(np.eye(3)[:2], (width, height))
        bar = np.zeros((height, width), np.uint8)
        cv2.line(bar, (0, 160), (width, 170), 1, 18)
        points = head().landmarks[:, :2]
        low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
        face = (slice(low[1], high[1]), slice(low[0], high[0]))
        assert seen[face][bar[face] > 0].mean() > 0.7


def test_a_bar_stays_in_front_of_a_warped_photo_too() -> None:
    (bare,) = scene(1)
    frame = barred(bare)
    still = Still("ada", bare.image, head())
    shown, painted = (
        Warper(still, ConvertSettings(occlusion=occlusion)).patches([(frame, [head()])])[0][0]
        for occlusion in (True, False)
    )
    assert (shown.x, shown.y, shown.alpha.shape) == (painted.x, painted.y, painted.alpha.shape)
    rows, columns = frame.image.shape[:2]
    bar = np.zeros((rows, columns), np.uint8)
    cv2.line(bar, (0, 160), (columns, 170), 1, 14)
    height, width = shown.alpha.shape
    under = bar[shown.y : shown.y + height, shown.x : shown.x + width] > 0
    sure = under & (painted.alpha > 0.9)
    assert sure.sum() > 500
    assert shown.alpha[sure].mean() < 0.3


class Unmasked(SwapModel):
    """Gives back what it gets and learns no mask."""

    network: ClassVar[str] = "original"
    sizes: ClassVar[tuple[int, ...]] = (64,)
    recipe: ClassVar[Recipe] = Recipe(1, 1e-3, (0.9, 0.99))
    learns_mask: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__(64, ("ada",))
        self.decoders = nn.ModuleList([nn.Identity()])

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        return latent, torch.ones_like(latent[:, :1])

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        return {"l1": (image - target).abs().mean()}


def test_a_network_without_masks_draws_to_where_the_face_is_seen_to_end() -> None:
    (frame,) = scene(1)
    with VideoReader(SAMPLE / "scene-mask.mp4") as reader:
        truth = next(iter(reader)).image[..., 0] > 127
    found = []
    for occlusion in (True, False):
        settings = ConvertSettings(occlusion=occlusion, feather=0.01)
        swapper = Swapper(Unmasked(), "ada", settings, torch.device("cpu"), False, "any")
        (patch,) = swapper.patches([(frame, [head()])])[0]
        alpha = np.zeros(truth.shape, np.float32)
        height, width = patch.alpha.shape
        alpha[patch.y : patch.y + height, patch.x : patch.x + width] = patch.alpha
        found.append(((alpha > 0.5) & truth).sum() / ((alpha > 0.5) | truth).sum())
    looking, mesh = found
    assert looking > max(0.85, mesh + 0.03)


def test_whom_a_model_knows_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unmasked, "learns_mask", True)
    looked: list[int] = []

    def look(masks: Floats, learned: bool, crops: Sequence[Image], *rest: object) -> list[Shown]:
        looked.append(len(crops))
        return as_told(masks, learned, None)

    monkeypatch.setattr("understudy.conversion.swapper.looked_at", look)
    (frame,) = scene(1)
    for replaced in ("ada", "any"):
        swapper = Swapper(
            Unmasked(), "ada", ConvertSettings(), torch.device("cpu"), False, replaced
        )
        assert len(swapper.patches([(frame, [head()])])[0]) == 1
    assert looked == [1]


def test_hair_and_background_that_leave_the_face_alone_do_not_count(inner: Floats) -> None:
    assert certain(bar(slice(0, 25), slice(0, SIDE)), inner).max() == 0
    assert certain(bar(slice(0, 25), slice(0, SIDE)), inner * 0).max() == 0


def test_a_picture_like_nothing_it_knows_has_no_cover() -> None:
    frame = scene(1)[0]
    random = np.random.default_rng(0)
    image = random.integers(0, 256, frame.image.shape, np.uint8)
    assert covers([(replace(frame, to_rgb=lambda _: image), [head()])]) == [[None]]

"""Drawing faces: where a swap ends."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar

import av
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.conversion.compositing.composite import PAST
from understudy.conversion.compositing.occlusion import Around
from understudy.conversion.swapper import Cast, Drawer, Swapper
from understudy.faces.pose import reference
from understudy.models.base import SwapModel
from understudy.models.recipe import Recipe
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image, Patch, Pose

SIZE = 64


class Squares(SwapModel):
    """Everybody's face is a square of their own: ada's is large, chen's small."""

    network: ClassVar[str] = "swift"
    sizes: ClassVar[tuple[int, ...]] = (SIZE,)
    recipe: ClassVar[Recipe] = Recipe(1, 1e-3, (0.9, 0.99))
    edges: ClassVar[dict[str, int]] = {"ada": 8, "chen": 20}

    def __init__(self) -> None:
        super().__init__(SIZE, tuple(self.edges))
        self.decoders = nn.ModuleList(nn.Identity() for _ in self.people)

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        edge = self.edges[person]
        mask = torch.zeros_like(latent[:, :1])
        mask[:, :, edge:-edge, edge:-edge] = 1
        return latent, mask

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        return {"l1": (image - target).abs().mean() + (mask - face).abs().mean()}


def mask_of(replaced: str | None) -> tuple[Image, Floats, Floats]:
    crop = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    swapper = Swapper(
        Squares(), "ada", ConvertSettings(), torch.device("cpu"), False, replaced=replaced
    )
    images, masks = swapper.draw([crop])
    return crop, images[0], masks[0]


@pytest.mark.parametrize("replaced", [None, "any", "ben"])
def test_a_swap_of_somebody_unknown_ends_where_its_own_face_ends(replaced: str | None) -> None:
    crop, image, mask = mask_of(replaced)
    np.testing.assert_allclose(image * 255, crop, atol=1e-3)
    assert mask.sum() == (SIZE - 16) ** 2


def test_a_swap_ends_near_the_face_that_it_replaces() -> None:
    past = round(PAST * SIZE)
    _, _, mask = mask_of("chen")
    wanted = np.zeros((SIZE, SIZE), np.float32)
    wanted[20 - past : -20 + past, 20 - past : -20 + past] = 1
    np.testing.assert_array_equal(mask, wanted)


class Names:
    """Draws patches that only say whom they cover."""

    def __init__(self, x: int) -> None:
        self.x = x
        self.frames: list[int] = []

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        self.frames.append(len(frames))
        image, alpha = np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32)
        return [[Patch(self.x, face.track, image, alpha) for face in faces] for _, faces in frames]


def test_every_face_is_drawn_by_the_one_its_track_is_cast_with() -> None:
    def face(track: int) -> Face:
        points = np.zeros((468, 3), np.float32)
        return Face((0, 0, 1, 1), points, 1.0, Pose(0, 0, 0), track)

    def frame(index: int) -> Frame:
        return Frame(index, Fraction(index), av.VideoFrame(2, 2, "gray"), lambda picture: image)

    image = np.zeros((2, 2, 3), np.uint8)
    one, two, idle = Names(10), Names(20), Names(30)
    cast = Cast({0: one, 1: two, 3: one, 5: idle})
    frames = [(frame(0), [face(1), face(0), face(2)]), (frame(1), [face(3)]), (frame(2), [])]
    laid = [[(patch.x, patch.y) for patch in patches] for patches in cast.patches(frames)]
    assert laid == [[(10, 0), (20, 1)], [(10, 3)], []]
    assert (one.frames, two.frames, idle.frames) == ([3], [3], [])
    assert [cast.replaces(face(track)) for track in range(4)] == [True, True, False, True]


class Smooth(Drawer):
    """Draws a face without any grain."""

    size, learned = SIZE, False

    def __init__(self, grain: float) -> None:
        self.settings = ConvertSettings(grain=grain, color="none", sharpen=0, occlusion=False)

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        shape = (len(crops), SIZE, SIZE)
        return np.full((*shape, 3), 0.5, np.float32), np.ones(shape, np.float32)


def test_two_faces_in_a_frame_have_grain_of_their_own() -> None:
    half = np.random.default_rng(1).normal(127, 9, (160, 160, 1)).clip(0, 255).repeat(3, 2)
    image = np.tile(half.astype(np.uint8), (1, 2, 1))
    points = reference().points * 40 + np.array([80, 80, 0])
    faces = [
        Face(
            (0, 0, 1, 1),
            (points + np.array([160 * track, 0, 0])).astype(np.float32),
            1.0,
            Pose(0, 0, 0),
            track,
        )
        for track in range(2)
    ]

    def drawn(grain: float, index: int) -> list[Image]:
        frame = Frame(index, Fraction(index), av.VideoFrame(2, 2, "gray"), lambda picture: image)
        return [patch.image for patch in Smooth(grain).patches([(frame, faces)])[0]]

    plain, other_plain = drawn(0, 5)
    np.testing.assert_array_equal(plain, other_plain)
    one, other = drawn(1, 5)
    assert one.astype(float).std() > 4
    assert abs(np.corrcoef(one[..., 0].ravel(), other[..., 0].ravel())[0, 1]) < 0.05
    for got, wanted in zip(drawn(1, 5), (one, other), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert not np.array_equal(drawn(1, 6)[0], one)


class Shares:
    """Draws patches that say how much shows of a face, as alpha."""

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        image = np.zeros((1, 1, 3), np.uint8)
        return [
            [Patch(0, face.track, image, np.full((1, 1), face.share, np.float32)) for face in faces]
            for _, faces in frames
        ]


def test_of_two_people_in_one_face_each_comes_out_with_the_share_of_the_one_below() -> None:
    def face(track: int, share: float, x: float = 0) -> Face:
        points = np.zeros((468, 3), np.float32)
        return Face((x, 0, x + 1, 1), points, 1.0, Pose(0, 0, 0), track, share=share)

    image = np.zeros((2, 2, 3), np.uint8)
    frame = Frame(0, Fraction(0), av.VideoFrame(2, 2, "gray"), lambda picture: image)
    both = [face(0, 0.7), face(1, 0.3), face(2, 1.0, x=5)]

    def alphas(cast: Cast) -> dict[int, float]:
        (laid,) = cast.patches([(frame, both)])
        return {patch.y: round(float(patch.alpha[0, 0]), 6) for patch in laid}

    assert alphas(Cast({0: Shares()})) == {0: 0.7}
    assert alphas(Cast({1: Shares(), 2: Shares()})) == {1: 0.3, 2: 1.0}
    one, two = Shares(), Shares()
    # The first is laid whole; the second, over it, leaves 0.7 of it.
    assert alphas(Cast({0: one, 1: two})) == {0: 1.0, 1: 0.3}
    assert alphas(Cast({1: one, 0: two})) == {0: 0.7, 1: 1.0}


def test_a_swap_has_the_share_of_its_face() -> None:
    image = np.full((160, 160, 3), 90, np.uint8)
    points = (reference().points * 40 + np.array([80, 80, 0])).astype(np.float32)
    frame = Frame(0, Fraction(0), av.VideoFrame(2, 2, "gray"), lambda picture: image)

    def alpha(share: float) -> Floats:
        one = Face((40, 40, 120, 120), points, 1.0, Pose(0, 0, 0), 0, share=share)
        return Smooth(0).patches([(frame, [one])])[0][0].alpha

    np.testing.assert_allclose(alpha(0.25), 0.25 * alpha(1.0), rtol=1e-6)

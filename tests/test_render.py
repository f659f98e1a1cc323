"""Drawing faces: where a swap ends."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.models.base import Recipe, SwapModel
from understudy.render import PAST, Swapper
from understudy.settings import ConvertSettings
from understudy.types import Floats, Image

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

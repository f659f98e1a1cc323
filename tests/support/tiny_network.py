"""A network small enough to train in a test, in the place of `swift`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from understudy.models.base import SwapModel
from understudy.models.losses import mask_bce, masked_l1
from understudy.models.recipe import Augmentation, Recipe


class Tiny(SwapModel):
    network: ClassVar[str] = "swift"
    sizes: ClassVar[tuple[int, ...]] = (64, 96)
    recipe: ClassVar[Recipe] = Recipe(
        batch=4,
        learning_rate=1e-2,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        warmup=5,
        ema=0.9,
        augmentation=Augmentation(rotation=5, strength=0.3),
    )

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__(size, people)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 8, stride=8), nn.BatchNorm2d(16), nn.LeakyReLU(0.1), nn.Dropout2d(0.1)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 4 * 64, 1), nn.PixelShuffle(8)) for _ in people
        )

    def encode(self, images: Tensor) -> Tensor:
        latent: Tensor = self.encoder(images)
        return latent

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        out = torch.sigmoid(self.decoder(person)(latent))
        return out[:, :3], out[:, 3:]

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        return {"l1": masked_l1(image, target), "mask": 0.1 * mask_bce(mask, face)}

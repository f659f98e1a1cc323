"""`original`: the face-swapping autoencoder of 2017, the field's baseline, as it was.

64 pixels, four strided 5x5 convolutions, two dense layers, pixel-shuffle upscaling, one
decoder per person, no normalisation, no mask. The network and its settings are those of the
first public release and of its successors (deepfakes/faceswap, "original"); the code is ours.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from understudy.models.base import SwapModel
from understudy.models.losses import masked_mse, ssim
from understudy.models.recipe import Augmentation, Recipe

SLOPE = 0.1
WIDTHS = (128, 256, 512, 1024)


class _Down(nn.Sequential):
    """Halve the side: 5x5 convolution with stride 2, padded as "same" is for even sides."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels, out, 5, stride=2), nn.LeakyReLU(SLOPE)
        )


class _Up(nn.Sequential):
    """Double the side: 3x3 convolution to four times the channels, then pixel shuffle."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 4 * out, 3, padding=1), nn.LeakyReLU(SLOPE), nn.PixelShuffle(2)
        )


class Original(SwapModel):
    network: ClassVar[str] = "original"
    sizes: ClassVar[tuple[int, ...]] = (64,)
    learns_mask: ClassVar[bool] = False
    recipe: ClassVar[Recipe] = Recipe(
        batch=16,
        learning_rate=5e-5,
        betas=(0.9, 0.999),
        cosine=False,
        bfloat16=False,
        clip=float("inf"),
        augmentation=Augmentation(
            rotation=10, zoom=0.05, shift=0.05, flip=0.5, color="lab", warp=5 / 256
        ),
    )

    def __init__(self, size: int = 64, people: tuple[str, ...] = ("a", "b")) -> None:
        super().__init__(size, people)
        first, second, third, last = WIDTHS
        self.encoder = nn.Sequential(
            _Down(3, first),
            _Down(first, second),
            _Down(second, third),
            _Down(third, last),
            nn.Flatten(),
            nn.Linear(last * 4 * 4, last),
            nn.Linear(last, last * 4 * 4),
            nn.Unflatten(1, (last, 4, 4)),
            _Up(last, third),
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                _Up(third, second),
                _Up(second, first),
                _Up(first, first // 2),
                nn.Conv2d(first // 2, 3, 5, padding=2),
                nn.Sigmoid(),
            )
            for _ in self.people
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, images: Tensor) -> Tensor:
        latent: Tensor = self.encoder(images)
        return latent

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        image = self.decoder(person)(latent)
        return image, torch.ones_like(image[:, :1])

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        """Today's recipe of the field: structural dissimilarity and squared error in the face."""
        return {
            "dssim": 1 - ssim(image, target, face),
            "mse": masked_mse(image, target, face),
        }

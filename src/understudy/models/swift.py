"""`swift`: ours, the default: small enough for two processor cores, with a learned mask.

Almost nothing is computed at full size. The encoder takes squares of 8 x 8 pixels as its first
pixels and goes down to a grid of 6 to 10; a dense bottleneck that all people share mixes what is
left; each decoder goes up to a quarter of the side, and its last convolution draws 4 x 4 pixels
at once, three colours and a mask. Residual blocks of plain 3 x 3 convolutions, no normalisation:
what oneDNN runs fastest in bfloat16. Upscaling is pixel shuffle (Shi et al., "Real-time single
image and video super-resolution using an efficient sub-pixel convolutional neural network",
2016).

It learns from pictures of everybody as everybody's double (`training/doubles.py`). What was tried
and measured on the way is in `docs/research/lab.md`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.models.base import SwapModel
from understudy.models.focus import around_eyes, eyes, mouth
from understudy.models.losses import luma, mask_bce, masked_l1, ssim
from understudy.models.recipe import Augmentation, Recipe
from understudy.models.texture import texture

SLOPE = 0.1
PATCH = 8
"""Side in pixels of the squares that the encoder starts from."""

HEAD = 4
"""Side in pixels of the squares that the decoder ends in."""

STEM = 128
WIDTH = 256
SQUEEZED = 64
LATENT = 256
SHARED = 96
"""Channels: of the first grid, of the encoder's other grids, of its last, of the bottleneck, and of
the grid that it hands to the decoders."""

DECODER = (128, 128, 48, 48, 32)
"""Channels of the decoder's grids, from the smallest up."""

OUTSIDE = 0.02
"""Weight of pixels outside of the face against those inside."""

FOCUS = 2.0
"""Weight of eyes and mouth on top of the face's: small, and what people look at."""

TEXTURE = 4.0
"""Weight of the strength of fine detail: without it faces are drawn smooth. It is not asked of
eyes, so rich in detail that a network which is not sure of them would draw stripes."""


class _Block(nn.Module):
    """A 3x3 convolution with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, grid: Tensor) -> Tensor:
        grown: Tensor = grid + self.change(functional.leaky_relu(grid, SLOPE))
        return grown


class Encoder(nn.Module):
    """Pixels to the grid that all decoders start from."""

    def __init__(self, base: int, halvings: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(3 * PATCH * PATCH, STEM, 1)]
        channels = STEM
        for _ in range(halvings):
            stages += [nn.LeakyReLU(SLOPE), nn.Conv2d(channels, WIDTH, 3, stride=2, padding=1)]
            channels = WIDTH
        stages += [_Block(WIDTH), nn.LeakyReLU(SLOPE), nn.Conv2d(WIDTH, SQUEEZED, 1)]
        self.grid = nn.Sequential(*stages, nn.LeakyReLU(SLOPE))
        self.squeeze = nn.Linear(SQUEEZED * base * base, LATENT)
        self.spread = nn.Linear(LATENT, SHARED * base * base)
        self.base = base

    def features(self, images: Tensor) -> Tensor:
        """What the convolutions see: (N, features)."""
        squares = functional.pixel_unshuffle(images - 0.5, PATCH)
        grid: Tensor = self.grid(squares.contiguous(memory_format=torch.channels_last))
        return grid.flatten(1)

    def widen(self, vector: Tensor) -> Tensor:
        """The bottleneck (N, LATENT) as the grid that the decoders start from."""
        shaped: Tensor = self.spread(vector).unflatten(1, (SHARED, self.base, self.base))
        return shaped.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.widen(self.squeeze(self.features(images)))


class Decoder(nn.Module):
    """The shared grid to one person's face and its mask."""

    def __init__(self, times: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(SHARED, DECODER[0], 1), _Block(DECODER[0])]
        channels = DECODER[0]
        for width in DECODER[1 : 1 + times]:
            stages += [
                nn.Conv2d(channels, 4 * width, 1),
                nn.LeakyReLU(SLOPE),
                nn.PixelShuffle(2),
                _Block(width),
            ]
            channels = width
        self.grid = nn.Sequential(*stages, nn.LeakyReLU(SLOPE))
        self.head = nn.Conv2d(channels, 4 * HEAD * HEAD, 3, padding=1)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        drawn = functional.pixel_shuffle(self.head(self.grid(latent)), HEAD).float().sigmoid()
        image, mask = torch.split(drawn, [3, 1], dim=1)
        return image, mask


def doublings(size: int) -> int:
    """How often the smallest grid is doubled on the way to a quarter of the side."""
    times = 2
    while size // HEAD // 2**times > 10:
        times += 1
    return times


class Swift(SwapModel):
    network: ClassVar[str] = "swift"
    sizes: ClassVar[tuple[int, ...]] = (96, 128, 160, 192, 256, 320, 384, 512)
    recipe: ClassVar[Recipe] = Recipe(
        batch=16,
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        warmup=50,
        floor=0.05,
        ema=0.995,
        based=0.05,
        apart=0.02,
        augmentation=Augmentation(
            rotation=4, zoom=0.03, shift=0.02, flip=0.5, color="none", warp=3 / 256, doubles=0.3
        ),
    )

    focus: Tensor
    elsewhere: Tensor
    eye_focus: ClassVar[float] = 1.0
    """Weight of the eyes against the mouth's."""

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__(size, people)
        times = doublings(size)
        self.encoder = Encoder(size // HEAD // 2**times, times - 1)
        self.decoders = self.first_decoders(times)
        self._begin()
        focus = torch.maximum(self.eye_focus * eyes(size), mouth(size))
        self.register_buffer("focus", focus, persistent=False)
        self.register_buffer("elsewhere", 1 - around_eyes(size), persistent=False)

    def first_decoders(self, times: int) -> nn.ModuleList:
        """The decoders of `owners`, which double the smallest grid so many times."""
        return nn.ModuleList(Decoder(times) for _ in self.owners)

    def _begin(self) -> None:
        """Weights that keep the size of what flows through, there being no normalisation
        (He et al., "Delving deep into rectifiers", 2015); residuals and the picture begin
        small."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, _Block):
                module.change.weight.data.mul_(0.2)
            elif isinstance(module, Decoder):
                module.head.weight.data.mul_(0.1)

    def encode(self, images: Tensor) -> Tensor:
        latent: Tensor = self.encoder(images)
        return latent

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        image, mask = self.decoder(person)(latent)
        return image, mask

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        """Colour, structure and strength of detail in brightness, and the mask."""
        weight = OUTSIDE + (1 - OUTSIDE) * face * (1 + FOCUS * self.focus)
        bright, wanted = luma(image), luma(target)
        return {
            "l1": masked_l1(image, target, weight),
            "dssim": 0.5 * (1 - ssim(bright, wanted, weight, window="tent")),
            "texture": TEXTURE * texture(bright, wanted, face * self.elsewhere),
            "mask": 0.1 * mask_bce(mask, face),
        }

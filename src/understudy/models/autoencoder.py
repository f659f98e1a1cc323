"""`autoencoder`: the plain thing, one encoder and one decoder for everyone; it cannot swap.

Its output is its input, through a bottleneck of 256 numbers. Nothing in it knows who is who, so
what it redraws stays the same person: it is here to learn from (what does a bottleneck keep?),
as a contrast to `vae`, and as a first step on faces of many people, whose encoder the networks
with a decoder for each person can take over (`training/takeover.py`). Encoder and decoder are
those of `swift`, so that nothing but the number of decoders differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from understudy.models.recipe import Recipe
from understudy.models.swift import Swift


class Autoencoder(Swift):
    """The latent is the bottleneck itself: (N, 256)."""

    network: ClassVar[str] = "autoencoder"
    swaps: ClassVar[bool] = False
    # A double is another person's picture: only a decoder of one's own can undo it.
    recipe: ClassVar[Recipe] = replace(
        Swift.recipe, augmentation=replace(Swift.recipe.augmentation, doubles=0.0)
    )

    def encode(self, images: Tensor) -> Tensor:
        latent: Tensor = self.encoder.squeeze(self.encoder.features(images))
        return latent

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        """Latent (N, 256) -> image and mask, whoever `person` is."""
        return super().decode(self.encoder.widen(latent), person)

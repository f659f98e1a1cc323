"""`modulated`: one decoder for many people, tuned to each of them by an embedding.

Encoder and decoder are those of `swift`. Where that has a decoder for each person, here a person
is an embedding of 64 numbers, from which a linear layer makes a gain and a shift for every channel
of the one decoder that all share (feature-wise linear modulation: Perez et al., "FiLM: Visual
reasoning with a general conditioning layer", 2018). So what all faces have in common is learned
from everyone, and dozens of people cost little more than one.

What is known of the faces, when they are renders, is asked of the latent: its first numbers are to
be the labels. So what a face does lies in everyone's latent at the same place, gaze and lids too,
which weigh too little in a picture to be found by redrawing alone.

Gain and shift act on what a convolution gives, so they can be worked into its weights: a person of
a modulated network is a decoder of `swift`, which is how `swift` begins with what this network has
learned (`training/base_weights.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from understudy.models.recipe import Recipe
from understudy.models.swift import Decoder, Swift

EMBEDDING = 64
"""Numbers that a person is."""

TOLD = 0.03
"""Weight of what is known of a face against what its first latents say."""


class _Person(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(EMBEDDING))


class Modulated(Swift):
    """Attributes:
    trunk: the decoder that all share.
    modulation: an embedding to gains and shifts.
    """

    network: ClassVar[str] = "modulated"
    recipe: ClassVar[Recipe] = replace(
        Swift.recipe,
        batch=8,
        at_once=4,
        apart=1.0,
        augmentation=replace(Swift.recipe.augmentation, doubles=0.5, double_eyes=False),
    )
    eye_focus: ClassVar[float] = 3.0

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__(size, people)
        self.modulation = nn.Linear(EMBEDDING, 2 * sum(self.channels.values()))
        nn.init.normal_(self.modulation.weight, std=0.02)
        nn.init.zeros_(self.modulation.bias)

    def first_decoders(self, times: int) -> nn.ModuleList:
        self.trunk = Decoder(times)
        self.channels = {
            name: layer.out_channels
            for name, layer in self.trunk.named_modules()
            if isinstance(layer, nn.Conv2d)
        }
        return nn.ModuleList(_Person() for _ in self.owners)

    def embedding(self, person: str) -> Tensor:
        """(EMBEDDING,). Raises SettingsError when the person is not the model's."""
        return self.decoder(person).get_parameter("embedding")

    def folded(self, embedding: Tensor) -> dict[str, Tensor]:
        """Weights of the decoder of `swift` that draws whom `embedding` (EMBEDDING,) means."""
        with torch.autocast(embedding.device.type, enabled=False):
            # As a batch of one: what looks at layers takes the first axis for the batch.
            whole = self.modulation(embedding[None])[0]
            both = whole.split([2 * n for n in self.channels.values()])
            weights = {}
            for name, part in zip(self.channels, both, strict=True):
                layer = self.trunk.get_submodule(name)
                gain, shift = part.chunk(2)
                weights[f"{name}.weight"] = layer.weight * (1 + gain)[:, None, None, None]
                weights[f"{name}.bias"] = layer.bias * (1 + gain) + shift
        return weights

    def plain(self) -> Swift:
        with torch.random.fork_rng(devices=[]):
            swift = Swift(self.size, self.people)
        swift.encoder.load_state_dict(self.encoder.state_dict())
        for person in self.people:
            swift.decoder(person).load_state_dict(self.folded(self.embedding(person)))
        return swift.train(self.training).requires_grad_(False)

    def training_latent(
        self, images: Tensor, step: int, known: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        bottleneck = self.encoder.squeeze(self.encoder.features(images))
        latent = self.encoder.widen(bottleneck)
        if known is None:
            return latent, {}
        first = bottleneck[:, : known.shape[1]].float()
        apart = torch.where(known.isnan(), 0, first - known.nan_to_num())
        count = (~known.isnan()).sum().clamp_min(1)
        return latent, {"known": TOLD * apart.square().sum() / count}

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        weights = self.folded(self.embedding(person))
        image, mask = functional_call(self.trunk, weights, (latent,))
        return image, mask

"""What every network that swaps faces has in common.

One encoder sees everyone; each person has a decoder that only ever draws that person. To
swap, encode one person's face and decode it with another person's decoder.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from understudy.errors import SettingsError, UnknownModel
from understudy.models.recipe import Recipe

COMMON = "common"
"""Name of the single decoder in a network that cannot swap."""

NETWORKS = {
    "swift": ("understudy.models.swift", "Swift"),
    "original": ("understudy.models.original", "Original"),
    "autoencoder": ("understudy.models.autoencoder", "Autoencoder"),
    "vae": ("understudy.models.vae", "Vae"),
    "modulated": ("understudy.models.modulated", "Modulated"),
}


class SwapModel(nn.Module, ABC):
    """A network with one encoder and one decoder per person.

    A subclass names itself in `network`, the sizes it can have in `sizes`, its `recipe`, says in
    `learns_mask` whether the mask that it draws means anything and in `swaps` whether each person
    has a decoder of their own, and puts the decoders into `self.decoders` in the order of
    `owners`; every other parameter belongs to all people together.

    Attributes:
        size: side of its square image in pixels.
        people: whose decoders it has.
    """

    network: ClassVar[str]
    sizes: ClassVar[Sequence[int]]
    recipe: ClassVar[Recipe]
    learns_mask: ClassVar[bool] = True
    swaps: ClassVar[bool] = True
    decoders: nn.ModuleList

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__()
        check_size(type(self), size)
        if not people or len(set(people)) != len(people):
            raise SettingsError(
                f"A model needs people with different names, not: {', '.join(people) or 'none'}.",
                "Name each person once.",
            )
        self.size = size
        self.people = tuple(people)

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size), RGB 0..1 -> latent, first axis N."""

    @abstractmethod
    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        """Latent -> image (N, 3, size, size) and mask (N, 1, size, size), both 0..1."""

    @abstractmethod
    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        """The loss: named terms, each a scalar, already weighted.

        Args:
            image, mask: what `decode` gave, in float32.
            target: the true image, shaped as `image`.
            face: the true mask, shaped as `mask`.
        """

    def training_latent(
        self, images: Tensor, step: int, known: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The latent that training decodes, and the terms of the loss that it brings of itself.

        Just `encode` and no terms, unless a network draws its latents at random (from torch's
        global generator, which training seeds again in each step) or holds them to something.

        Args:
            images: (N, 3, size, size), RGB 0..1.
            step: how many steps came before.
            known: (N, T), what is known of them, as `Batch.known`.
        """
        return self.encode(images), {}

    def forward(
        self,
        images: Sequence[Tensor],
        step: int = 0,
        people: Sequence[str] | None = None,
        known: Tensor | None = None,
    ) -> tuple[list[tuple[Tensor, Tensor]], dict[str, Tensor]]:
        """Reconstruct each person's images with that person's own decoder, to learn from it.

        Args:
            images: for each of `people`, in order, (N, 3, size, size); N may differ.
            step: how many steps came before.
            people: who is drawn; all of the model's when None.
            known: (sum of N, T), what is known of the images, as `Batch.known`.

        Returns:
            For each person, image and mask as `decode` gives them; and named terms of the loss
            that belong to no picture, already weighted.
        """
        latent, terms = self.training_latent(torch.cat(list(images)), step, known)
        latents = torch.split(latent, [len(part) for part in images])
        return [
            self.decode(part, person)
            for part, person in zip(latents, people or self.people, strict=True)
        ], terms

    def look(self, images: Tensor) -> dict[str, float]:
        """Figures of the network's own about these images, for the log; none unless it has some.

        Args:
            images: (N, 3, size, size), RGB 0..1.
        """
        return {}

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose the decoders are, in their order."""
        return self.people if self.swaps else (COMMON,)

    def decoder(self, person: str) -> nn.Module:
        """The decoder that draws `person`. Raises SettingsError if there is none."""
        if not self.swaps:
            return self.decoders[0]
        if person not in self.people:
            raise SettingsError(
                f"This model was not trained on {person}, only on {', '.join(self.people)}.",
                f"Train a model that includes {person}.",
            )
        return self.decoders[self.people.index(person)]

    def plain(self) -> SwapModel:
        """A network that draws the same and has all weights of a person in their decoder: this
        one, unless it works them out from something smaller."""
        return self

    def check_swaps(self) -> None:
        """Raises SettingsError when this network cannot swap."""
        if not self.swaps:
            raise SettingsError(
                f"This model is an `{self.network}` with one decoder for all people: "
                "it can redraw faces, but not swap them.",
                "Train another network; --encoder-from starts it with this model's encoder.",
            )

    def swap(self, images: Tensor, person: str) -> tuple[Tensor, Tensor]:
        """Draw `person` with the expression of `images`: encode, then decode."""
        return self.decode(self.encode(images), person)

    def optimizer(
        self, parameters: Mapping[str, nn.Parameter], shared: float = 1.0
    ) -> torch.optim.Optimizer:
        """The recipe's optimiser over named `parameters` (already on their device).

        Args:
            shared: factor on the learning rate of what people share, which is what a group's
                own key "factor" holds.
        """
        groups: list[dict[str, Any]] = []
        for own, factor in ((False, shared), (True, 1.0)):
            part = [p for name, p in parameters.items() if name.startswith("decoders.") == own]
            if part:
                groups.append({"params": part, "factor": factor})
        return torch.optim.AdamW(
            groups,
            lr=self.recipe.learning_rate,
            betas=self.recipe.betas,
            weight_decay=self.recipe.weight_decay,
            fused=groups[0]["params"][0].device.type in ("cpu", "cuda"),
        )

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """The weights by owner: "encoder" for what everyone shares, "decoder-NAME" for each
        owner's own. The tensors are the model's, not copies."""
        return self.by_part(self.state_dict())

    def by_part(self, values: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """What is named after the weights in `state_dict`, by owner as `parts` gives it."""
        parts: dict[str, dict[str, Tensor]] = {"encoder": {}}
        parts |= {f"decoder-{owner}": {} for owner in self.owners}
        for key, value in values.items():
            if key.startswith("decoders."):
                _, number, rest = key.split(".", 2)
                parts[f"decoder-{self.owners[int(number)]}"][rest] = value
            else:
                parts["encoder"][key] = value
        return parts

    def from_parts(self, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The inverse of `by_part`."""
        values = dict(parts["encoder"])
        for number, owner in enumerate(self.owners):
            for key, value in parts[f"decoder-{owner}"].items():
                values[f"decoders.{number}.{key}"] = value
        return values

    def load_parts(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take weights as `parts` gives them. Raises RuntimeError when names or shapes differ."""
        self.load_state_dict(self.from_parts(parts))


def check_size(network: type[SwapModel], size: int) -> None:
    """Raises SettingsError when `network` cannot have this size."""
    if size not in network.sizes:
        known = ", ".join(str(value) for value in network.sizes)
        raise SettingsError(
            f"The network `{network.network}` cannot be {size} pixels wide.",
            f"Choose one of these sizes: {known}.",
        )


def network_class(network: str) -> type[SwapModel]:
    """The class of a network by its name. Raises UnknownModel."""
    if network not in NETWORKS:
        raise UnknownModel(f"Unknown network `{network}`.", f"Choose one of {', '.join(NETWORKS)}.")
    module, name = NETWORKS[network]
    found: type[SwapModel] = getattr(importlib.import_module(module), name)
    return found


def build(network: str, size: int, people: tuple[str, ...]) -> SwapModel:
    """A new network with random weights (from torch's global generator).

    Args:
        network: one of `NETWORKS`.
        size: side of its square image in pixels.
        people: whose decoders it has, at least one, without repeats.

    Raises:
        UnknownModel: there is no such network.
        SettingsError: the network cannot have this size, or a person is named twice.
    """
    return network_class(network)(size, people)

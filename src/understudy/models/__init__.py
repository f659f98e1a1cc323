"""Networks that swap faces, one file each, looked up by name.

model = build("swift", 128, ("ada", "chen"))
latent = model.encode(images)
image, mask = model.decode(latent, "ada")
"""

from __future__ import annotations

from understudy.models.base import SwapModel, network_class
from understudy.models.checkpoint import load_model
from understudy.models.recipe import Recipe

__all__ = ["Recipe", "SwapModel", "build", "load_model", "network_class"]


def build(network: str, size: int, people: tuple[str, ...]) -> SwapModel:
    """A new network with random weights (from torch's global generator).

    Args:
        network: one of `base.NETWORKS`.
        size: side of its square image in pixels.
        people: whose decoders it has, at least one, without repeats.

    Raises:
        UnknownModel: there is no such network.
        SettingsError: the network cannot have this size, or the people are not distinct.
    """
    return network_class(network)(size, people)

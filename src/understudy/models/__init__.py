"""Networks that swap faces, one file each, looked up by name.

model = build("swift", 128, ("ada", "chen"))
latent = model.encode(images)
image, mask = model.decode(latent, "ada")
"""

from __future__ import annotations

from understudy.models.base import SwapModel, build, network_class
from understudy.models.checkpoint import load_model
from understudy.models.recipe import Recipe

__all__ = ["Recipe", "SwapModel", "build", "load_model", "network_class"]

"""Galleries of noise, and such for the people of a model."""

from __future__ import annotations

import zlib

import numpy as np

from understudy.media.images import encode_image
from understudy.models.gallery import Gallery, path_of, write
from understudy.project import Project


def made(count: int = 3, seed: int = 0, side: int = 64) -> Gallery:
    """A gallery of `count` pictures, `side` pixels a side."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    return Gallery(
        tuple(encode_image(image, ".webp") for image in images),
        rng.random((count, 468, 3), np.float32),
        rng.integers(0, 255, (count, 8, 8)).astype(np.uint8),
        rng.uniform(-0.2, 0.2, (count, 2)).astype(np.float32),
        rng.random((468, 2), np.float32),
    )


def keep(project: Project, model: str, *people: str) -> dict[str, Gallery]:
    """Let a model have galleries of these people, each another."""
    found = {name: made(seed=zlib.crc32(name.encode())) for name in people}
    for name, gallery in found.items():
        write(path_of(project.model_folder(model), name), gallery, "print")
    return found

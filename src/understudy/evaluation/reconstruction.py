"""Held-out faces through their own decoder: how much of a person a model can draw at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.conversion.swapper import BATCH, Swapper
from understudy.evaluation import metrics
from understudy.evaluation.scores import Reconstruction
from understudy.facesets.faceset import Faceset
from understudy.facesets.split import Indices
from understudy.types import Image

SHOWN = 8
"""Faces of each person that are kept to be shown."""


@dataclass(frozen=True)
class Redrawn:
    """A person's held-out figures and some of the faces: (true, drawn), each RGB."""

    figures: Reconstruction
    pictures: Sequence[tuple[Image, Image]]


def redraw(
    swapper: Swapper, faceset: Faceset, rows: Indices, step: Callable[[float], None]
) -> Redrawn:
    """Draw the faces of `rows` and compare inside the face mask.

    Args:
        step: called with the number of faces just done.

    Raises:
        FacesError: a picture cannot be read.
    """
    size = swapper.model.size
    shown = (
        {rows[round(place)] for place in np.linspace(0, len(rows) - 1, SHOWN)}
        if len(rows)
        else set()
    )
    similar: list[float | None] = []
    noise: list[float | None] = []
    pictures: list[tuple[Image, Image]] = []
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        images, masks = faceset.load(size, rows=batch.tolist()).core()
        outputs, _ = swapper.draw(list(images))
        drawn = np.rint(outputs * 255).astype(np.uint8)
        for row, true, image, mask in zip(batch, images, drawn, masks, strict=True):
            weights = mask.astype(np.float32) / 255
            similar.append(metrics.ssim(image, true, weights))
            noise.append(metrics.psnr(image, true, weights))
            if row in shown:
                pictures.append((true, image))
        step(len(batch))
    figures = Reconstruction(metrics.mean(similar), metrics.mean(noise), len(rows))
    return Redrawn(figures, pictures)

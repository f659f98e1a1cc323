"""Held-out faces redrawn by networks of different size, measured at one size.

A small picture of a face is easier to redraw than a large one, so a network of 64 pixels is not
measured on pictures of 64 pixels: what it draws is enlarged to the size of the largest network
and compared with the faces at that size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from understudy.conversion.swapper import BATCH, Swapper
from understudy.evaluation import metrics
from understudy.evaluation.scores import Reconstruction
from understudy.facesets.faceset import Faceset
from understudy.models.base import SwapModel
from understudy.progress import Progress
from understudy.runtime.devices import bfloat16_pays, choose_device
from understudy.settings import ConvertSettings
from understudy.types import Floats, Image

SHOWN = 4
"""Faces of each person that are kept to be shown."""


@dataclass(frozen=True)
class Judged:
    """One person's held-out faces: `figures`, and of some of them the `true` and the `drawn`
    pictures, RGB uint8, all of one size."""

    figures: Reconstruction
    true: Sequence[Image]
    drawn: Sequence[Image]


def judge(
    network: SwapModel,
    facesets: Mapping[str, Faceset],
    share: float,
    size: int,
    progress: Progress,
) -> dict[str, Judged]:
    """Redraw everyone's held-out faces with their own decoder and compare inside the face mask.

    Args:
        facesets: of people of the network.
        share: that was held out in training.
        size: side in pixels at which pictures are compared, at least the network's.

    Raises:
        FacesError, MediaError: a picture cannot be read.
    """
    device = choose_device("auto")
    found = {}
    for person, faceset in facesets.items():
        rows = faceset.split(share)[1]
        swapper = Swapper(network, person, ConvertSettings(), device, bfloat16_pays(device))
        shown = set(rows[np.linspace(0, len(rows) - 1, SHOWN).astype(int)]) if len(rows) else set()
        similar, noise, pictures = [], [], []
        with progress.task(f"redraw {person} with {network.network}", "faces", len(rows)) as task:
            for first in range(0, len(rows), BATCH):
                batch = rows[first : first + BATCH].tolist()
                seen, _ = faceset.load(network.size, rows=batch).core()
                truth, masks = faceset.load(size, rows=batch).core()
                drawn = [_enlarged(image, size) for image in swapper.draw(list(seen))[0]]
                for row, true, image, mask in zip(batch, truth, drawn, masks, strict=True):
                    weights = mask.astype(np.float32) / 255
                    similar.append(metrics.ssim(image, true, weights))
                    noise.append(metrics.psnr(image, true, weights))
                    if row in shown:
                        pictures.append((true, image))
                task.step(len(batch))
        figures = Reconstruction(metrics.mean(similar), metrics.mean(noise), len(rows))
        found[person] = Judged(figures, *([one[n] for one in pictures] for n in (0, 1)))
    return found


def _enlarged(image: Floats, size: int) -> Image:
    """RGB float 0..1 of any size as RGB uint8 (size, size, 3)."""
    if len(image) != size:
        image = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC))
    return np.asarray(np.rint(image.clip(0, 1) * 255), np.uint8)

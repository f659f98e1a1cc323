"""The distance of two faces for a network trained on pictures.

As LPIPS does (Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep
features as a perceptual metric", 2018), but with the features of EfficientNet-Lite1 and without
weights that were learned from people's judgements: at each place the features are brought to
length 1, and the mean squared difference is taken inside the face. LPIPS' own networks carry
licences or sizes that do not suit here, so figures are not comparable with published ones.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from understudy.errors import WeightsError
from understudy.evaluation.gauges import efficientnet
from understudy.faces.weights import store
from understudy.progress import Progress
from understudy.types import Floats, Image

SIDE = 224
"""Side in pixels of the aligned face crops that are compared."""

LEVELS = (1, 2, 4, 6)
"""Stages whose features are compared: at a quarter, an eighth, 1/16 and 1/32 of the side."""

SCALE = 100.0
"""Factor on the mean squared difference, so that figures are about 0 to 100."""


class Perceptual:
    """The gauge, ready to run; on one device, not thread-safe.

    Args:
        path: the network's weights, see `efficientnet.NAME`.
        cache: folder for the converted weights.

    Raises:
        WeightsError: the weights cannot be read.
    """

    def __init__(self, path: Path, cache: Path) -> None:
        self.network = efficientnet.load(path, cache)

    @torch.inference_mode()
    def distances(self, truth: Image, others: list[Image], mask: Floats) -> list[float]:
        """How far pictures are from a true one.

        Args:
            truth: RGB uint8 (S, S, 3), an aligned crop; S is best `SIDE`.
            others: further crops of the same size and alignment.
            mask: float32 (S, S), 0..1, where the face is.

        Returns:
            A distance from 0 (the same) upwards for each of `others`; 0 where the mask is empty.
        """
        pictures = np.stack([truth, *others])
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
        stages = self.network.stages(pixels)
        total = torch.zeros(len(others))
        for level in LEVELS:
            total += _differences(stages[level], mask)
        return [float(value) * SCALE / len(LEVELS) for value in total]


def _differences(features: Tensor, mask: Floats) -> Tensor:
    """Mean over the mask of the squared difference of unit vectors from the first picture's."""
    unit = torch.nn.functional.normalize(features, dim=1)
    apart = (unit[1:] - unit[:1]).square().sum(1)
    height, width = features.shape[2:]
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    weight = torch.from_numpy(np.asarray(small, np.float32))
    return (apart * weight).sum((1, 2)) / weight.sum().clamp_min(1e-6)


def at_hand(progress: Progress) -> tuple[Perceptual | None, str | None]:
    """The gauge when its weights can be had, else why not.

    Nothing else needs these weights, so a machine that cannot fetch them measures all the rest.
    """
    try:
        path = store.path(efficientnet.NAME, progress)
        return Perceptual(path, store.cache_folder()), None
    except WeightsError as error:
        return None, f"The perceptual distance was not measured: {error.problem}"

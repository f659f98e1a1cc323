"""What a training leaves behind to look at: preview sheets and TensorBoard scalars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from understudy.data.augment import core
from understudy.files import storage_errors
from understudy.media.images import write_image
from understudy.models.base import SwapModel
from understudy.preview import PEOPLE, sheet

SHOWN = 4
"""Held-out faces of each person on a preview sheet, at most."""

ROWS = 12
"""Of a sheet, where that leaves one row for each person: more people, fewer faces of each."""


class Journal:
    """Writes into `preview/` and `log/` of a model's folder. Raises StorageError.

    Args:
        folder: of the model.
        step: where this run begins; what an earlier run logged from there on is void.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.preview = folder / "preview"
        self.path = folder / "log"
        with storage_errors(self.path):
            self.log = SummaryWriter(str(self.path), purge_step=step)

    def draw(self, step: int, model: SwapModel, held_out: Mapping[str, Tensor]) -> None:
        """Write the preview sheet of a step, and the same as `latest.png`.

        Args:
            held_out: for each person to show, crops as `augment.planes` packs them.
        """
        shown = {}
        people = list(held_out)[:: -(-len(held_out) // PEOPLE)]
        most = min(SHOWN, max(1, ROWS // len(people)))
        for person in people:
            crops = held_out[person]
            rows = np.linspace(0, len(crops) - 1, min(len(crops), most)).astype(int)
            shown[person] = core(crops[torch.from_numpy(rows).to(crops.device)], model.size)[0]
        picture = sheet(model, shown)
        write_image(self.preview / f"step-{step:08d}.png", picture)
        write_image(self.preview / "latest.png", picture)

    def write(
        self,
        step: int,
        terms: Mapping[str, float],
        rate: float,
        held_out: Mapping[str, Mapping[str, float]],
    ) -> None:
        """Log the terms of the loss, the learning rate, and figures by person."""
        scalars = {f"loss/{key}": value for key, value in terms.items()}
        scalars["learning rate"] = rate
        for person, figures in held_out.items():
            scalars |= {f"held out {key}/{person}": value for key, value in figures.items()}
        with storage_errors(self.path):
            for key, value in scalars.items():
                self.log.add_scalar(key, value, step)
            self.log.flush()

    def close(self) -> None:
        self.log.close()

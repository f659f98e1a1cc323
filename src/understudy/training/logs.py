"""Logs of a training: preview sheets and TensorBoard scalars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from understudy.facesets.split import Indices
from understudy.media.images import write_image
from understudy.models.base import SwapModel
from understudy.runtime.files import storage_errors
from understudy.training.augment import core
from understudy.training.preview_sheet import PEOPLE, Finished, sheet

SHOWN = 4
"""Largest number of held-out faces of each person on a preview sheet."""

ROWS = 12
"""Rows of a sheet, but at least one for each person: more people, fewer faces of each."""


def shown_of(counts: Mapping[str, int]) -> dict[str, Indices]:
    """Which held-out faces are on a sheet, by person, evenly spread.

    Args:
        counts: how many there are of each person.
    """
    people = list(counts)[:: -(-len(counts) // PEOPLE)]
    most = min(SHOWN, max(1, ROWS // len(people)))
    return {
        person: np.linspace(0, counts[person] - 1, min(counts[person], most)).astype(np.int64)
        for person in people
    }


class Journal:
    """Writes into `preview/` and `log/` of a model's folder. Raises StorageError.

    Args:
        folder: of the model.
        step: start of this run; later log entries of an earlier run are discarded.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.preview = folder / "preview"
        self.path = folder / "log"
        with storage_errors(self.path):
            self.log = SummaryWriter(str(self.path), purge_step=step)

    def draw(
        self,
        step: int,
        model: SwapModel,
        held_out: Mapping[str, Tensor],
        finished: Mapping[str, Finished] | None = None,
    ) -> None:
        """Write the preview sheet of a step, and the same as `latest.png`.

        Args:
            held_out: for each person to show, crops as `augment.planes` packs them.
            finished: by person, the converted faces that `shown_of` chooses.
        """
        shown = {}
        for person, rows in shown_of({name: len(one) for name, one in held_out.items()}).items():
            crops = held_out[person]
            shown[person] = core(crops[torch.from_numpy(rows).to(crops.device)], model.size)[0]
        picture = sheet(model, shown, finished)
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

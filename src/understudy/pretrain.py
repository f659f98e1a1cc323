"""Pretrain: facesets of many people -> a base that training can begin with.

    understudy pretrain --minutes 60 --output base.safetensors
    understudy train ada chen --base base.safetensors

One encoder and one decoder, tuned to each person by an embedding (`models/modulated.py`), learn
from everybody but a few, who are kept aside to judge by: nobody's face is better known to the
base than theirs will be to whoever trains with it. Stopped, the same command goes on, as training
does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from understudy import compute
from understudy.data.augment import planes
from understudy.data.faceset import Faceset
from understudy.errors import SettingsError
from understudy.models.checkpoint import load_model
from understudy.models.figures import Figures, measure
from understudy.models.modulated import Modulated
from understudy.models.pretrained import read_base, write_base
from understudy.progress import Progress, silent
from understudy.settings import TrainSettings
from understudy.train import TrainReport, train
from understudy.trust.consent import require

if TYPE_CHECKING:
    from understudy.project import Project

FEWEST = 8
"""People from whom a base can learn, at least."""

JUDGED = 24
"""Faces of each person kept aside that are redrawn."""

REMEMBERED, FEWEST_REMEMBERED = 20, 1000
"""Faces of each person, and of all together at least, from which the base knows what it knows."""


@dataclass(frozen=True)
class PretrainReport:
    """Attributes:
    trained: of the training.
    file: the base; None when the training was stopped before its end.
    aside: how well the mean person's decoder redraws those who were kept aside.
    """

    trained: TrainReport
    file: Path | None
    aside: dict[str, Figures]


def pretrain(
    project: Project,
    people: Sequence[str],
    name: str,
    settings: TrainSettings,
    aside: int,
    output: Path,
    progress: Progress | None = None,
) -> PretrainReport:
    """Train a base on the facesets of `people`, or go on with it, and write it to `output`.

    Args:
        people: everybody with a faceset when empty.
        name: of the model that is trained; the base is made of it.
        settings: of the training; its network is `modulated`, and it begins with nothing.
        aside: how many of them are kept out, evenly spread over the names in their order.

    Raises:
        SettingsError: too few people.
        UnknownPerson, ConsentError, FacesError, ProjectLocked, TrainingError, StorageError: as
            `train.train`.
    """
    progress = progress or silent()
    everybody = list(people or project.people_with_faces)
    kept = everybody[:: max(1, len(everybody) // aside)][:aside] if aside > 0 else []
    learned = [person for person in everybody if person not in kept]
    if aside < 0 or len(learned) < FEWEST:
        raise SettingsError(
            f"A base needs {FEWEST} people at least to learn from, beside those kept aside; "
            f"here are {len(everybody)} in all, {aside} aside.",
            "Add and extract more people, or keep fewer aside.",
        )
    strangers = {}
    for person in kept:
        require(project.person(person), "training")
        strangers[person] = Faceset.open(project.person(person).faces_folder)
    own = settings.model_copy(update={"network": Modulated.network, "base": "none"})
    trained = train(project, learned, name, own, progress)
    if not trained.finished:
        return PretrainReport(trained, None, {})
    model = load_model(trained.folder, progress.note)
    assert isinstance(model, Modulated)
    held_out = {
        key: float(np.mean([getattr(one, key) for one in trained.held_out.values()]))
        for key in ("ssim", "psnr")
    }
    training = {
        "people": len(learned),
        "aside": len(kept),
        "faces": sum(len(Faceset.open(project.person(one).faces_folder)) for one in learned),
        "steps": trained.steps,
        "minutes": round(trained.minutes, 2),
        "settings": own.model_dump(mode="json"),
        "held_out": held_out,
    }
    write_base(output, model, _some_faces(project, learned, model.size), training)
    base = read_base(output).model
    compute.settle()
    judged = {}
    for person, faceset in strangers.items():
        judged[person] = measure(base, _evenly(faceset, base.size, JUDGED), base.people[0])
    return PretrainReport(trained, output, judged)


def _evenly(faceset: Faceset, size: int, count: int) -> Tensor:
    """So many of somebody's faces, uint8 (N, 4, S', S')."""
    rows = np.linspace(0, len(faceset) - 1, min(len(faceset), count)).astype(int)
    arrays = faceset.load(size, rows=[int(row) for row in rows])
    # Copies, because torch wants to be able to write to what it takes.
    return planes(arrays.images.copy(), arrays.masks.copy())


def _some_faces(project: Project, people: Sequence[str], size: int) -> Tensor:
    """Some of everybody's."""
    each = max(REMEMBERED, -(-FEWEST_REMEMBERED // len(people)))
    found = [Faceset.open(project.person(one).faces_folder) for one in people]
    return torch.cat([_evenly(faceset, size, each) for faceset in found])

"""Pretrain: from facesets of many people to a base, the initial weights of trainings.

    understudy pretrain --minutes 60 --output base.safetensors
    understudy train ada chen --base base.safetensors

One encoder and one decoder, tuned to each person by an embedding (`models/modulated.py`), are
trained on all people but a few, who are held out for evaluation: these are as unknown to the base
as the people of later users. When stopped, the same command continues, as for training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from understudy.errors import SettingsError
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit
from understudy.facesets.split import Indices
from understudy.models.checkpoint import load_model
from understudy.models.hashing import weights_hash
from understudy.models.modulated import Modulated
from understudy.models.swift import Swift
from understudy.progress import Progress, silent
from understudy.provenance.model_registry import enter_export, on_file
from understudy.runtime import devices, files
from understudy.settings import TrainSettings
from understudy.training.augment import planes
from understudy.training.base_readings import POOR, Readings, fit
from understudy.training.base_weights import Known, latents, mean_person, read_base, write_base
from understudy.training.held_out_loss import Figures, measure
from understudy.training.labels import Labels, read_labels
from understudy.training.train import TrainReport, train

if TYPE_CHECKING:
    from understudy.workspace import Workspace

FEWEST = 8
"""Smallest number of people for a base."""

JUDGED = 24
"""Number of faces redrawn of each held-out person."""

CHECKED = 180
"""Number of faces of each held-out person on which readings are checked."""

REMEMBERED, FEWEST_REMEMBERED = 20, 1000
"""Faces of each person, and of all together at least, from which the base knows what it knows."""


@dataclass(frozen=True)
class PretrainReport:
    """Attributes:
    trained: of the training.
    file: the base; None when the training was stopped before its end.
    aside: how well the mean person's decoder redraws the held-out people.
    readings: correlation of the base's readings with the truth, on faces of held-out people;
        empty without labels.
    """

    trained: TrainReport
    file: Path | None
    aside: dict[str, Figures]
    readings: dict[str, float]


def pretrain(
    project: Workspace,
    people: Sequence[str],
    name: str,
    settings: TrainSettings,
    aside: int,
    output: Path,
    progress: Progress | None = None,
    labels: Path | None = None,
) -> PretrainReport:
    """Train a base on the facesets of `people`, or continue it, and write it to `output`.

    Args:
        people: when empty, everyone with a faceset.
        name: of the trained model; the base is made from it.
        settings: of the training; its network is `modulated`, starts with new weights, and keeps
            no galleries.
        aside: number of held-out people, evenly spread over the ordered names.
        labels: of the frames, see `labels`; the latents learn to contain them, and
            the base to read it from them.

    Raises:
        SettingsError: too few people, or labels that do not fit them.
        ProjectError: the labels cannot be read.
        UnknownPerson, ConsentError, FacesError, ProjectLocked, TrainingError, StorageError: as
            `train.train`.
    """
    progress = progress or silent()
    everybody = list(people or project.people_with_faces)
    kept = everybody[:: max(1, len(everybody) // aside)][:aside] if aside > 0 else []
    learned = [person for person in everybody if person not in kept]
    if aside < 0 or len(learned) < FEWEST:
        raise SettingsError(
            f"A base needs at least {FEWEST} people to train on, besides those held out; "
            f"there are {len(everybody)} in total, {aside} of them held out.",
            "Add and extract more people, or hold out fewer with --aside.",
        )
    for person in kept:
        permit(project, person, "train")
        Faceset.open(project.person(person).faces_folder)
    found = None
    if labels is not None:
        found = read_labels(labels)
        _check_labels(project, found, everybody)
    # A base is shared and draws no real person: it must not contain pictures.
    fixed = {"network": Modulated.network, "base": "none", "gallery": False}
    own = settings.model_copy(update=fixed)
    trained = train(project, learned, name, own, progress, labels=found)
    if not trained.finished:
        return PretrainReport(trained, None, {}, {})
    model = load_model(trained.folder, progress.note)
    assert isinstance(model, Modulated)
    held_out = {
        key: float(np.mean([getattr(one, key) for one in trained.held_out.values()]))
        for key in ("ssim", "psnr")
    }
    training: dict[str, Any] = {
        "people": len(learned),
        "aside": len(kept),
        "faces": sum(len(Faceset.open(project.person(one).faces_folder)) for one in learned),
        "steps": trained.steps,
        "minutes": round(trained.minutes, 2),
        "settings": own.model_dump(mode="json"),
        "held_out": held_out,
    }
    network = mean_person(model)
    each = -(-FEWEST_REMEMBERED // len(learned))
    some = {one: _some(project, one, model.size, max(REMEMBERED, each)) for one in learned}
    seen = {one: latents(network, faces) for one, (faces, _) in some.items()}
    readings: Readings | None = None
    agreement: dict[str, float] = {}
    if found is not None:
        frames = {one: rows for one, (_, rows) in some.items()}
        fitted = fit(found.names, torch.cat(list(seen.values())), _truth(found, frames))
        readings, agreement = _checked(project, fitted, network, found, kept)
    training["readings"] = agreement
    known = Known.of(torch.cat(list(seen.values())))
    with files.atomic(output) as temporary:
        write_base(temporary, network, known, readings, training)
        consents = on_file(project, learned)
        enter_export(temporary, trained.model, "base", consents, weights_hash(network))
    base = read_base(output).model
    devices.settle()
    judged = {}
    for person in kept:
        judged[person] = measure(base, _some(project, person, base.size, JUDGED)[0], base.people[0])
    return PretrainReport(trained, output, judged, agreement)


def _check_labels(project: Workspace, found: Labels, people: Sequence[str]) -> None:
    """Raises SettingsError when a frame of someone's faces has no label."""
    for person in people:
        frames = Faceset.open(project.person(person).faces_folder).frames
        labelled = len(found.people.get(person, ()))
        if len(frames) and frames.max() >= labelled:
            raise SettingsError(
                f"The labels have {labelled} frames of {person}, but there are faces up to frame "
                f"{frames.max()}.",
                "Give a row for every frame of each person's film, or remove --labels.",
            )


def _some(project: Workspace, person: str, size: int, count: int) -> tuple[Tensor, Indices]:
    """This many faces of a person, evenly spread, uint8 (N, 4, S', S'), and their frames."""
    faceset = Faceset.open(project.person(person).faces_folder)
    rows = np.linspace(0, len(faceset) - 1, min(len(faceset), count)).astype(int)
    arrays = faceset.load(size, rows=[int(row) for row in rows])
    # Copies, because torch needs writable arrays.
    return planes(arrays.images.copy(), arrays.masks.copy()), faceset.frames[rows]


def _truth(found: Labels, frames: Mapping[str, Indices]) -> Tensor:
    """The labels of these frames of these people, float32 (N, T)."""
    return torch.cat([torch.from_numpy(found.people[one][rows]) for one, rows in frames.items()])


def _checked(
    project: Workspace, readings: Readings, network: Swift, found: Labels, people: Sequence[str]
) -> tuple[Readings, dict[str, float]]:
    """The readings that are valid for people unknown to the base, and their quality (mean
    correlation); all readings when there is no one to check with."""
    if not people:
        return readings, {}
    sums = dict.fromkeys(readings.names, 0.0)
    for person in people:
        faces, frames = _some(project, person, network.size, CHECKED)
        own = readings.agreement(latents(network, faces), _truth(found, {person: frames}))
        sums = {name: sums[name] + own[name] / len(people) for name in sums}
    good = [name for name, value in sums.items() if value >= POOR]
    return readings.only(good), {name: round(sums[name], 3) for name in good}

"""What a training begins with: a checkpoint and whoever joins it, a base, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from understudy.course import Course
from understudy.models.checkpoint import Snapshot, load_model
from understudy.models.learner import build_first
from understudy.models.people import first_decoder, with_person
from understudy.models.pretrained import UNFAMILIAR, Base, begin
from understudy.models.takeover import take_encoder
from understudy.settings import TrainSettings

COMPARED = 48
"""Faces of each person that are compared with those that a base knows."""


def first_snapshot(
    course: Course,
    settings: TrainSettings,
    snapshot: Snapshot | None,
    models: Path,
    faces: Mapping[str, Tensor],
    device: torch.device,
) -> Snapshot:
    """Everybody of the course in one network.

    Args:
        snapshot: the newest checkpoint; None when the model is new.
        models: folder of the models, where `settings.encoder_from` lies.
        faces: of everybody who learns, uint8 (N, 4, S', S') as `augment.planes` packs them.
        device: where faces and network are compared to find a newcomer's first decoder.
    """
    whole = build_first(course.network, course.size, course.people, settings.seed, snapshot)
    if snapshot is None and settings.encoder_from:
        other = load_model(models / settings.encoder_from)
        for model in (whole.model, whole.average):
            take_encoder(model, other, settings.encoder_from)
    if snapshot is None and course.base is not None:
        begin((whole.model, whole.average), course.base)
    for person in course.people:
        if person not in whole.model.people:
            average = whole.average.eval().to(device)
            first = first_decoder(average, faces[person], settings.decoder_from, settings.seed)
            whole = with_person(whole, person, first)
    return whole


def strangers(base: Base, faces: Mapping[str, Tensor]) -> list[str]:
    """A sentence about everybody whose faces lie outside of what the base knows.

    Args:
        faces: of everybody who learns, uint8 (N, 4, S', S').
    """
    found = []
    for person, own in faces.items():
        some = own[torch.linspace(0, len(own) - 1, min(len(own), COMPARED)).long()]
        far = base.distance(some)
        if far > UNFAMILIAR:
            found.append(
                f"The faces of {person} are unlike those that the base knows (distance {far:.1f}; "
                f"up to {UNFAMILIAR} is usual): it helps less with them, so train for longer."
            )
    return found

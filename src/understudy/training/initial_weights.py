"""Initial weights of a training: a checkpoint with the people added, a base, or random ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from understudy.models.checkpoint import Snapshot, load_model
from understudy.settings import TrainSettings
from understudy.training.adding_people import first_decoder, with_person
from understudy.training.base_weights import UNFAMILIAR, Base, begin, latents
from understudy.training.learner import build_first
from understudy.training.plan import Course
from understudy.training.takeover import take_encoder

COMPARED = 48
"""Number of faces of each person compared with those of a base."""

SIDE, DONE = 0.7, 0.4
"""How much of what usual people do counts as having done it, as a share of the way from the least
to the most: of what has a middle, such as a turn, and of what has none, such as a smile."""

READ = 256
"""Number of faces of each person from which a base reads traits."""

WORDS = {
    "mouth open": ("", "an open mouth"),
    "smile": ("", "a smile"),
    "eyes shut": ("", "shut eyes"),
    "yaw": ("the head turned to the picture's left", "the head turned to the picture's right"),
    "pitch": ("the head bowed", "the head raised"),
}
"""Names for a trait whose reading never gets low, and never gets high."""


def first_snapshot(
    course: Course,
    settings: TrainSettings,
    snapshot: Snapshot | None,
    models: Path,
    faces: Mapping[str, Tensor],
    device: torch.device,
) -> Snapshot:
    """All people of the plan in one network.

    Args:
        snapshot: the newest checkpoint; None when the model is new.
        models: folder of the models, which contains `settings.encoder_from`.
        faces: of everyone who is trained, uint8 (N, 4, S', S') as `augment.planes` packs them.
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
    """A sentence about each person whose faces are far from those the base was trained on.

    Args:
        faces: of everyone who learns, uint8 (N, 4, S', S').
    """
    found = []
    for person, own in faces.items():
        some = own[torch.linspace(0, len(own) - 1, min(len(own), COMPARED)).long()]
        far = base.distance(some)
        if far > UNFAMILIAR:
            found.append(
                f"{person}'s faces are far from those the base was trained on (distance {far:.1f}; "
                f"up to {UNFAMILIAR} is usual), so the base helps less: its encoder learns as "
                "quickly as the decoders, and each decoder on its own."
            )
    return found


def lacks(base: Base, faces: Mapping[str, Tensor]) -> list[str]:
    """A sentence about each person whose faces never show what the base's faces show.

    A decoder can only guess what a person's footage does not show. Nothing is reported
    about people who are far from the base's faces, because it may misread them.

    Args:
        faces: of everyone who learns, uint8 (N, 4, S', S').
    """
    readings = base.readings
    if readings is None:
        return []
    found = []
    for person, own in faces.items():
        seen = latents(base.model, own[torch.linspace(0, len(own) - 1, min(len(own), READ)).long()])
        if float(base.known.distance(seen).median()) > UNFAMILIAR:
            continue
        values = readings.read(seen)
        low, high = torch.quantile(values, torch.tensor((0.02, 0.98)), dim=0)
        usual = readings.high - readings.low
        missing = []
        for number, name in enumerate(readings.names):
            below, above = WORDS.get(name, ("", ""))
            low_share, high_share = (
                (value[number] - readings.low[number]) / usual[number] for value in (low, high)
            )
            if below and low_share > 1 - SIDE:
                missing.append(below)
            if above and high_share < (SIDE if below else DONE):
                missing.append(above)
        if missing:
            found.append(
                f"The footage of {person} hardly shows {', '.join(missing)}; more such footage "
                "improves these swaps."
            )
    return found

"""The batches of a training: augmented faces of everyone in it, some with doubles as input.

All of it is a function of seed and step, so that a resumed training sees what an uninterrupted
one would have seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from understudy.facesets.faceset import Faceset
from understudy.facesets.split import Indices
from understudy.models.focus import around_eyes
from understudy.models.recipe import Recipe
from understudy.progress import Progress
from understudy.training.augment import Batch, augment, generator, planes
from understudy.training.doubles import Doubles
from understudy.training.labels import Labels, Told
from understudy.training.plan import Course
from understudy.training.sampling import sample

MEASURED = 48
"""Largest number of held-out faces of each person measured at each report."""

MEASURED_IN_ALL = 384
"""About the largest number for all people together."""


class Feed:
    """Everyone's faces, in memory as uint8.

    Args:
        facesets: of everyone who is trained or provides pictures, in the model's order.
        batch: faces of each person in a step: everyone has the same share, however
            many faces they have.
        share: of the footage that is held out.
        labels: labels of the frames of everyone who is trained.

    Attributes:
        faces: of everyone in `facesets`, uint8 (N, 4, S', S') as `augment.planes` packs them.
        held_out: likewise, the held-out faces.
        kept: which rows of the facesets these are.
    """

    def __init__(
        self,
        course: Course,
        facesets: Mapping[str, Faceset],
        recipe: Recipe,
        batch: int,
        seed: int,
        share: float,
        device: torch.device,
        progress: Progress,
        labels: Labels | None = None,
    ) -> None:
        self.course, self.how, self.batch, self.seed = course, recipe.augmentation, batch, seed
        self.at_once = recipe.at_once or len(course.learning)
        measured = min(MEASURED, max(4, MEASURED_IN_ALL // len(facesets)))
        self.faces: dict[str, Tensor] = {}
        self.held_out: dict[str, Tensor] = {}
        self.kept: dict[str, Indices] = {}
        landmarks: dict[str, Tensor] = {}
        for person, faceset in facesets.items():
            rows, kept = faceset.split(share)
            kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), measured)).astype(int)]
            self.kept[person] = kept
            with progress.task(f"load {person}", "faces", len(faceset)) as task:
                arrays = faceset.load(course.size, tell=task.step)
            self.faces[person] = planes(arrays.images[rows], arrays.masks[rows]).to(device)
            self.held_out[person] = planes(arrays.images[kept], arrays.masks[kept]).to(device)
            landmarks[person] = torch.from_numpy(arrays.landmarks[rows])
        self.told: Told | None = None
        if labels is not None:
            frames = {
                person: faceset.frames[faceset.split(share)[0]]
                for person, faceset in facesets.items()
            }
            self.told = Told(labels, frames)
        self.around_eyes = around_eyes(course.size).to(device)
        self.doubles: Doubles | None = None
        if len(facesets) > 1 and self.how.doubles > 0:
            self.doubles = Doubles(self.faces, landmarks, course.learning)

    def chosen(self, step: int) -> Sequence[str]:
        """The people in a step: everyone who is trained, or some of them in turn."""
        everybody = self.course.learning
        if self.at_once >= len(everybody):
            return everybody
        turns = sample(self.seed + len(self.course.people), step, len(everybody), self.at_once)
        return list(dict.fromkeys(everybody[number] for number in turns))

    def batches(self, step: int, people: Sequence[str] | None = None) -> list[Batch]:
        """The faces of a step, for each of `people`, or for each who learns; leaves torch's
        global generator as a function of seed and step too, for networks that draw at random."""
        found = []
        for person in people or self.course.learning:
            number, faces = self.course.people.index(person), self.faces[person]
            rows = torch.from_numpy(sample(self.seed + number, step, len(faces), self.batch))
            source = generator(self.seed, step, number)
            picked = faces.index_select(0, rows.to(faces.device))
            played, inputs = self._inputs(person, rows, picked, source)
            batch = augment(picked, self.course.size, self.how, source, inputs)
            found.append(self._told(batch, person, rows, played))
        torch.manual_seed(generator(self.seed, step, len(self.course.people)).initial_seed())
        return found

    def _inputs(
        self, person: str, rows: Tensor, own: Tensor, source: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Which faces (bool (N,)) are played by doubles, and what the network is to see in place of
        the person's own crops `own`; None for just these."""
        if self.doubles is None:
            return torch.zeros(len(rows), dtype=torch.bool), None
        played = torch.rand(len(rows), generator=source) < self.how.doubles
        if not played.any():
            return played, None
        inputs = own[:, :3].clone()
        inputs[played.to(own.device)] = self.doubles.draw(person, rows[played], source)
        return played, inputs

    def _told(self, batch: Batch, person: str, rows: Tensor, played: Tensor) -> Batch:
        """The batch with what is known of its faces, and what is asked where doubles play."""
        asked, known, device = None, None, batch.input.device
        if not self.how.double_eyes and played.any():
            asked = 1 - played.to(device)[:, None, None, None] * self.around_eyes
        if self.told is not None:
            known = self.told.of(person, rows, batch.mirrored.cpu(), played).to(device)
        return replace(batch, asked=asked, known=known)

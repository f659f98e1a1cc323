"""4 Train: facesets -> model.

    understudy train ada chen --minutes 10

Learns to redraw every person with a decoder of their own, behind one encoder. Faces stay in
memory as uint8; what a step sees depends on (seed, step) alone, so a training that is stopped
and resumed gives the same weights, to the bit, as one that was not (same budget, same
machine, budget in steps).

The budget is a total: `--steps 200` on a model that has 100 trains 100 more, and `--minutes`
counts the time spent in training steps, over all resumptions, without loading, measuring
and saving. The learning rate falls over the whole budget; with a larger budget a finished
training warms up again and follows the longer curve from where it stands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from understudy import compute, files
from understudy.data.augment import augment, generator, planes
from understudy.data.doubles import Doubles
from understudy.data.faceset import Faceset
from understudy.data.sampling import sample
from understudy.errors import FacesError, SettingsError, TrainingError
from understudy.interrupt import interrupts
from understudy.journal import Journal
from understudy.models.base import check_size, network_class
from understudy.models.checkpoint import load_newest, load_state, save
from understudy.models.figures import Figures, measure
from understudy.models.learner import Learner, build_first
from understudy.outlook import outlook
from understudy.progress import Progress, Task, silent
from understudy.schedule import State, learning_rate
from understudy.settings import TrainSettings
from understudy.trust.consent import require

if TYPE_CHECKING:
    from understudy.project import Project

MIN_FACES = 32
"""Faces of a person below which training is refused; some hundred are better."""

DEFAULT_MINUTES = 10.0
MEASURED = 48
"""Held-out faces of each person that are measured at each report."""

PATIENCE = 5
"""Steps in a row without a finite loss before going back to the last checkpoint."""

RETREATS = 3
"""Times that this may happen, each with half the learning rate."""


@dataclass(frozen=True)
class TrainReport:
    """Attributes:
    model: name of the model.
    folder: where it lies.
    network, size, people: what it is.
    steps: trained in all.
    minutes: spent in training steps in all.
    faces_per_second: in this run; 0 when it had nothing left to do.
    held_out: for each person, figures of the averaged weights on faces kept out of training.
    outlook: in plain words, whether more training would help.
    finished: False when it was stopped before the budget was used up.
    """

    model: str
    folder: Path
    network: str
    size: int
    people: tuple[str, ...]
    steps: int
    minutes: float
    faces_per_second: float
    held_out: dict[str, Figures]
    outlook: str
    finished: bool


def train(
    project: Project,
    people: Sequence[str],
    name: str,
    settings: TrainSettings,
    progress: Progress | None = None,
) -> TrainReport:
    """Train the model `name` on the facesets of `people`, or go on with it.

    Ctrl-C (and SIGTERM) ends it after the step at hand, with a checkpoint.

    Raises:
        UnknownPerson, ConsentError, FacesError, SettingsError: before anything is computed.
        CheckpointError: there are checkpoints, but none is whole.
        ProjectLocked: another process trains this model.
        TrainingError: the loss does not stay finite even at a much lower learning rate.
        StorageError: the disk said no; the last checkpoint is whole.
    """
    progress = progress or silent()
    people = tuple(people)
    folder = project.model_folder(name)
    check(project, people, folder, settings)
    compute.settle()
    with files.only_writer(folder / ".lock", f"the model {name}"), interrupts() as interrupted:
        run = _Run(project, people, folder, settings, progress)
        before = run.state.seconds
        with progress.task(f"train {name}", *run.counted()) as task:
            due = time.monotonic() + settings.report_every
            while run.state.spent < 1 and not interrupted.is_set():
                run.step(task)
                if time.monotonic() >= due and run.state.spent < 1:
                    run.report(task)
                    due = time.monotonic() + settings.report_every
            words = run.report(task) if run.unsaved else run.outlook()
            finished = run.state.spent >= 1
            if not finished:
                task.note(
                    f"Stopped at step {run.state.step}; nothing is lost. "
                    "Run the same command again to go on."
                )
            task.note(words)
        run.journal.close()
        trained = run.state.seconds - before
        return TrainReport(
            model=name,
            folder=folder,
            network=settings.network,
            size=run.size,
            people=people,
            steps=run.state.step,
            minutes=run.state.seconds / 60,
            faces_per_second=run.seen / trained if trained > 0 else 0.0,
            held_out={p: Figures(**run.state.history[-1]["people"][p]) for p in people},
            outlook=words,
            finished=finished,
        )


def check(project: Project, people: tuple[str, ...], folder: Path, settings: TrainSettings) -> None:
    """Everything that can be wrong before the first picture is read.

    Raises:
        UnknownPerson, ConsentError, FacesError, SettingsError, CheckpointError
    """
    if not people or len(set(people)) != len(people):
        raise SettingsError(
            "Training needs people, each named once.",
            "Extract somebody's faces first, then: understudy train PERSON PERSON",
        )
    for person in people:
        require(project.person(person), "training")
    size = _size(settings)
    for person in people:
        faceset = Faceset.open(project.person(person).faces_folder)
        if len(faceset) < MIN_FACES:
            raise FacesError(
                f"{person} has {len(faceset)} faces; training needs at least {MIN_FACES} of each "
                "person, and some hundred to be good.",
                f"Add more footage of {person} and extract it: understudy add {person} FILES...",
            )
    compute.choose_device(settings.device)
    known = load_state(folder)
    wanted = (settings.network, size, list(people))
    if known and (known["network"], known["size"], known["people"]) != wanted:
        raise SettingsError(
            f"The model {folder.name} exists with other settings: {known['network']}, "
            f"{known['size']} px, {' and '.join(known['people'])}; not {settings.network}, "
            f"{size} px, {' and '.join(people)}.",
            f"Choose another name with --name, or remove {folder}.",
        )


def _budget(settings: TrainSettings) -> dict[str, float]:
    if settings.steps is not None:
        return {"steps": settings.steps}
    return {"minutes": settings.minutes or DEFAULT_MINUTES}


def _size(settings: TrainSettings) -> int:
    network = network_class(settings.network)
    size = network.sizes[0] if len(network.sizes) == 1 else settings.size
    check_size(network, size)
    return size


class _Run:
    """A training under way: learner, faces and state."""

    def __init__(
        self,
        project: Project,
        people: tuple[str, ...],
        folder: Path,
        settings: TrainSettings,
        progress: Progress,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.size = _size(settings)
        self.recipe = network_class(settings.network).recipe
        self.batch = settings.batch or self.recipe.batch
        facesets = {p: Faceset.open(project.person(p).faces_folder) for p in people}
        prints = {person: faceset.fingerprint for person, faceset in facesets.items()}
        self.state = State(_budget(settings), settings.held_out, prints)
        snapshot = load_newest(folder, progress.note)
        if snapshot is not None:
            self._take_up(State.from_json(snapshot.state), progress)
        device = compute.choose_device(settings.device)
        fast = self.recipe.bfloat16 and compute.bfloat16_pays(device)
        self.learner = Learner(
            build_first(settings.network, self.size, people, settings.seed, snapshot),
            device,
            bfloat16=settings.precision == "bfloat16" or (settings.precision == "auto" and fast),
        )
        self.faces: dict[str, Tensor] = {}
        self.held_out: dict[str, Tensor] = {}
        landmarks: dict[str, Tensor] = {}
        for person, faceset in facesets.items():
            rows, kept = faceset.split(self.state.held_out)
            kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), MEASURED)).astype(int)]
            with progress.task(f"load {person}", "faces", len(faceset)) as task:
                arrays = faceset.load(self.size, tell=task.step)
            self.faces[person] = planes(arrays.images[rows], arrays.masks[rows]).to(device)
            self.held_out[person] = planes(arrays.images[kept], arrays.masks[kept]).to(device)
            landmarks[person] = torch.from_numpy(arrays.landmarks[rows])
        self.doubles: Doubles | None = None
        if len(people) > 1 and self.recipe.augmentation.doubles > 0:
            self.doubles = Doubles(self.faces, landmarks)
        self.journal = Journal(folder, self.state.step)
        self.seen = 0
        self.bad = 0
        self.terms: dict[str, float] | None = None
        self.unsaved = snapshot is None

    def _take_up(self, saved: State, progress: Progress) -> None:
        """Go on from where a checkpoint stands."""
        fresh, self.state = self.state, saved
        if changed := [p for p in fresh.facesets if fresh.facesets[p] != saved.facesets.get(p)]:
            names = " and ".join(changed)
            progress.note(f"The faces of {names} have changed since the last training.")
        if saved.held_out != fresh.held_out:
            progress.note(
                f"This model keeps holding out a share of {saved.held_out:g}, as it began, so "
                "that no held-out face has been trained on."
            )
        saved.facesets = fresh.facesets
        if saved.budget != fresh.budget:
            saved.budget, saved.phase = fresh.budget, saved.step
        progress.note(
            f"Going on from step {saved.step}."
            if saved.spent < 1
            else f"This model has used up its budget already ({saved.step} steps, "
            f"{saved.seconds / 60:.3g} minutes); give more --minutes or --steps in all."
        )

    def counted(self) -> tuple[str, float]:
        """What the progress bar counts, and how much of it is left."""
        if "steps" in self.state.budget:
            return "steps", self.state.budget["steps"] - self.state.step
        return "seconds", max(0.0, 60 * self.state.budget["minutes"] - self.state.seconds)

    def step(self, task: Task) -> None:
        """One step: a batch of every person through their own decoder."""
        began = time.monotonic()
        state, seed = self.state, self.settings.seed
        batches = []
        how = self.recipe.augmentation
        for number, (person, faces) in enumerate(self.faces.items()):
            rows = torch.from_numpy(sample(seed + number, state.step, len(faces), self.batch))
            source = generator(seed, state.step, number)
            picked = faces.index_select(0, rows.to(faces.device))
            inputs = self._inputs(person, rows, picked, source)
            batches.append(augment(picked, self.size, how, source, inputs))
        # Networks may draw at random too (dropout, noise): also a function of seed and step.
        torch.manual_seed(generator(seed, state.step, len(batches)).initial_seed())
        rate = learning_rate(self.recipe, state)
        self.terms = self.learner.learn(batches, rate, state.step)
        self.bad = 0 if self.terms is not None else self.bad + 1
        state.step += 1
        self.unsaved = True
        faces_seen = self.batch * len(batches)
        self.seen += faces_seen
        seconds = time.monotonic() - began
        state.seconds += seconds
        loss = "not finite" if self.terms is None else f"{sum(self.terms.values()):.4f}"
        text = f"step {state.step}, loss {loss}, {faces_seen / seconds:.0f} faces/s"
        task.step(1 if "steps" in state.budget else seconds, text)
        if self.bad >= PATIENCE:
            self._retreat(task)

    def _inputs(
        self, person: str, rows: Tensor, own: Tensor, source: torch.Generator
    ) -> Tensor | None:
        """What the network is to see in place of its own crops `own`; None for just these."""
        if self.doubles is None:
            return None
        chance = torch.rand(len(rows), generator=source)
        some = torch.nonzero(chance < self.recipe.augmentation.doubles).flatten()
        if not len(some):
            return None
        inputs = own[:, :3].clone()
        inputs[some.to(own.device)] = self.doubles.draw(person, rows[some], source)
        return inputs

    def _retreat(self, task: Task) -> None:
        """Go back to the last checkpoint with half the learning rate."""
        lost = self.state
        if lost.retreats == RETREATS:
            raise TrainingError(
                f"The loss of {self.folder.name} does not stay finite (step {lost.step}), even "
                f"at {lost.caution:g} of the usual learning rate.",
                "Train with --precision float32, or look for broken pictures in the facesets; "
                "the last checkpoint is kept.",
            )
        task.note(
            f"The loss was not finite for {PATIENCE} steps; going back to the last checkpoint "
            "with half the learning rate."
        )
        snapshot = load_newest(self.folder, task.note)
        start = State(lost.budget, lost.held_out, lost.facesets)
        state = start if snapshot is None else State.from_json(snapshot.state)
        state.budget, state.facesets, state.phase = lost.budget, lost.facesets, state.step
        # Lost time stays spent, or a budget in minutes might never end.
        state.seconds = lost.seconds
        state.retreats, state.caution = lost.retreats + 1, lost.caution / 2
        people = tuple(self.faces)
        first = build_first(self.settings.network, self.size, people, self.settings.seed, snapshot)
        self.learner = Learner(first, self.learner.device, bfloat16=self.learner.bfloat16)
        self.state, self.bad = state, 0

    def report(self, task: Task) -> str:
        """Measure, save, draw. Returns the outlook in words."""
        state, average = self.state, self.learner.average
        with self.learner.autocast():
            figures = {p: measure(average, faces, p) for p, faces in self.held_out.items()}
        measured = {person: asdict(values) for person, values in figures.items()}
        entry = {"step": state.step, "seconds": state.seconds, "people": measured}
        state.history.append(entry)
        settings = self.settings.model_dump(mode="json")
        save(self.folder, state.step, self.learner.snapshot(settings, state.json()))
        self.unsaved = False
        with self.learner.autocast():
            self.journal.draw(state.step, average, self.held_out)
        self.journal.write(
            state.step, self.terms or {}, learning_rate(self.recipe, state), measured
        )
        shown = ", ".join(f"{p} {v.ssim:.3f} ({v.psnr:.1f} dB)" for p, v in figures.items())
        task.note(f"Step {state.step}: held-out SSIM {shown}.")
        return self.outlook()

    def outlook(self) -> str:
        """Whether as much time again would help, in words."""
        history = [
            (
                entry["seconds"] / 60,
                float(np.mean([values["ssim"] for values in entry["people"].values()])),
            )
            for entry in self.state.history
        ]
        return outlook(history, self.state.seconds / 60).text

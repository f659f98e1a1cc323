"""4 Train: facesets -> model.

    understudy train ada chen --minutes 10
    understudy train --add-person eva --freeze-encoder --minutes 3

Learns to redraw every person with a decoder of their own, behind one encoder. Faces stay in
memory as uint8; what a step sees depends on (seed, step) alone, so a training that is stopped
and resumed gives the same weights, to the bit, as one that was not (same budget, same
machine, budget in steps).

The budget is a total: `--steps 200` on a model that has 100 trains 100 more, and `--minutes`
counts the time spent in training steps, over all runs, without loading, measuring
and saving. It counts from the start of the course: with the model, or when the trained people
changed. The learning rate falls over the whole budget; with a larger budget a finished
training warms up again and continues on the longer curve.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import CheckpointError, TrainingError
from understudy.models.base import SwapModel, network_class
from understudy.models.checkpoint import Snapshot, complete, load_newest, save
from understudy.models.gallery import path_of, remove
from understudy.progress import Progress, Task, silent
from understudy.provenance.model_registry import enter_checkpoint
from understudy.provenance.seal import check_ready
from understudy.runtime import devices, files
from understudy.runtime.interrupt import interrupts
from understudy.settings import ConvertSettings, TrainSettings
from understudy.training.adding_people import only, put_back
from understudy.training.augment import core
from understudy.training.base_weights import Base
from understudy.training.batches import Feed
from understudy.training.decoder_tying import own_share
from understudy.training.forecast import outlook
from understudy.training.gallery_choice import make_galleries
from understudy.training.held_out_loss import Figures, measure
from understudy.training.initial_weights import first_snapshot, lacks, strangers
from understudy.training.learner import Learner
from understudy.training.logs import Journal, shown_of
from understudy.training.plan import Course, facesets, plan
from understudy.training.preview_sheet import Finished, Rehearse, Rehearses, others_of
from understudy.training.schedule import State, learning_rate

if TYPE_CHECKING:
    from understudy.facesets.faceset import Faceset
    from understudy.training.labels import Labels
    from understudy.workspace import Workspace

DEFAULT_MINUTES, KNOWN_MINUTES = 10.0, 5.0
"""Minutes to train by default, and if a base covers everyone: then swaps are as good as
they get by then."""

PATIENCE = 5
"""Steps in a row without a finite loss before going back to the last checkpoint."""

TOLD = 6
"""Largest number of people whose figures are reported one by one."""

RETREATS = 3
"""Largest number of these returns, each with half the learning rate."""


@dataclass(frozen=True)
class TrainReport:
    """Attributes:
    model: name of the model.
    folder: of the model.
    network, size, people: of the model.
    learned: people whose decoders were trained in this course.
    steps: trained in total.
    minutes: spent in training steps in total.
    faces_per_second: in this run; 0 when it had nothing left to do.
    held_out: for each of `learned`, figures of the averaged weights on faces kept out of training.
    outlook: in plain words, whether more training would help.
    finished: False when it was stopped before the budget was used up.
    """

    model: str
    folder: Path
    network: str
    size: int
    people: tuple[str, ...]
    learned: tuple[str, ...]
    steps: int
    minutes: float
    faces_per_second: float
    held_out: dict[str, Figures]
    outlook: str
    finished: bool


def train(
    project: Workspace,
    people: Sequence[str],
    name: str,
    settings: TrainSettings,
    progress: Progress | None = None,
    *,
    add: Sequence[str] = (),
    freeze: bool = False,
    labels: Labels | None = None,
    rehearse: Rehearse | None = None,
) -> TrainReport:
    """Train the model `name` on the facesets of `people`, or continue its training.

    Ctrl-C (and SIGTERM) ends it after the current step, with a checkpoint.

    Args:
        people: of the model; when empty, those it already has, or everyone with a
            faceset when it is new.
        add: people to add to the model, which must exist; `people` is then empty.
        freeze: train only the decoders of the people added. The encoder and all other decoders
            stay as they are, to the bit.
        labels: of the frames of everyone who is trained, for networks that use them.
        rehearse: draws swaps for the preview sheets, where people have galleries; without it the
            sheets show what the network alone draws.

    Raises:
        UnknownPerson, ConsentError, FacesError, SettingsError: before anything is computed.
        UnknownModel: there is no model to add people to.
        CheckpointError: there are checkpoints, but all are damaged.
        ProjectLocked: another process trains this model.
        TrainingError: the loss does not stay finite even at a much lower learning rate.
        StorageError: the disk is full or failed; the last checkpoint is valid.
        TrustError: keys or ledger are not ready, before anything is computed; or the model cannot
            be entered in the ledger: then it is kept, and the same call enters it.
    """
    progress = progress or silent()
    folder = project.model_folder(name)
    course = plan(project, people, folder, settings, add, freeze)
    check_ready(project.settings.trust)
    devices.settle()
    with files.only_writer(folder / ".lock", f"the model {name}"), interrupts() as interrupted:
        complete(folder)
        found = facesets(project, course, progress.note)
        run = _Run(course, found, folder, settings, progress, labels)
        learned = {person: found[person] for person in course.learning}
        _keep_galleries(folder, learned, run.state.held_out, settings, progress)
        if settings.gallery and rehearse is not None:
            run.rehearse(rehearse, project.settings.convert, found)
        before = run.state.seconds
        with progress.task(f"train {name}", *run.counted()) as task:
            due = time.monotonic() + settings.report_every
            while run.state.spent < 1 and not interrupted.is_set():
                run.step(task)
                if time.monotonic() >= due and run.state.spent < 1:
                    run.report(task)
                    due = time.monotonic() + settings.report_every
            words = run.report(task) if run.unsaved or not run.reported else run.outlook()
            finished = run.state.spent >= 1
            if not finished:
                task.note(
                    f"Stopped at step {run.state.step}; the model is saved. "
                    "Run the same command again to continue."
                )
            task.note(words)
        run.journal.close()
        enter_checkpoint(project, name)
        trained = run.state.seconds - before
        return TrainReport(
            model=name,
            folder=folder,
            network=course.network,
            size=course.size,
            people=course.people,
            learned=course.learning,
            steps=run.state.step,
            minutes=run.state.seconds / 60,
            faces_per_second=run.seen / trained if trained > 0 else 0.0,
            held_out={p: Figures(**run.state.history[-1]["people"][p]) for p in course.learning},
            outlook=words,
            finished=finished,
        )


def _keep_galleries(
    folder: Path,
    facesets: Mapping[str, Faceset],
    held_out: float,
    settings: TrainSettings,
    progress: Progress,
) -> None:
    """Create the galleries of these people, or remove them if they are not wanted."""
    if settings.gallery and network_class(settings.network).swaps:
        make_galleries(folder, facesets, held_out, progress)
        return
    for person in facesets:
        if remove(path_of(folder, person)):
            progress.note(f"The gallery of {person} was removed because of --no-gallery.")


def _told(figures: Mapping[str, Figures]) -> str:
    """The figures of each person, or their mean for many people."""
    if len(figures) > TOLD:
        ssim, psnr = (
            np.mean([getattr(v, key) for v in figures.values()]) for key in ("ssim", "psnr")
        )
        return f"{ssim:.3f} ({psnr:.1f} dB), mean of {len(figures)} people"
    return ", ".join(f"{p} {v.ssim:.3f} ({v.psnr:.1f} dB)" for p, v in figures.items())


def _budget(settings: TrainSettings, *, known: bool) -> dict[str, float]:
    if settings.steps is not None:
        return {"steps": settings.steps}
    return {"minutes": settings.minutes or (KNOWN_MINUTES if known else DEFAULT_MINUTES)}


class _Run:
    """A training under way: learner, faces and state."""

    def __init__(
        self,
        course: Course,
        found: Mapping[str, Faceset],
        folder: Path,
        settings: TrainSettings,
        progress: Progress,
        labels: Labels | None,
    ) -> None:
        self.course, self.folder, self.settings = course, folder, settings
        self.recipe = network_class(course.network).recipe
        batch = settings.batch or self.recipe.batch
        prints = {person: faceset.fingerprint for person, faceset in found.items()}
        base = course.base.sha256 if course.base else None
        self.state = State(
            _budget(settings, known=False),
            settings.held_out,
            prints,
            base=base,
            alone=course.alone,
        )
        snapshot = load_newest(folder, progress.note)
        if snapshot is not None:
            joined = set(course.people) != set(snapshot.model.people)
            self._take_up(State.from_json(snapshot.state), joined, progress)
        device = devices.choose_device(settings.device)
        fast = self.recipe.bfloat16 and devices.bfloat16_pays(device)
        self.bfloat16 = settings.precision == "bfloat16" or (settings.precision == "auto" and fast)
        share = self.state.held_out
        self.feed = Feed(
            course, found, self.recipe, batch, settings.seed, share, device, progress, labels
        )
        self.device = device
        if snapshot is None and course.base is not None:
            self._meet(course.base, progress)
        self._learn_from(snapshot)
        self.journal = Journal(folder, self.state.step)
        self.rehearsal: Rehearses | None = None
        self.seen = 0
        self.bad = 0
        self.terms: dict[str, float] | None = None
        self.unsaved = snapshot is None

    def _meet(self, base: Base, progress: Progress) -> None:
        """Compare everyone with the people of the base. Its encoder learns slowly and decoders
        learn together, unless someone is a stranger to it."""
        unknown = strangers(base, self.feed.faces)
        if not unknown:
            self.state.shared, self.state.apart = self.recipe.based, self.recipe.apart
        self.state.budget = _budget(self.settings, known=not unknown)
        for sentence in (*unknown, *lacks(base, self.feed.faces)):
            progress.note(sentence)

    def _learn_from(self, snapshot: Snapshot | None) -> None:
        """Create the learner: from a checkpoint plus the people added, or from new weights."""
        course = self.course
        self.whole = first_snapshot(
            course, self.settings, snapshot, self.folder.parent, self.feed.faces, self.device
        )
        start = only(self.whole, course.learning) if course.frozen else self.whole
        self.learner = Learner(
            start,
            self.device,
            bfloat16=self.bfloat16,
            frozen=course.frozen,
            shared=self.state.shared,
        )

    def _take_up(self, saved: State, joined: bool, progress: Progress) -> None:
        """Continue from a checkpoint; it is another course when a person `joined`, or
        other people are trained."""
        fresh, self.state = self.state, saved
        budget = _budget(self.settings, known=saved.shared < 1)
        before = saved.facesets
        if changed := [p for p, one in fresh.facesets.items() if before.get(p, one) != one]:
            names = " and ".join(changed)
            progress.note(f"The facesets of {names} have changed since the last training.")
        if saved.held_out != fresh.held_out:
            progress.note(
                f"This model keeps its first held-out share of {saved.held_out:g}, so "
                "that no held-out face was used for training."
            )
        saved.facesets |= fresh.facesets
        if joined or saved.alone != fresh.alone:
            saved.begin_course(fresh.alone)
        if joined and self.settings.decoder_from == "scratch":
            saved.apart = 1.0
        if saved.budget != budget:
            saved.budget, saved.phase = budget, saved.step
        progress.note(
            f"Continuing from step {saved.step}."
            if saved.spent < 1
            else f"This model has already used its budget ({saved.step} steps, "
            f"{saved.seconds / 60:.3g} minutes); give a larger total with --minutes or --steps."
        )

    def rehearse(
        self, rehearse: Rehearse, settings: ConvertSettings, found: Mapping[str, Faceset]
    ) -> None:
        """Make preview sheets show swaps as conversion draws them with these settings."""
        kept = self.feed.kept
        shown = shown_of({person: len(rows) for person, rows in kept.items()})
        rows = {person: kept[person][places] for person, places in shown.items()}
        self.rehearsal = rehearse(self.folder, found, rows, settings, self.device)

    def _finished(self, average: SwapModel, task: Task) -> dict[str, Finished]:
        """Swaps for a preview sheet, as conversion draws them; none with a damaged gallery, which
        is no reason to stop a training."""
        if self.rehearsal is None or not average.swaps:
            return {}
        try:
            return self.rehearsal.draw(average, others_of(average, self.rehearsal.people))
        except CheckpointError as error:
            task.note(f"The preview sheet has no finished swaps: {error.problem}")
            return {}

    @property
    def reported(self) -> bool:
        """Whether everyone who learns was measured at the last report."""
        history = self.state.history
        return bool(history) and set(self.course.learning) <= set(history[-1]["people"])

    def counted(self) -> tuple[str, float]:
        """What the progress bar counts, and how much of it is left."""
        return "steps" if "steps" in self.state.budget else "seconds", self.state.left

    def step(self, task: Task) -> None:
        """One step: a batch of every person through their own decoder."""
        began = time.monotonic()
        state = self.state
        people = self.feed.chosen(state.step)
        batches = self.feed.batches(state.step, people)
        rate = learning_rate(self.recipe, state)
        # Decoders trained alone are as new as their course.
        age = state.step - state.since_step if self.course.frozen else state.step
        apart = own_share(state.apart, state.step - state.since_step)
        self.terms = self.learner.learn(batches, rate, age, people, apart)
        self.bad = 0 if self.terms is not None else self.bad + 1
        state.step += 1
        self.unsaved = True
        faces_seen = self.feed.batch * len(batches)
        self.seen += faces_seen
        seconds = time.monotonic() - began
        state.seconds += seconds
        loss = "not finite" if self.terms is None else f"{sum(self.terms.values()):.4f}"
        text = f"step {state.step}, loss {loss}, {faces_seen / seconds:.0f} faces/s"
        task.step(1 if "steps" in state.budget else seconds, text)
        if self.bad >= PATIENCE:
            self._retreat(task)

    def _retreat(self, task: Task) -> None:
        """Go back to the last checkpoint with half the learning rate."""
        lost = self.state
        if lost.retreats == RETREATS:
            raise TrainingError(
                f"The loss of {self.folder.name} is not finite (step {lost.step}), even "
                f"with {lost.caution:g} of the usual learning rate.",
                "Train with --precision float32, or look for damaged pictures in the facesets; "
                "the last checkpoint is kept.",
            )
        task.note(
            f"The loss was not finite for {PATIENCE} steps; returning to the last checkpoint "
            "with half the learning rate."
        )
        snapshot = load_newest(self.folder, task.note)
        start = State(lost.budget, lost.held_out, lost.facesets)
        state = start if snapshot is None else State.from_json(snapshot.state)
        state.budget, state.facesets, state.phase = lost.budget, lost.facesets, state.step
        state.alone, state.base = lost.alone, lost.base
        state.shared, state.apart = lost.shared, lost.apart
        state.since_step, state.since_seconds = lost.since_step, lost.since_seconds
        # Lost time still counts, or a budget in minutes might never end.
        state.seconds = lost.seconds
        state.retreats, state.caution = lost.retreats + 1, lost.caution / 2
        self._learn_from(snapshot)
        self.state, self.bad = state, 0

    def report(self, task: Task) -> str:
        """Measure, save, draw. Returns the outlook in words."""
        state, average, held_out = self.state, self.learner.average, self.feed.held_out
        with self.learner.autocast():
            figures = {p: measure(average, held_out[p], p) for p in self.course.learning}
        measured = {person: asdict(values) for person, values in figures.items()}
        entry = {"step": state.step, "seconds": state.seconds, "people": measured}
        state.history.append(entry)
        settings = self.settings.model_dump(mode="json")
        snapshot = self.learner.snapshot(settings, state.json())
        if self.course.frozen:
            snapshot = put_back(self.whole, snapshot)
        save(self.folder, state.step, snapshot)
        self.unsaved = False
        with self.learner.autocast():
            finished = self._finished(average, task)
            self.journal.draw(state.step, average, held_out, finished)
            looks = {p: average.look(core(held_out[p], self.course.size)[0]) for p in measured}
        logged = {person: measured[person] | looks[person] for person in measured}
        self.journal.write(state.step, self.terms or {}, learning_rate(self.recipe, state), logged)
        task.note(f"Step {state.step}: held-out SSIM {_told(figures)}.")
        return self.outlook()

    def outlook(self) -> str:
        """Whether as much time again would help, in words."""
        history = [
            (
                entry["seconds"] / 60,
                float(np.mean([values["ssim"] for values in entry["people"].values()])),
            )
            for entry in self.state.history
            if entry["step"] > self.state.since_step
        ]
        return outlook(history, self.state.seconds / 60).text

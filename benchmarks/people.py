"""Three people in one model, and a third who joins two: how good, how fast?

    python -m benchmarks.people --steps 200 --joins 50 100 200 --size 96

ada, chen and ben of the synthetic footage. Asked is

- what a step costs a face when all learn together and when only the newcomer learns on a frozen
  encoder: the same faces in turns within one process, in processor time, so that other programs
  on the machine count for little;
- how well ben's held-out faces are redrawn after so many steps when ben joins a model of ada and
  chen, frozen (with each way to begin) and together with them; each row is a training of its own,
  with one fall of the learning rate;
- whether one model of three people redraws each as well as three models of two do, when every
  person was seen equally often.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch

from benchmarks.common import Line, Result, main, markdown, studio, synthetic
from understudy import Project
from understudy.facesets.faceset import Faceset
from understudy.models.base import network_class
from understudy.models.checkpoint import Snapshot
from understudy.progress import silent
from understudy.runtime import devices
from understudy.training.adding_people import First, first_decoder, only, put_back, with_person
from understudy.training.batches import Feed
from understudy.training.held_out_loss import measure as redraw
from understudy.training.learner import Learner, build_first
from understudy.training.plan import Course
from understudy.training.schedule import State, learning_rate

NETWORK = "swift"
PEOPLE = ("ada", "chen", "ben")
BASE, NEW = ("ada", "chen"), "ben"
STARTS: tuple[First, ...] = ("alike", "mean", "scratch")
SLOW = 1e-6
"""Learning rate while only speed is measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=2000, help="of each model")
    parser.add_argument("--joins", type=int, nargs="+", default=[100, 200, 400, 800])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--turns", type=int, default=5, help="of the measurement of speed")


class _School:
    """Everybody's faces, loaded once, and trainings on some of them."""

    def __init__(self, project: Project, size: int) -> None:
        self.size, self.device = size, devices.choose_device("auto")
        self.recipe = network_class(NETWORK).recipe
        self.bfloat16 = devices.bfloat16_pays(self.device)
        found = {name: Faceset.open(project.person(name).faces_folder) for name in PEOPLE}
        course = self.course(PEOPLE)
        self.feed = Feed(
            course, found, self.recipe, self.recipe.batch, 0, 0.1, self.device, silent()
        )

    def course(self, people: Sequence[str], alone: Sequence[str] = ()) -> Course:
        everybody = tuple(people)
        return Course(NETWORK, self.size, everybody, tuple(alone) or everybody, bool(alone))

    def new(self, people: Sequence[str]) -> Snapshot:
        return build_first(NETWORK, self.size, tuple(people), 0, None)

    def learner(self, course: Course, whole: Snapshot) -> tuple[Learner, Feed]:
        start = copy.deepcopy(only(whole, course.learning) if course.frozen else whole)
        feed = copy.copy(self.feed)
        feed.course = course
        return Learner(start, self.device, bfloat16=self.bfloat16, frozen=course.frozen), feed

    def train(self, course: Course, whole: Snapshot, steps: int) -> Snapshot:
        """A training of its own, with one fall of the learning rate."""
        learner, feed = self.learner(course, whole)
        state = State({"steps": steps}, 0.1, {})
        for step in range(steps):
            learner.learn(feed.batches(step), learning_rate(self.recipe, state), step)
            state.step += 1
        made = learner.snapshot({}, state.json())
        return put_back(whole, made) if course.frozen else made

    def ssim(self, snapshot: Snapshot, person: str) -> float:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return redraw(snapshot.average.eval(), self.feed.held_out[person], person).ssim


def _speed(school: _School, turns: int) -> dict[str, list[float]]:
    """Faces a second of processor time, in turns."""
    whole = school.new(PEOPLE)
    courses = {"together": school.course(PEOPLE), "frozen": school.course(PEOPLE, [NEW])}
    work = {name: school.learner(course, whole) for name, course in courses.items()}
    rates: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, (learner, feed) in work.items():
            steps = len(PEOPLE) if name == "frozen" else 1
            began = time.process_time()
            for step in range(steps):
                learner.learn(feed.batches(turn * steps + step), SLOW, step)
            spent = time.process_time() - began
            if turn:
                rates[name].append(steps * feed.batch * len(courses[name].learning) / spent)
    return rates


def _joins(school: _School, base: Snapshot, budgets: Sequence[int]) -> dict[str, dict[int, float]]:
    """Held-out SSIM of the newcomer by way of joining and steps."""
    faces = school.feed.faces[NEW]
    found: dict[str, dict[int, float]] = {}
    for frozen, first in [(True, start) for start in STARTS] + [(False, STARTS[0])]:
        way = f"{'frozen' if frozen else 'together'}, {first}"
        decoder = first_decoder(base.average.eval(), faces, first, 0)
        begun = with_person(base, NEW, decoder)
        course = school.course(PEOPLE, [NEW] if frozen else [])
        found[way] = {0: school.ssim(begun, NEW)}
        for steps in budgets:
            found[way][steps] = school.ssim(school.train(course, begun, steps), NEW)
        print(f"    {way}: {found[way]}", flush=True)
    return found


def measure(options: argparse.Namespace, folder: Path) -> Result:
    films = {name: synthetic(f"train_{name}.mp4") for name in PEOPLE}
    school = _School(studio(folder / "work" / "trio", films), options.size)
    rates = _speed(school, options.turns)
    print(f"    faces/s: {rates}", flush=True)
    base = school.train(school.course(BASE), school.new(BASE), options.steps)
    joins = _joins(school, base, options.joins)
    quality: dict[str, dict[str, float]] = {name: {} for name in PEOPLE}
    for people in [PEOPLE, *combinations(PEOPLE, 2)]:
        made = base
        if people != BASE:
            made = school.train(school.course(people), school.new(people), options.steps)
        for name in people:
            quality[name]["-".join(people)] = school.ssim(made, name)
        print(f"    {'-'.join(people)}: {quality}", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    pairs = zip(rates["frozen"], rates["together"], strict=True)
    ratio = statistics.median(frozen / together for frozen, together in pairs)
    rows = []
    for steps in (0, *options.joins):
        for way, values in joins.items():
            # Together, each of the newcomer's faces brings one of everybody else.
            frozen = way.startswith("frozen")
            seen = steps * school.feed.batch * (1 if frozen else len(PEOPLE))
            seconds = seen / medians["frozen" if frozen else "together"]
            rows.append([str(steps), way, f"{seconds / 60:.2f}", f"{values[steps]:.4f}"])
    print(markdown(["steps", "way", "processor minutes", f"SSIM of {NEW}"], rows), flush=True)
    lines = [
        Line("together, three people", f"{medians['together']:.1f} faces/s"),
        Line("frozen, the newcomer alone", f"{medians['frozen']:.1f} faces/s"),
        Line("a face, frozen / together", f"{ratio:.2f}x"),
        Line("the newcomer's faces, frozen / together", f"{ratio * len(PEOPLE):.1f}x", "several"),
    ]
    for name, figures in quality.items():
        three = figures.pop("-".join(PEOPLE))
        gap = statistics.mean(figures.values()) - three
        twos = ", ".join(f"{one:.4f}" for one in figures.values())
        lines.append(Line(f"{name}: SSIM in the model of three", f"{three:.4f}"))
        lines.append(Line(f"{name}: in models of two {twos}", f"{gap:+.4f}", "within 0.02"))
    return Result(lines, {"faces_per_second": rates, "joins": joins, "rows": rows})


if __name__ == "__main__":
    main("people", __doc__, add_arguments, measure)

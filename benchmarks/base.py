"""What does the base buy: minutes, few pictures, real faces; and what does it cost?

    python -m benchmarks.base --parts swap ben few real cost --minutes 1 2 5 10 20
    python -m benchmarks.base --parts ablation --ablation 8 16 32 66 --pretrain 10

Everything with the base and without, from scratch, in the same minutes, and each training one of
its own with one fall of the learning rate (but for `--schedule continued`, in swap and ben). With
`--rate 320` a minute stands for 60 * 320 faces, whatever else the machine does.

- swap: ada and chen against the truth, as `benchmarks.swap` measures it;
- ben: ada and ben, against the scenes as they were rendered;
- few: ada from 60 frames only, and from frontal neutral frames only; mouth and eyes of the swap
  against those of the film (correlation of the openings), and the truth;
- real: two real speakers, held-out faces redrawn;
- cost: size of the base, time to read it, and the time of a training step;
- ablation: bases of fewer people, each trained for the same minutes, by what ada and chen reach in
  a minute.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import swap
from benchmarks.common import (
    SHARED,
    Line,
    Missing,
    Result,
    alternate,
    footage,
    main,
    markdown,
    seconds,
    studio,
    synthetic,
    telling,
)
from tools import make_base
from understudy import Project
from understudy.facesets.faceset import Faceset
from understudy.media.images import write_image
from understudy.media.video import VideoReader
from understudy.models.base import network_class
from understudy.progress import silent
from understudy.runtime import devices, files
from understudy.training.base_weights import SHIPPED, begin, read_base
from understudy.training.batches import Feed
from understudy.training.learner import Learner, build_first
from understudy.training.plan import Course
from understudy.training.train import TrainReport

PARTS = ("swap", "ben", "few", "real", "cost", "ablation")
MOVING = ("mouth-open", "closure", "slit", "puller")
"""Parts of the names of expressions that a quiet face does not have."""

BASES = {"with the base": "shipped", "from scratch": "none"}
FEW = 60
PRETRAINING = 0.6
"""Faces a second in pretraining over those in training two people."""

AFTER = 1
"""Minutes that ada and chen are trained with each base of the ablation."""

LEVEL = 12.0
"""Degrees of yaw and pitch up to which a face counts as frontal."""

CLOSED = 0.2
"""Weight of an expression up to which it counts as none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    parser.add_argument("--schedule", choices=["continued", "separate"], default="separate")
    parser.add_argument("--rate", type=float, help="faces a second that a minute stands for")
    parser.add_argument("--ben", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--few", type=float, default=2.0, help="minutes of training in few")
    parser.add_argument("--real", type=float, nargs="+", default=[2.0, 10.0])
    parser.add_argument("--ablation", type=int, nargs="+", default=[8, 16, 32, 66])
    parser.add_argument("--pretrain", type=float, default=10.0, help="minutes for each base")


def measure(options: argparse.Namespace, folder: Path) -> Result:
    found = [WORK[part](options, folder) for part in options.parts]
    lines = [line for one in found for line in one.lines]
    rows = [(line.what, line.value, line.goal) for line in lines]
    text = markdown(("what", "measured", "goal"), rows)
    files.write_bytes(folder / "base.md", text.encode() + b"\n")
    return Result(lines, {part: one.values for part, one in zip(options.parts, found, strict=True)})


def _near(values: dict[str, Any]) -> str:
    return f"{values['psnr_db']:.2f} dB / {values['ssim']:.3f}"


def _likeness(values: dict[str, Any]) -> str:
    done = [values["expression"][f"{what}_correlation"] for what in ("mouth", "eye", "gaze")]
    return swap.likeness(values["identity"]["distance_to_with"], *done)


def _budget(options: argparse.Namespace, minutes: float) -> dict[str, Any]:
    """So many minutes of training two people, or the steps that stand for them."""
    if options.rate is None:
        return {"minutes": minutes}
    return {"steps": round(60 * minutes * options.rate / (2 * network_class("swift").recipe.batch))}


def _pretraining(options: argparse.Namespace) -> dict[str, Any]:
    """So many minutes of pretraining, or the steps that stand for them."""
    if options.rate is None:
        return {"minutes": options.pretrain}
    recipe = network_class("modulated").recipe
    faces = 60 * options.pretrain * options.rate * PRETRAINING
    return {"steps": round(faces / (recipe.batch * (recipe.at_once or 1)))}


def _trained(
    project: Project, people: Sequence[str], model: str, goes_on: bool = False, **given: Any
) -> TrainReport:
    """Train under this name, anew unless it `goes_on` from the budget before."""
    if not goes_on:
        shutil.rmtree(project.model_folder(model), ignore_errors=True)
    return project.train(people, model, telling(), **given)


def swaps(options: argparse.Namespace, folder: Path) -> Result:
    parser = argparse.ArgumentParser()
    swap.add_arguments(parser)
    minutes = ["--minutes", *map(str, options.minutes)]
    words = [*minutes, "--network", "swift", swap.SCRATCH, "--schedule", options.schedule]
    rates = [f"{network}={options.rate}" for network in ("swift", swap.SCRATCH)]
    return swap.measure(
        parser.parse_args([*words, *(["--rate", *rates] if options.rate else [])]), folder
    )


def ben(options: argparse.Namespace, folder: Path) -> Result:
    """ada and ben. There is no composed truth with ben: each is compared with the other's scene as
    it was rendered, in brightness alone, since conversion keeps the skin's colour."""
    films = {one: footage(one) for one in ("ada", "ben")}
    project = studio(folder / "work" / "ben", films)
    lines, values = [], {}
    for how, base in BASES.items():
        model = base.replace("shipped", "based")
        for minutes in options.ben:
            goes_on = options.schedule == "continued" and minutes != options.ben[0]
            budget = _budget(options, minutes)
            _trained(project, tuple(films), model, goes_on, **budget, base=base)
            for with_, replace in (("ben", "ada"), ("ada", "ben")):
                scene = swap.Scene(
                    with_,
                    replace,
                    synthetic(f"test1_{replace}.mp4"),
                    synthetic(f"test1_{with_}.mp4"),
                    synthetic(f"test1_{with_}_mask.mkv"),
                    synthetic(f"test1_{replace}_mask.mkv"),
                )
                output = folder / "base" / f"{with_}-on-{replace}-{model}-{minutes:g}.mp4"
                found = swap.swapped(project, scene, model, output)
                values[f"{with_} on {replace}, {minutes:g}, {how}"] = found
                lines.append(
                    Line(
                        f"{with_} on {replace}, {minutes:g} min, {how}",
                        f"SSIM {found['truth']['ssim']:.3f} "
                        f"(untouched {found['untouched']['ssim']:.3f}); {_likeness(found)}",
                    )
                )
    return Result(lines, values)


def frontal(folder: Path) -> Path:
    """Frames of ada that look into the camera with a quiet face, as pictures."""
    film = synthetic("train_ada.mp4")
    played = json.loads(film.with_suffix(".json").read_text())["frames"]
    quiet = {
        number
        for number, frame in enumerate(played)
        if max(abs(frame["yaw"]), abs(frame["pitch"])) < LEVEL
        and all(
            weight < CLOSED
            for name, weight in frame["expr"].items()
            if any(part in name for part in MOVING)
        )
    }
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with VideoReader(film) as reading:
        for frame in reading:
            if frame.index in quiet:
                write_image(folder / f"{frame.index:04d}.png", frame.image)
    return folder


def few(options: argparse.Namespace, folder: Path) -> Result:
    """ada from few pictures, in chen's scene."""
    scene = swap.Scene.named("ada-on-chen")
    found: dict[str, dict[str, Any]] = {}
    for what in ("60 frames", "frontal neutral frames"):
        place = folder / "work" / what.split()[0]
        project = Project.create(place)
        project.add("chen", [synthetic("train_chen.mp4")], "synthetic")
        project.extract("chen", telling())
        if what == "60 frames":
            project.add("ada", [synthetic("train_ada.mp4")], "synthetic")
            project.extract("ada", telling(), every=900 // FEW)
        else:
            project.add("ada", [frontal(folder / "work" / "ada-frontal")], "synthetic")
            project.extract("ada", telling())
        for how, base in BASES.items():
            model = base.replace("shipped", "based")
            _trained(project, swap.PEOPLE, model, **_budget(options, options.few), base=base)
            output = folder / "base" / f"{place.name}-{model}.mp4"
            found[f"{what}, {how}"] = swap.swapped(project, scene, model, output)
    lines = [
        Line(
            f"ada from {name}, {options.few:g} min",
            f"{_near(values['truth'])}; {_likeness(values)}",
        )
        for name, values in found.items()
    ]
    return Result(lines, found)


def real(options: argparse.Namespace, folder: Path) -> Result:
    """Two real speakers' held-out faces. Nothing of them leaves the folder."""
    films = {
        "man": SHARED / "real" / "clips" / "r01_grid_man_two_sentences.mp4",
        "other": SHARED / "real" / "grid_raw" / "brbk7n.mpg",
    }
    if missing := [str(film) for film in films.values() if not film.is_file()]:
        raise Missing(f"{' and '.join(missing)} not there")
    project = Project.create(folder / "work" / "real")
    for person, film in films.items():
        project.add(person, [film], "granted", SHARED / "real" / "MANIFEST.md")
        project.extract(person, telling())
    lines, values = [], {}
    for minutes in options.real:
        for how, base in BASES.items():
            budget = _budget(options, minutes)
            report = _trained(project, list(films), "real", **budget, base=base)
            for person, figures in report.held_out.items():
                lines.append(
                    Line(
                        f"real speaker ({person}), held out, {minutes:g} min, {how}",
                        f"{figures.psnr:.2f} dB / {figures.ssim:.3f}",
                    )
                )
                values[f"{person}, {minutes:g}, {how}"] = asdict(figures)
    return Result(lines, values)


def cost(options: argparse.Namespace, folder: Path) -> Result:
    """Size, time to read, and time of a step with and without."""
    project = studio(folder / "work" / "duo", {one: footage(one) for one in swap.PEOPLE})
    devices.settle()
    facesets = {one: Faceset.open(project.person(one).faces_folder) for one in swap.PEOPLE}
    recipe = network_class("swift").recipe
    device = torch.device("cpu")
    course = Course("swift", 128, swap.PEOPLE, swap.PEOPLE, frozen=False)
    feed = Feed(course, facesets, recipe, recipe.batch, 0, 0.1, device, silent())
    base = read_base(SHIPPED)
    batches = feed.batches(0)
    steps: dict[str, Callable[[], object]] = {}
    for how, name in BASES.items():
        start = build_first("swift", 128, swap.PEOPLE, 0, None)
        if name == "shipped":
            begin((start.model, start.average), base)
        learner = Learner(start, device, bfloat16=devices.bfloat16_pays(device))
        apart = recipe.apart if name == "shipped" else 1.0
        steps[how] = partial(learner.learn, batches, 1e-6, 1000, apart=apart)
    timed = alternate(steps, 20)
    ratio = timed.ratio(*BASES)
    reading = statistics.median(seconds(lambda: read_base(SHIPPED)) for _ in range(5))
    size = SHIPPED.stat().st_size
    return Result(
        [
            Line("size of the base", f"{size / 1e6:.1f} MB", "at most 8 MB"),
            Line("reading the base", f"{reading:.2f} s"),
            Line("a training step with the base / without", f"{ratio:.2f}x", "no slower"),
        ],
        {"bytes": size, "seconds": reading, "step_ratio": ratio},
    )


def ablation(options: argparse.Namespace, folder: Path) -> Result:
    """Bases of so many people, by what ada and chen reach in two minutes."""
    crowd = make_base.crowd()
    project = studio(folder / "work" / "duo", {one: footage(one) for one in swap.PEOPLE})
    scenes = {direction: swap.Scene.named(direction) for direction in swap.DIRECTIONS}
    everybody, labels = crowd.people_with_faces, make_base.labels(crowd)
    lines, values = [], {}
    for count in options.ablation:
        chosen = everybody[:: max(1, len(everybody) // count)][:count]
        name = f"ablation-{count}"
        shutil.rmtree(crowd.model_folder(name), ignore_errors=True)
        file = folder / "work" / f"{name}.safetensors"
        budget = _pretraining(options)
        crowd.pretrain(chosen, name, file, telling(), labels=labels, aside=0, **budget)
        _trained(project, swap.PEOPLE, name, **_budget(options, AFTER), base=str(file))
        found = {}
        for direction, scene in scenes.items():
            output = folder / "base" / f"{direction}-{name}.mp4"
            found[direction] = swap.swapped(project, scene, name, output)["truth"]
        values[str(count)] = found
        text = ", ".join(_near(one) for one in found.values())
        lines.append(
            Line(f"base of {count} people ({options.pretrain:g} min), then {AFTER} min", text)
        )
    return Result(lines, values)


WORK = {"swap": swaps, "ben": ben, "few": few, "real": real, "cost": cost, "ablation": ablation}

if __name__ == "__main__":
    main("base", __doc__, add_arguments, measure)

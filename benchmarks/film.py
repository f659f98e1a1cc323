"""How good is the film itself: near the truth, without a seam, steady, true to the actor?

    make bench-film
    python -m benchmarks.film --network swift original --minutes 3
    python -m benchmarks.film --project FOLDER --models NAME        with what is trained already

ada and chen play each other's scene, converted twice with one model: the plainest way (one gain for
each channel, faces where they were found, nothing else) and with the default settings. Then:

- nearness to the truth inside the face, of the finished film, encoded, marked and read back;
- edge visibility: gradient energy (squared, of luma) along the swap's outline over that of the
  untouched film at the same places; 1 is what the film has there itself;
- steadiness: what is left from frame to frame of the aligned face, over that of the film;
- openings of mouth and eyes and gaze against the film's (correlation), and yaw (median error);
- what a viewer sees: detail, and how much of it is found in the right place, in three bands for
  face, eyes and mouth; likeness, retrieval, perceptual distance, blinks and jumps
  (docs/research/film.md);
- samples of the picture's planes that changed outside of the face, before encoding, and changed
  frames without the person: none may. The scene is shown after one of somebody else for that;
- what the settings cost: processor time of a whole conversion at 512x512, in turns.

With --real also clips of real speakers, where they are at hand: whoever is in them becomes ada. No
truth is known there.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    SHARED,
    Line,
    Missing,
    Result,
    clip,
    footage,
    main,
    studio,
    telling,
)
from benchmarks.conversion import scene
from benchmarks.film_seen import lines as seen_lines
from benchmarks.swap import DIRECTIONS, PEOPLE, Scene, budget, measured, rate
from benchmarks.untouched import Spared, one_after_the_other, spared
from understudy import Project
from understudy.evaluation import metrics
from understudy.evaluation.frame_measures import grey
from understudy.media.video import VideoReader

PLAIN: dict[str, Any] = {
    "color": "linear-gain",
    "steady": 0,
    "widen": 0,
    "grain": 0,
    "blend": "feather",
    "occlusion": False,
    "detail": 0,
}
"""As the program laid faces over frames at first."""

WAYS: dict[str, dict[str, Any]] = {"plain": PLAIN, "default": {}}

UNLABELLED: dict[str, Any] = {"label": "none", "label_reason": "a measurement"}

REAL = ("r01_grid_man_two_sentences.mp4", "r11_asl_man_hand_occlusion.mp4")
"""Films of people who became ada only for this measurement; nothing of them is kept."""

AWAY = 50
"""Frames of each of the two films that are shown one after the other."""

GOALS = {
    "edge": "at most 1.10",
    "steadiness": "at most 1.10",
    "mouth": "at least 0.95",
    "eyes": "at least 0.90",
    "gaze": "at least 0.90",
    "yaw": "under 3 degrees",
}


@dataclass(frozen=True)
class Film:
    """One conversion, measured; None where nothing could be. `seen`: as in an evaluation's JSON."""

    network: str
    film: str
    way: str
    psnr_db: float | None
    ssim: float | None
    edge: float | None
    steadiness: float | None
    mouth: float | None
    eyes: float | None
    yaw: float | None
    gaze: float | None = None
    seen: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        said = asdict(self)
        del said["seen"]
        return ", ".join(f"{key} {value}" for key, value in said.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", nargs="+", default=["swift"])
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, each network")
    parser.add_argument(
        "--rate", nargs="+", type=rate, default=[], metavar="NETWORK=FACES", help="faces a second"
    )
    parser.add_argument("--project", type=Path, help="with trained models of ada and chen")
    parser.add_argument("--models", nargs="+", default=[], help="of the project")
    parser.add_argument("--real", action="store_true", help="real clips too")
    parser.add_argument("--side", type=int, default=512, help="of the film that is timed, pixels")
    parser.add_argument("--turns", type=int, default=3)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "film"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    project, models = trained(options, folder)
    scenes = {}
    for direction in DIRECTIONS:
        try:
            scenes[direction] = Scene.named(direction)
        except Missing as missing:
            print(f"  {direction} left out: {missing}", flush=True)
    found: list[Film] = []
    kept: list[Spared] = []
    for name, model in models.items():
        for direction, one in scenes.items():
            for way, given in WAYS.items():
                found.append(directed(project, one, model, name, direction, way, given, work))
                print(f"  {found[-1]}", flush=True)
            kept.append(unspoilt(project, one, model, work))
        if options.real:
            found += real(project, model, name, work)
    name, model = next(iter(models.items()))
    cost = costs(project, model, options, work)
    shutil.rmtree(work)
    lines = [*table_of(found), *(line for one in kept for line in one.lines()), *cost.lines(name)]
    return Result(
        lines,
        {
            "films": [asdict(film) for film in found],
            "spared": [asdict(one) for one in kept],
            "cost": asdict(cost),
        },
    )


def trained(options: argparse.Namespace, folder: Path) -> tuple[Project, dict[str, str]]:
    """The project, and a model by the name that it has in the table."""
    if options.project is not None:
        return Project.open(options.project), {model: model for model in options.models}
    project = studio(folder / "work" / "duo", {name: footage(name) for name in PEOPLE})
    models = {}
    for network in options.network:
        model = f"film-{network}"
        shutil.rmtree(project.model_folder(model), ignore_errors=True)
        limit = budget(network, options.minutes, dict(options.rate))
        project.train(PEOPLE, model, telling(), network=network, **limit)
        models[network] = model
    return project, models


def directed(
    project: Project,
    scene: Scene,
    model: str,
    name: str,
    direction: str,
    way: str,
    given: Mapping[str, Any],
    work: Path,
) -> Film:
    """Convert a scene whose truth is known, and measure it."""
    output = work / f"{name}-{direction}-{way}.mp4"
    asked = {**UNLABELLED, **given, "matte": True}
    report = project.convert(scene.film, scene.replace, scene.with_, model, output, **asked)
    values = measured(project, scene, model, output)
    assert report.matte is not None
    edge = edge_visibility(scene.film, output, report.matte)
    return film_of(name, direction.replace("-", " "), way, values, edge)


def film_of(name: str, film: str, way: str, swap: Mapping[str, Any], edge: float | None) -> Film:
    """The figures out of an evaluation's."""
    truth = swap["truth"] or {"psnr_db": None, "ssim": None}
    return Film(
        network=name,
        film=film,
        way=way,
        psnr_db=truth["psnr_db"],
        ssim=truth["ssim"],
        edge=edge,
        steadiness=swap["steadiness"]["ratio"],
        mouth=swap["expression"]["mouth_correlation"],
        eyes=swap["expression"]["eye_correlation"],
        yaw=swap["pose_median"]["yaw"],
        gaze=swap["expression"]["gaze_correlation"],
        seen=swap["seen"],
    )


def edge_visibility(film: Path, swap: Path, matte: Path) -> float | None:
    """Gradient energy along the swap's outline over the untouched film's at the same places."""
    with ExitStack() as stack:
        readers = [stack.enter_context(VideoReader(path)) for path in (film, swap, matte)]
        swapped, untouched = [], []
        for before, after, alpha in zip(*readers, strict=True):
            strip = metrics.outline(grey(alpha, before))
            swapped.append(metrics.edge_energy(after.image, strip))
            untouched.append(metrics.edge_energy(before.image, strip))
    ours, theirs = metrics.mean(swapped), metrics.mean(untouched)
    return ours / theirs if ours is not None and theirs else None


def unspoilt(project: Project, scene: Scene, model: str, work: Path) -> Spared:
    """The scene after a film of who comes: that has to stay as it is, to the bit."""
    both = work / f"{scene.with_}-then-{scene.replace}.mkv"
    one_after_the_other([footage(scene.with_), scene.film], AWAY, both)
    return spared(project, both, scene.replace, scene.with_, model)


def real(project: Project, model: str, name: str, work: Path) -> list[Film]:
    """Real speakers who become ada; nothing of it is kept."""
    found = []
    for clip_name in REAL:
        path = SHARED / "real" / "clips" / clip_name
        if not path.is_file():
            print(f"  {clip_name} left out: it is not there", flush=True)
            continue
        for way, given in WAYS.items():
            output = work / f"{path.stem}-{way}.mp4"
            asked = {**UNLABELLED, **given, "matte": True}
            report = project.convert(path, "any", "ada", model, output, **asked)
            values = project.evaluate(model, path, output, "any", "ada", output=work).values["swap"]
            assert report.matte is not None
            edge = edge_visibility(path, output, report.matte)
            found.append(film_of(name, path.stem.split("_")[0], way, values, edge))
            print(f"  {found[-1]}", flush=True)
    return found


@dataclass(frozen=True)
class Cost:
    """Processor and wall seconds of conversions, by way, in turns."""

    side: int
    frames: int
    processor: dict[str, list[float]]
    wall: dict[str, list[float]]

    def lines(self, name: str) -> list[Line]:
        pairs = zip(self.processor["default"], self.processor["plain"], strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        rate = self.frames / statistics.median(self.wall["default"])
        where = f"{name}, {self.side}x{self.side}"
        return [
            Line(f"conversion, {where}: default / plain", f"{ratio:.2f}x", "at most 2x"),
            Line(f"conversion, {where}, default", f"{rate:.0f} frames/s", "25 frames/s or more"),
        ]


def costs(project: Project, model: str, options: argparse.Namespace, work: Path) -> Cost:
    """Time whole conversions, the scan for faces included."""
    film = clip(scene(), work / "clip.mp4", 150, options.side, 2)
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    wall: dict[str, list[float]] = {way: [] for way in WAYS}
    frames = 0
    for turn in range(options.turns + 1):
        for way, given in WAYS.items():
            shutil.rmtree(project.cache_folder / "scan", ignore_errors=True)
            before = processor_seconds()
            report = project.convert(film, "chen", "ada", model, work / "timed.mp4", **given)
            frames = report.frames
            if turn:
                used[way].append(processor_seconds() - before)
                wall[way].append(report.seconds)
    return Cost(options.side, frames, used, wall)


def processor_seconds() -> float:
    """Of this process and its children."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def table_of(films: Sequence[Film]) -> list[Line]:
    """Rows of before and after, film by film."""
    lines = []
    for network, film in dict.fromkeys((one.network, one.film) for one in films):
        ways = [one for one in films if (one.network, one.film) == (network, film)]
        where = f"{film}, {network}"
        if all(one.psnr_db is not None for one in ways):
            nearness = " -> ".join(f"{one.psnr_db:.2f} dB / {one.ssim:.3f}" for one in ways)
            lines.append(Line(f"{where}: inside the face", nearness, "+1.5 dB"))
        for key, title in (
            ("edge", "edge visibility"),
            ("steadiness", "steadiness"),
            ("mouth", "mouth, correlation"),
            ("eyes", "eyes, correlation"),
            ("gaze", "gaze aside, correlation"),
            ("yaw", "yaw, median error in degrees"),
        ):
            values = [getattr(one, key) for one in ways]
            text = " -> ".join("none" if value is None else f"{value:.2f}" for value in values)
            lines.append(Line(f"{where}: {title}", text, GOALS[key]))
        lines += seen_lines(where, [one.seen for one in ways])
    return lines


if __name__ == "__main__":
    main("film", __doc__, add_arguments, measure)

"""How near does a swap come to the truth, after how many minutes of training?

    python -m benchmarks.swap --minutes 2 5 10 20 40 --network swift original --direction both

ada and chen are learned from their training films, each network for the same minutes; each then
plays the other's scene (test1), which is compared with the scene as it was rendered with the
other's face: inside the union of both face masks. The untouched film against the same truth is
the floor that a swap must beat, by a little more than encoding alone changes.

With --schedule continued (the default) one model of each network trains on from budget to
budget: the learning rate falls over the first budget, warms up again and falls over the next, as
`understudy train` with growing --minutes does. With --schedule separate each budget trains a
model from nothing, with one fall of the learning rate: dearer, and what a user gets who asks for
that many minutes at once. Minutes count training steps, as the program counts them. `scratch` among
the networks is swift without the base.

With --rate swift=200 original=15 a minute of swift stands for 60 * 200 faces, and so on: first
measure the rates on an idle machine (`python -m benchmarks.training`), then leave the long training
to a busy one. Every network named needs a rate then.

Beside the numbers it leaves swap.html and swap-curves.png (curves) and swap-DIRECTION.png (faces)
in the folder.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    SHARED,
    Line,
    Missing,
    Result,
    footage,
    main,
    markdown,
    studio,
    synthetic,
    telling,
)
from benchmarks.curves import picture
from understudy import Project
from understudy.demo import SAMPLE
from understudy.evaluation.scores import MARGIN_DB, MARGIN_SSIM
from understudy.media.film_sheet import contact_sheet
from understudy.media.html_report import Curve, Plot, Section, number, page
from understudy.media.images import write_image
from understudy.media.video import probe
from understudy.models.base import network_class
from understudy.runtime import files

SCRATCH = "scratch"
"""Instead of a network's name: swift without the base."""

PEOPLE = ("ada", "chen")
DIRECTIONS = ("ada-on-chen", "chen-on-ada")
NEARNESS = ("psnr_db", "ssim")
FIGURES = {
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "identity_distance": "distance to the face that comes",
    "mouth_correlation": "mouth, correlation",
    "eye_correlation": "eyes, correlation",
}
SHOWN_WITHIN = 12
"""Rows on a sheet of pictures, at most."""


@dataclass(frozen=True)
class Scene:
    """One person's face in the other's film, and the films to compare with."""

    with_: str
    replace: str
    film: Path
    truth: Path
    truth_mask: Path
    film_mask: Path

    @classmethod
    def named(cls, direction: str) -> Scene:
        """Raises Missing."""
        with_, replace = direction.split("-on-")
        try:
            truth = f"swapgt_test1_{with_}_face_on_{replace}"
            return cls(
                with_,
                replace,
                synthetic(f"test1_{replace}.mp4"),
                synthetic(f"{truth}.mp4"),
                synthetic(f"{truth}_mask.mkv"),
                synthetic(f"test1_{replace}_mask.mkv"),
            )
        except Missing:
            if direction != "ada-on-chen":
                raise
        paths = [SAMPLE / f"{name}.mp4" for name in ("scene", "truth", "truth-mask", "scene-mask")]
        return cls(with_, replace, *paths)


@dataclass(frozen=True)
class Point:
    """One conversion, measured; `untouched` is the film itself against the truth."""

    network: str
    minutes: float
    direction: str
    steps: int
    psnr_db: float
    ssim: float
    untouched_psnr_db: float
    untouched_ssim: float
    nearer_to_with: float | None
    identity_distance: float | None
    mouth_correlation: float | None
    eye_correlation: float | None
    gaze_correlation: float | None
    film: str

    @property
    def beats_untouched(self) -> bool:
        gain = self.psnr_db - self.untouched_psnr_db
        return gain > MARGIN_DB and self.ssim - self.untouched_ssim > MARGIN_SSIM

    @property
    def likeness(self) -> str:
        return likeness(
            self.identity_distance,
            self.mouth_correlation,
            self.eye_correlation,
            self.gaze_correlation,
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, nargs="+", default=[2.0, 5.0])
    parser.add_argument("--network", nargs="+", default=["swift", "original"])
    parser.add_argument("--direction", choices=[*DIRECTIONS, "both"], default="both")
    parser.add_argument("--schedule", choices=["continued", "separate"], default="continued")
    parser.add_argument("--size", type=int, default=128, help="of swift, pixels")
    parser.add_argument(
        "--rate", nargs="+", type=rate, default=[], metavar="NETWORK=FACES", help="faces a second"
    )


def rate(text: str) -> tuple[str, float]:
    """`swift=200` as a pair."""
    network, _, faces = text.partition("=")
    return network, float(faces)


def how(network: str) -> dict[str, Any]:
    """The network and base that `understudy train` is given."""
    return {"network": "swift", "base": "none"} if network == SCRATCH else {"network": network}


def budget(network: str, minutes: float, rates: dict[str, float]) -> dict[str, Any]:
    """The budget that `understudy train` is given."""
    if not rates:
        return {"minutes": minutes}
    faces = network_class(how(network)["network"]).recipe.batch * len(PEOPLE)
    return {"steps": round(60 * minutes * rates[network] / faces)}


def first_beating(points: Sequence[Point]) -> float | None:
    """The least minutes of those measured from which on every swap is nearer to the truth than
    the untouched film, in PSNR and in SSIM; None when the last is not."""
    best = None
    for point in sorted(points, key=lambda point: -point.minutes):
        if not point.beats_untouched:
            break
        best = point.minutes
    return best


def measure(options: argparse.Namespace, folder: Path) -> Result:
    scenes, absent = {}, []
    for direction in DIRECTIONS if options.direction == "both" else (options.direction,):
        try:
            scenes[direction] = Scene.named(direction)
        except Missing as missing:
            absent.append(direction)
            print(f"  {direction} left out: {missing}", flush=True)
    if not scenes:
        raise Missing("there is no truth to compare with")
    rates = dict(options.rate)
    if rates and (unrated := set(options.network) - set(rates)):
        raise SystemExit(f"--rate says nothing of {', '.join(sorted(unrated))}.")
    project = studio(folder / "work" / "duo", {name: footage(name) for name in PEOPLE})
    for network in options.network:
        for model in project.models_folder.glob(f"swap-{network}*"):
            shutil.rmtree(model)
    points: list[Point] = []
    for minutes in sorted(options.minutes):
        for network in options.network:
            points += train_and_swap(project, scenes, network, minutes, rates, options, folder)
            write(folder, points, scenes)
    values = [{**vars(point), "beats_untouched": point.beats_untouched} for point in points]
    return Result(
        lines(points),
        {
            "data": "synthetic actors" if (SHARED / "synthetic").is_dir() else "bundled sample",
            "left_out": absent,
            "points": values,
        },
    )


def swapped(project: Project, scene: Scene, model: str, output: Path) -> dict[str, Any]:
    """Convert the scene to `output` and measure it."""
    project.convert(scene.film, scene.replace, scene.with_, model, output)
    return measured(project, scene, model, output)


def measured(project: Project, scene: Scene, model: str, output: Path) -> dict[str, Any]:
    """`swap` of the evaluation of a converted scene."""
    report = project.evaluate(
        model,
        scene.film,
        output,
        scene.replace,
        scene.with_,
        scene.truth,
        scene.truth_mask,
        scene.film_mask,
        output.parent,
    )
    found: dict[str, Any] = report.values["swap"]
    return found


def train_and_swap(
    project: Project,
    scenes: dict[str, Scene],
    network: str,
    minutes: float,
    rates: dict[str, float],
    options: argparse.Namespace,
    folder: Path,
) -> list[Point]:
    """Train to `minutes` in all, convert every scene and measure."""
    separate = options.schedule == "separate"
    model = f"swap-{network}-{minutes:g}".replace(".", "_") if separate else f"swap-{network}"
    trained = project.train(
        PEOPLE,
        model,
        telling(),
        size=options.size,
        **how(network),
        **budget(network, minutes, rates),
    )
    points = []
    for direction, scene in scenes.items():
        output = folder / "swap" / f"{direction}-{network}-{minutes:g}.mp4"
        swap = swapped(project, scene, model, output)
        point = Point(
            network=network,
            minutes=minutes,
            direction=direction,
            steps=trained.steps,
            psnr_db=swap["truth"]["psnr_db"],
            ssim=swap["truth"]["ssim"],
            untouched_psnr_db=swap["untouched"]["psnr_db"],
            untouched_ssim=swap["untouched"]["ssim"],
            nearer_to_with=swap["identity"]["nearer_to_with"],
            identity_distance=swap["identity"]["distance_to_with"],
            mouth_correlation=swap["expression"]["mouth_correlation"],
            eye_correlation=swap["expression"]["eye_correlation"],
            gaze_correlation=swap["expression"]["gaze_correlation"],
            film=str(output),
        )
        points.append(point)
        print(
            f"  {network} {minutes:g} min, {direction}: {point.psnr_db:.2f} dB / {point.ssim:.3f}"
            f" (untouched {point.untouched_psnr_db:.2f} / {point.untouched_ssim:.3f}),"
            f" {point.likeness}",
            flush=True,
        )
    if separate:
        shutil.rmtree(project.model_folder(model))
    return points


def likeness(
    distance: float | None, mouth: float | None, eyes: float | None, gaze: float | None
) -> str:
    """Whose face it is, and whether it does what the film's does."""
    return (
        f"identity {number(distance)}, mouth {number(mouth)}, "
        f"eyes {number(eyes)}, gaze {number(gaze)}"
    )


def lines(points: Sequence[Point]) -> list[Line]:
    """The table: every point, the floor, and when it is passed."""
    found = []
    for direction in dict.fromkeys(point.direction for point in points):
        there = [point for point in points if point.direction == direction]
        name = direction.replace("-", " ")
        floor = there[0]
        found.append(
            Line(
                f"{name}: untouched film",
                f"{floor.untouched_psnr_db:.2f} dB / {floor.untouched_ssim:.3f}",
                "to be beaten",
            )
        )
        for point in there:
            found.append(
                Line(
                    f"{name}: {point.network}, {point.minutes:g} min",
                    f"{point.psnr_db:.2f} dB / {point.ssim:.3f}; {point.likeness}",
                )
            )
        for network in dict.fromkeys(point.network for point in there):
            passed = first_beating([point for point in there if point.network == network])
            found.append(
                Line(
                    f"{name}: {network} nearer to the truth than the untouched film",
                    "at no time measured" if passed is None else f"from {passed:g} min on",
                )
            )
    return found


def curves(points: Sequence[Point], direction: str, key: str) -> Plot:
    """A figure over minutes, a curve for each network and, of nearness, one for the untouched
    film."""
    there = [point for point in points if point.direction == direction]
    minutes = sorted({point.minutes for point in there})
    drawn = []
    if key in NEARNESS:
        drawn.append(Curve("untouched", [getattr(there[0], f"untouched_{key}")] * len(minutes)))
    for network in dict.fromkeys(point.network for point in there):
        own = {point.minutes: getattr(point, key) for point in there if point.network == network}
        drawn.append(Curve(network, [own.get(minute) for minute in minutes]))
    title = f"{FIGURES[key]}, {direction.replace('-', ' ')}"
    unit = "dB" if key == "psnr_db" else ""
    return Plot(title, minutes, drawn, x_label="minutes of training", unit=unit)


def write(folder: Path, points: Sequence[Point], scenes: dict[str, Scene]) -> None:
    """Write curves, pictures and the table of all points so far."""
    sections: list[Section] = []
    drawn: list[list[Plot]] = []
    for direction, scene in scenes.items():
        there = [point for point in points if point.direction == direction]
        if not there:
            continue
        plots = [curves(points, direction, key) for key in FIGURES]
        sections.append(Section(direction.replace("-", " "), "Inside the face.", plots))
        drawn.append(plots)
        rows = [(f"film ({scene.replace})", scene.film)]
        rows += [
            (f"{one.network}, {one.minutes:g} min", Path(one.film))
            for one in there[-(SHOWN_WITHIN - 2) :]
        ]
        rows.append((f"truth ({scene.with_}'s face)", scene.truth))
        frames = probe(scene.film).frames or 1
        write_image(folder / f"swap-{direction}.png", contact_sheet(rows, frames))
    if len({point.minutes for point in points}) > 1:
        together = [plot for each in zip(*drawn, strict=True) for plot in each]
        write_image(folder / "swap-curves.png", picture(together, len(drawn)))
    text = page("Swaps against the truth", "The higher the nearer.", sections)
    files.write_bytes(folder / "swap.html", text.encode())
    found = [(line.what, line.value, line.goal) for line in lines(points)]
    files.write_bytes(
        folder / "swap.md", markdown(("what", "measured", "goal"), found).encode() + b"\n"
    )


if __name__ == "__main__":
    main("swap", __doc__, add_arguments, measure)

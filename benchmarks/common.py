"""What the benchmarks share: data, clips, projects, medians and tables.

A benchmark is a module with `add_arguments(parser)` and `measure(options, folder) -> Result`.
It says `Missing` when it lacks data. Ratios compare what was measured alternately in one run;
nothing else should be running, and nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import torch
from av.video.stream import VideoStream

from understudy import Project
from understudy.demo import SAMPLE
from understudy.progress import Event, Progress
from understudy.runtime import files
from understudy.runtime.devices import bfloat16_pays, cores

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
OUT = ROOT / "out" / "bench"


class Missing(Exception):
    """There is nothing to measure with here; the message says what is missing."""


@dataclass(frozen=True)
class Line:
    """A row of the table: what was measured, the figure with its unit, what it ought to be."""

    what: str
    value: str
    goal: str = ""


@dataclass(frozen=True)
class Result:
    """What a benchmark found. `values` is plain JSON."""

    lines: Sequence[Line]
    values: dict[str, Any] = field(default_factory=dict)


Measure = Callable[[argparse.Namespace, Path], Result]
AddArguments = Callable[[argparse.ArgumentParser], None]


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def table(lines: Sequence[Line]) -> str:
    """The lines in Markdown."""
    rows = [(line.what, line.value, line.goal) for line in lines]
    return markdown(("what", "measured", "goal"), rows)


def machine() -> dict[str, Any]:
    """On what, and with what, the figures were measured."""
    model = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.split(":")[1].strip() for line in text.splitlines() if "name" in line)
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "bfloat16": bfloat16_pays(torch.device("cpu")),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "understudy": version("understudy"),
    }


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Alternated:
    """Seconds of several pieces of work, taken in turns."""

    times: dict[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.times[name])

    def ratio(self, name: str, base: str) -> float:
        """Median of the ratios within each turn."""
        pairs = zip(self.times[name], self.times[base], strict=True)
        return statistics.median(one / other for one, other in pairs)


def alternate(work: dict[str, Callable[[], object]], turns: int) -> Alternated:
    """Time each piece of work `turns` times, in turns, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(turns + 1):
        for name, piece in work.items():
            taken = seconds(piece)
            if turn:
                times[name].append(taken)
    return Alternated(times)


def synthetic(name: str) -> Path:
    """A film of the synthetic actors. Raises Missing."""
    path = SHARED / "synthetic" / name
    if not path.is_file():
        raise Missing(f"{path} is not there")
    return path


def footage(person: str) -> Path:
    """Footage of ada or chen: as it was rendered where that is at hand, else the sample's."""
    try:
        return synthetic(f"train_{person}.mp4")
    except Missing:
        return SAMPLE / f"{person}.mp4"


def clip(source: Path, target: Path, frames: int, side: int, loops: int = 1) -> Path:
    """The first frames of a film, scaled to a square and encoded so many times over."""
    with av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"crf": "18", "preset": "fast"})
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        number = 0
        for _ in range(loops):
            with av.open(str(source)) as reading:
                for index, frame in enumerate(reading.decode(video=0)):
                    if index == frames:
                        break
                    frame = frame.reformat(side, side, "yuv420p", interpolation="BICUBIC")
                    frame.pict_type = 0
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    writing.mux(stream.encode(frame))
                    number += 1
        writing.mux(stream.encode(None))
    return target


def studio(folder: Path, films: dict[str, Path]) -> Project:
    """A project in `folder` with a faceset of each person; made when it is not there yet."""
    there = (folder / "project.toml").exists()
    project = Project.open(folder) if there else Project.create(folder)
    for person, film in films.items():
        project.add(person, [film], "synthetic")
        project.extract(person, telling())
    return project


def telling() -> Progress:
    """Notes go to the terminal, counts do not."""

    def listen(event: Event) -> None:
        if event.kind == "note":
            print(f"    {event.text}", flush=True)

    return Progress(listen)


def run(name: str, measure: Measure, options: argparse.Namespace) -> Result | None:
    """Measure, print and write `out/bench/NAME.{json,md}`; None when data is missing."""
    print(f"\n{name}", flush=True)
    folder = options.out
    (folder / "work").mkdir(parents=True, exist_ok=True)
    before = machine()
    try:
        result = measure(options, folder)
    except Missing as missing:
        print(f"  skipped: {missing}", flush=True)
        return None
    text = table(result.lines)
    asked = {key: value for key, value in vars(options).items() if key not in ("out", "child")}
    values = {"machine": before, "options": asked, **result.values}
    files.write_bytes(
        folder / f"{name}.json", json.dumps(values, indent=2, default=str).encode() + b"\n"
    )
    files.write_bytes(folder / f"{name}.md", text.encode() + b"\n")
    print(text, flush=True)
    return result


def parser_for(doc: str, add_arguments: AddArguments) -> argparse.ArgumentParser:
    """The command line of one benchmark."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the results")
    add_arguments(parser)
    return parser


def main(name: str, doc: str, add_arguments: AddArguments, measure: Measure) -> None:
    """Run one benchmark by itself, on facesets that are made anew."""
    options = parser_for(doc, add_arguments).parse_args()
    shutil.rmtree(options.out / "work", ignore_errors=True)
    run(name, measure, options)

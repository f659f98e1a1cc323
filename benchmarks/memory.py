"""Does the memory that conversion takes grow with the film?

    python -m benchmarks.memory

A clip is converted once, and looped to ten times its length, each time in a process of its own
(scan, render and join). What counts is the peak of the process's resident memory.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.common import Line, Result, clip, footage, main, studio
from benchmarks.conversion import scene
from understudy import Project
from understudy.runtime.child_process import high_water

MODEL = "memory"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--loops", type=int, default=10)
    parser.add_argument("--side", type=int, default=256, help="pixels")
    parser.add_argument("--network", default="swift")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)


def convert_here(project: str, film: str, output: str) -> None:
    """What the child does; its last line is its peak."""
    Project.open(Path(project)).convert(Path(film), "chen", "ada", MODEL, Path(output))
    print(high_water())


def peak(project: Project, film: Path, output: Path) -> float:
    """Peak memory of a process that converts `film`, MB."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child"]
    command += [str(project.folder), str(film), str(output)]
    shutil.rmtree(project.cache_folder / "scan", ignore_errors=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "memory"
    shutil.rmtree(work, ignore_errors=True)
    project = studio(folder / "work" / "duo", {name: footage(name) for name in ("ada", "chen")})
    shutil.rmtree(project.model_folder(MODEL), ignore_errors=True)
    project.train(("ada", "chen"), MODEL, steps=3, network=options.network)
    work.mkdir(parents=True)
    films = {
        "once": clip(scene(), work / "once.mp4", options.frames, options.side),
        "looped": clip(scene(), work / "looped.mp4", options.frames, options.side, options.loops),
    }
    peaks: dict[str, list[float]] = {name: [] for name in films}
    for _ in range(options.turns):
        for name, film in films.items():
            peaks[name].append(peak(project, film, work / "swap.mp4"))
    shutil.rmtree(work)
    shutil.rmtree(project.model_folder(MODEL))
    pairs = zip(peaks["looped"], peaks["once"], strict=True)
    ratio = statistics.median(looped / once for looped, once in pairs)
    return Result(
        [
            Line(
                f"peak memory of conversion, {options.loops}x the length / once",
                f"{ratio:.3f}x",
                "within 10 %",
            ),
            Line("peak once", f"{statistics.median(peaks['once']):.0f} MB"),
            Line(f"peak looped {options.loops}x", f"{statistics.median(peaks['looped']):.0f} MB"),
        ],
        {"megabytes": peaks, "ratio": ratio},
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        convert_here(*sys.argv[sys.argv.index("--child") + 1 :])
    else:
        main("memory", __doc__, add_arguments, measure)

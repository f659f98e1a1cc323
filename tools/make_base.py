"""Make the base that is shipped, from 72 synthetic people.

    python -m tools.make_base --minutes 60

Their films are added and extracted into a project in out/base/, where `understudy pretrain` then
trains on all but six; all of it can be stopped and run again. The base goes to
src/understudy/training/base.safetensors; docs/research/base.md tells how the shipped one was made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.common import OUT, SHARED, Missing, studio
from rich.console import Console

from understudy import Project
from understudy.cli.progress_bar import Terminal
from understudy.runtime import files
from understudy.training.base_weights import SHIPPED

CROWD = SHARED / "crowd"
PROJECT = OUT.with_name("base")


def crowd(folder: Path = PROJECT) -> Project:
    """A project with the facesets of all. Raises Missing."""
    films = {path.stem: path for path in sorted(CROWD.glob("id*.mp4"))}
    if not films:
        raise Missing(f"there is no crowd in {CROWD}")
    return studio(folder, films)


TRAITS = {
    "mouth open": ("mouth-open",),
    "smile": ("mouth-corner-puller",),
    "teeth": ("mouth-part-later", "mouth-upward-retraction"),
    "eyes shut": ("eye-left-closure", "eye-right-closure"),
    "eyes wide": ("eye-left-opened-up", "eye-right-opened-up"),
    "brows up": ("eyebrows-left-up", "eyebrows-right-up"),
    "brows out": ("eyebrows-left-extern-up", "eyebrows-right-extern-up"),
}
"""What the renderer's expressions are called here, each the mean of some of its weights, 0..1."""

ANGLES = {"yaw": 0, "pitch": 1, "gaze aside": 3, "gaze up": 4}
"""Places of angles in a frame's row, degrees."""


TURNING = ("yaw", "gaze aside")
"""Those of them that change their sign in a mirrored picture."""


def _mean(weights: dict[str, float], which: list[str]) -> float:
    return sum(weights.get(one, 0.0) for one in which) / len(which)


def labels(project: Project) -> Path:
    """What the renderer knows of every frame, as a file that `understudy pretrain` takes."""
    known = json.loads((CROWD / "crowd.json").read_text())
    numbers = {name: str(number) for number, name in enumerate(known["expr_names"])}
    people = {}
    for one in known["identities"]:
        rows = [
            [
                *(_mean(frame[5], [numbers[name] for name in names]) for names in TRAITS.values()),
                *(frame[place] for place in ANGLES.values()),
            ]
            for frame in one["frames"]
        ]
        people[one["id"] if isinstance(one["id"], str) else f"id{one['id']:03d}"] = rows
    path = project.folder / "labels.json"
    names = [*TRAITS, *ANGLES]
    table = {"schema_version": 1, "names": names, "turning": list(TURNING), "people": people}
    files.write_json(path, table)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of training in all")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    given = parser.parse_args()
    project = crowd()
    with Terminal(Console(stderr=True)) as terminal:
        report = project.pretrain(
            (),
            "base",
            given.output,
            terminal.progress,
            labels=labels(project),
            minutes=given.minutes,
        )
    for person, figures in report.aside.items():
        print(f"{person}: {figures.psnr:.2f} dB / {figures.ssim:.3f}")
    for name, value in report.readings.items():
        print(f"reads {name}: {value:.2f}")
    print(report.file or "Stopped; run it again to go on.")


if __name__ == "__main__":
    main()

"""Make the base that is shipped, from 72 synthetic people.

    python -m benchmarks.make_base --minutes 60

Their films are added and extracted into a project in out/base/, where `understudy pretrain` then
trains on all but six; all of it can be stopped and run again. The base goes to
src/understudy/models/base.safetensors; docs/base.md tells how the shipped one was made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.common import OUT, SHARED, Missing, studio
from understudy import Project
from understudy.models.pretrained import SHIPPED
from understudy.terminal import Terminal

CROWD = SHARED / "crowd"
PROJECT = OUT.with_name("base")


def crowd(folder: Path = PROJECT) -> Project:
    """A project with the facesets of all. Raises Missing."""
    films = {path.stem: path for path in sorted(CROWD.glob("id*.mp4"))}
    if not films:
        raise Missing(f"there is no crowd in {CROWD}")
    return studio(folder, films)


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
            (), "base", given.output, terminal.progress, minutes=given.minutes
        )
    for person, figures in report.aside.items():
        print(f"{person}: {figures.psnr:.2f} dB / {figures.ssim:.3f}")
    print(report.file or "Stopped; run it again to go on.")


if __name__ == "__main__":
    main()

"""How many faces a second do the networks train?

    python -m benchmarks.training

swift with its own settings and original as its field trains it (batch of 16 per person, float32)
train in turns on the same facesets; counted is the time spent in steps, with sampling and
augmentation, without loading and saving. The first turn does not count.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path
from typing import Any

from benchmarks.common import Line, Result, footage, main, studio

PEOPLE = ("ada", "chen")
SETTINGS: dict[str, dict[str, Any]] = {
    "swift": {"network": "swift"},
    "original": {"network": "original", "batch": 16, "precision": "float32"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20.0, help="of training in each turn")
    parser.add_argument("--turns", type=int, default=3)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    project = studio(folder / "work" / "duo", {name: footage(name) for name in PEOPLE})
    rates: dict[str, list[float]] = {network: [] for network in SETTINGS}
    for network in SETTINGS:
        shutil.rmtree(project.model_folder(f"speed-{network}"), ignore_errors=True)
    for turn in range(options.turns + 1):
        for network, settings in SETTINGS.items():
            report = project.train(
                PEOPLE,
                f"speed-{network}",
                minutes=(turn + 1) * options.seconds / 60,
                report_every=1e6,
                **settings,
            )
            if turn:
                rates[network].append(report.faces_per_second)
    for network in SETTINGS:
        shutil.rmtree(project.model_folder(f"speed-{network}"))
    pairs = zip(rates["swift"], rates["original"], strict=True)
    ratio = statistics.median(swift / original for swift, original in pairs)
    medians = {network: statistics.median(values) for network, values in rates.items()}
    return Result(
        [
            Line("faces/s, swift / original", f"{ratio:.1f}x", "15x or more"),
            Line("swift, its own settings", f"{medians['swift']:.1f} faces/s"),
            Line("original, 16 per person, float32", f"{medians['original']:.1f} faces/s"),
        ],
        {"faces_per_second": rates, "ratio": ratio},
    )


if __name__ == "__main__":
    main("training", __doc__, add_arguments, measure)

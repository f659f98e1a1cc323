"""The whole pipeline on the bundled sample: source ada, target chen.

    understudy demo [FOLDER] [--minutes 6]

    sample/{ada,chen}.mp4 -> people -> model -> sample/scene.mp4 converted -> compared to truth

No one is real: both people are computer-made, and so is the truth, the scene rendered once more
with ada's face. The stages are those of `Project`, called as a user would call them; their
files are in the folder like in any project, and next to them:

    swap.mp4, swap-side-by-side.mp4   the film
    sheet.png                         six of its frames between source and truth
    swap.report.html                  the evaluation's page
    report.json                       the evaluation's numbers, and those of training and
                                      conversion (train, convert and seconds, see `demo`)

When run again, it continues: a finished stage is not repeated, training counts
earlier minutes, and continues if more minutes are given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy.conversion.convert import ConvertReport
from understudy.conversion.finish_drawn import Finisher
from understudy.errors import ProjectError
from understudy.media.film_sheet import contact_sheet
from understudy.media.html_report import number
from understudy.models.base import network_class
from understudy.progress import Progress, silent
from understudy.project import Project
from understudy.runtime import files
from understudy.settings import TrainSettings, override
from understudy.training.train import TrainReport
from understudy.workspace import MARKER

SAMPLE = Path(__file__).parent / "sample"
MINUTES = 2.0
WITH, REPLACE = "ada", "chen"


@dataclass(frozen=True)
class DemoReport:
    """Paths of the results.

    Attributes:
        film, side_by_side, sheet, page, numbers: files; `numbers` is the report.json.
        values: contents of `numbers`.
    """

    film: Path
    side_by_side: Path | None
    sheet: Path
    page: Path
    numbers: Path
    values: dict[str, Any]

    def __str__(self) -> str:
        swap, trained = self.values["swap"], self.values["train"]
        lines = [
            f"Trained {trained['minutes']:.1f} minutes at {trained['faces_per_second']:.0f} "
            f"faces/s, converted {self.values['convert']['frames_per_second']:.0f} frames/s.",
            f"Inside the face, compared with the truth: the swap {_nearness(swap['truth'])}, the "
            f"untouched film {_nearness(swap['untouched'])}.",
            "",
            f"Film:          {self.film}",
            f"Side by side:  {self.side_by_side}",
            f"Six frames:    {self.sheet}",
            f"Page:          {self.page}",
            f"Numbers:       {self.numbers}",
        ]
        return "\n".join(lines)


def demo(
    folder: Path,
    minutes: float = MINUTES,
    progress: Progress | None = None,
    *,
    sample: Path = SAMPLE,
    **training: Any,
) -> DemoReport:
    """Run the whole pipeline on the sample, or the rest of it.

    `report.json` contains the results of `evaluate` and in addition: `train.{network, size, steps,
    minutes, faces_per_second, finished}` (over all runs of the demo), `convert.{frames, swapped,
    frames_per_second}`, `consents`, `outputs` and `notes` of the sheet (see
    `conversion.finish_drawn`), and `seconds`, the time of each stage in this run.

    Args:
        folder: only for the demo; created if missing.
        minutes: of training in total.
        sample: folder with the films of `SAMPLE`, or others of the same names.
        training: fields of TrainSettings; `steps` instead of minutes is possible.

    Raises:
        ProjectError: the folder contains another project.
        UnderstudyError: as the stages.
        KeyboardInterrupt: stopped; the same call continues.
    """
    progress = progress or silent()
    folder = folder.absolute()
    wanted = {"minutes": minutes, **training}
    if training.get("steps") is not None:
        del wanted["minutes"]
    project = _project(folder)
    if (folder / "report.json").exists():
        progress.note(f"{folder} contains a finished demo; continuing from there.")
    clock = _Clock()
    with clock("add"):
        for person in (WITH, REPLACE):
            project.add(person, [sample / f"{person}.mp4"], "synthetic", progress=progress)
    with clock("extract"):
        for person in (WITH, REPLACE):
            project.extract(person, progress)
    settings = override(project.settings.train, wanted, "the settings given")
    with clock("train"):
        trained = project.train((WITH, REPLACE), settings.network, progress, **wanted)
    if not trained.finished:
        raise KeyboardInterrupt
    with clock("convert"):
        converted = project.convert(
            sample / "scene.mp4",
            REPLACE,
            WITH,
            trained.model,
            folder / "swap.mp4",
            progress=progress,
            side_by_side=True,
        )
    with clock("evaluate"):
        evaluated = project.evaluate(
            trained.model,
            sample / "scene.mp4",
            converted.output,
            REPLACE,
            WITH,
            truth=sample / "truth.mp4",
            truth_mask=sample / "truth-mask.mp4",
            target_mask=sample / "scene-mask.mp4",
            output=folder,
            progress=progress,
        )
    rows = (
        (f"{REPLACE}'s film", sample / "scene.mp4"),
        (f"with {WITH}'s face, by understudy ({trained.network})", converted.output),
        (f"the truth, rendered with {WITH}'s face", sample / "truth.mp4"),
    )
    sheet = folder / "sheet.png"
    finisher = _finisher(project, sample / "scene.mp4", converted)
    finisher.still(sheet, contact_sheet(rows, converted.frames))
    for note in finisher.notes:
        progress.note(note)
    values = {
        **evaluated.values,
        **_numbers(trained, settings, converted),
        **finisher.told(),
        "seconds": clock.seconds,
        "understudy": version("understudy"),
    }
    files.write_json(folder / "report.json", values)
    return DemoReport(
        film=converted.output,
        side_by_side=converted.side_by_side,
        sheet=sheet,
        page=evaluated.html,
        numbers=folder / "report.json",
        values=values,
    )


def _finisher(project: Project, film: Path, converted: ConvertReport) -> Finisher:
    """Finish the sheet like the film: labelled, watermarked, sealed."""
    record = files.read_json(converted.record)
    found = {name: project.person(name).consent for name in (WITH, REPLACE)}
    consents = {name: consent for name, consent in found.items() if consent is not None}
    job = {"demo": record["key"]}
    trust, model = project.settings.trust, record["model"]["weights_sha256"]
    earlier = None
    if (numbers := project.folder / "report.json").exists():
        earlier = files.read_json(numbers).get("outputs")
    return Finisher(trust, job, "Face replaced", consents, model, film, earlier)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - began, 2)


def _project(folder: Path) -> Project:
    """The demo's project, new or from an earlier run."""
    if not (folder / MARKER).exists():
        return Project.create(folder)
    project = Project.open(folder)
    if strangers := set(project.people) - {WITH, REPLACE}:
        raise ProjectError(
            f"{folder} is not a demo folder: it contains {', '.join(sorted(strangers))}.",
            "Choose another folder: understudy demo FOLDER",
        )
    return project


def _numbers(
    trained: TrainReport, settings: TrainSettings, converted: ConvertReport
) -> dict[str, Any]:
    batch = settings.batch or network_class(settings.network).recipe.batch
    faces = trained.steps * batch * len(trained.people)
    return {
        "train": {
            "network": trained.network,
            "size": trained.size,
            "steps": trained.steps,
            "minutes": trained.minutes,
            "faces_per_second": faces / (60 * trained.minutes),
            "finished": trained.finished,
        },
        "convert": {
            "frames": converted.frames,
            "swapped": converted.swapped,
            "frames_per_second": converted.frames_per_second,
        },
    }


def _nearness(values: dict[str, float | None] | None) -> str:
    if values is None:
        return "was not measured"
    return f"{number(values['psnr_db'], 1, 'dB')} / {number(values['ssim'], 3)} SSIM"

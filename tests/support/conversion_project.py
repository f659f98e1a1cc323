"""A small project whose people are painted and whose network inverts colours.

Run as a program it converts, for tests that limit what it may write: FOLDER FILM.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor, nn

from tests.support.painted_people import Act, ColourTracker, film
from understudy.conversion import plan as stage
from understudy.conversion.convert import ConvertReport
from understudy.facesets.extract import extract
from understudy.facesets.footage import add
from understudy.models.base import SwapModel
from understudy.models.recipe import Augmentation, Recipe
from understudy.progress import Progress, silent
from understudy.project import Project
from understudy.provenance.credentials import credentials
from understudy.provenance.watermark import limits
from understudy.settings import ScanSettings
from understudy.tracks import identify
from understudy.tracks.scan import Scan, scan
from understudy.types import Face

SIZE = 64
SEGMENT = 10
PEOPLE = ("red", "blue", "green")
UNLABELLED = {"label": "none", "label_reason": "Pixels are compared in this test."}


class Inverter(SwapModel):
    """Draws every face in inverted colours, a little blurred; its mask says nothing."""

    network: ClassVar[str] = "swift"
    learns_mask: ClassVar[bool] = False
    sizes: ClassVar[tuple[int, ...]] = (SIZE,)
    recipe: ClassVar[Recipe] = Recipe(1, 1e-3, (0.9, 0.99), augmentation=Augmentation())

    def __init__(self, people: tuple[str, ...]) -> None:
        super().__init__(SIZE, people)
        self.blur = nn.Conv2d(3, 3, 3, padding=1, padding_mode="replicate", bias=False)
        with torch.no_grad():
            self.blur.weight.zero_()
            for channel in range(3):
                self.blur.weight[channel, channel] = 1 / 9
        self.decoders = nn.ModuleList(nn.Identity() for _ in people)

    def encode(self, images: Tensor) -> Tensor:
        latent: Tensor = self.blur(images)
        return latent

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        image = 1 - self.decoder(person)(latent)
        return image, torch.ones_like(image[:, :1])

    def loss(self, image: Tensor, mask: Tensor, target: Tensor, face: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError


def studio(folder: Path) -> Project:
    """A project with the faces of red and blue, and an empty folder for the model `duo`."""
    project = Project.create(folder)
    for name in PEOPLE:
        footage = film(folder / f"{name}.mp4", 24, [Act(name, 0, 24, 90)])
        add(project, name, [footage], "synthetic", None, silent())
        if name != "green":
            extract(
                project,
                name,
                project.settings.extract,
                ScanSettings(),
                silent(),
                make_tracker=ColourTracker,
            )
    project.model_folder("duo").mkdir()
    return project


def _scan(*given: Any, tracker: Callable[[], ColourTracker] = ColourTracker, **more: Any) -> Scan:
    return scan(*given, **more, make_tracker=tracker)


def faces_of(project: Project, source: Path, index: int) -> list[Face]:
    """The faces that the conversion saw in a frame of the whole film."""
    found = _scan(source, project.cache_folder, project.settings.scan, silent(), None, None)
    return found.faces(index)


@contextmanager
def unmarked() -> Iterator[None]:
    """Films and pictures made within carry no invisible mark, for who compares their pixels."""
    with mock.patch.object(limits, "SMALLEST", 10**6):
        yield


def convert(
    project: Project,
    source: Path,
    replace: str | Mapping[str, str] = "red",
    with_: str | None = "green",
    progress: Progress | None = None,
    plain: bool = True,
    tracker: Callable[[], ColourTracker] = ColourTracker,
    **given: Any,
) -> ConvertReport:
    """Convert with the inverter and the painted people's tracker; `given` as for `Project`.

    What is `plain` has neither label nor mark: nothing but faces is changed in it.
    """
    values = {"segment": SEGMENT, "color": "none", "preset": "ultrafast", **given}
    if plain:
        values = {**UNLABELLED, **values}
    with (
        unmarked() if plain else nullcontext(),
        mock.patch.object(identify, "scan", partial(_scan, tracker=tracker)),
        mock.patch.object(stage, "load_model", return_value=Inverter(PEOPLE)),
    ):
        return project.convert(source, replace, with_, "duo", progress=progress, **values)


def essence(folder: Path) -> dict[str, Any]:
    """What lies in a renders folder, but for signatures, which differ each time.

    Of films and pictures the hash from before they were signed, as their credentials tell it,
    which must hold; of records what they say.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix == ".lock":
            continue
        if path.suffix == ".json":
            record = json.loads(path.read_bytes())
            for output in record["outputs"].values():
                del output["sha256"]
            found[path.name] = record
        elif path.suffix == credentials.SIDECAR:
            found[path.name] = path.stat().st_size > 0
        else:
            seen = credentials.read(path)
            assert seen.intact, (path, seen.reasons)
            assert seen.facts is not None
            found[path.name] = seen.facts.unsigned_sha256
    return found


def main(folder: str, source: str) -> None:
    convert(Project.open(Path(folder)), Path(source), side_by_side=True, matte=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Sample new faces from the latent space of a model.

    understudy imagine --model NAME

For each person whose decoder draws, into `renders/imagine-NAME/`:

    PERSON-samples.png                 latents drawn at random, decoded
    PERSON-between.png, .mp4           from one face of the person to the one least like it
    PERSON-directions.png, .mp4        along what the data show to move mouth, eyes, head, light
    figures.json                       what was measured on all of that, and what is known of
                                       each file: record, hash, mark

The network `autoencoder` has one decoder for everyone, so its files are `everyone-...` unless
a person is named. Pictures and films are labelled, marked and sealed as converted films are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from understudy.conversion.finish_drawn import Finisher
from understudy.evaluation.inspection import latents
from understudy.evaluation.inspection.encoded import Encoded, called, encode_people, tensor
from understudy.evaluation.inspection.face_check import Finder
from understudy.evaluation.inspection.latents import Direction
from understudy.faces.analyser import FaceAnalyser
from understudy.facesets.permission import permit
from understudy.facesets.traits import TRAITS
from understudy.media.contact_sheet import Row, grid, sheet
from understudy.models.base import SwapModel
from understudy.models.checkpoint import load_model, load_state
from understudy.models.hashing import weights_hash
from understudy.progress import Progress, Task, silent
from understudy.provenance.seal import check_ready, pictured
from understudy.runtime import files
from understudy.runtime.devices import choose_device
from understudy.settings import ImagineSettings, ScanSettings
from understudy.training.augment import planes
from understudy.training.held_out_loss import CHUNK, measure
from understudy.training.preview_sheet import pixels
from understudy.types import Float64s, Image

if TYPE_CHECKING:
    from understudy.workspace import Workspace

SCHEMA_VERSION = 2

LOOKED_AT = 256
"""Faces over which the network's own figures are taken."""

SHOWN = 9
"""Pictures in a row of a sheet."""

SIDE = 256
"""Side of a picture in a film, pixels."""

REACH = 3.0
"""How far a direction is followed either way, in standard deviations of the latents."""

STARTS = 4
"""Faces from which the change along a direction is measured."""

BELIEVED = 0.2
"""Held-out R2 from which a direction is followed."""


@dataclass(frozen=True)
class ImagineReport:
    """Attributes:
    folder: where everything is.
    figures: what `figures.json` holds, see `docs/guides/imagine.md`.
    """

    folder: Path
    figures: dict[str, Any]


def imagine(
    project: Workspace,
    model: str,
    person: str | None,
    output: Path | None,
    settings: ImagineSettings,
    progress: Progress | None = None,
) -> ImagineReport:
    """Draw faces from the latents of `model`: at random, between two, along directions.

    Args:
        person: whose faces and whose decoder; everyone's, one by one, when None.
        output: folder; one in the renders folder when None.

    Raises:
        UnknownPerson, ConsentError: of those whose faces are drawn.
        CheckpointError: the model is damaged or has no checkpoint.
        SettingsError: the model does not know `person`.
        FacesError: too few faces to look at.
        TrustError, ContentError: the output cannot be sealed.
        WeightsError: the face networks cannot be had.
        StorageError: the output cannot be written.
    """
    progress = progress or silent()
    home = project.model_folder(model)
    network = load_model(home, progress.note)
    state = load_state(home) or {}
    if person is not None and network.swaps:
        network.decoder(person)
    chosen = network.people if person is None else (person,)
    # A decoder for all people draws all of them, whichever person is asked for.
    consents = {
        name: permit(project, name, "convert", "shown")
        for name in dict.fromkeys(chosen if network.swaps else (*network.people, *chosen))
    }
    trust = project.settings.trust
    check_ready(trust)
    weights = weights_hash(network)
    device = choose_device(settings.device)
    network.to(device)
    folder = output or project.renders_folder / f"imagine-{model}"
    together = [chosen] if person is None and not network.swaps else [(name,) for name in chosen]
    finder = Finder(FaceAnalyser(ScanSettings()))
    figures: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "model": {
            "name": model,
            "network": network.network,
            "size": network.size,
            "weights_sha256": weights,
        },
        "step": state.get("step"),
        "settings": settings.model_dump(mode="json"),
        "people": {},
    }
    job = {**figures, "trust": pictured(trust), "people": list(chosen)}
    finisher = Finisher(trust, job, "Faces imagined", consents, weights)
    for names in together:
        with progress.task(f"imagine {called(names)}", "parts", 5) as task:
            group = encode_people(project, network, names, state.get("held_out", 0.1))
            task.step()
            run = _Look(network, group, finder, settings, folder, finisher, task)
            figures["people"][group.name] = run.all()
    figures |= finisher.told()
    for note in finisher.notes:
        progress.note(note)
    files.write_json(folder / "figures.json", figures)
    return ImagineReport(folder, figures)


class _Look:
    """One group's latents, looked at from all sides."""

    def __init__(
        self,
        network: SwapModel,
        group: Encoded,
        finder: Finder,
        settings: ImagineSettings,
        folder: Path,
        finisher: Finisher,
        task: Task,
    ) -> None:
        self.network, self.group, self.finder, self.task = network, group, finder, task
        self.settings, self.folder, self.finisher = settings, folder, finisher
        self.shown = (group.name,) if network.swaps else None

    def all(self) -> dict[str, Any]:
        figures: dict[str, Any] = {}
        for part in (self.reconstruction, self.samples, self.between, self.directions):
            figures |= part()
            self.task.step()
        return figures

    @torch.no_grad()
    def draw(self, points: Float64s) -> Image:
        """Latents (n, D) decoded: RGB uint8 (n, S, S, 3)."""
        device = next(self.network.parameters()).device
        values = torch.from_numpy(points).float().view(-1, *self.group.shape).to(device)
        parts = torch.split(values, CHUNK)
        return np.concatenate(
            [pixels(self.network.decode(part, self.group.person)[0]) for part in parts]
        )

    def path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{self.group.name}-{name}{suffix}"

    def reconstruction(self) -> dict[str, Any]:
        """How well held-out faces are redrawn, and figures of the network's latents."""
        group = self.group
        rows = np.flatnonzero(group.held_out)
        count = min(len(rows), self.settings.samples)
        rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
        crops = planes(group.images[rows], group.masks[rows])
        drawn = measure(self.network, crops, group.person)
        redrawn = self.draw(group.latents[rows])
        some = np.unique(np.linspace(0, len(group.images) - 1, LOOKED_AT).astype(int))
        own = self.network.look(tensor(self.network, group.images[some]))
        return {
            "faces": len(group.images),
            "held_out": int(group.held_out.sum()),
            "reconstruction": {"l1": drawn.l1, "ssim": drawn.ssim, "psnr_db": drawn.psnr},
            "latents": {
                "all": int(np.prod(group.shape)),
                "axes_for_99_percent": len(latents.cloud(group.latents, 0.99).deviation),
                **own,
            },
            "found": {
                "held-out faces": self.finder.share(group.images[rows]),
                "held-out faces redrawn": self.finder.share(redrawn),
            },
        }

    def samples(self) -> dict[str, Any]:
        """Latents at random: from the prior, and from the normal distribution of the faces'."""
        count, seed, group = self.settings.samples, self.settings.seed, self.group
        prior = self.draw(latents.from_prior(count, group.latents.shape[1], seed))
        fitted = self.draw(latents.from_cloud(count, group.cloud, seed))
        shown = 4 * SHOWN
        words = "drawn from N(0, 1)", "drawn from a normal distribution fitted to the faces"
        rows = [
            *grid(words[0], list(prior[:shown]), SHOWN),
            *grid(words[1], list(fitted[:shown]), SHOWN),
        ]
        self.finisher.still(self.path("samples", ".png"), sheet(rows), self.shown)
        found = {"prior": self.finder.share(prior), "fitted": self.finder.share(fitted)}
        return {"samples_found": found}

    def between(self) -> dict[str, Any]:
        """From one held-out face to the one farthest from it."""
        group = self.group
        rows = np.flatnonzero(group.held_out)
        inner = latents.cloud(group.latents[~group.held_out], latents.KEPT)
        first, last = latents.farthest(inner.whiten(group.latents[rows]))
        ends = group.latents[rows[first]], group.latents[rows[last]]
        drawn = self.draw(latents.between(*ends, self.settings.frames))
        shown = drawn[np.linspace(0, len(drawn) - 1, SHOWN).astype(int)]
        pair = group.images[[rows[first], rows[last]]]
        share = np.linspace(0, 1, SHOWN)[:, None, None, None]
        faded = np.rint((1 - share) * pair[0] + share * pair[1]).astype(np.uint8)
        lines = [
            Row("the straight line between two latents, decoded", list(shown)),
            Row("for comparison: the two pictures cross-faded", list(faded)),
        ]
        self.finisher.still(self.path("between", ".png"), sheet(lines), self.shown)
        film = [*drawn, *drawn[::-1]]
        self.finisher.film(self.path("between", ".mp4"), lambda: _large(film), self.shown)
        steps = np.abs(np.diff(drawn.astype(np.float64), axis=0)).mean((1, 2, 3))
        direct = float(np.abs(drawn[-1].astype(np.float64) - drawn[0]).mean())
        return {
            "between": {
                "frames": len(drawn),
                "mean_step": float(steps.mean()),
                "largest_over_mean_step": latents.steadiness(steps),
                "way_over_distance": float(steps.sum()) / max(direct, 1e-9),
                "found": self.finder.share(drawn),
            }
        }

    def directions(self) -> dict[str, Any]:
        """Along what moves each trait."""
        group = self.group
        traits = {name: group.traits[:, n].astype(np.float64) for n, name in enumerate(TRAITS)}
        found = latents.directions(group.latents, traits, group.held_out)
        middle = group.cloud.mean
        distance = np.linalg.norm(group.latents - middle, axis=1)
        start = group.latents[int(distance.argmin())]
        steps = np.linspace(-REACH, REACH, SHOWN)
        rows, films, figures = [], {}, {}
        for name, direction in found.items():
            measured = self._measured(name, direction)
            figures[name] = {
                "r2": direction.r2,
                "predicted_slope": direction.slope,
                "measured_slope": measured,
                "penalty": direction.penalty,
            }
            if direction.r2 < BELIEVED:
                continue
            caption = f"{name}: R2 {direction.r2:.2f} held out"
            rows.append(Row(caption, list(self.draw(start + steps[:, None] * direction.vector))))
            swing = REACH * np.sin(np.linspace(0, 2 * np.pi, self.settings.frames, endpoint=False))
            films[name] = self.draw(start + swing[:, None] * direction.vector)
        if rows:
            self.finisher.still(self.path("directions", ".png"), sheet(rows), self.shown)
            self.finisher.film(
                self.path("directions", ".mp4"), lambda: _side_by_side(films), self.shown
            )
        return {"directions": figures}

    def _measured(self, name: str, direction: Direction) -> float | None:
        """Change of a trait per step along its direction, in the trait's standard deviations,
        as our own mesh sees it in the pictures; None where it finds too few faces."""
        group, number = self.group, TRAITS.index(name)
        starts = group.latents[np.linspace(0, len(group.latents) - 1, STARTS).astype(int)]
        steps = np.array([-1.5, 0.0, 1.5])
        points = starts[:, None] + steps[:, None] * direction.vector
        seen = self.finder.traits(self.draw(points.reshape(-1, points.shape[-1])))
        slopes = []
        for part in np.array_split(np.arange(len(seen)), STARTS):
            values = [
                (step, each[number])
                for step, row in zip(steps, part, strict=True)
                if (each := seen[row]) is not None
            ]
            if len(values) > 1:
                x, y = np.array(values).T
                slopes.append(float(np.polyfit(x, y, 1)[0]))
        spread = float(group.traits[:, number].std())
        return float(np.mean(slopes)) / spread if slopes and spread > 0 else None


def _large(pictures: Sequence[Image]) -> Iterator[Image]:
    for picture in pictures:
        yield sheet([Row("", [picture])], SIDE)


def _side_by_side(films: dict[str, Image]) -> Iterator[Image]:
    """Films of equal length next to one another, each under its name."""
    for number in range(len(next(iter(films.values())))):
        yield np.concatenate(
            [sheet([Row(name, [film[number]])], SIDE) for name, film in films.items()], axis=1
        )

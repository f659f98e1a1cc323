"""See inside a model: what it is made of, and what its latent knows.

    understudy explain MODEL

Into `renders/explain-MODEL/`:

    explain.json            every number: layers, latent, what was measured on faces
    decoders.png            the same latent through every decoder
    PERSON-kept.png         held-out faces, redrawn from less and less of their latent
    PERSON-axes.png         what changes along the first principal axes of the latents
    PERSON-traits.png       heat map: how mouth, eyes, head and light go with these axes

A principal axis is a direction in which the latents of the person's training faces vary; the
first is the one in which they vary most (Pearson, 1901). A network with one decoder for everybody
has one set of axes, and its files are `everybody-...`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from understudy import files, latents, metrics
from understudy.compute import choose_device
from understudy.contact import Row, sheet, write_still
from understudy.convert import marking
from understudy.data.sampling import Indices
from understudy.encoded import Encoded, encode_people
from understudy.heat import heat_map
from understudy.latents import Doubles
from understudy.models import SwapModel, load_model
from understudy.models.anatomy import Anatomy, dissect
from understudy.models.checkpoint import load_state
from understudy.models.figures import CHUNK
from understudy.preview import pixels
from understudy.progress import Progress, silent
from understudy.settings import ExplainSettings
from understudy.traits import TRAITS
from understudy.trust.consent import require
from understudy.types import Image

if TYPE_CHECKING:
    from understudy.project import Project

SCHEMA_VERSION = 1
EVERYBODY = "everybody"

MEASURED = 32
"""Held-out faces over which the narrowed latents are measured."""

AXES = 12
"""Principal axes on the heat map."""

FOLLOWED = 6
"""Principal axes that are followed on a sheet."""

STEPS = 9
REACH = 3.0
"""Pictures along an axis, and how far it is followed either way, in standard deviations."""

TOLD = 0.3
"""Correlation from which a trait is named beside an axis."""

CONVENTIONS = {
    "mac": "a multiplication with its addition, for one face; convolutions and linear layers",
    "receptive_field": "side in pixels of what the middle unit sees of the picture, followed back "
    "through the network on the picture itself, cut at its edge",
    "projective_field": "side in pixels of what the middle unit touches in the drawn picture",
    "time_share": "of encoding and decoding one face, median of the passes; what runs between "
    "layers is in no share",
    "axes": "principal axes of the latents of the person's training faces",
    "ssim": "means over held-out faces, inside the face, against the picture",
    "correlations": "Pearson's, of the faces' coordinates along each axis with the trait",
    "r2": "share of a trait's variance that a ridge regression on the whole latent predicts on "
    "held-out faces",
}


@dataclass(frozen=True)
class ExplainReport:
    """Attributes:
    folder: where everything is.
    figures: what `explain.json` holds.
    anatomy: the layers.
    """

    folder: Path
    figures: dict[str, Any]
    anatomy: Anatomy


def explain(
    project: Project,
    model: str,
    output: Path | None,
    settings: ExplainSettings,
    progress: Progress | None = None,
) -> ExplainReport:
    """Take `model` apart, and look at what its latent knows about the people's faces.

    Args:
        output: folder; one in the renders folder when None.

    Raises:
        UnknownPerson, ConsentError: of the people in the model.
        CheckpointError: the model is damaged or has no checkpoint.
        FacesError: too few faces to look at.
        StorageError: the output cannot be written.
    """
    progress = progress or silent()
    home = project.model_folder(model)
    network = load_model(home, progress.note)
    state = load_state(home) or {}
    for name in network.people:
        require(project.person(name), "conversion")
    network.to(choose_device(settings.device))
    folder = output or project.renders_folder / f"explain-{model}"
    groups = [(name,) for name in network.people] if network.swaps else [network.people]
    inside: dict[str, Any] = {}
    with progress.task(f"explain {model}", "parts", len(groups) + 2) as task:
        anatomy = dissect(network, network.people[0], settings.passes)
        task.step()
        encoded = []
        for names in groups:
            label = names[0] if len(names) == 1 else EVERYBODY
            group = encode_people(project, network, names, label, state.get("held_out", 0.1))
            inside[label] = _Look(network, group, settings, folder).all()
            encoded.append(group)
            task.step()
        _decoders(network, encoded, settings, folder)
        task.step()
    figures = {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "model": {
            "name": model,
            "network": network.network,
            "size": network.size,
            "people": list(network.people),
        },
        "step": state.get("step"),
        "settings": settings.model_dump(mode="json"),
        "conventions": CONVENTIONS,
        **_of(anatomy),
        "people": inside,
    }
    files.write_json(folder / "explain.json", figures)
    return ExplainReport(folder, figures, anatomy)


def _of(anatomy: Anatomy) -> dict[str, Any]:
    names = {"sees": "receptive_field", "draws": "projective_field", "share": "time_share"}
    narrow = anatomy.narrowest
    return {
        "layers": [
            {names.get(key, key): value for key, value in asdict(layer).items()}
            for layer in anatomy.layers
        ],
        "parameters": anatomy.parameters,
        "macs": {"encode": anatomy.macs("encode"), "decode": anatomy.macs("decode")},
        "seconds": anatomy.seconds,
        "latent": {
            "shape": anatomy.latent,
            "numbers": int(np.prod(anatomy.latent)),
            "narrowest": {"layer": narrow.name, "numbers": narrow.numbers},
        },
    }


@torch.no_grad()
def _draw(network: SwapModel, group: Encoded, points: Doubles, person: str) -> Image:
    """Latents (n, D) decoded by `person`: RGB uint8 (n, S, S, 3)."""
    device = next(network.parameters()).device
    values = torch.from_numpy(points).float().view(-1, *group.shape).to(device)
    drawn = [pixels(network.decode(part, person)[0]) for part in torch.split(values, CHUNK)]
    return np.concatenate(drawn)


def _spread(group: Encoded, count: int) -> Indices:
    """Numbers of held-out faces, evenly spread."""
    rows = np.flatnonzero(group.held_out)
    places = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))
    chosen: Indices = rows[places]
    return chosen


def _decoders(
    network: SwapModel, groups: Sequence[Encoded], settings: ExplainSettings, folder: Path
) -> None:
    """The same latent through every decoder."""
    rows: list[Row] = []
    for group in groups:
        chosen = _spread(group, settings.shown)
        drawn = {
            owner: _draw(network, group, group.latents[chosen], owner) for owner in network.owners
        }
        labels = ["picture", *(f"decoder {owner}" for owner in drawn)]
        for place, row in enumerate(chosen):
            tiles = [group.images[row], *(pictures[place] for pictures in drawn.values())]
            rows.append(Row("", tiles, labels if not rows else ()))
    _write(folder / "decoders", sheet(rows), settings)


def _write(path: Path, picture: Image, settings: ExplainSettings) -> None:
    write_still(path.with_suffix(f".{settings.format}"), picture, marking("Faces redrawn"))


def _counted(axes: int) -> str:
    return "mean" if axes == 0 else "1 axis" if axes == 1 else f"{axes} axes"


class _Look:
    """The latents of one group of faces."""

    def __init__(
        self, network: SwapModel, group: Encoded, settings: ExplainSettings, folder: Path
    ) -> None:
        self.network, self.group, self.settings, self.folder = network, group, settings, folder
        power = group.cloud.deviation**2
        self.shares = power / power.sum()
        self.coordinates = (group.latents - group.cloud.mean) @ group.cloud.axes.T

    def all(self) -> dict[str, Any]:
        group = self.group
        related = self.correlations()
        kept = self.kept()
        self.axes(related)
        found = self.traits(related)
        return {
            "faces": len(group.images),
            "held_out": int(group.held_out.sum()),
            "axes": len(self.shares),
            "shares_of_variance": self.shares[:AXES].tolist(),
            "kept": kept,
            "correlations": related,
            "r2": found,
        }

    def write(self, name: str, picture: Image) -> None:
        _write(self.folder / f"{self.group.name}-{name}", picture, self.settings)

    def draw(self, points: Doubles) -> Image:
        return _draw(self.network, self.group, points, self.group.person)

    def kept(self) -> list[dict[str, Any]]:
        """Held-out faces from less and less of their latent."""
        group, fitted = self.group, self.group.cloud
        rows, shown = _spread(group, MEASURED), _spread(group, self.settings.shown)
        chosen = np.concatenate([rows, shown])
        everything = len(fitted.deviation)
        counts = [0, *(2**n for n in range(everything.bit_length()) if 2**n < everything)]
        figures, columns, labels = [], [group.images[shown]], ["picture"]
        for count in [*counts, everything, None]:
            points = group.latents[chosen]
            if count is not None:
                axes = fitted.axes[:count]
                points = fitted.mean + self.coordinates[chosen, :count] @ axes
            drawn = self.draw(points)
            similar, noise = self._against(rows, drawn[: len(rows)])
            share = None if count is None else float(self.shares[:count].sum())
            figures.append({"axes": count, "variance": share, "ssim": similar, "psnr_db": noise})
            columns.append(drawn[len(rows) :])
            name = "whole" if count is None else _counted(count)
            labels.append(name if similar is None else f"{name}: {similar:.2f}")
        self.write(
            "kept",
            sheet(
                [
                    Row("", [column[number] for column in columns], () if number else labels)
                    for number in range(len(shown))
                ]
            ),
        )
        return figures

    def _against(self, rows: Indices, drawn: Image) -> tuple[float | None, float | None]:
        """Mean SSIM and PSNR of drawn faces inside the face, against the pictures of `rows`."""
        pairs = [
            (image, self.group.images[row], self.group.masks[row].astype(np.float32) / 255)
            for image, row in zip(drawn, rows, strict=True)
        ]
        return (
            metrics.mean([metrics.ssim(*pair) for pair in pairs]),
            metrics.mean([metrics.psnr(*pair) for pair in pairs]),
        )

    def correlations(self) -> dict[str, list[float | None]]:
        """Of each trait with the coordinates along the first axes; None where either stands
        still."""
        columns = self.coordinates[:, :AXES].T
        return {
            name: [metrics.correlation(column, trait) for column in columns]
            for name, trait in zip(TRAITS, self.group.traits.T.astype(np.float64), strict=True)
        }

    def axes(self, related: dict[str, list[float | None]]) -> None:
        """From the mean latent along each of the first axes."""
        fitted = self.group.cloud
        steps = np.linspace(-REACH, REACH, STEPS)[:, None]
        rows = []
        for number in range(min(FOLLOWED, len(self.shares))):
            told = [
                f"{name} {value:+.2f}"
                for name, values in related.items()
                if (value := values[number]) is not None and abs(value) >= TOLD
            ]
            caption = f"axis {number + 1}, {self.shares[number]:.0%} of the variance"
            if told:
                caption += f": {', '.join(told)}"
            way = fitted.deviation[number] * fitted.axes[number]
            pictures = self.draw(fitted.mean + steps * way)
            rows.append(Row(caption, list(pictures)))
        self.write("axes", sheet(rows))

    def traits(self, related: dict[str, list[float | None]]) -> dict[str, float]:
        """The heat map, and what the whole latent tells of each trait."""
        group = self.group
        traits = {name: group.traits[:, n].astype(np.float64) for n, name in enumerate(TRAITS)}
        found = latents.directions(group.latents, traits, group.held_out)
        r2 = {name: direction.r2 for name, direction in found.items()}
        shares = [f"{share:.0%}" for share in self.shares[:AXES]]
        picture = heat_map(
            f"{group.name}: correlation with the first {len(shares)} axes of the latent (above: "
            "their share of its variance); last, R2 of all",
            list(related),
            [*shares, "R2"],
            [[*values, r2.get(name)] for name, values in related.items()],
        )
        self.write("traits", picture)
        return r2

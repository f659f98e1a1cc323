"""What a latent contains of people's faces: sheets and figures."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.conversion.finish_drawn import Finisher
from understudy.evaluation import metrics
from understudy.evaluation.inspection import latents
from understudy.evaluation.inspection.encoded import Encoded
from understudy.facesets.split import Indices
from understudy.facesets.traits import TRAITS
from understudy.media.contact_sheet import WEBP_QUALITY, Row, sheet, write_still
from understudy.media.heatmap import heat_map
from understudy.models.base import SwapModel
from understudy.settings import ExplainSettings
from understudy.training.held_out_loss import CHUNK
from understudy.training.preview_sheet import pixels
from understudy.types import Float64s, Image

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
"""Correlation from which a trait is named next to an axis."""


@torch.no_grad()
def _draw(network: SwapModel, group: Encoded, points: Float64s, person: str) -> Image:
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


def draw_decoders(
    network: SwapModel,
    groups: Sequence[Encoded],
    settings: ExplainSettings,
    folder: Path,
    finisher: Finisher,
) -> None:
    """The same latent through every decoder."""
    chosen = [_spread(group, settings.shown) for group in groups]
    pairs = list(zip(groups, chosen, strict=True))
    rows = [Row("pictures", [group.images[row] for group, places in pairs for row in places])]
    for owner in network.owners:
        drawn = [_draw(network, group, group.latents[places], owner) for group, places in pairs]
        rows.append(Row(f"decoder {owner}", [picture for part in drawn for picture in part]))
    finisher.still(folder / f"decoders.{settings.format}", sheet(rows), quality=WEBP_QUALITY)


def _counted(axes: int) -> str:
    return "mean" if axes == 0 else "1 axis" if axes == 1 else f"{axes} axes"


class Look:
    """The latents of one group of faces."""

    def __init__(
        self,
        network: SwapModel,
        group: Encoded,
        settings: ExplainSettings,
        folder: Path,
        finisher: Finisher,
    ) -> None:
        self.network, self.group, self.settings, self.folder = network, group, settings, folder
        self.finisher = finisher
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

    def path(self, name: str) -> Path:
        return self.folder / f"{self.group.name}-{name}.{self.settings.format}"

    def write(self, name: str, picture: Image) -> None:
        """Write a sheet of drawn faces."""
        shown = (self.group.name,) if self.network.swaps else None
        self.finisher.still(self.path(name), picture, shown, WEBP_QUALITY)

    def draw(self, points: Float64s) -> Image:
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
        """The heat map, and how well the whole latent predicts each trait."""
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
        # It shows no face, and is neither labelled nor marked.
        tags = {"comment": f"Measured with understudy {version('understudy')}"}
        write_still(self.path("traits"), picture, tags)
        return r2

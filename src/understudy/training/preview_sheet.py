"""Preview sheets: what a model draws from held-out faces, to check by eye."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from understudy.facesets.faceset import Faceset
from understudy.facesets.split import Indices
from understudy.models.base import SwapModel
from understudy.settings import ConvertSettings
from understudy.types import Image

GAP = 4
CAPTION = 18
TILE = 128
DETAILED = 192
"""Side of the pictures, in pixels: minimum, and with finished swaps."""

BACKGROUND = 24
INK = (220, 220, 220)

PEOPLE = 6
"""Largest number of people as whom a face is drawn."""


@dataclass(frozen=True)
class Finished:
    """One target's held-out faces, converted.

    Attributes:
        comes: the source.
        pictures: core crops, RGB uint8 (S, S, 3).
    """

    comes: str
    pictures: Sequence[Image]


class Rehearses(Protocol):
    """Draws swaps of held-out faces as a conversion would draw them."""

    @property
    def people(self) -> list[str]:
        """Whose faces are drawn over."""

    def draw(self, model: SwapModel, others: Mapping[str, Sequence[str]]) -> dict[str, Finished]:
        """The swaps by target, each with the first of its `others` who can be drawn.
        Raises CheckpointError when a person's gallery is damaged."""


Rehearse = Callable[
    [Path, Mapping[str, Faceset], Mapping[str, Indices], ConvertSettings, torch.device], Rehearses
]
"""Makes one for a model: its folder, the facesets, the rows to show of each, how faces are laid
over frames, and where to compute. Training is given it, because it comes before conversion."""


@torch.no_grad()
def sheet(
    model: SwapModel,
    faces: Mapping[str, Tensor],
    finished: Mapping[str, Finished] | None = None,
) -> Image:
    """Draw a sheet, one row per face: the face, itself redrawn where the model knows it, then as
    each other person, and the mask of the first swap (its own, if there is no other); last, one
    swap blended as in a conversion. Of more than PEOPLE people only those of `faces` are
    drawn.

    Args:
        faces: for each person to show, images (N, 3, size, size), RGB 0..1, on the model's
            device.
        finished: by target, the converted swap of the same faces.

    Returns:
        RGB uint8 (height, width, 3).
    """
    others, finished = others_of(model, list(faces)), finished or {}
    side = max(TILE, model.size, DETAILED if finished else 0)
    rows = [
        row
        for name in faces
        for row in _rows(model, faces[name], name, others[name], finished.get(name), side)
    ]
    width = max(row.shape[1] for row in rows)
    background = ((0, GAP), (0, 0), (0, 0))
    padded = [
        np.pad(
            np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=BACKGROUND),
            background,
            constant_values=BACKGROUND,
        )
        for row in rows
    ]
    return np.concatenate(padded)


def others_of(model: SwapModel, shown: Sequence[str]) -> dict[str, list[str]]:
    """The people as whom the faces of each of `shown` are drawn besides themselves."""
    drawn = [name for name in model.people if len(model.people) <= PEOPLE or name in shown]
    return {name: [one for one in drawn if one != name and model.swaps] for name in shown}


def _rows(
    model: SwapModel,
    images: Tensor,
    name: str,
    others: list[str],
    finished: Finished | None,
    side: int,
) -> list[Image]:
    latent = model.encode(images)
    own = [name] if name in model.people else []
    drawn = {person: model.decode(latent, person) for person in (*own, *others)}
    shown = drawn[others[0] if others else name]
    captions = [name, *(f"{name} again" for _ in own), *(f"as {one}" for one in others), "mask"]
    tiles: list[Sequence[Image]] = [list(pixels(images))]
    tiles += [list(pixels(image)) for image, _ in drawn.values()]
    tiles.append(list(pixels(shown[1].expand(-1, 3, -1, -1))))
    if finished is not None:
        captions.append(f"{finished.comes} in a film")
        tiles.append(finished.pictures)
    return [
        np.concatenate(
            [
                _tile(tile[number], side, caption if number == 0 else None)
                for tile, caption in zip(tiles, captions, strict=True)
            ],
            axis=1,
        )
        for number in range(len(images))
    ]


def pixels(images: Tensor) -> Image:
    """Images (N, 3, H, W) in 0..1 as uint8 (N, H, W, 3)."""
    values = (images.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).cpu().numpy())


def _tile(image: Image, side: int, caption: str | None) -> Image:
    """The image at a readable size, with a strip for its caption above it if it has one."""
    if image.shape[0] != side:
        how = cv2.INTER_NEAREST if side % image.shape[0] == 0 else cv2.INTER_CUBIC
        how = cv2.INTER_AREA if image.shape[0] > side else how
        image = np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)
    top = 0 if caption is None else CAPTION
    tile = np.full((top + side, side + GAP, 3), BACKGROUND, np.uint8)
    tile[top:, :side] = image
    if caption is not None:
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
        while len(caption) > 1 and cv2.getTextSize(caption, font, scale, 1)[0][0] > side:
            caption = caption[:-1]
        cv2.putText(tile, caption, (1, CAPTION - 6), font, scale, INK, 1, cv2.LINE_AA)
    return tile

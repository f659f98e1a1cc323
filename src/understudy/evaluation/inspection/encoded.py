"""Faces of a project as input of a network: pictures, their traits, and latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from understudy.errors import FacesError
from understudy.evaluation.inspection import latents
from understudy.evaluation.inspection.latents import Bools, Cloud
from understudy.facesets.faceset import Faceset
from understudy.facesets.traits import of_faceset
from understudy.models.base import SwapModel
from understudy.training.held_out_loss import CHUNK
from understudy.types import Float64s, Floats, Image

if TYPE_CHECKING:
    from understudy.workspace import Workspace

TOGETHER = "everybody"
"""What people are called whose faces one decoder draws."""

FACES = 1000
"""Faces of a person at most that are looked at, evenly spread."""


@dataclass(frozen=True)
class Encoded:
    """The faces that one decoder draws, and where they are in the latents; N faces, S the side.

    Attributes:
        name: of the person, or of all of them together.
        person: whose decoder draws.
        images: RGB uint8 (N, S, S, 3).
        masks: uint8 (N, S, S), the face.
        traits: float32 (N, 6), see `facesets.traits.TRAITS`.
        latents: float64 (N, D), flattened.
        shape: of one latent.
        held_out: bool (N,), faces that were never trained on.
        cloud: the normal distribution of the other faces' latents.
    """

    name: str
    person: str
    images: Image
    masks: Image
    traits: Floats
    latents: Float64s
    shape: tuple[int, ...]
    held_out: Bools
    cloud: Cloud


def called(names: Sequence[str]) -> str:
    """One name for the people whose faces one decoder draws."""
    return names[0] if len(names) == 1 else TOGETHER


def encode_people(
    project: Workspace, network: SwapModel, names: Sequence[str], share: float
) -> Encoded:
    """Read the facesets of `names` and encode them.

    Args:
        names: of people whose faces one decoder draws.
        share: how much of the footage was kept out of training.

    Raises:
        UnknownPerson, FacesError, MediaError
    """
    columns: list[list[Any]] = [[], [], [], []]
    for name in names:
        faceset = Faceset.open(project.person(name).faces_folder)
        _, held_out = faceset.split(share)
        rows = np.unique(np.linspace(0, len(faceset) - 1, FACES).astype(np.int64))
        parts = (*of_faceset(faceset, network.size, rows), np.isin(rows, held_out))
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
    pictures, masks, traits, held = map(np.concatenate, columns)
    if held.sum() < 3 or (~held).sum() < 3:
        raise FacesError(
            f"{called(names)} has {len(held)} faces, too few to find directions.",
            f"Add more footage and extract it: understudy add {names[0]} FILES...",
        )
    encoded = _encode(network, pictures)
    flat = encoded.flatten(1).double().cpu().numpy()
    return Encoded(
        called(names),
        names[0],
        pictures,
        masks,
        traits,
        flat,
        tuple(encoded.shape[1:]),
        held,
        latents.cloud(flat[~held]),
    )


def tensor(network: SwapModel, pictures: Image) -> Tensor:
    """RGB uint8 (n, S, S, 3) as the network takes it, on its device."""
    device = next(network.parameters()).device
    return torch.tensor(pictures, device=device).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def _encode(network: SwapModel, pictures: Image) -> Tensor:
    parts = [pictures[first : first + CHUNK] for first in range(0, len(pictures), CHUNK)]
    return torch.cat([network.encode(tensor(network, part)) for part in parts])

"""Augment training pictures: colour and position for input and target alike, then warp the input.

Everything is a batched tensor operation, and everything random comes from one generator
seeded by (seed, step), on the CPU, so the same step gives the same batch on every device.
The picture is resampled once for the target and once for the input: rotation, zoom, shift,
flip and warp are all folded into one sampling grid, whose 5x5 control points carry the affine
part exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from understudy.models.recipe import Augmentation

GRID = 5
CLAHE_CLIP = 2.0
CLAHE_TILES = 4

CACHED = 450_000
"""Bytes of crops processed together on a CPU, so that they stay in its cache."""

Recolor = Callable[[Tensor, slice], Tensor]


@dataclass(frozen=True)
class Batch:
    """One person's part of a batch.

    Attributes:
        input: float32 (N, 3, S, S), 0..1: warped.
        target: float32 (N, 3, S, S), 0..1: the same picture, not warped.
        mask: float32 (N, 1, S, S), 0..1: the face in the target.
        matrix: float32 (N, 2, 3): target pixel -> crop pixel.
        asked: float32 (N, 1, S, S), 0..1: weight of each pixel in the loss; None for 1 everywhere.
        known: float32 (N, T), labels of the inputs, as in `labels.Told`: NaN where
            nothing is. None when there is nothing.
    """

    input: Tensor
    target: Tensor
    mask: Tensor
    matrix: Tensor
    asked: Tensor | None = None
    known: Tensor | None = None

    @property
    def mirrored(self) -> Tensor:
        """bool (N,): which of the pictures are mirrored."""
        mirrored: Tensor = torch.linalg.det(self.matrix[:, :, :2]) < 0
        return mirrored

    def landmarks(self, points: Tensor) -> Tensor:
        """Where points of the crops (N, P, 2), pixels, lie in the targets. Mirrored pictures
        keep the numbering of their points."""
        turn, shift = self.matrix[:, :, :2], self.matrix[:, :, 2]
        moved: Tensor = torch.linalg.solve(turn, (points - shift[:, None]).transpose(1, 2))
        return moved.transpose(1, 2)


def generator(seed: int, step: int, person: int) -> torch.Generator:
    """The random generator of one person's batch, independent of earlier work."""
    mixed = np.random.SeedSequence((seed, step, person)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(mixed[0]) << 31 | int(mixed[1]) >> 1)


def planes(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Tensor:
    """Pack uint8 images (N, S', S', 3) and masks (N, S', S') as one uint8 tensor
    (N, 4, S', S'): the form in which a faceset is kept in memory and augmented."""
    packed = torch.empty((len(images), 4, *images.shape[1:3]), dtype=torch.uint8)
    packed[:, :3] = torch.from_numpy(images).permute(0, 3, 1, 2)
    packed[:, 3] = torch.from_numpy(masks)
    return packed


def core(crops: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The central part of the crops, unchanged: images (N, 3, size, size) and masks
    (N, 1, size, size), float32 0..1. Crops as `planes` gives them."""
    edge = (crops.shape[-1] - size) // 2
    values = crops[:, :, edge : edge + size, edge : edge + size].float() / 255
    return values[:, :3], values[:, 3:]


def augment(
    crops: Tensor,
    size: int,
    how: Augmentation,
    source: torch.Generator,
    inputs: Tensor | None = None,
) -> Batch:
    """Make training pairs.

    Args:
        crops: uint8 (N, 4, S', S') as `planes` gives them, on any device; the network sees
            the central `size` pixels, the rest is margin. What lies beyond repeats the edge.
        size: side of the result in pixels.
        source: on the CPU.
        inputs: uint8 (N, 3, S', S'), what the inputs are made from instead of the crops.

    Raises:
        ValueError: the crops are smaller than `size` or not in four planes of uint8.
    """
    if crops.dtype != torch.uint8 or crops.ndim != 4 or crops.shape[1] != 4:
        raise ValueError(f"crops must be uint8 (N, 4, S, S), not {tuple(crops.shape)}")
    if min(crops.shape[2:]) < size:
        raise ValueError(f"crops of {tuple(crops.shape[2:])} are smaller than {size} pixels")
    count, side = len(crops), crops.shape[-1]
    matrix = _affine(count, size, side, how, source)
    turn, shift = matrix[:, :, :2].transpose(1, 2), matrix[:, None, :, 2]
    control = _control(size)
    moved = control + torch.randn((count, GRID * GRID, 2), generator=source) * (how.warp * size)
    straight, warped = control @ turn + shift, moved @ turn + shift
    upsample = _upsampling(size)
    recolor = {"lab": _lab, "matrix": _matrix, "none": _plain}[how.color](count, how, source)
    together = len(crops) if crops.device.type != "cpu" else max(1, CACHED // crops[0].numel())
    parts = []
    for first in range(0, count, together):
        some = slice(first, first + together)
        colored = seen = recolor(crops[some], some)
        if inputs is not None:
            seen = recolor(torch.cat((inputs[some], crops[some, 3:]), dim=1), some)
        parts.append(
            (
                _sample(seen[:, :3], warped[some], upsample),
                _sample(colored, straight[some], upsample),
            )
        )
    picture, target = (torch.cat(part) for part in zip(*parts, strict=True))
    return Batch(picture, target[:, :3], target[:, 3:], matrix.to(crops.device))


def _uniform(shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=source) * 2 - 1


def _affine(count: int, size: int, side: int, how: Augmentation, source: torch.Generator) -> Tensor:
    """Matrices (N, 2, 3) from target pixels to crop pixels, about the centres of both."""
    draws = _uniform((count, 4), source)
    angle = draws[:, 0] * math.radians(how.rotation)
    scale = 1 + draws[:, 1] * how.zoom
    mirror = torch.where(torch.rand(count, generator=source) < how.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack((cos * mirror, -sin, sin * mirror, cos), dim=1).view(count, 2, 2)
    middle = torch.full((count, 2, 1), (size - 1) / 2)
    shift = (side - 1) / 2 + draws[:, 2:, None] * (how.shift * size) - turn @ middle
    return torch.cat((turn, shift), dim=2)


def _control(size: int) -> Tensor:
    """The (25, 2) control points over the target, x and y in pixels, row by row."""
    line = torch.linspace(0, size - 1, GRID)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=1)


def _upsampling(size: int) -> Tensor:
    """Weights (size, 5) of the control points at each pixel of a line: cubic convolution
    (Keys, 1981, a = -0.5), with the line extended straight beyond its ends, so that it gives
    straight lines back exactly."""
    at = torch.linspace(0, GRID - 1, size)
    first = at.floor().clamp(max=GRID - 2)
    t = at - first
    weights = (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    wide = torch.zeros((size, GRID + 2))
    rows = torch.arange(size)
    for offset, weight in enumerate(weights):
        wide[rows, first.long() + offset] += weight
    narrow = wide[:, 1:-1].clone()
    narrow[:, 0] += 2 * wide[:, 0]
    narrow[:, 1] -= wide[:, 0]
    narrow[:, -1] += 2 * wide[:, -1]
    narrow[:, -2] -= wide[:, -1]
    return narrow


def _sample(crops: Tensor, control: Tensor, upsample: Tensor) -> Tensor:
    """Crops (N, C, S', S') at the grid that the control points (N, 25, 2) span."""
    side = crops.shape[-1]
    scaled = (control * 2 + 1) / side - 1
    points = scaled.view(-1, GRID, GRID, 2).permute(0, 3, 1, 2)
    grid = (upsample @ points @ upsample.T).permute(0, 2, 3, 1)
    return functional.grid_sample(
        crops, grid.to(crops.device), padding_mode="border", align_corners=False
    )


def _matrix(count: int, how: Augmentation, source: torch.Generator) -> Recolor:
    """Gain, tint and saturation as one 3x3 matrix per picture, an offset, and a bend of the
    curve y + g y (1 - y), which is near a gamma and much cheaper."""
    draws = _uniform((count, 7), source) * how.strength
    gain = 1 + 0.2 * draws[:, 0:1] + 0.06 * draws[:, 1:4]
    saturation = (1 + 0.25 * draws[:, 4])[:, None, None]
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    mix = saturation * torch.eye(3) + (1 - saturation) * luma
    matrix = torch.zeros((count, 4, 4))
    matrix[:, :3, :3] = gain[:, :, None] * mix / 255
    matrix[:, 3, 3] = 1 / 255
    offset = torch.zeros((count, 4, 1))
    # Gain turns about mid-grey, so that it changes contrast more than brightness.
    offset[:, :3, 0] = (1 - gain) * 0.4 + 0.06 * draws[:, 5:6]
    bend = torch.zeros((count, 4, 1))
    bend[:, :3, 0] = 0.35 * draws[:, 6:7]

    def recolor(crops: Tensor, some: slice) -> Tensor:
        device = crops.device
        flat = torch.baddbmm(
            offset[some].to(device), matrix[some].to(device), crops.float().flatten(2)
        ).clamp_(0, 1)
        return flat.addcmul(bend[some].to(device), flat - flat * flat).view(crops.shape)

    return recolor


def _plain(count: int, how: Augmentation, source: torch.Generator) -> Recolor:
    """Unchanged colours."""
    return lambda crops, some: crops.float() / 255


def _lab(count: int, how: Augmentation, source: torch.Generator) -> Recolor:
    """The usual recipe of the field, picture by picture."""
    draws = _uniform((count, 3), source).numpy() * np.array([0.3, 0.08, 0.08], np.float32)
    equalise = (torch.rand(count, generator=source) < 0.5).numpy()
    clahe = cv2.createCLAHE(CLAHE_CLIP, (CLAHE_TILES, CLAHE_TILES))

    def one(picture: NDArray[np.uint8], draw: NDArray[np.float32], equal: bool) -> Tensor:
        lab = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB)
        if equal:
            lab[:, :, 0] = clahe.apply(lab[:, :, 0])
        # Upwards the headroom shrinks, downwards the values do: nothing is clipped.
        values = lab.astype(np.float32) / 255
        values = np.where(draw >= 0, values + (1 - values) * draw, values * (1 + draw))
        changed = np.round(values * 255).astype(np.uint8)
        return torch.from_numpy(cv2.cvtColor(changed, cv2.COLOR_LAB2RGB)).permute(2, 0, 1)

    def recolor(crops: Tensor, some: slice) -> Tensor:
        pictures = crops[:, :3].permute(0, 2, 3, 1).cpu().numpy()
        rgb = [one(*each) for each in zip(pictures, draws[some], equalise[some], strict=True)]
        changed = torch.cat((torch.stack(rgb).to(crops.device), crops[:, 3:]), dim=1)
        return changed.float() / 255

    return recolor

"""Find what covers a face and where it is visible: a small network on aligned crops.

It was trained on synthetic faces alone, with hands, microphones, hair, glasses and other things
laid over them by a program, so that the truth is known to the pixel; docs/research/masks.md is its
card.
The mesh does not help: it is drawn through a hand as if that were not there.

The network is a U-Net (Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical
image segmentation", 2015) with sums in place of concatenations. Its file is as
`runtime.quantized_weights` writes
them, with what it is under "occlusion" in the metadata, as JSON (schema 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.errors import WeightsError
from understudy.faces.align import core_alignment, transform_points, warp
from understudy.faces.masks import face_mask, visible_mask
from understudy.runtime import quantized_weights
from understudy.types import Floats, Image

SHIPPED = Path(__file__).with_name("occlusion.safetensors")

SIDE = 128
"""Side in pixels at which a core crop is looked at."""

SCHEMA = 1
WIDTHS = (16, 32, 64, 96, 96)
"""Channels at a half, a quarter and so on of the side."""

AGREE = 0.6
"""Smallest overlap of the network's visible face with the mesh's."""

LEFT = 0.25
"""Smallest uncovered share of a face that the network sees."""

AT_ONCE = 16


class Layer(nn.Module):
    """A convolution of 3x3 and a rectifier."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(inside, out, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.conv(x))


class OcclusionNet(nn.Module):
    """Pictures (N, 3, S, S), RGB 0..1, S a multiple of 32 -> logits (N, 2, S, S): whether
    something is in front of the face there, and whether the face shows there."""

    def __init__(self) -> None:
        super().__init__()
        first, *rest = WIDTHS
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), Layer(12, first))
        self.down = nn.ModuleList(
            nn.Sequential(Layer(inside, out, 2), Layer(out, out))
            for inside, out in zip(WIDTHS, rest, strict=False)
        )
        self.whole = nn.Linear(WIDTHS[-1], WIDTHS[-1])
        self.narrow = nn.ModuleList(
            nn.Conv2d(out, inside, 1) for inside, out in zip(WIDTHS, rest, strict=False)
        )
        self.up = nn.ModuleList(Layer(inside, inside) for inside in WIDTHS[:-1])
        self.head = nn.Sequential(nn.Conv2d(first, 8, 3, 1, 1), nn.PixelShuffle(2))

    def forward(self, pictures: Tensor) -> Tensor:
        levels = [self.stem(pictures * 2 - 1)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        x = x + self.whole(x.mean((2, 3)))[:, :, None, None]
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            x = nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = up(x + levels.pop())
        logits: Tensor = self.head(x)
        return logits


def write(path: Path, net: OcclusionNet, training: dict[str, Any]) -> None:
    """Write a network.

    Args:
        training: what it was made from and how, as JSON.

    Raises:
        StorageError
    """
    about = {"schema_version": SCHEMA, "training": training}
    quantized_weights.write(path, "occlusion", quantized_weights.quantised(net.state_dict()), about)


def read(path: Path) -> tuple[OcclusionNet, dict[str, Any]]:
    """A network, in evaluation mode and without gradients, and what it was made from.

    Raises:
        WeightsError: it is missing, damaged, or from another version.
    """

    def unfit(why: str) -> WeightsError:
        return WeightsError(
            f"The network {path} cannot be used: {why}.",
            "Reinstall understudy.",
        )

    tensors, about = quantized_weights.read(path, "occlusion", SCHEMA, unfit)
    with torch.random.fork_rng(devices=[]):
        net = OcclusionNet()
    try:
        net.load_state_dict(quantized_weights.restored(tensors))
    except (KeyError, RuntimeError) as error:
        raise unfit("it does not fit this version") from error
    return net.eval().requires_grad_(False), dict(about["training"])


@cache
def shipped() -> OcclusionNet:
    """The network in this package, read once. Raises WeightsError."""
    return read(SHIPPED)[0]


@torch.inference_mode()
def look(
    net: OcclusionNet,
    pictures: Sequence[Image],
    device: torch.device | None = None,
    bfloat16: bool = False,
) -> tuple[Floats, Floats]:
    """Covers in front of faces, and visible faces.

    Args:
        net: it is moved to `device`.
        pictures: N of RGB uint8 (S, S, 3), core crops; S may be any.
        bfloat16: whether to compute in bfloat16.

    Returns:
        float32 (N, SIDE, SIDE), twice, 0..1: how likely something is in front of the face, hair
        included; and the visible face, without what is in front of it, forehead and all.
    """
    device = device or torch.device("cpu")
    net = net.to(device)
    nn.Module.to(net, memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = []
    for first in range(0, len(pictures), AT_ONCE):
        some = [_sized(picture) for picture in pictures[first : first + AT_ONCE]]
        batch = torch.from_numpy(np.stack(some)).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            logits = net(batch.contiguous(memory_format=torch.channels_last))
        found.append(logits.float().sigmoid().cpu().numpy())
    both = np.concatenate(found) if found else np.zeros((0, 2, SIDE, SIDE), np.float32)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _sized(picture: Image) -> Image:
    side = picture.shape[0]
    if side == SIDE:
        return picture
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=how), np.uint8)


def understood(covered: Floats, shown: Floats, face: Floats) -> bool:
    """Whether the network sees a face where the mesh sees one. It may not where light or picture
    are like nothing that it has learned from; then neither of its answers counts.

    Args:
        covered, shown: float32 (SIDE, SIDE), as `look` gives them.
        face: float32 (SIDE, SIDE), 0..1, the inner face by the mesh.
    """
    left = face * (1 - covered)
    both, either = np.minimum(shown, left).sum(), np.maximum(shown, left).sum()
    return bool(both >= AGREE * max(float(either), 1.0) and left.sum() >= LEFT * face.sum())


def shown_in(
    crops: Sequence[Image],
    faces: Sequence[Floats],
    device: torch.device | None = None,
    bfloat16: bool = False,
) -> list[Floats | None]:
    """The face as it shows in core crops: with its forehead, without hair or hands over it.

    Args:
        crops: N of RGB uint8 (S, S, 3).
        faces: N of float32 (S, S), 0..1, the inner faces by the mesh.

    Returns:
        For each float32 (S, S), 0..1; None where the picture is not `understood`.

    Raises:
        WeightsError: the network cannot be read.
    """
    found: list[Floats | None] = []
    for crop, face, covered, shown in zip(
        crops, faces, *look(shipped(), crops, device, bfloat16), strict=True
    ):
        inner = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        side = crop.shape[:2][::-1]
        own = cv2.resize(shown, side, interpolation=cv2.INTER_LINEAR)
        sure = understood(covered, shown, np.asarray(inner, np.float32))
        found.append(np.asarray(own, np.float32) if sure else None)
    return found


def shown_masks(pictures: NDArray[np.uint8], landmarks: Floats) -> NDArray[np.uint8]:
    """The face as it shows in stored crops: with its forehead, without hair or hands over it.

    Where the network has not `understood` the picture, `visible_mask` stands in.

    Args:
        pictures: RGB uint8 (N, S, S, 3), stored crops.
        landmarks: float32 (N, 468, 2 or more), pixels of the pictures.

    Returns:
        uint8 (N, S, S), 0..255.

    Raises:
        WeightsError: the network cannot be read.
    """
    side = pictures.shape[1]
    masks = np.empty(pictures.shape[:3], np.uint8)
    for first in range(0, len(pictures), AT_ONCE):
        rows = range(first, min(first + AT_ONCE, len(pictures)))
        matrices = [core_alignment(landmarks[row], SIDE) for row in rows]
        crops = [
            warp(pictures[row], matrix, SIDE) for row, matrix in zip(rows, matrices, strict=True)
        ]
        faces = [
            face_mask(transform_points(matrix, landmarks[row]), SIDE, 0.0)
            for row, matrix in zip(rows, matrices, strict=True)
        ]
        for row, matrix, shown in zip(rows, matrices, shown_in(crops, faces), strict=True):
            if shown is None:
                masks[row] = visible_mask(pictures[row], landmarks[row])
                continue
            codes = np.rint(255 * shown).astype(np.uint8)
            how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            masks[row] = cv2.warpAffine(codes, matrix, (side, side), flags=how)
    return masks

"""Who is it: a face as 128 numbers, near each other for pictures of the same person.

Network: the 29-convolution residual network of dlib (King, "High Quality Face Recognition with
Deep Metric Learning", 2017; weights CC0), run in torch. Its answers equal dlib's to five digits
in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.faces.align import warp
from understudy.faces.dlib_format import DIMENSIONS, LEVELS, SIDE, read_dlib
from understudy.faces.pose import similarity
from understudy.types import Floats, Image

PADDING = 0.25
"""Room around dlib's unit square on each side, as a share of it."""

CHIP_POINTS = {
    263: (0.8595674595992, 0.2134981538014),
    362: (0.6460604764104, 0.2289674387677),
    33: (0.1205750620789, 0.2137274526848),
    133: (0.3340850613712, 0.2290642403242),
    2: (0.4901123135679, 0.6277975316475),
}
"""Mesh point -> its place in dlib's unit square: outer and inner corner of the eye at image
right, then of the eye at image left, base of the nose. The places are the mean shape that the
network was trained on."""


class IdentityNet:
    """The network, ready to run.

    Args:
        path: `dlib_face_recognition_resnet_model_v1.dat`, see `understudy.faces.weights.store`.
        device: where to compute.

    Raises:
        WeightsError: the file cannot be read, is damaged or contains another network.
    """

    def __init__(self, path: Path, device: str = "cpu") -> None:
        weights = read_dlib(path)
        self._device = torch.device(device)
        self._convolutions = [
            (self._tensor(weight).contiguous(memory_format=torch.channels_last), self._tensor(bias))
            for weight, bias in weights.convolutions
        ]
        self._head = self._tensor(weights.head)

    def _tensor(self, values: Floats) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    @torch.inference_mode()
    def embed(self, chips: Image) -> Floats:
        """Identity embeddings of aligned faces.

        Args:
            chips: RGB uint8 (N, 150, 150, 3), as `face_chips` cuts them; N may be 0. Batches
                of about 8 take half the time per face of single ones.

        Returns:
            float32 (N, 128), length about 1.3; compare by Euclidean distance.
        """
        if chips.shape[1:] != (SIDE, SIDE, 3) or chips.dtype != np.uint8:
            raise ValueError(f"chips are uint8 (N, {SIDE}, {SIDE}, 3), not {chips.shape}")
        if not len(chips):
            return np.zeros((0, DIMENSIONS), np.float32)
        # The memory of an image is already channels-last: only the type changes.
        pixels = torch.from_numpy(np.ascontiguousarray(chips)).to(self._device)
        values: Floats = self._forward(pixels.permute(0, 3, 1, 2).float()).cpu().numpy()
        return values

    def _forward(self, x: Tensor) -> Tensor:
        parameters = iter(self._convolutions)
        x = F.relu_(F.conv2d(x, *next(parameters), stride=2))
        x = F.max_pool2d(x, 3, 2)
        for _, halve, plain in LEVELS:
            for down in [True] * halve + [False] * plain:
                stride, padding = (2, 0) if down else (1, 1)
                y = F.relu_(F.conv2d(x, *next(parameters), stride=stride, padding=padding))
                y = F.conv2d(y, *next(parameters), padding=1)
                x = _add(F.avg_pool2d(x, 2), y) if down else y.add_(x)
                x = F.relu_(x)
        return x.mean((2, 3)) @ self._head.T


def _add(x: Tensor, y: Tensor) -> Tensor:
    """Sum in dlib's way: whatever is smaller, in channels, height or width, ends in zeros."""
    shape = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]

    def grow(value: Tensor) -> Tensor:
        channels, height, width = (
            want - has for want, has in zip(shape, value.shape[1:], strict=True)
        )
        return F.pad(value, (0, width, 0, height, 0, channels))

    return grow(x) + grow(y)


def chip_alignment(landmarks: Floats) -> Floats:
    """The similarity transform that takes a face onto a chip.

    Least squares over the corners of the eyes and the base of the nose.

    Args:
        landmarks: (468, 2 or 3), mesh in pixels of the frame.

    Returns:
        float32 (2, 3), pixels of the frame -> pixels of the chip.
    """
    points = landmarks[list(CHIP_POINTS), :2].astype(np.float64)
    places = np.array(list(CHIP_POINTS.values()))
    fit = similarity(points, (PADDING + places) / (1 + 2 * PADDING) * SIDE)
    return np.column_stack([fit.scale * fit.rotation, fit.shift]).astype(np.float32)


def face_chips(image: Image, landmarks: Sequence[Floats]) -> Image:
    """Cut out the chips of several faces of one frame.

    Args:
        image: RGB uint8 (height, width, 3).
        landmarks: the mesh of each face, (468, 2 or 3), pixels of the frame.

    Returns:
        RGB uint8 (N, 150, 150, 3), what `IdentityNet.embed` takes.
    """
    chips = np.zeros((len(landmarks), SIDE, SIDE, 3), np.uint8)
    for chip, points in zip(chips, landmarks, strict=True):
        chip[:] = warp(image, chip_alignment(points), SIDE)
    return chips

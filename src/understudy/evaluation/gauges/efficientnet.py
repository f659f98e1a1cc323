"""EfficientNet-Lite1, a small network that was trained to name what pictures show.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019, in its
Lite form: rectifiers cut off at 6 and no squeeze-and-excitation. The weights are Google's, carried
over to torch by ML Illustrated (Apache-2.0); `understudy.faces.weights.store` knows where they are
had. They come as a pickle, which is read once, as tensors only, and kept as safetensors.
"""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from understudy.errors import StorageError, WeightsError
from understudy.runtime import files

NAME = "efficientnet-lite1-77cc7160.pth"
"""In `understudy.faces.weights.store`."""

SCHEMA_VERSION = 1
MEAN, DEVIATION = 127.0, 128.0
"""Subtracted from pixels (0..255), and their divisor, as in its training."""

EPSILON = 1e-3
"""Epsilon of the batch normalisations."""

STEM, HEAD, CLASSES = 32, 1280, 1000

STAGES = (
    # blocks, side of the kernel, stride of the first block, times wider inside, channels
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 40),
    (4, 3, 2, 6, 80),
    (4, 5, 1, 6, 112),
    (5, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Convolution(nn.Conv2d):
    """Pads as TensorFlow's "same" does: where it cannot pad both sides alike, below and right."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inside, out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (1, 0):
            side, kernel, stride = input.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            more = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            pads += [more // 2, more - more // 2]
        even = (pads[2], pads[0])
        if pads[0] != pads[1] or pads[2] != pads[3]:
            input, even = F.pad(input, pads), (0, 0)
        return F.conv2d(input, self.weight, self.bias, self.stride, even, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)


class _Block(nn.Module):
    """An inverted bottleneck. Its parts have the names that the file gives them."""

    def __init__(self, inside: int, out: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        wide = inside * wider
        if wider > 1:
            self._expand_conv: nn.Module = _Convolution(inside, wide, 1)
            self._bn0: nn.Module = _norm(wide)
        self._depthwise_conv: nn.Module = _Convolution(wide, wide, kernel, stride, wide)
        self._bn1: nn.Module = _norm(wide)
        self._project_conv: nn.Module = _Convolution(wide, out, 1)
        self._bn2: nn.Module = _norm(out)
        self._wider, self._added = wider > 1, stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu6(self._bn0(self._expand_conv(x)), True) if self._wider else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)), True)
        y = self._bn2(self._project_conv(y))
        return y.add_(x) if self._added else y

    def merge(self) -> None:
        """As `EfficientNetLite1.merge`."""
        if self._wider:
            self._expand_conv, self._bn0 = _merged(self._expand_conv, self._bn0)
        self._depthwise_conv, self._bn1 = _merged(self._depthwise_conv, self._bn1)
        self._project_conv, self._bn2 = _merged(self._project_conv, self._bn2)


def _merged(convolution: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    return fuse_conv_bn_eval(convolution, norm), nn.Identity()  # type: ignore[arg-type, type-var]


class EfficientNetLite1(nn.Module):
    """The network, with random weights until a state is loaded; 5.4 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem: nn.Module = _Convolution(3, STEM, 3, 2)
        self._bn0: nn.Module = _norm(STEM)
        blocks: list[_Block] = []
        ends: list[int] = []
        inside = STEM
        for count, kernel, stride, wider, out in STAGES:
            for number in range(count):
                blocks.append(_Block(inside, out, kernel, 1 if number else stride, wider))
                inside = out
            ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head: nn.Module = _Convolution(inside, HEAD, 1)
        self._bn1: nn.Module = _norm(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)
        self._ends = tuple(ends)

    def merge(self) -> None:
        """Put the normalisations into the convolutions: the same answers in less time. Only for
        inference; no state can be loaded afterwards."""
        self._conv_stem, self._bn0 = _merged(self._conv_stem, self._bn0)
        self._conv_head, self._bn1 = _merged(self._conv_head, self._bn1)
        for block in self._blocks:
            if isinstance(block, _Block):
                block.merge()

    def stages(self, images: Tensor) -> list[Tensor]:
        """What each stage gives.

        Args:
            images: RGB (N, 3, H, W), 0..255.

        Returns:
            Seven tensors (N, C, h, w), C and the shrinking as in `STAGES` (a half more by the
            stem): 16 at 1/2, 24 at 1/4, 40 at 1/8, 80 and 112 at 1/16, 192 and 320 at 1/32.
        """
        x: Tensor = F.relu6(self._bn0(self._conv_stem((images - MEAN) / DEVIATION)))
        found: list[Tensor] = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self._ends:
                found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """How much the pictures look like each of the 1,000 classes: logits (N, 1000)."""
        x = F.relu6(self._bn1(self._conv_head(self.stages(images)[-1])))
        logits: Tensor = self._fc(x.mean((2, 3)))
        return logits


def load(path: Path, cache: Path) -> EfficientNetLite1:
    """The network with the weights of a file, for inference.

    Args:
        path: the pickle `NAME`, whose SHA-256 was checked.
        cache: folder where the same weights are kept as safetensors; made when needed.

    Raises:
        WeightsError: the file cannot be read or contains another network.
    """
    digest = files.sha256(path)
    kept = (cache / NAME).with_suffix(".safetensors")
    state = _kept(kept, digest)
    if state is None:
        state = _unpickled(path)
        about = {"schema_version": str(SCHEMA_VERSION), "sha256": digest}
        # A cache that cannot be written costs a second the next time, and nothing else.
        with contextlib.suppress(StorageError, OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(kept, safetensors.torch.save(state, about))
    network = EfficientNetLite1()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{path} is not the network EfficientNet-Lite1.",
            f"Delete it and {kept}, then run: understudy weights",
        ) from error
    network.requires_grad_(False).eval()
    network.merge()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _kept(path: Path, digest: str) -> dict[str, Tensor] | None:
    """The converted weights, if they are complete and made from the file of that SHA-256."""
    try:
        with safe_open(str(path), "pt") as file:
            said = file.metadata() or {}
            if said != {"schema_version": str(SCHEMA_VERSION), "sha256": digest}:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


def _unpickled(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{path} cannot be read ({error}).", "Delete it and run: understudy weights"
        ) from error
    return {name: value.contiguous() for name, value in state.items()}

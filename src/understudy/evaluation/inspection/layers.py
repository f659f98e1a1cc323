"""What a network is made of, layer by layer, found by watching it work on one picture.

A layer is a module without modules in it, in the order in which they run; steps without weights
that a network takes between its modules (a function call in `forward`) are no layers, and their
time is in no share. Nothing here depends on a particular network.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from understudy.models.base import SwapModel

Phase = Literal["encode", "decode"]


@dataclass(frozen=True)
class Layer:
    """One layer while one picture passes.

    Attributes:
        name: of the module in the network, dotted.
        kind: in words, for example "Conv2d 3x3 /2": kernel and stride.
        phase: whether it works for `encode` or for `decode`.
        shape: of what comes out, without the batch axis.
        parameters: weights and biases.
        macs: multiplications with an addition each; see `macs`.
        sees: receptive field: side in pixels of the part of the picture that the unit in the
            middle depends on; what would lie outside of the picture does not count.
        draws: the other way round: side in pixels of the part of the drawn picture that depends on
            the unit in the middle; 0 when nothing does.
        share: of the time that encoding and decoding takes, 0..1.
    """

    name: str
    kind: str
    phase: Phase
    shape: tuple[int, ...]
    parameters: int
    macs: int
    sees: int
    draws: int
    share: float

    @property
    def numbers(self) -> int:
        """Number of output values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Anatomy:
    """A network on one picture, drawn by one person's decoder.

    Attributes:
        layers: in the order in which they run.
        latent: shape, without the batch axis.
        parameters: of the parts, as `SwapModel.parts` names them.
        seconds: median time of encoding and decoding one picture.
    """

    layers: tuple[Layer, ...]
    latent: tuple[int, ...]
    parameters: dict[str, int]
    seconds: float

    @property
    def narrowest(self) -> Layer:
        """The layer through which the fewest numbers pass on the way to the picture, the first
        where several have as few."""
        return min((layer for layer in self.layers if layer.draws), key=lambda one: one.numbers)

    def macs(self, phase: Phase) -> int:
        return sum(layer.macs for layer in self.layers if layer.phase == phase)


def dissect(network: SwapModel, person: str, passes: int) -> Anatomy:
    """Analyse a network by running it.

    Args:
        network: in evaluation mode.
        person: whose decoder draws.
        passes: over how many the median of the times is taken, >= 1.
    """
    picture = torch.rand(1, 3, network.size, network.size, generator=torch.Generator())
    run = _Run(network, person, picture.to(next(network.parameters()).device))
    order, latent = run.watch()
    modules = [one.module for one in order]
    with _plain_loops():
        sees, draws = run.sees(modules), run.draws(modules)
    seconds, whole = run.times(modules, passes)
    layers = tuple(
        Layer(
            name=one.name,
            kind=kind(one.module),
            phase=one.phase,
            shape=one.shape,
            parameters=sum(value.numel() for value in one.module.parameters()),
            macs=macs(one.module, one.shape),
            sees=seen,
            draws=drawn,
            share=spent / whole,
        )
        for one, seen, drawn, spent in zip(order, sees, draws, seconds, strict=True)
    )
    parts = network.by_part(dict(network.named_parameters()))
    parameters = {
        name: sum(value.numel() for value in part.values()) for name, part in parts.items()
    }
    return Anatomy(layers, latent, parameters, whole)


def macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulate operations of a layer for one picture.

    One is a multiplication together with the addition of its product, as usual: 2 floating-point
    operations. Convolutions and linear layers are counted; biases, activations and the moving of
    numbers are not.

    Args:
        shape: of what comes out, without the batch axis.
    """
    if isinstance(module, nn.Conv2d):
        inputs = module.in_channels // module.groups
        return math.prod(shape) * inputs * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return math.prod(shape) * module.in_features
    return 0


def kind(module: nn.Module) -> str:
    """A layer in words."""
    name = type(module).__name__
    if isinstance(module, nn.Conv2d):
        size, stride = module.kernel_size, module.stride[0]
        return f"{name} {size[0]}x{size[1]}" + (f" /{stride}" if stride > 1 else "")
    return name


@dataclass(frozen=True)
class _Seen:
    """A module at work."""

    name: str
    module: nn.Module
    phase: Phase
    shape: tuple[int, ...]


Hook = Callable[[nn.Module, Any, Tensor], Tensor | None]


@contextmanager
def _listening(pairs: list[tuple[nn.Module, Hook]]) -> Iterator[None]:
    """Call each hook after its module has run, while this lasts."""
    handles: list[RemovableHandle] = [one.register_forward_hook(hook) for one, hook in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _plain_loops() -> Iterator[None]:
    """Convolutions by their definition. Fast ones may transform whole tiles, and a NaN
    at one place would then also reach neighbouring outputs."""
    with warnings.catch_warnings():
        # Restoring the flags warns about graphics processors that this build does not know.
        warnings.filterwarnings("ignore", message="TF32 acceleration", category=UserWarning)
        with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
            yield


class _Run:
    """One picture through the encoder and one decoder, again and again."""

    def __init__(self, network: SwapModel, person: str, picture: Tensor) -> None:
        self.network, self.person, self.picture = network, person, picture

    def watch(self) -> tuple[list[_Seen], tuple[int, ...]]:
        """The layers in the order in which they run, and the shape of the latent."""
        order: list[_Seen] = []
        phase: Phase = "encode"

        def hook(name: str) -> Hook:
            def seen(module: nn.Module, inputs: Any, output: Tensor) -> None:
                order.append(_Seen(name, module, phase, tuple(output.shape[1:])))

            return seen

        leaves = [
            (module, hook(name))
            for name, module in self.network.named_modules()
            if not list(module.children())
        ]
        with torch.no_grad(), _listening(leaves):
            latent = self.network.encode(self.picture)
            phase = "decode"
            self.network.decode(latent, self.person)
        assert len({one.module for one in order}) == len(order), "a layer ran twice"
        return order, tuple(latent.shape[1:])

    def sees(self, modules: list[nn.Module]) -> list[int]:
        """Receptive fields. The gradient of the middle unit is NaN, and so is that of every pixel
        that it depends on, whatever the weights."""
        outputs: dict[nn.Module, Tensor] = {}

        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[module] = output

        picture = self.picture.clone().requires_grad_()
        with torch.enable_grad(), _listening([(module, keep) for module in modules]):
            self.network.decode(self.network.encode(picture), self.person)
        sides: list[int] = []
        for module in modules:
            # A layer that sees everything makes all later layers see everything.
            if sides and sides[-1] == self.network.size:
                sides.append(sides[-1])
                continue
            poured = torch.zeros_like(outputs[module])
            poured[_middle(poured)] = math.nan
            (gradient,) = torch.autograd.grad(outputs[module], picture, poured, retain_graph=True)
            sides.append(_side(gradient))
        return sides

    def draws(self, modules: list[nn.Module]) -> list[int]:
        """The part of the drawn picture that is NaN when the middle unit is."""

        def pour(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            poured = output.clone()
            poured[_middle(poured)] = math.nan
            return poured

        sides: list[int] = []
        for module in modules:
            with torch.no_grad(), _listening([(module, pour)]):
                image, _ = self.network.decode(self.network.encode(self.picture), self.person)
            sides.append(_side(image))
        return sides

    def times(self, modules: list[nn.Module], passes: int) -> tuple[list[float], float]:
        """Median seconds of each module, and of all together."""
        device = self.picture.device
        began: dict[nn.Module, float] = {}
        spent: list[list[float]] = [[] for _ in modules]
        whole: list[float] = []
        number = {module: place for place, module in enumerate(modules)}

        def now() -> float:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            return time.perf_counter()

        def before(module: nn.Module, inputs: Any) -> None:
            began[module] = now()

        def after(module: nn.Module, inputs: Any, output: Tensor) -> None:
            spent[number[module]].append(now() - began[module])

        starts = [module.register_forward_pre_hook(before) for module in modules]
        try:
            with torch.no_grad(), _listening([(module, after) for module in modules]):
                for _ in range(passes + 1):
                    start = now()
                    self.network.decode(self.network.encode(self.picture), self.person)
                    whole.append(now() - start)
        finally:
            for handle in starts:
                handle.remove()
        # The first pass sets things up. What runs between the layers is a median too, so that
        # shares add up even where something else took the processor in some pass.
        between = [
            total - sum(parts) for total, parts in zip(whole, zip(*spent, strict=True), strict=True)
        ]
        medians = [float(np.median(one[1:])) for one in spent]
        return medians, sum(medians) + float(np.median(between[1:]))


def _middle(grid: Tensor) -> tuple[Any, ...]:
    """Index of the middle of (1, C, H, W) in all channels; of (1, D), of everything."""
    if grid.ndim != 4:
        return (slice(None),)
    return (slice(None), slice(None), grid.shape[2] // 2, grid.shape[3] // 2)


def _side(picture: Tensor) -> int:
    """Side of the smallest square that holds all NaN of (1, C, H, W)."""
    places = picture.isnan().any(dim=1)[0].nonzero()
    if not len(places):
        return 0
    return int((places.max(0).values - places.min(0).values).max()) + 1

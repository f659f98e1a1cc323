"""A network in training: weights, their moving average, and the optimiser, step by step."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from understudy.models.base import SwapModel, network_class
from understudy.models.checkpoint import Snapshot
from understudy.training.augment import Batch
from understudy.training.decoder_tying import together


def build_first(
    network: str, size: int, people: tuple[str, ...], seed: int, snapshot: Snapshot | None
) -> Snapshot:
    """The start of a learner: the snapshot, or without one a new network from the seed."""
    if snapshot is not None:
        return snapshot
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network_class(network)(size, people)
    return Snapshot(model, copy.deepcopy(model), {}, {}, {})


def _laid_out(model: SwapModel, device: torch.device) -> SwapModel:
    """The model on its device, images with channels last, which convolutions are fastest in."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Learner:
    """Attributes:
    model: the network as it is being trained.
    average: the same network with the moving average of the weights; for measuring and use.
    device: where both are.
    bfloat16: whether the network runs in bfloat16; weights and loss are always float32.

    Args:
        start: the initial weights; owned by the learner from then on.
        frozen: train only decoders; shared weights are unchanged, to the bit.
        shared: factor on the learning rate of shared weights.
    """

    def __init__(
        self,
        start: Snapshot,
        device: torch.device,
        *,
        bfloat16: bool,
        frozen: bool = False,
        shared: float = 1.0,
    ) -> None:
        # Precision is not accelerate's business here: it can be set only once per process.
        self.accelerator = Accelerator(cpu=device.type == "cpu")
        self.device = self.accelerator.device
        self.bfloat16 = bfloat16
        self.average = _laid_out(start.average, self.device).eval().requires_grad_(False)
        # Prepared for the devices that accelerate finds (one device, or several processes); all
        # decoders run in each step, so no parameter is ever without a gradient.
        self.network = self.accelerator.prepare(_laid_out(start.model, self.device).train())
        self.model: SwapModel = self.accelerator.unwrap_model(self.network)
        self.recipe = self.model.recipe
        if frozen:
            # Shared layers neither train nor update batch statistics nor use dropout.
            self.model.eval().requires_grad_(False)
            self.model.decoders.train().requires_grad_(True)
        self.learning = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer: torch.optim.Optimizer = self.model.optimizer(self.learning, shared)
        self._recall(start.optimizer)

    def _recall(self, memory: dict[str, Tensor]) -> None:
        """Load the optimiser's state for the trained weights."""
        order = [p for group in self.optimizer.param_groups for p in group["params"]]
        places = {id(parameter): number for number, parameter in enumerate(order)}
        numbers = {name: places[id(parameter)] for name, parameter in self.learning.items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in memory.items():
            weight, key = name.rsplit(".", 1)
            if weight in numbers:
                state.setdefault(numbers[weight], {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        # The fused optimiser processes weights and moments in memory order, so they
        # must be laid out alike; a checkpoint keeps values, not layouts.
        for parameter, values in self.optimizer.state.items():
            for key, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def autocast(self) -> torch.autocast:
        """The precision in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def learn(
        self,
        batches: Sequence[Batch],
        rate: float,
        step: int,
        people: Sequence[str] | None = None,
        apart: float = 1.0,
    ) -> dict[str, float] | None:
        """Take one step.

        Args:
            batches: one for each person, in order.
            rate: learning rate.
            step: number of earlier steps.
            people: of the batches; everyone when None.
            apart: how much of a decoder's step is its own, 0..1 (`decoder_tying`).

        Returns:
            The terms of the loss, mean over people; None when loss or gradient were not
            finite, and then the weights are as before.
        """
        inputs = [batch.input.contiguous(memory_format=torch.channels_last) for batch in batches]
        told = [batch.known for batch in batches if batch.known is not None]
        with self.autocast():
            drawn, terms = self.network(inputs, step, people, torch.cat(told) if told else None)
        for (image, mask), batch in zip(drawn, batches, strict=True):
            image, mask = image.float(), mask.float()
            if batch.asked is not None:
                # Where nothing is asked the target itself is seen: no difference, no slope.
                image = batch.target + batch.asked * (image - batch.target)
            own = self.model.loss(image, mask, batch.target, batch.mask)
            for key, value in own.items():
                share = value / len(batches)
                terms[key] = terms[key] + share if key in terms else share
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(torch.stack(list(terms.values())).sum())
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        values = {key: float(value.detach()) for key, value in terms.items()}
        if not all(map(math.isfinite, (*values.values(), float(norm)))):
            return None
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with together(list(self.model.decoders), apart):
            self.optimizer.step()
        self._follow(step)
        return values

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the weights; quickly at first, so that the random
        initial weights are soon forgotten."""
        update = get_ema_multi_avg_fn(min(self.recipe.ema, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        update(list(self.average.parameters()), list(self.model.parameters()), step)
        for kept, value in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(value)

    def snapshot(self, settings: dict[str, Any], state: dict[str, Any]) -> Snapshot:
        """The contents of a checkpoint; shares memory with the learner."""
        optimizer = {
            f"{name}.{key}": value
            for name, parameter in self.learning.items()
            for key, value in self.optimizer.state[parameter].items()
        }
        return Snapshot(self.model, self.average, optimizer, settings, state)

"""Decoder tying: keep decoders close to each other during training.

A decoder learns from latents of its own person and later draws with those of others. What it learns
after the first minutes holds for the latents that it has seen, and swaps follow the film less than
they could (`docs/research/lab.md`). So decoders that began alike take the mean of their
steps, all of them, and of what each would have done besides only a share: what faces have in
common is learned from everyone's latents, and only what makes a person is their own. A share of 1
is decoders that know nothing of each other, one of 0 would be a single decoder. It falls with time,
so that likeness comes at once. (Parameters are shared softly by Duong et al., "Low resource
dependency parsing: cross-lingual parameter sharing in a neural network parser", 2015, too, by a
pull on the weights; here it is the steps.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

APART = 50
"""Steps after which half of a decoder's step is its own."""


def own_share(least: float, step: int) -> float:
    """How much of a decoder's step is its own, 0..1: all of the first, falling to `least`.

    Args:
        step: how many steps came before.
    """
    return max(least, 1 / (1 + step / APART))


@contextmanager
def together(decoders: Sequence[nn.Module], apart: float) -> Iterator[None]:
    """While the decoders take a step.

    Args:
        decoders: of one shape, all of which take the step; a single one takes it as it is.
        apart: share of each one's difference from the mean step that stays, 0..1.
    """
    if apart == 1 or len(decoders) < 2:
        yield
        return
    alike = list(zip(*(decoder.parameters() for decoder in decoders), strict=True))
    before = [[weight.detach().clone() for weight in weights] for weights in alike]
    yield
    with torch.no_grad():
        for weights, were in zip(alike, before, strict=True):
            steps = [now - then for now, then in zip(weights, were, strict=True)]
            mean = torch.stack(steps).mean(0)
            for weight, then, step in zip(weights, were, steps, strict=True):
                weight.copy_(then + torch.lerp(mean, step, apart))

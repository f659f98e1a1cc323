"""Which faces are trained on, and in which order: pure functions, so that resuming is exact."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

BLOCKS = 5
"""Held-out blocks that a long source is given at most."""
SHORTEST = 8
"""Faces in a held-out block, if there are enough, so that it is a stretch of time."""
WIDEST_GAP = 10


@lru_cache(maxsize=64)
def _epoch(seed: int, epoch: int, count: int) -> Indices:
    order = np.random.default_rng([seed, epoch]).permutation(count).astype(np.int64)
    order.flags.writeable = False
    return order


def sample(seed: int, step: int, count: int, n: int) -> Indices:
    """Which `n` of `count` faces step `step` takes.

    Every face comes once in every epoch, in an order of that epoch's own; a step may reach into
    the next epoch.

    Args:
        seed, step: from 0.
        count, n: from 1.

    Returns:
        int64 (n,), 0 <= index < count.
    """
    if seed < 0 or step < 0 or count < 1 or n < 1:
        raise ValueError(f"cannot take {n} of {count} faces at step {step} with seed {seed}")
    place, end = step * n, (step + 1) * n
    parts = []
    while place < end:
        epoch, offset = divmod(place, count)
        taken = min(count - offset, end - place)
        parts.append(_epoch(seed, epoch, count)[offset : offset + taken])
        place += taken
    return np.concatenate(parts)


def _blocks(count: int, share: float) -> tuple[int, int]:
    """How many blocks, and of how many faces, hold out `share` of `count` faces."""
    wanted = max(1, round(count * share))
    blocks = min(BLOCKS, max(1, wanted // SHORTEST))
    return blocks, max(1, wanted // blocks)


def split(sources: Sequence[str], held_out: float) -> tuple[Indices, Indices]:
    """Divide faces into those to train on and those to measure with.

    Neighbouring frames look alike, so whole stretches are held out, spread over each source, and
    a few faces on both sides of a stretch belong to neither. Sources too short to be cut (stills
    above all) are held out whole, every n-th of them.

    Args:
        sources: per face, which film it is from; faces of one film lie together, in time order.
        held_out: 0 < share < 1.

    Returns:
        (train, held out): ascending row numbers. With two faces or more neither is empty.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"cannot hold out a share of {held_out}")
    total = len(sources)
    kinds = np.full(total, 0, np.int8)
    borders = [0, *(i for i in range(1, total) if sources[i] != sources[i - 1]), total]
    runs = [(a, b) for a, b in pairwise(borders) if b > a]
    cuttable = 4 * SHORTEST
    short = [run for run in runs if run[1] - run[0] < cuttable]
    every = max(2, round(1 / held_out))
    for place, (first, end) in enumerate(short):
        if place % every == every - 1:
            kinds[first:end] = 1
    for first, end in runs:
        if end - first >= cuttable:
            _cut(kinds[first:end], held_out)
    if not (kinds == 1).any() and total > 1:
        first, end = max(runs, key=lambda run: run[1] - run[0])
        if end - first > 1:
            _cut(kinds[first:end], held_out)
        else:
            kinds[total - 1] = 1
    return np.flatnonzero(kinds == 0), np.flatnonzero(kinds == 1)


def _cut(kinds: NDArray[np.int8], share: float) -> None:
    """Mark held-out blocks of one source with 1 and the gaps beside them with 2, in place."""
    count = len(kinds)
    blocks, length = _blocks(count, share)
    gap = min(WIDEST_GAP, max(1, length // 4)) if count > 3 else 0
    for block in range(blocks):
        end = round((block + 1) * count / blocks)
        start = end - length
        before, after = kinds[max(0, start - gap) : start], kinds[end : end + gap]
        before[before == 0], after[after == 0] = 2, 2
        kinds[start:end] = 1

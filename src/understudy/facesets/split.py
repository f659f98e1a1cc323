"""Which faces are trained on and which are held out to measure with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

BLOCKS = 5
"""Held-out blocks that a long source is given at most."""
SHORTEST = 8
"""Faces in a held-out block, if there are enough, so that it is a stretch of time."""
WIDEST_GAP = 10


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
    """Mark held-out blocks of one film with 1 and the gaps next to them with 2, in place."""
    count = len(kinds)
    blocks, length = _blocks(count, share)
    gap = min(WIDEST_GAP, max(1, length // 4)) if count > 3 else 0
    for block in range(blocks):
        end = round((block + 1) * count / blocks)
        start = end - length
        before, after = kinds[max(0, start - gap) : start], kinds[end : end + gap]
        before[before == 0], after[after == 0] = 2, 2
        kinds[start:end] = 1

"""The faces of a training step: pure functions, so that resuming is exact."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from understudy.facesets.split import Indices


@lru_cache(maxsize=64)
def _epoch(seed: int, epoch: int, count: int) -> Indices:
    order = np.random.default_rng([seed, epoch]).permutation(count).astype(np.int64)
    order.flags.writeable = False
    return order


def sample(seed: int, step: int, count: int, n: int) -> Indices:
    """The `n` of `count` faces of step `step`.

    Every face is used once in every epoch, in a new order for each epoch; a step may reach into
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

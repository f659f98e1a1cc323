"""Who is who: tracks grouped into people by their identity embeddings.

Average-link agglomerative clustering (Sokal and Michener 1958, updates by Lance and Williams
1967), weighted by the number of faces, with one piece of plain sense added: two faces that
are in view at the same time are two people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats

TOGETHER = 0.2
"""Tracks that share this part of the shorter one's frames show two people at the same time."""


def average_link(
    embeddings: Floats,
    weights: Sequence[float],
    largest: float,
    apart: NDArray[np.bool_] | None = None,
) -> list[list[int]]:
    """Group rows whose mean distance to each other is at most `largest`.

    Args:
        embeddings: float32 (n, d).
        weights: n positive numbers; a pair counts as the product of its weights.
        largest: Euclidean distance above which groups are not merged.
        apart: (n, n), symmetric; pairs that must not be in one group.

    Returns:
        Groups of row numbers, each ascending, the heaviest group first (ties: the one with
        the lowest row first). Every row is in exactly one.
    """
    count = len(embeddings)
    if count == 0:
        return []
    points = np.asarray(embeddings, dtype=np.float64)
    square = (points**2).sum(1)
    between = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * points @ points.T, 0))
    if apart is not None:
        between[apart] = np.inf
    np.fill_diagonal(between, np.inf)
    weight = np.asarray(weights, dtype=np.float64).copy()
    groups = {row: [row] for row in range(count)}
    nearest = between.argmin(1)
    distance = between[np.arange(count), nearest]
    while len(groups) > 1:
        one = int(distance.argmin())
        if not distance[one] <= largest:
            break
        one, other = sorted((one, int(nearest[one])))
        joined = (weight[one] * between[one] + weight[other] * between[other]) / (
            weight[one] + weight[other]
        )
        joined[[one, other]] = np.inf
        between[one], between[:, one] = joined, joined
        between[other], between[:, other] = np.inf, np.inf
        weight[one] += weight[other]
        groups[one] += groups.pop(other)
        # A joined group is never nearer than the nearer of its halves, so only rows that
        # pointed at one of the two need a new nearest neighbour.
        stale = (nearest == one) | (nearest == other)
        stale[[one, other]] = True
        rows = np.flatnonzero(stale)
        nearest[rows] = between[rows].argmin(1)
        distance[rows] = between[rows, nearest[rows]]
    total = {head: sum(float(weights[row]) for row in rows) for head, rows in groups.items()}
    return [sorted(groups[head]) for head in sorted(groups, key=lambda h: (-total[h], h))]

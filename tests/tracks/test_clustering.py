from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.tracks.clustering import average_link


def slow_average_link(points: np.ndarray, weights: list[float], largest: float) -> list[list[int]]:
    """By definition: join the pair of groups with the least weighted mean distance."""
    groups = [[row] for row in range(len(points))]

    def between(a: list[int], b: list[int]) -> float:
        pairs = [(i, j) for i in a for j in b]
        mass = np.array([weights[i] * weights[j] for i, j in pairs])
        gaps = np.array([np.linalg.norm(points[i] - points[j]) for i, j in pairs])
        return float((mass * gaps).sum() / mass.sum())

    while len(groups) > 1:
        best = min(
            (between(a, b), x, y)
            for x, a in enumerate(groups)
            for y, b in enumerate(groups)
            if x < y
        )
        if best[0] > largest:
            break
        groups[best[1]] = sorted(groups[best[1]] + groups.pop(best[2]))
    return sorted(groups, key=lambda g: (-sum(weights[row] for row in g), g[0]))


@given(st.integers(0, 10**6), st.integers(1, 14), st.floats(0.2, 3))
def test_agrees_with_the_definition(seed: int, count: int, largest: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)).astype(np.float32)
    weights = [float(w) for w in rng.integers(1, 50, count)]
    assert average_link(points, weights, largest) == slow_average_link(points, weights, largest)


def test_faces_in_view_at_once_are_two_people() -> None:
    points = np.array([[0, 0], [0.1, 0], [0.15, 0], [0.2, 0]], np.float32)
    apart = np.zeros((4, 4), bool)
    apart[0, 1] = apart[1, 0] = True
    groups = average_link(points, [1, 1, 1, 1], 0.5, apart)
    assert len(groups) == 2
    assert not any({0, 1} <= set(group) for group in groups)


def test_nothing_gives_nothing() -> None:
    assert average_link(np.zeros((0, 128), np.float32), [], 0.5) == []

from __future__ import annotations

import numpy as np
import pytest

from understudy.evaluation.gauges.likeness import likeness
from understudy.types import Floats


def at(value: float) -> Floats:
    """On the line between two people, who are at 0 and at 1."""
    vector = np.zeros(128, np.float32)
    vector[3] = value
    return vector


def test_margin_and_what_a_perfect_swap_has() -> None:
    found = likeness([at(0.3), at(0.5), None], [at(0.1), None, at(0.9)], at(0), at(1))
    assert found.to_source == pytest.approx(0.4)
    assert found.to_target == pytest.approx(0.6)
    assert found.margin == pytest.approx(0.2)
    assert found.truth_to_source == pytest.approx(0.5)
    assert found.over_truth == pytest.approx(0.2)  # only of the first frame, which has both
    assert found.frames == 2


def test_without_truth_or_target_their_figures_are_missing() -> None:
    found = likeness([at(0.3)], [None], at(0), None)
    assert (found.to_target, found.margin) == (None, None)
    assert (found.truth_to_source, found.over_truth) == (None, None)
    assert likeness([], [], at(0), at(1)).to_source is None
    with pytest.raises(ValueError, match="shorter"):
        likeness([at(0)], [], at(0), at(1))

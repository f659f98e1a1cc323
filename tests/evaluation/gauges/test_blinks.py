from __future__ import annotations

import pytest

from understudy.evaluation.gauges.blinks import blinks, shut

OPEN, CLOSED = 0.32, 0.22


def series(closed: set[int], frames: int = 20, scale: float = 1) -> list[float]:
    return [scale * (CLOSED if n in closed else OPEN + 0.001 * (n % 3)) for n in range(frames)]


def test_agreement_of_known_series() -> None:
    found = blinks(series({3, 4, 5}), series({4, 5, 9}))
    assert found is not None
    assert found.agreement == pytest.approx(18 / 20)
    assert (found.shut_in_film, found.shut_in_swap, found.shut_in_both) == (3, 3, 2)
    assert found.frames == 20


def test_each_film_has_its_own_open_level() -> None:
    found = blinks(series({3, 4}), series({3, 4}, scale=0.6))
    assert found is not None
    assert found.agreement == 1
    assert found.shut_in_both == 2


def test_eyes_that_never_shut_or_stay_half_open() -> None:
    assert not shut(series(set())).any()
    assert not shut([0.9 * OPEN if n % 2 else OPEN for n in range(10)]).any()
    assert blinks([], []) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        blinks([1.0], [])

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from understudy.facesets.split import split
from understudy.training.sampling import sample


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 70), st.integers(1, 12))
def test_every_face_comes_once_per_epoch(seed: int, count: int, n: int, epochs: int) -> None:
    steps = -(-epochs * count // n)
    drawn = np.concatenate([sample(seed, step, count, n) for step in range(steps)])
    for epoch in range(epochs):
        once = drawn[epoch * count : (epoch + 1) * count]
        assert sorted(once) == list(range(count))


@given(st.integers(0, 99), st.integers(0, 10**6), st.integers(1, 500), st.integers(1, 64))
def test_a_step_needs_no_earlier_step(seed: int, step: int, count: int, n: int) -> None:
    alone = sample(seed, step, count, n)
    sample(seed + 1, step, count, n)
    assert (alone == sample(seed, step, count, n)).all()
    assert len(alone) == n
    assert alone.min() >= 0
    assert alone.max() < count


def test_epochs_and_seeds_differ() -> None:
    assert (sample(0, 0, 100, 100) != sample(0, 1, 100, 100)).any()
    assert (sample(0, 0, 100, 100) != sample(1, 0, 100, 100)).any()


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=8),
    st.floats(0.02, 0.5),
)
def test_split_holds_out_whole_stretches_with_gaps(lengths: list[int], share: float) -> None:
    sources = [f"film{n}" for n, length in enumerate(lengths) for _ in range(length)]
    train, held = split(sources, share)
    total = len(sources)
    assert not set(train) & set(held)
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    if total > 1:
        assert len(train)
        assert len(held)
    place = {int(row): "train" for row in train} | {int(row): "held" for row in held}
    for row in range(total - 1):
        if sources[row] == sources[row + 1] and lengths[int(sources[row][4:])] > 3:
            assert {place.get(row), place.get(row + 1)} != {"train", "held"}
    again = split(sources, share)
    assert (again[0] == train).all()
    assert (again[1] == held).all()


@given(st.integers(200, 3000), st.floats(0.05, 0.3))
def test_split_of_one_film_takes_about_the_share(count: int, share: float) -> None:
    train, held = split(["a"] * count, share)
    assert abs(len(held) - share * count) <= 6
    assert len(train) >= count * (1 - 2 * share) - 60
    blocks = 1 + int((np.diff(held) > 1).sum())
    assert len(held) / blocks >= 8
    assert held.max() - held.min() > count / 2 or blocks == 1


def test_stills_are_held_out_whole() -> None:
    sources = [f"still{n}" for n in range(40)]
    train, held = split(sources, 0.1)
    assert len(held) == 4
    assert len(train) == 36

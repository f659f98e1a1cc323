from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from understudy.training.decoder_tying import own_share, together


def decoders(count: int) -> list[nn.Module]:
    return [nn.Conv2d(2, 3, 1) for _ in range(count)]


def step(own: list[nn.Module], steps: list[float], apart: float) -> list[torch.Tensor]:
    """How far each decoder went, all of whose weights were to go so far."""
    before = [[weight.detach().clone() for weight in one.parameters()] for one in own]
    with together(own, apart), torch.no_grad():
        for one, far in zip(own, steps, strict=True):
            for weight in one.parameters():
                weight.add_(far)
    return [
        torch.cat([(w.detach() - b).flatten() for w, b in zip(one.parameters(), were, strict=True)])
        for one, were in zip(own, before, strict=True)
    ]


@given(
    steps=st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=5),
    apart=st.floats(0, 1, width=32),
)
def test_all_take_the_mean_step_and_a_share_of_the_rest(steps: list[float], apart: float) -> None:
    mean = sum(steps) / len(steps)
    for far, found in zip(steps, step(decoders(len(steps)), steps, apart), strict=True):
        assert found.numpy() == pytest.approx(mean + apart * (far - mean), abs=1e-5)


def test_with_nothing_of_their_own_they_stay_one() -> None:
    one, two = decoders(2)
    two.load_state_dict(one.state_dict())
    step([one, two], [0.5, -0.25], 0)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_a_single_decoder_steps_as_it_would() -> None:
    assert step(decoders(1), [0.5], 0.05)[0].numpy() == pytest.approx(0.5)


def test_the_share_falls_from_all_to_the_least() -> None:
    shares = [own_share(0.1, step) for step in range(0, 2000, 10)]
    assert shares[0] == 1
    assert shares[5] == 0.5
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.1
    assert own_share(1, 1000) == 1

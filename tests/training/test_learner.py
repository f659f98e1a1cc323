from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from tests.support.tiny_network import Tiny
from understudy.models import base
from understudy.training.augment import Batch
from understudy.training.learner import Learner, build_first

PEOPLE = ("ada", "chen")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


def batch(seed: int) -> Batch:
    source = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 3, 64, 64, generator=source)
    return Batch(images, images, torch.ones(4, 1, 64, 64), torch.eye(2, 3).expand(4, -1, -1))


def moved(shared: float, rate: float = 1e-3) -> tuple[float, float]:
    """How far a step took the encoder's and the decoders' weights at most."""
    learner = Learner(
        build_first("swift", 64, PEOPLE, 0, None),
        torch.device("cpu"),
        bfloat16=False,
        shared=shared,
    )
    before = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
    assert learner.learn([batch(0), batch(1)], rate, 0) is not None
    far = {True: 0.0, False: 0.0}
    for name, value in learner.model.named_parameters():
        own = name.startswith("decoders.")
        far[own] = max(far[own], float((value.detach() - before[name]).abs().max()))
    return far[False], far[True]


def test_what_people_share_can_learn_more_slowly() -> None:
    # The first step of Adam takes every weight as far as the learning rate says.
    encoder, decoders = moved(1.0)
    assert encoder == pytest.approx(decoders, rel=0.1)
    encoder, decoders = moved(0.25)
    assert encoder == pytest.approx(0.25 * decoders, rel=0.1)
    assert decoders == pytest.approx(1e-3, rel=0.1)


def test_decoders_can_be_kept_near_each_other() -> None:
    first = build_first("swift", 64, PEOPLE, 0, None)
    for model in (first.model, first.average):
        model.decoder("chen").load_state_dict(model.decoder("ada").state_dict())
    far = {}
    for apart in (1.0, 0.0):
        learner = Learner(deepcopy(first), torch.device("cpu"), bfloat16=False)
        assert learner.learn([batch(0), batch(1)], 1e-3, 0, apart=apart) is not None
        ada, chen = (dict(learner.model.decoder(p).named_parameters()) for p in PEOPLE)
        far[apart] = max(float((ada[key] - chen[key]).detach().abs().max()) for key in ada)
    assert far[1.0] > 1e-3
    assert far[0.0] < 1e-7


def test_what_the_optimiser_remembers_finds_its_weights() -> None:
    learner = Learner(build_first("swift", 64, PEOPLE, 0, None), torch.device("cpu"), bfloat16=True)
    learner.learn([batch(0), batch(1)], 1e-3, 0)
    saved = learner.snapshot({}, {})
    memory = {name: value.clone() for name, value in saved.optimizer.items()}
    again = Learner(saved, torch.device("cpu"), bfloat16=True, shared=0.5)
    found = again.snapshot({}, {}).optimizer
    assert set(found) == set(memory)
    assert all(torch.equal(found[name], memory[name]) for name in memory)
    assert isinstance(again.model, Tiny)


def test_nothing_is_learned_from_pixels_that_are_not_asked_for() -> None:
    def learned(one: Batch) -> dict[str, torch.Tensor]:
        start = build_first("swift", 64, PEOPLE, 0, None)
        learner = Learner(start, torch.device("cpu"), bfloat16=False)
        torch.manual_seed(0)
        assert learner.learn([one, batch(1)], 1e-3, 0) is not None
        return {name: value.detach().clone() for name, value in learner.model.named_parameters()}

    plain, asked = batch(0), torch.ones(4, 1, 64, 64)
    asked[:, :, 16:32, 16:32] = 0
    other = plain.target.clone()
    other[:, :, 16:32, 16:32] = 1 - other[:, :, 16:32, 16:32]
    first = learned(replace(plain, asked=asked))
    again = learned(replace(plain, target=other, asked=asked))
    assert all(torch.equal(first[name], again[name]) for name in first)
    all_of_it = learned(plain)
    assert any(not torch.equal(first[name], all_of_it[name]) for name in first)

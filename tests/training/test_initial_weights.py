"""What is said of the faces that a training begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from understudy.training.base_weights import SHIPPED, Base, latents, read_base
from understudy.training.initial_weights import lacks, strangers


@pytest.fixture(scope="module")
def shipped() -> Base:
    return read_base(SHIPPED)


def noise(count: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 4, 160, 160), dtype=torch.uint8, generator=source)


def known_for(base: Base, faces: Tensor) -> Base:
    """The base, if it had learned from these faces."""
    return replace(base, known=type(base.known).of(latents(base.model, faces)))


def test_who_is_unfamiliar_is_named(shipped: Base) -> None:
    sentences = strangers(shipped, {"ada": noise(8)})
    assert len(sentences) == 1
    assert "ada's faces are far from those the base" in sentences[0]
    assert strangers(known_for(shipped, noise(60)), {"ada": noise(8)}) == []


def test_of_strangers_it_does_not_say_what_they_lack(shipped: Base) -> None:
    assert lacks(shipped, {"ada": noise(8)}) == []
    assert lacks(replace(shipped, readings=None), {"ada": noise(8)}) == []


@pytest.mark.parametrize(
    ("reached", "missing"),
    [
        ({}, []),
        ({"eyes shut": (0.0, 0.1), "mouth open": (0.05, 0.1)}, ["an open mouth", "shut eyes"]),
        ({"yaw": (-30.0, 30.0)}, []),
        ({"yaw": (-30.0, -10.0)}, ["the head turned to the picture's right"]),
        ({"yaw": (10.0, 30.0)}, ["the head turned to the picture's left"]),
    ],
)
def test_what_is_missing_is_named(
    shipped: Base,
    monkeypatch: pytest.MonkeyPatch,
    reached: dict[str, tuple[float, float]],
    missing: list[str],
) -> None:
    readings = shipped.readings
    assert readings is not None
    # Everybody does what usual people do, but for what is said here.
    spread = torch.linspace(0, 1, 40)
    read = readings.low + spread[:, None] * (readings.high - readings.low)
    for name, (low, high) in reached.items():
        read[:, readings.names.index(name)] = low + spread * (high - low)
    monkeypatch.setattr(type(readings), "read", lambda self, seen: read)
    base = known_for(shipped, noise(60))
    sentences = lacks(base, {"ada": noise(40)})
    told = f"The footage of ada hardly shows {', '.join(missing)}; more such footage"
    assert len(sentences) == (1 if missing else 0)
    assert not missing or sentences[0].startswith(told)

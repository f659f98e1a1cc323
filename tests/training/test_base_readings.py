from __future__ import annotations

import pytest
import torch

from understudy.training.base_readings import fit

NAMES = ("open", "shut", "still")


def made(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of which 20 numbers hold three traits, the last of which never changes."""
    source = torch.Generator().manual_seed(seed)
    truth = torch.rand(count, 3, generator=source)
    truth[:, 2] = 0.3
    mix = torch.randn(3, 20, generator=torch.Generator().manual_seed(9))
    return truth @ mix + 0.05 * torch.randn(count, 20, generator=source) + 2, truth


def test_what_is_in_the_latent_is_read_from_others() -> None:
    readings = fit(NAMES, *made(500, 0))
    latents, truth = made(200, 1)
    read = readings.read(latents)
    assert float((read - truth)[:, :2].abs().mean()) < 0.05
    assert readings.low[0] == pytest.approx(0.05, abs=0.03)
    assert readings.high[0] == pytest.approx(0.95, abs=0.03)
    agreement = readings.agreement(latents, truth)
    assert agreement["open"] > 0.95
    assert agreement["still"] == 0


def test_some_of_them_read_the_same() -> None:
    readings = fit(NAMES, *made(500, 0))
    latents, _ = made(10, 1)
    some = readings.only(["still", "open"])
    assert some.names == ("open", "still")
    assert torch.equal(some.read(latents), readings.read(latents)[:, [0, 2]])
    assert torch.equal(some.low, readings.low[[0, 2]])

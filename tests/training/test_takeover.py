from __future__ import annotations

import pytest
import torch
from torch import nn

from understudy.errors import SettingsError
from understudy.models.base import build
from understudy.training.takeover import take_encoder


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in module.state_dict().values()]


def same(before: list[torch.Tensor], module: nn.Module) -> bool:
    after = module.state_dict().values()
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("network", ["swift", "vae", "autoencoder"])
def test_the_encoder_comes_over_and_nothing_else(network: str) -> None:
    torch.manual_seed(0)
    source = build("autoencoder", 96, ("ada", "chen", "eva"))
    model = build(network, 96, ("ben",))
    before, decoders = weights(source), weights(model.decoders)
    take_encoder(model, source, "faces")
    assert same(weights(source.get_submodule("encoder")), model.get_submodule("encoder"))
    assert same(decoders, model.decoders)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert same(before, source)


@pytest.mark.parametrize(("network", "size"), [("swift", 160), ("original", 64)])
def test_an_encoder_of_another_shape_is_refused_and_nothing_changes(
    network: str, size: int
) -> None:
    torch.manual_seed(0)
    model = build(network, size, ("ben",))
    before = weights(model)
    with pytest.raises(SettingsError, match=r"encoder of faces \(autoencoder, 96 px\)"):
        take_encoder(model, build("autoencoder", 96, ("ada",)), "faces")
    assert same(before, model)

"""What is said of a network's layers, held against what its definition says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from understudy.evaluation.inspection.layers import Anatomy, dissect, kind, macs
from understudy.models.base import build

SIZES = {"swift": 96, "vae": 96, "autoencoder": 96, "original": 64}


def anatomy(network: str) -> Anatomy:
    torch.manual_seed(0)
    model = build(network, SIZES[network], ("ada", "chen")).eval().requires_grad_(False)
    return dissect(model, "chen", 2)


@pytest.fixture(scope="module")
def original() -> Anatomy:
    return anatomy("original")


@pytest.mark.slow
def test_original_is_as_its_description_says(original: Anatomy) -> None:
    # 69,662,976 in the encoder and 6,199,747 in each decoder; 1.9 GMAC for a face.
    assert original.parameters == {
        "encoder": 69_662_976,
        "decoder-ada": 6_199_747,
        "decoder-chen": 6_199_747,
    }
    assert sum(layer.parameters for layer in original.layers) == 69_662_976 + 6_199_747
    assert round((original.macs("encode") + original.macs("decode")) / 1e9, 1) == 1.9
    assert original.latent == (512, 8, 8)
    assert (original.narrowest.kind, original.narrowest.numbers) == ("Linear", 1024)
    convolutions = [one for one in original.layers if one.kind == "Conv2d 5x5 /2"]
    assert [one.shape for one in convolutions] == [
        (128, 32, 32),
        (256, 16, 16),
        (512, 8, 8),
        (1024, 4, 4),
    ]


def test_receptive_fields_follow_the_formula(original: Anatomy) -> None:
    # r grows by (kernel - 1) * product of the strides before: 5, 13, 29, then 61, of which the
    # unit from 17 to 77 lies in the picture of 64 pixels with 47.
    seen = [one.sees for one in original.layers if one.kind == "Conv2d 5x5 /2"]
    assert seen == [5, 13, 29, 47]
    assert all(one.sees == 64 for one in original.layers if one.phase == "decode")


def test_what_a_unit_draws_follows_the_formula(original: Anatomy) -> None:
    # Backwards from the picture: a 5x5 convolution, then 3x3 and doubling, three times.
    drawn = {one.name.split(".", 2)[2]: one.draws for one in original.layers[-11:]}
    assert drawn["4"] == drawn["3"] == 1
    assert drawn["2.2"] == 5
    assert (drawn["2.0"], drawn["1.2"], drawn["1.0"], drawn["0.2"]) == (6, 10, 12, 20)
    assert all(one.draws == 64 for one in original.layers if one.kind == "Linear")


@pytest.mark.parametrize("network", ["swift", "vae", "autoencoder"])
def test_every_network_can_be_taken_apart(network: str) -> None:
    found = anatomy(network)
    size = SIZES[network]
    assert found.latent == {"swift": (96, 6, 6), "vae": (16,), "autoencoder": (256,)}[network]
    assert found.narrowest.numbers == {"swift": 256, "vae": 16, "autoencoder": 256}[network]
    assert next(iter(found.parameters)) == "encoder"
    assert len(found.parameters) == (2 if network == "autoencoder" else 3)
    # Patches of 8 pixels, halved by a 3x3 convolution, seen by one more.
    assert [one.sees for one in found.layers if one.kind.startswith("Conv2d")][:3] == [8, 24, 56]
    assert found.layers[-1].draws == 4
    assert {one.sees for one in found.layers if one.phase == "decode"} == {size}
    phases = [one.phase for one in found.layers]
    assert phases == sorted(phases, reverse=True)
    shares = [one.share for one in found.layers]
    assert min(shares) >= 0
    assert sum(shares) <= 1 + 1e-6
    assert found.seconds > 0
    silent = [one.name for one in found.layers if one.draws == 0]
    assert silent == (["log_variance"] if network == "vae" else [])


def test_watching_leaves_no_trace() -> None:
    torch.manual_seed(0)
    model = build("vae", 96, ("ada",)).eval().requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    flags = torch.backends.mkldnn.enabled
    dissect(model, "ada", 1)
    assert torch.backends.mkldnn.enabled == flags
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    image, _ = model.swap(torch.rand(1, 3, 96, 96), "ada")
    assert bool(image.isfinite().all())


def test_multiplications_are_counted_by_hand() -> None:
    grouped = nn.Conv2d(8, 16, (3, 5), groups=4)
    assert macs(grouped, (16, 7, 9)) == 16 * 7 * 9 * 2 * 15
    assert macs(nn.Linear(10, 4), (4,)) == 40
    assert macs(nn.Linear(10, 4), (3, 4)) == 120
    assert macs(nn.LeakyReLU(), (4,)) == 0
    assert kind(grouped) == "Conv2d 3x5"
    assert kind(nn.Conv2d(1, 1, 5, stride=2)) == "Conv2d 5x5 /2"

"""`autoencoder` and `vae`: what they share with swift, and what is their own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from understudy.errors import SettingsError
from understudy.models.base import build
from understudy.models.vae import BETA, CODE, WARMUP, Vae, divergence, unevenness, weight


def network(name: str, size: int = 96, people: tuple[str, ...] = ("ada", "chen")) -> Any:
    torch.manual_seed(0)
    return build(name, size, people)


@pytest.mark.parametrize(("name", "width"), [("autoencoder", 256), ("vae", CODE)])
@pytest.mark.parametrize("size", [96, 128])
def test_the_latent_is_the_bottleneck(name: str, width: int, size: int) -> None:
    model = network(name, size)
    with torch.inference_mode():
        latent = model.encode(torch.rand(2, 3, size, size))
        image, mask = model.decode(latent, "chen")
    assert latent.shape == (2, width)
    assert image.shape == (2, 3, size, size)
    assert mask.shape == (2, 1, size, size)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_the_autoencoder_draws_alike_whoever_it_is_asked_for() -> None:
    model = network("autoencoder")
    latent = torch.randn(1, 256)
    with torch.inference_mode():
        ada, chen = model.decode(latent, "ada")[0], model.decode(latent, "chen")[0]
    assert torch.equal(ada, chen)
    assert list(model.parts()) == ["encoder", "decoder-common"]
    other = network("autoencoder")
    other.load_parts(model.parts())
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )


def test_the_autoencoder_says_that_it_cannot_swap() -> None:
    with pytest.raises(SettingsError, match="but not swap them"):
        network("autoencoder").check_swaps()
    network("vae").check_swaps()
    assert network("autoencoder").recipe.augmentation.doubles == 0


def test_both_share_the_encoder_of_swift() -> None:
    swift = network("swift")
    names = {key: value.shape for key, value in swift.encoder.state_dict().items()}
    for name in ("autoencoder", "vae"):
        own = network(name).encoder.state_dict()
        assert {key: value.shape for key, value in own.items()} == names
    images = torch.rand(1, 3, 96, 96)
    autoencoder = network("autoencoder")
    autoencoder.encoder.load_state_dict(swift.encoder.state_dict())
    with torch.inference_mode():
        widened = autoencoder.encoder.widen(autoencoder.encode(images))
        assert torch.equal(widened, swift.encode(images))


def test_divergence_is_that_of_the_distributions() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(3, 5), torch.randn(3, 5)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    exact = torch.distributions.kl_divergence(posterior, prior)
    assert torch.allclose(divergence(mean, log_variance), exact, atol=1e-5)
    assert float(divergence(torch.zeros(1, 4), torch.zeros(1, 4)).sum()) == 0


def test_divergence_agrees_with_drawing() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([[0.7]]), torch.tensor([[-1.2]])
    deviation = (0.5 * log_variance).exp()
    draws = mean + deviation * torch.randn(200_000, 1)
    under = -0.5 * ((draws - mean) / deviation) ** 2 - deviation.log()
    ratio = under + 0.5 * draws**2
    error = float(ratio.std()) / math.sqrt(len(draws))
    assert abs(float(ratio.mean()) - float(divergence(mean, log_variance))) < 5 * error


def test_unevenness_is_distance_from_unit_covariance() -> None:
    torch.manual_seed(0)
    many = torch.randn(50_000, 3)
    still = torch.full((50_000, 3), -20.0)
    assert float(unevenness(many, still)) < 1e-3
    assert float(unevenness(many * 0, still * 0)) < 1e-6
    # Three latents that say the same: every covariance is 1, six of them should be 0.
    alike = many[:, :1].expand(-1, 3)
    assert float(unevenness(alike, still)) == pytest.approx(6, rel=0.05)
    assert float(unevenness(many * 0, still)) == pytest.approx(3, rel=1e-3)


def test_the_weight_rises_and_stays() -> None:
    assert weight(0) == 0
    assert weight(WARMUP // 2) == pytest.approx(BETA / 2)
    assert weight(WARMUP) == weight(10 * WARMUP) == BETA


def test_training_draws_latents_from_the_seed_and_use_takes_their_mean() -> None:
    model: Vae = network("vae")
    images = torch.rand(2, 3, 96, 96)
    torch.manual_seed(5)
    first, terms = model.training_latent(images, WARMUP)
    torch.manual_seed(5)
    again, _ = model.training_latent(images, WARMUP)
    other, _ = model.training_latent(images, WARMUP)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mean, log_variance = model.posterior(images)
    assert torch.equal(model.encode(images), mean)
    nats = float(divergence(mean, log_variance).detach().sum(1).mean())
    assert float(terms["kl"].detach()) == pytest.approx(BETA * nats)
    assert model.look(images)["kl"] == pytest.approx(nats)


def test_draws_spread_as_the_variance_says() -> None:
    model: Vae = network("vae")
    with torch.no_grad():
        many = torch.rand(1, 3, 96, 96).expand(400, -1, -1, -1)
        mean, log_variance = model.posterior(many)
        drawn, _ = model.training_latent(many, 0)
    ratio = (drawn - mean).std(0) / (0.5 * log_variance[0]).exp()
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
    assert (ratio - 1).abs().max() < 0.25


@pytest.mark.parametrize("name", ["swift", "original", "autoencoder"])
def test_the_others_bring_no_term_of_their_own(name: str) -> None:
    model = network(name, 64 if name == "original" else 96)
    images = torch.rand(1, 3, model.size, model.size)
    latent, terms = model.training_latent(images, 10)
    assert terms == {}
    assert torch.equal(latent, model.encode(images))
    assert model.look(images) == {}

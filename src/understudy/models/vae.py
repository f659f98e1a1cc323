"""`vae`: a variational encoder before `swift`'s decoders, so that latents can be made up too.

The encoder gives a normal distribution for each picture, a mean and a variance for each of the
numbers of the latent, and training decodes a draw from it. The Kullback-Leibler
divergence from the standard normal distribution is part of the loss: it brings the latents of
all pictures together around zero, so that a draw from there, which no picture stands behind,
decodes to a face (Kingma and Welling, "Auto-encoding variational Bayes", 2014; Rezende, Mohamed
and Wierstra, 2014). In use the latent is the mean.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from understudy.models.swift import LATENT, Swift

CODE = 16
"""Numbers in a latent: few, so that faces fill the room around zero in all of them. With all 256
of the bottleneck, or 32, they lay on a thin sheet in it, and a draw from the prior missed them."""

BETA = 7e-4
"""Weight of the divergence, per nat, against a loss that is a mean over pixels (Higgins et al.,
"beta-VAE", 2017). Small, so that it does not silence the latents (posterior collapse): 15 of
16 stay active."""

EVEN = 8.0
"""Weight of `unevenness` against that of the divergence."""

WARMUP = 300
"""Steps over which the weight rises to `BETA`, in a line. Before the decoders can draw anything
the divergence would win, and the encoder would learn to say nothing (Bowman et al., "Generating
sentences from a continuous space", 2016)."""

ACTIVE = 0.01
"""A latent is active when its mean varies more than this over the data (Burda, Grosse and
Salakhutdinov, "Importance weighted autoencoders", 2016)."""

_LIMIT = 8.0


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normal distributions from the standard one, in nats.

    -1/2 sum(1 + log s^2 - m^2 - s^2); Kingma and Welling (2014), appendix B.

    Args:
        mean, log_variance: (N, D).

    Returns:
        (N, D), each at least 0.
    """
    return 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance)


def unevenness(mean: Tensor, log_variance: Tensor) -> Tensor:
    """How far the latents of all pictures together are from the prior's unit covariance: squared
    Frobenius distance, a scalar.

    The divergence looks at each picture and each latent for itself, so a few strong traits may
    lie across all latents, alike in each, and draws from the prior then fall beside every face
    (Kumar, Sattigeri and Balakrishnan, "Variational inference of disentangled latent concepts",
    2018, DIP-VAE-II).

    Args:
        mean, log_variance: (N, D), N >= 2.
    """
    middle = mean - mean.mean(0)
    covariance = middle.T @ middle / (len(mean) - 1) + torch.diag(log_variance.exp().mean(0))
    return ((covariance - torch.eye(mean.shape[1], device=mean.device)) ** 2).sum()


def weight(step: int) -> float:
    """Weight of the divergence in the step with this number, counted from 0."""
    return BETA * min(1.0, step / WARMUP)


class Vae(Swift):
    """The latent is (N, `CODE`), behind the bottleneck that all networks of this shape have."""

    network: ClassVar[str] = "vae"

    def __init__(self, size: int, people: tuple[str, ...]) -> None:
        super().__init__(size, people)
        self.mean = nn.Linear(LATENT, CODE)
        self.log_variance = nn.Linear(LATENT, CODE)
        self.widen = nn.Linear(CODE, LATENT)
        for layer, gain in ((self.mean, 0.5), (self.log_variance, 0.0), (self.widen, 1.0)):
            nn.init.xavier_normal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents of images (N, 3, size, size), float32 (N, CODE)."""
        bottleneck = self.encoder.squeeze(self.encoder.features(images))
        # Beyond the limit nothing changes any more but the risk of an overflow.
        log_variance = self.log_variance(bottleneck).float().clamp(-_LIMIT, _LIMIT)
        return self.mean(bottleneck).float(), log_variance

    def encode(self, images: Tensor) -> Tensor:
        """Images -> mean of the latent (N, CODE)."""
        return self.posterior(images)[0]

    def decode(self, latent: Tensor, person: str) -> tuple[Tensor, Tensor]:
        """Latent (N, CODE) -> image and mask by the decoder of `person`."""
        return super().decode(self.encoder.widen(self.widen(latent)), person)

    def training_latent(
        self, images: Tensor, step: int, known: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_variance = self.posterior(images)
        drawn = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        nats = divergence(mean, log_variance).sum(1).mean()
        terms = {"kl": weight(step) * nats}
        if len(mean) > 1:
            terms["uneven"] = EVEN * weight(step) * unevenness(mean, log_variance)
        return drawn, terms

    @torch.no_grad()
    def look(self, images: Tensor) -> dict[str, float]:
        """Divergence in nats, mean over images, and how many latents are active."""
        mean, log_variance = self.posterior(images)
        return {
            "kl": float(divergence(mean, log_variance).sum(1).mean()),
            "active latents": float((mean.var(0, correction=0) > ACTIVE).sum()),
        }

"""The base: weights of a network trained on many people, small enough for the package.

It is a `swift` with one decoder, that of the mean person: made from a `modulated` network. It
contains nothing with which one of its training people could be drawn. It is one file as in
`runtime.quantized_weights`; its description is in the metadata under "base", as JSON (schema 1):

    schema_version, network, size      to build it
    training                           what it was made from and how
    readings                           names of what can be read from its latents

A new `swift` of the same size starts with the base's encoder, and with its decoder for each person.

Besides its weights the base stores where its training faces are in latent space: their mean and
their principal directions, each divided by the faces' deviation along it. The distance of other
faces, in these units, separates unfamiliar footage from footage like its own (a Mahalanobis
distance; Lee et al., "A simple unified framework for detecting out-of-distribution samples", 2018,
with one class).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from understudy.errors import CheckpointError, SettingsError
from understudy.models.base import SwapModel
from understudy.models.modulated import Modulated
from understudy.models.swift import Swift
from understudy.runtime import files
from understudy.runtime.quantized_weights import quantised, read, restored, write
from understudy.training.augment import core
from understudy.training.base_readings import Readings

SHIPPED = Path(__file__).with_name("base.safetensors")
SHIPPED_SIZE = 128
"""The base in this package, and the side of its pictures."""

SCHEMA = 1
AT_ONCE = 64
MEAN = ("mean",)
KNOWN, READ = "known.", "readings."
READINGS = ("weight", "bias", "low", "high")
DIRECTIONS = 128
"""Largest number of stored principal directions of the latents of known faces."""

RARE = 0.01
"""Smallest deviation used, as a share of the largest."""

UNFAMILIAR = 1.25
"""Distance from which a person is outside of what a base knows. With the shipped base people that
it learned from lie at .9 to 1.1 in the median, synthetic people that it has not seen at .9 to 1.2,
eleven clips of real speakers at 1.3 to 1.6 but for one at 1.1, noise and faces that are moved or
upside down at 1.7 to 2.0."""


@dataclass(frozen=True)
class Known:
    """The distribution of known faces.

    Attributes:
        mean: float32 (LATENT,), of their latents.
        directions: float32 (K, LATENT): what they differ by, in units of their deviations.
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> Known:
        """Of the latents (N, LATENT) of known faces; some hundreds of them at least."""
        mean = latents.mean(0)
        _, lengths, directions = torch.linalg.svd(latents - mean, full_matrices=False)
        count = min(DIRECTIONS, len(latents) - 1)
        deviations = lengths[:count] / len(latents) ** 0.5
        deviations = deviations.clamp_min(float(RARE * deviations[0] + 1e-6))
        return cls(mean, directions[:count] / deviations[:, None])

    def distance(self, latents: Tensor) -> Tensor:
        """Of latents (N, LATENT): (N,), 1 for a usual face among the known ones."""
        along = (latents - self.mean) @ self.directions.T
        return along.square().mean(1).sqrt()


@dataclass(frozen=True)
class Base:
    """Attributes:
    model: one decoder, that of the mean person; in evaluation mode, without gradients.
    known: its training faces.
    readings: what can be read from its latents; None when it was made without labels.
    training: its inputs and settings, as JSON.
    sha256: of the file.
    """

    model: Swift
    known: Known
    readings: Readings | None
    training: dict[str, Any]
    sha256: str

    def distance(self, faces: Tensor) -> float:
        """Median distance of a person's faces from those the base was trained on.

        Args:
            faces: uint8 (N, 4, S', S') as `augment.planes` packs them.
        """
        return float(self.known.distance(latents(self.model, faces)).median())


@torch.inference_mode()
def latents(model: Swift, faces: Tensor) -> Tensor:
    """The encoder's latents of faces, uint8 (N, 4, S', S'): (N, LATENT)."""
    device = next(model.parameters()).device
    parts = [
        model.encoder.squeeze(model.encoder.features(core(part.to(device), model.size)[0]))
        for part in torch.split(faces, AT_ONCE)
    ]
    return torch.cat(parts).float().cpu()


def mean_person(source: Modulated) -> Swift:
    """The network with the one decoder of a base."""
    with torch.random.fork_rng(devices=[]):
        model = Swift(source.size, MEAN)
    model.encoder.load_state_dict(source.encoder.state_dict())
    mean = torch.stack([source.embedding(person) for person in source.people]).mean(0)
    model.decoders[0].load_state_dict(source.folded(mean))
    return model.eval().requires_grad_(False)


def write_base(
    path: Path, model: Swift, known: Known, readings: Readings | None, training: dict[str, Any]
) -> None:
    """Write a base.

    Args:
        model: as `mean_person` makes it.
        known, readings: of its latents.
        training: its inputs and settings, as JSON.

    Raises:
        StorageError
    """
    tensors = quantised(model.state_dict())
    tensors |= {KNOWN + key: value.contiguous() for key, value in vars(known).items()}
    if readings is not None:
        tensors |= {READ + key: getattr(readings, key).contiguous() for key in READINGS}
    about = {
        "schema_version": SCHEMA,
        "network": model.network,
        "size": model.size,
        "training": training,
        "readings": list(readings.names) if readings is not None else [],
    }
    write(path, "base", tensors, about)


def read_base(path: Path) -> Base:
    """Read a base.

    Raises:
        CheckpointError: it is missing, damaged, or from another version.
    """

    def unfit(why: str) -> CheckpointError:
        return CheckpointError(
            f"The base {path} cannot be used: {why}.",
            "Give a file that `understudy pretrain` made, or train with --base none.",
        )

    tensors, about = read(path, "base", SCHEMA, unfit)
    if about.get("network") != Swift.network:
        raise unfit("it is not a base for swift")
    digest = files.sha256(path)
    names = tuple(about.get("readings", ()))
    beside = [KNOWN + key for key in ("mean", "directions")]
    beside += [READ + key for key in READINGS] if names else []
    if any(name not in tensors for name in beside):
        raise unfit("the statistics of its training faces or its readings are missing")
    told = {name.partition(".")[2]: tensors.pop(name) for name in beside}
    try:
        with torch.random.fork_rng(devices=[]):
            model = Swift(about["size"], MEAN)
        model.load_state_dict(restored(tensors))
    except (KeyError, TypeError, RuntimeError, SettingsError) as error:
        raise unfit("it is incompatible with this version's networks") from error
    model = model.eval().requires_grad_(False)
    known = Known(told.pop("mean"), told.pop("directions"))
    readings = Readings(names, **told) if names else None
    return Base(model, known, readings, dict(about["training"]), digest)


def begin(models: Sequence[SwapModel], base: Base) -> None:
    """Copy the base's weights to a new `swift` of the base's size."""
    for model in models:
        model.get_submodule("encoder").load_state_dict(base.model.encoder.state_dict())
        for decoder in model.decoders:
            decoder.load_state_dict(base.model.decoders[0].state_dict())

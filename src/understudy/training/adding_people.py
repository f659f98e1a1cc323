"""Add people to a model or remove them: one decoder more or fewer, or training only decoders.

All functions split snapshots into parts and join the parts again (the encoder, and
one decoder for each person); weights that a function does not name are unchanged, to the
bit, and so is the optimiser's state for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from understudy.errors import SettingsError
from understudy.models.base import SwapModel
from understudy.models.checkpoint import Snapshot
from understudy.models.hashing import digest
from understudy.training.held_out_loss import measure

Weights = Mapping[str, Tensor]
First = Literal["alike", "mean", "scratch"]

MEASURED = 24
"""Number of faces used to choose the most similar decoder."""


def encoder_digest(model: SwapModel) -> str:
    """`digest` of what all people of a model share."""
    return digest(model.parts()["encoder"])


def check_decoders(network: type[SwapModel]) -> None:
    """Raises SettingsError when `network` has no separate decoder for each person."""
    if not network.swaps:
        raise SettingsError(
            f"An `{network.network}` has one decoder for all people; none can be added or removed.",
            "Use a model with a network that swaps, for example swift.",
        )


def first_decoder(model: SwapModel, faces: Tensor, first: First, seed: int) -> Weights:
    """Initial decoder of a new person.

    Args:
        model: to which the person is added; averaged weights.
        faces: of the person, uint8 (N, 4, S', S') as `augment.planes` packs them.
        first: "alike" copies the decoder that redraws these faces best, "mean" takes the mean of
            all decoders, "scratch" draws new weights from `seed`.
    """
    parts = model.parts()
    if first == "alike":
        places = torch.linspace(0, len(faces) - 1, min(len(faces), MEASURED)).long()
        some = faces[places.to(faces.device)]
        nearest = min(model.people, key=lambda person: measure(model, some, person).l1)
        return parts[f"decoder-{nearest}"]
    if first == "mean":
        all_of_them = [parts[f"decoder-{person}"] for person in model.people]
        return {
            name: torch.stack([one[name].float() for one in all_of_them]).mean(0).to(value.dtype)
            for name, value in all_of_them[0].items()
        }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(model)(model.size, ("new",)).parts()["decoder-new"]


def with_person(snapshot: Snapshot, person: str, decoder: Weights) -> Snapshot:
    """The snapshot with one more person, as the last; the optimiser has no state for them yet."""
    people = (*snapshot.model.people, person)
    part = f"decoder-{person}"
    parts = snapshot.model.parts() | {part: dict(decoder)}
    return _taken(snapshot, people, parts, {part: decoder}, {part: {}})


def without_person(snapshot: Snapshot, person: str) -> Snapshot:
    """The snapshot without one of its people; at least one must remain."""
    people = tuple(name for name in snapshot.model.people if name != person)
    return _taken(snapshot, people, snapshot.model.parts(), {}, {})


def only(snapshot: Snapshot, people: Sequence[str]) -> Snapshot:
    """Some people's decoders on the averaged encoder, which is the one in use."""
    parts = snapshot.model.parts() | {"encoder": snapshot.average.parts()["encoder"]}
    return _taken(snapshot, tuple(people), parts, {}, {})


def put_back(whole: Snapshot, part: Snapshot) -> Snapshot:
    """`whole` with the decoders that `only` took out as they are in `part`, whose settings and
    state hold from now on; everything else is `whole`'s."""
    names = [f"decoder-{person}" for person in part.model.people]
    own = part.model.by_part(part.optimizer)
    parts, averages = part.model.parts(), part.average.parts()
    made = _taken(
        whole,
        whole.model.people,
        whole.model.parts() | {name: parts[name] for name in names},
        {name: averages[name] for name in names},
        {name: own[name] for name in names},
    )
    return Snapshot(made.model, made.average, made.optimizer, part.settings, part.state)


def _taken(
    snapshot: Snapshot,
    people: tuple[str, ...],
    parts: Mapping[str, Weights],
    averages: Mapping[str, Weights],
    memory: Mapping[str, Weights],
) -> Snapshot:
    """A snapshot of `people` with these parts; averages and the optimiser's memory are the
    snapshot's where none are given."""
    averages = snapshot.average.parts() | dict(averages)
    memory = snapshot.model.by_part(snapshot.optimizer) | dict(memory)
    with torch.random.fork_rng(devices=[]):
        model, average = (type(snapshot.model)(snapshot.model.size, people) for _ in range(2))
    names = list(model.parts())
    model.load_parts({name: parts[name] for name in names})
    average.load_parts({name: averages[name] for name in names})
    kept = model.from_parts({name: memory[name] for name in names})
    return Snapshot(model, average, kept, snapshot.settings, snapshot.state)

"""Doubles: other people's faces instead of a person's own, as the network's input.

A network that only ever redraws people from their own pictures has never seen what conversion
will ask of it: one person's picture, the other's face. Left alone it learns to copy what differs
between people too, such as the distance of the eyes. So a share of the inputs is replaced: for a
face of A, a picture of B is taken with similar pose, lids, mouth and light, and its
mesh is moved to where B's would be with A's expression; the target is still A's own
picture. Everything is measured on the meshes stored by extraction; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from understudy.faces.masks import EYES_AND_BROWS, LIPS

NEAREST = 4
"""Number of pictures of another person from which a double is chosen."""

MOST = 16
"""Pictures of all others among which a double is drawn: of many people only those are taken who
look most like the face."""

LID_WEIGHT, LIP_WEIGHT = 5.0, 2.0
"""Of these mesh points against all others when looking for the nearest: moving a mesh bends a
mouth, but it cannot open an eye."""

LIGHT_WEIGHT = 0.7
"""Weight of the difference in shading against that in shape, both in units of their medians."""

SHADES = 5
"""Side in squares of the picture with which the shading of faces is compared."""

GRID = 20
"""Control points per side of the field that warps a picture."""

EVERY = 3
"""Every third mesh point shapes the field; they are dense enough."""

SPREAD = 0.031
"""Reach of a mesh point in that field, standard deviation as a share of the picture's side."""

GAIN = 3.0
"""Largest gain of a channel when a double takes on the light of a face."""

AT_ONCE = 512


@dataclass(frozen=True)
class _Person:
    """Attributes:
    crops: uint8 (N, 4, S', S').
    shape: float32 (N, 468, 2), landmarks as shares of the side.
    mean: float32 (468, 2), their mean.
    bent: float32 (N, 936), weighted distances from the mean, to compare by.
    light: float32 (N, 3), mean colour inside the mask in linear light.
    shade: float32 (N, SHADES * SHADES), brightness pattern, without its mean over N.
    """

    crops: Tensor
    shape: Tensor
    mean: Tensor
    bent: Tensor
    light: Tensor
    shade: Tensor


class Doubles:
    """Doubles for every face of every person.

    Args:
        crops: for each person uint8 (N, 4, S', S') as `augment.planes` packs them.
        landmarks: for each person float32 (N, 468, 2), pixels of these crops.
        learning: people for whom doubles are drawn; everyone when None. Others are only doubles.

    Needs at least two people.
    """

    def __init__(
        self,
        crops: Mapping[str, Tensor],
        landmarks: Mapping[str, Tensor],
        learning: Collection[str] | None = None,
    ) -> None:
        self._people = {name: _measure(crops[name], landmarks[name]) for name in crops}
        self._names = list(self._people)
        self._nearest = {
            name: _nearest(name, self._people)
            for name in self._names
            if learning is None or name in learning
        }

    def draw(self, person: str, rows: Tensor, source: torch.Generator) -> Tensor:
        """One double for each face.

        Args:
            rows: int64 (n,), rows of the person's crops.
            source: on the CPU.

        Returns:
            uint8 (n, 3, S', S'): pictures of other people, with the shape of B under A's
            expression and pose.
        """
        own, nearest = self._people[person], self._nearest[person][rows]
        place = torch.randint(nearest.shape[1], (len(rows), 1, 1), generator=source)
        who, found = nearest.take_along_dim(place, 1)[:, 0].unbind(1)
        result = torch.empty_like(own.crops[:1, :3]).expand(len(rows), -1, -1, -1).clone()
        for number in sorted(set(who.tolist())):
            some = torch.nonzero(who == number).flatten()
            drawn = _move(own, rows[some], self._people[self._names[number]], found[some])
            result[some.to(result.device)] = drawn
        return result


def _measure(crops: Tensor, landmarks: Tensor) -> _Person:
    shape = (landmarks.float() + 0.5) / crops.shape[-1]
    light, shade = [], []
    for part in torch.split(crops, AT_ONCE):
        values = part.float() / 255
        inside = (values[:, 3:] > 0.5).float()
        area = inside.sum((2, 3)).clamp_min(1)
        light.append((values[:, :3] ** 2.2 * inside).sum((2, 3)) / area)
        grey = values[:, :3].mean(1, keepdim=True) * inside
        squares = functional.adaptive_avg_pool2d(grey, SHADES)
        squares = squares / (functional.adaptive_avg_pool2d(inside, SHADES) + 0.05)
        pattern = squares.flatten(1)
        shade.append(pattern / pattern.mean(1, keepdim=True).clamp_min(1e-3))
    patterns = torch.cat(shade).cpu()
    weights = torch.ones(shape.shape[1], 1)
    for lids in EYES_AND_BROWS[:2]:
        weights[torch.from_numpy(lids)] = LID_WEIGHT
    weights[torch.from_numpy(LIPS)] = LIP_WEIGHT
    mean = shape.mean(0)
    return _Person(
        crops,
        shape,
        mean,
        ((shape - mean) * weights).flatten(1),
        torch.cat(light).cpu(),
        patterns - patterns.mean(0),
    )


def _nearest(name: str, people: Mapping[str, _Person]) -> Tensor:
    """int64 (N, at most MOST, 2): for each face of `name` the nearest faces of the others, at most
    NEAREST of each of them, as the other's place among `people` and the row."""
    one = people[name]
    units: tuple[float, float] | None = None
    kept = []
    for bent, shade in zip(
        torch.split(one.bent, AT_ONCE), torch.split(one.shade, AT_ONCE), strict=True
    ):
        distances, places = [], []
        for number, (other_name, other) in enumerate(people.items()):
            if other_name == name:
                continue
            by_shape, by_light = torch.cdist(bent, other.bent), torch.cdist(shade, other.shade)
            if units is None:
                units = float(by_shape.median()), float(by_light.median())
            distance = by_shape / max(units[0], 1e-6)
            distance = distance + LIGHT_WEIGHT * by_light / max(units[1], 1e-6)
            near = distance.topk(min(NEAREST, distance.shape[1]), largest=False)
            distances.append(near.values)
            places.append(torch.stack((torch.full_like(near.indices, number), near.indices), 2))
        far, found = torch.cat(distances, 1), torch.cat(places, 1)
        best = far.topk(min(MOST, far.shape[1]), largest=False).indices
        kept.append(found.take_along_dim(best[..., None], 1))
    return torch.cat(kept)


def _move(own: _Person, rows: Tensor, other: _Person, found: Tensor) -> Tensor:
    """Pictures `found` of `other`, moved to the expression and light of `rows` of `own`."""
    side, device = other.crops.shape[-1], other.crops.device
    here = other.shape[found][:, ::EVERY]
    there = (other.mean + own.shape[rows] - own.mean)[:, ::EVERY]
    line = (torch.arange(GRID) + 0.5) / GRID
    pull = torch.exp(-((there[..., None] - line) ** 2) / (2 * SPREAD**2))
    across, down = pull.unbind(2)
    moves = torch.cat((here - there, torch.ones_like(here[..., :1])), dim=2)
    sums = (down[:, :, None] * moves[..., None]).flatten(2).transpose(1, 2) @ across
    x, y, weight = sums.view(-1, 3, GRID, GRID).unbind(1)
    field = torch.stack((x, y), 1) / (weight[:, None] + 1e-3)
    fine = functional.interpolate(field, size=(side, side), mode="bilinear", align_corners=False)
    straight = functional.affine_grid(
        torch.eye(2, 3).expand(len(rows), -1, -1), [len(rows), 1, side, side], align_corners=False
    )
    grid = (straight + 2 * fine.permute(0, 2, 3, 1)).to(device)
    pictures = other.crops[found.to(device), :3].float() / 255
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    gain = (own.light[rows] / own.light.median(0).values.clamp_min(1e-4)) / (
        other.light[found] / other.light.median(0).values.clamp_min(1e-4)
    ).clamp_min(1e-4)
    gain = gain.clamp(1 / GAIN, GAIN) ** (1 / 2.2)
    return (moved * gain.to(device)[:, :, None, None] * 255).round().clamp(0, 255).byte()

"""The network `swift`: shapes at every size, what belongs to whom, and that it learns."""

from __future__ import annotations

import pytest
import torch

from understudy.models.base import build
from understudy.models.focus import around_eyes
from understudy.models.swift import Swift


@pytest.mark.parametrize("size", Swift.sizes)
def test_shapes_and_ranges_at_every_size(size: int) -> None:
    torch.manual_seed(0)
    model = build("swift", size, ("ada", "chen"))
    with torch.inference_mode():
        image, mask = model.swap(torch.rand(1, 3, size, size), "chen")
    assert image.shape == (1, 3, size, size)
    assert mask.shape == (1, 1, size, size)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1


def test_every_person_has_a_decoder_of_their_own_and_nothing_else() -> None:
    model = build("swift", 128, ("ada", "ben", "chen"))
    parts = model.parts()
    assert set(parts) == {"encoder", "decoder-ada", "decoder-ben", "decoder-chen"}
    sizes = {name: sum(v.numel() for v in part.values()) for name, part in parts.items()}
    assert sizes["decoder-ada"] == sizes["decoder-ben"] < 2_500_000
    assert sizes["encoder"] < 10_000_000


def test_it_learns_one_picture_and_where_the_face_is() -> None:
    torch.manual_seed(0)
    model = build("swift", 96, ("ada",))
    line = torch.linspace(-1, 1, 96)
    radius = (line[:, None] ** 2 + line[None] ** 2).sqrt()
    face = (radius < 0.6).float().view(1, 1, 96, 96)
    target = torch.stack((0.8 - 0.4 * radius, 0.5 + 0.2 * line.expand(96, 96), radius * 0.4))
    target = target.clamp(0, 1)[None]
    optimizer = model.optimizer(dict(model.named_parameters()))
    first = last = 0.0
    for _ in range(120):
        image, mask = model.swap(target, "ada")
        loss = torch.stack(list(model.loss(image, mask, target, face).values())).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        first, last = first or float(loss.detach()), float(loss.detach())
    assert last < 0.4 * first
    with torch.inference_mode():
        image, mask = model.swap(target, "ada")
    assert float(((mask > 0.5).float() - face).abs().mean()) < 0.03
    assert float(((image - target).abs() * face).mean() / face.mean()) < 0.06


def test_detail_is_asked_of_skin_and_not_of_eyes() -> None:
    model = build("swift", 96, ("ada",))
    face, plain = torch.ones(1, 1, 96, 96), torch.full((1, 3, 96, 96), 0.5)
    stripes = plain.clone()
    stripes[..., ::2] += 0.2

    def asked(where: torch.Tensor) -> float:
        drawn = torch.where(where > 0.99, stripes, plain)
        return float(model.loss(drawn, face, plain, face)["texture"])

    eyes = around_eyes(96)
    assert (eyes > 0.99).sum() > 100
    assert asked(eyes) < 0.05 * asked(1 - eyes)
    assert asked(eyes) < 0.2 * asked(eyes.roll(25, 2))

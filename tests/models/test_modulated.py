from __future__ import annotations

import pytest
import torch

from understudy.errors import SettingsError
from understudy.models.modulated import EMBEDDING, TOLD, Modulated
from understudy.models.swift import Swift

PEOPLE = ("ada", "ben", "chen")


@pytest.fixture(scope="module")
def model() -> Modulated:
    torch.manual_seed(0)
    return Modulated(96, PEOPLE)


def test_a_person_is_an_embedding_and_all_else_is_shared(model: Modulated) -> None:
    parts = model.parts()
    for person in PEOPLE:
        assert {k: tuple(v.shape) for k, v in parts[f"decoder-{person}"].items()} == {
            "embedding": (EMBEDDING,)
        }
    assert any(key.startswith("trunk.") for key in parts["encoder"])


def test_a_person_can_be_folded_into_a_decoder_of_swift(model: Modulated) -> None:
    swift = model.plain()
    assert type(swift) is Swift
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        for person in PEOPLE:
            image, mask = model.swap(images, person)
            other, shape = swift.swap(images, person)
            assert image.shape == (2, 3, 96, 96)
            assert mask.shape == (2, 1, 96, 96)
            assert torch.allclose(image, other, atol=1e-6)
            assert torch.allclose(mask, shape, atol=1e-6)


def test_people_differ_by_their_embeddings_alone(model: Modulated) -> None:
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        latent = model.encode(images)
        ada, chen = (model.decode(latent, person)[0] for person in ("ada", "chen"))
        assert float((ada - chen).abs().max()) > 1e-3
        same = Modulated(96, PEOPLE)
        same.load_state_dict(model.state_dict())
        same.embedding("chen").copy_(same.embedding("ada"))
        assert torch.equal(same.decode(latent, "chen")[0], same.decode(latent, "ada")[0])


def test_only_who_is_in_a_step_learns_from_it(model: Modulated) -> None:
    model.zero_grad(set_to_none=True)
    images = [torch.rand(1, 3, 96, 96), torch.rand(2, 3, 96, 96)]
    drawn, _ = model(images, 0, ["chen", "ada"])
    assert [len(image) for image, _ in drawn] == [1, 2]
    torch.autograd.backward(torch.stack([image.mean() for image, _ in drawn]).sum())
    learned = {person for person in PEOPLE if model.embedding(person).grad is not None}
    assert learned == {"ada", "chen"}
    assert model.trunk.head.weight.grad is not None


def test_nobody_else_can_be_drawn(model: Modulated) -> None:
    with pytest.raises(SettingsError, match="not trained on eve"):
        model.embedding("eve")


def test_the_first_latents_learn_what_is_known(model: Modulated) -> None:
    images = torch.rand(3, 3, 96, 96)
    plain, nothing = model.training_latent(images, 0)
    assert nothing == {}
    first = model.encoder.squeeze(model.encoder.features(images)).detach()
    known = torch.stack((first[:, 0] + 1, first[:, 1] - 2), 1)
    known[2] = torch.nan
    latent, terms = model.training_latent(images, 0, known)
    assert torch.equal(latent, plain)
    # Four of the six numbers are known: 1, 1, 4 and 4 apart.
    assert float(terms["known"].detach()) == pytest.approx(TOLD * 2.5, rel=1e-4)
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(terms["known"])
    slopes = model.encoder.squeeze.weight.grad
    assert slopes is not None
    assert slopes.isfinite().all()
    assert slopes[:2].abs().amax() > 0
    assert slopes[2:].abs().amax() == 0


def test_eyes_weigh_more_than_in_swift(model: Modulated) -> None:
    swift = Swift(96, ("ada",))
    ratio = model.focus / swift.focus
    assert float(ratio.max()) == pytest.approx(3)
    assert float(ratio[0, 0, 30, 31]) == pytest.approx(3)

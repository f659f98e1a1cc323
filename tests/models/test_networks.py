from __future__ import annotations

import pytest
import torch

from understudy.errors import SettingsError, UnknownModel
from understudy.models.base import build
from understudy.models.original import Original


@pytest.fixture(scope="module")
def original() -> Original:
    torch.manual_seed(0)
    return Original(64, ("ada", "chen"))


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_original_has_the_parameters_of_the_first_release(original: Original) -> None:
    assert count(original.encoder) == 69_662_976
    assert [count(decoder) for decoder in original.decoders] == [6_199_747, 6_199_747]
    assert count(original) == 82_062_470


def test_original_draws_images_and_a_full_mask(original: Original) -> None:
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        latent = original.encode(images)
        image, mask = original.decode(latent, "chen")
        other, _ = original.decode(latent, "ada")
    assert latent.shape == (2, 512, 8, 8)
    assert image.shape == (2, 3, 64, 64)
    assert float(image.min()) > 0
    assert float(image.max()) < 1
    assert torch.equal(mask, torch.ones(2, 1, 64, 64))
    assert not torch.allclose(image, other)


def test_original_follows_the_published_recipe(original: Original) -> None:
    recipe = original.recipe
    assert (recipe.batch, recipe.learning_rate, recipe.betas) == (16, 5e-5, (0.9, 0.999))
    assert not recipe.bfloat16
    assert not recipe.cosine
    assert recipe.weight_decay == 0
    assert recipe.augmentation.warp == 5 / 256
    assert recipe.augmentation.color == "lab"


def test_forward_gives_each_person_their_own_decoder(original: Original) -> None:
    first, second = torch.rand(1, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        drawn, terms = original([first, second])
        swapped = original.swap(second, "chen")[0]
    assert [len(image) for image, _ in drawn] == [1, 2]
    assert terms == {}
    assert torch.allclose(drawn[1][0], swapped, atol=1e-5)


def test_parts_divide_the_weights_by_owner_and_load_again(original: Original) -> None:
    parts = original.parts()
    assert list(parts) == ["encoder", "decoder-ada", "decoder-chen"]
    assert sum(t.numel() for part in parts.values() for t in part.values()) == count(original)
    other = Original(64, ("ada", "chen"))
    other.load_parts(parts)
    assert all(
        torch.equal(a, b) for a, b in zip(original.parameters(), other.parameters(), strict=True)
    )


def test_what_cannot_be_built_is_said_clearly(original: Original) -> None:
    with pytest.raises(UnknownModel, match="swift, original"):
        build("orignal", 64, ("ada", "chen"))
    with pytest.raises(SettingsError, match="128 pixels"):
        build("original", 128, ("ada", "chen"))
    with pytest.raises(SettingsError, match="different names"):
        build("original", 64, ("ada", "ada"))
    with pytest.raises(SettingsError, match="not trained on eve"):
        original.decoder("eve")

from __future__ import annotations

import numpy as np
import pytest
import torch

from understudy.models.recipe import Augmentation, Color
from understudy.training.augment import augment, core, generator, planes

STILL = Augmentation(rotation=0, zoom=0, shift=0, flip=0, color="none", warp=0)


def crops(count: int = 3, side: int = 80) -> torch.Tensor:
    """Smooth pictures with a disc as the face."""
    y, x = np.mgrid[:side, :side] / side
    images = np.stack(
        [
            np.stack([x, y, 0.5 + 0.5 * np.sin(6 * x + number)], axis=2) * 255
            for number in range(count)
        ]
    ).astype(np.uint8)
    disc = (((x - 0.5) ** 2 + (y - 0.5) ** 2) < 0.09).astype(np.uint8) * 255
    return planes(images, np.repeat(disc[None], count, axis=0))


def test_planes_keep_every_byte() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    masks = np.random.default_rng(1).integers(0, 256, (2, 5, 5), np.uint8)
    packed = planes(images, masks)
    assert packed.shape == (2, 4, 5, 5)
    assert np.array_equal(packed[:, :3].permute(0, 2, 3, 1).numpy(), images)
    assert np.array_equal(packed[:, 3].numpy(), masks)


def test_without_variation_the_core_comes_out_as_it_is() -> None:
    packed = crops()
    batch = augment(packed, 64, STILL, generator(0, 0, 0))
    image, mask = core(packed, 64)
    assert torch.allclose(batch.input, image, atol=1e-4)
    assert torch.allclose(batch.target, image, atol=1e-4)
    assert torch.allclose(batch.mask, mask, atol=1e-4)


@pytest.mark.parametrize("color", ["matrix", "lab", "none"])
def test_the_same_seed_and_step_give_the_same_batch(color: Color) -> None:
    how = Augmentation(color=color)
    first = augment(crops(), 64, how, generator(7, 5, 0))
    again = augment(crops(), 64, how, generator(7, 5, 0))
    assert torch.equal(first.input, again.input)
    assert torch.equal(first.target, again.target)
    for other in (generator(8, 5, 0), generator(7, 6, 0), generator(7, 5, 1)):
        assert not torch.equal(first.input, augment(crops(), 64, how, other).input)


@pytest.mark.parametrize("color", ["matrix", "lab", "none"])
def test_values_stay_in_range_and_the_pictures_differ(color: Color) -> None:
    packed = crops(1).repeat(8, 1, 1, 1)
    batch = augment(packed, 64, Augmentation(color=color), generator(1, 1, 0))
    for values in (batch.input, batch.target, batch.mask):
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1
    assert all(not torch.equal(batch.target[0], batch.target[n]) for n in range(1, 8))


def test_only_the_input_is_warped() -> None:
    how = Augmentation(rotation=0, zoom=0, shift=0, flip=0, color="none", warp=5 / 256)
    packed = crops()
    batch = augment(packed, 64, how, generator(2, 0, 0))
    image, mask = core(packed, 64)
    assert torch.allclose(batch.target, image, atol=1e-4)
    assert torch.allclose(batch.mask, mask, atol=1e-4)
    moved = (batch.input - image).abs().mean()
    assert 0.002 < float(moved) < 0.1


def test_colour_leaves_the_mask_alone_and_is_shared_by_input_and_target() -> None:
    how = Augmentation(rotation=0, zoom=0, shift=0, flip=0, color="matrix", warp=0)
    packed = crops()
    batch = augment(packed, 64, how, generator(3, 0, 0))
    image, mask = core(packed, 64)
    assert torch.allclose(batch.mask, mask, atol=1e-4)
    assert torch.allclose(batch.input, batch.target, atol=1e-4)
    assert float((batch.target - image).abs().mean()) > 0.01


def test_a_flip_mirrors_exactly() -> None:
    how = Augmentation(rotation=0, zoom=0, shift=0, flip=1, color="none", warp=0)
    packed = crops()
    batch = augment(packed, 64, how, generator(4, 0, 0))
    assert torch.allclose(batch.target, core(packed, 64)[0].flip(3), atol=1e-4)


def test_landmarks_follow_the_target() -> None:
    side, size = 80, 64
    points = torch.tensor([[30.0, 33.0], [50.0, 35.0], [41.0, 52.0]])
    packed = torch.zeros(6, 4, side, side, dtype=torch.uint8)
    for channel, (x, y) in enumerate(points.int().tolist()):
        packed[:, channel, y - 1 : y + 2, x - 1 : x + 2] = 255
    how = Augmentation(color="none")
    batch = augment(packed, size, how, generator(5, 0, 0))
    moved = batch.landmarks(points.expand(6, 3, 2))
    grid = torch.arange(size, dtype=torch.float32)
    for number in range(6):
        for channel in range(3):
            weights = batch.target[number, channel]
            x = float((weights.sum(0) * grid).sum() / weights.sum())
            y = float((weights.sum(1) * grid).sum() / weights.sum())
            assert (x, y) == pytest.approx(moved[number, channel].tolist(), abs=0.15)


def test_crops_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        augment(crops().float(), 64, STILL, generator(0, 0, 0))
    with pytest.raises(ValueError, match="smaller"):
        augment(crops(side=48), 64, STILL, generator(0, 0, 0))

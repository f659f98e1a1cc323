"""What the network for things in front of faces is made from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tools.mask_network.covered import (
    CROP,
    DRAWN,
    HAIR,
    STRAIGHT,
    Bare,
    Things,
    jitter,
    labelled,
    sample,
)
from tools.mask_network.film_look import film_like, harsh, varied, washed
from tools.mask_network.train import apart, batch, loss, normed, packed, plain

from tools.mask_network import occluders, worn
from understudy.faces.align import alignment, transform_points
from understudy.faces.masks import face_mask
from understudy.faces.occlusion import SIDE, OcclusionNet
from understudy.faces.pose import reference


@pytest.fixture(scope="module")
def bare() -> Bare:
    """Two plain faces on grey, the second with hair over its brow."""
    head = (reference().points * 70 + np.array([100, 100, 0])).astype(np.float32)
    mesh = transform_points(alignment(head, CROP), head)
    masks = np.stack([np.rint(255 * face_mask(mesh, CROP, 0.0)).astype(np.uint8)] * 2)
    masks[1, 40:62] = 0
    pictures = np.full((2, CROP, CROP, 3), 90, np.uint8)
    pictures[masks > 127] = (200, 160, 140)
    return labelled(pictures, masks, np.stack([mesh] * 2))


def test_drawings_hang_on_the_seed_alone_and_are_neither_empty_nor_everything() -> None:
    draws = {name: draw for name, (draw, _) in DRAWN.items()} | occluders.UNSEEN
    for draw in draws.values():
        for seed in range(4):
            one, other = (draw(np.random.default_rng(seed)) for _ in range(2))
            np.testing.assert_array_equal(one.colour, other.colour)
            np.testing.assert_array_equal(one.alpha, other.alpha)
        shares = [(draw(np.random.default_rng(seed)).alpha > 127).mean() for seed in range(12)]
        assert 0.005 < np.mean(shares) < 0.6


def test_skin_is_coloured_like_its_owner() -> None:
    drawing = occluders.hand(np.random.default_rng(5))
    skin = np.array([210.0, 150.0, 120.0])
    rgb, alpha = occluders.placed(drawing, skin, CROP, np.random.default_rng(2))
    found = np.median(rgb[alpha > 0.9], axis=0)
    assert np.abs(found / skin - found.mean() / skin.mean()).max() < 0.15


def test_hair_is_where_the_mesh_sees_face_and_the_mask_none(bare: Bare) -> None:
    assert not (bare.kinds[0] == HAIR).any()
    assert (bare.kinds[1] == HAIR).sum() > 200
    assert np.abs(bare.skins[0] - [200, 160, 140]).max() < 1


def test_the_truth_is_what_was_laid_and_the_rest_of_the_face_shows(bare: Bare) -> None:
    alpha = np.zeros((CROP, CROP), np.float32)
    alpha[70:90] = 1
    laid = [(np.zeros((CROP, CROP, 3), np.float32), alpha, alpha)]
    for seed in range(8):
        one = sample(bare, 0, laid, np.random.default_rng(seed), STRAIGHT, worn=False)
        edge = (CROP - SIDE) // 2
        face = bare.masks[0][edge:-edge, edge:-edge] == 255
        bar = np.zeros((SIDE, SIDE), bool)
        bar[74 - edge : 86 - edge] = True
        away = np.ones((SIDE, SIDE), bool)
        away[48 - edge : 112 - edge] = False
        assert one.covered[bar].min() > 0.3
        assert one.weight[bar].min() == 1
        assert one.covered[face & away].max() < 0.05
        assert one.shown[face & away].min() > 0.95
        assert (one.shown + one.laid).max() < 1.001


def test_a_step_is_the_same_each_time_and_another_step_is_not(bare: Bare) -> None:
    things = Things.drawn(2, np.random.default_rng(0))
    one, same, other = (batch([bare], things, 4, step) for step in (1, 1, 2))
    pictures, truths, weights = packed(one)
    assert pictures.shape == (len(one), 3, SIDE, SIDE)
    assert truths.shape == weights.shape == (len(one), 2, SIDE, SIDE)
    assert torch.equal(pictures, packed(same)[0])
    assert not torch.equal(pictures, packed(other)[0])
    assert float(truths.min()) >= -1e-6
    assert float(truths.max()) <= 1 + 1e-6


def test_the_right_answer_costs_nothing_and_the_wrong_one_much() -> None:
    truth = torch.zeros(1, 2, 8, 8)
    truth[:, :, :4] = 1
    weight = torch.ones_like(truth)
    assert float(loss(40 * truth - 20, truth, weight)) < 1e-3
    assert float(loss(20 - 40 * truth, truth, weight)) > 10
    half = weight.clone()
    half[:, :, 4:] = 0
    assert float(loss(torch.full_like(truth, 20), truth, half)) < 1e-3


def test_normalisation_is_worked_into_the_weights() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = normed(OcclusionNet()).train()
        for _ in range(3):
            net(torch.rand(4, 3, 64, 64))
        pictures = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        learned, made = net.eval()(pictures), plain(net)(pictures)
    assert torch.allclose(learned, made, atol=1e-3)


def test_six_are_kept_aside() -> None:
    names = [f"id{number:03d}" for number in range(72)]
    assert apart(names) == [names[number] for number in (0, 12, 24, 36, 48, 60)]


def test_crops_are_turned_about_their_middle() -> None:
    for seed in range(10):
        matrix = jitter(np.random.default_rng(seed))
        middle = matrix[:, :2] @ np.full(2, (SIDE - 1) / 2) + matrix[:, 2]
        assert np.abs(middle - (CROP - 1) / 2).max() <= 0.05 * SIDE
        assert 0.8 < abs(np.linalg.det(matrix[:, :2])) < 1.25


def test_glare_lies_on_the_face_alone(bare: Bare) -> None:
    picture = bare.pictures[0].astype(np.float32)
    mask, mesh, skin = bare.masks[0], bare.meshes[0], bare.skins[0]
    changed = np.zeros(mask.shape, bool)
    for seed in range(12):
        random = np.random.default_rng(seed)
        changed |= np.abs(washed(picture, mask, mesh, skin, random) - picture).max(2) > 0
    assert not changed[mask == 0].any()
    assert changed[mask == 255].mean() > 0.3


def test_a_render_made_like_film_stays_a_picture(bare: Bare) -> None:
    picture = bare.pictures[0].astype(np.float32)
    for seed in range(12):
        random = np.random.default_rng(seed)
        skin = varied(harsh(picture, random), bare.meshes[0], random)
        assert skin.shape == picture.shape
        assert 0 <= skin.min() <= skin.max() <= 255
        image = film_like(bare.pictures[0], random)
        assert image.shape == bare.pictures[0].shape
        assert image.dtype == np.uint8


def test_glasses_and_cloth_lie_where_the_mesh_says(bare: Bare) -> None:
    mesh = bare.meshes[0]
    eyes, mouth = mesh[[33, 133, 362, 263]].mean(0), mesh[[13, 14]].mean(0)
    for seed in range(8):
        _, alpha, solid = worn.glasses(mesh, CROP, np.random.default_rng(seed))
        assert (solid <= alpha + 0.3).all()
        rows = np.flatnonzero((solid > 0.5).any(1))
        assert rows.min() < eyes[1] + 10 < rows.max() + 12
        assert solid[round(float(mouth[1])) + 5 :].max() == 0
        _, cloth = worn.scarf(mesh, CROP, np.random.default_rng(seed))
        assert cloth[round(float(mesh[200, 1])), round(float(mesh[200, 0]))] == 1
        assert cloth[: round(float(eyes[1]))].max() == 0

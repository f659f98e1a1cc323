from __future__ import annotations

import numpy as np
import torch

from tests.support.tiny_network import Tiny
from understudy.training.preview_sheet import CAPTION, GAP, TILE, pixels, sheet


def model(*people: str) -> Tiny:
    torch.manual_seed(0)
    return Tiny(64, people).eval()


def test_a_sheet_shows_source_redrawn_swaps_and_mask() -> None:
    network = model("ada", "chen", "eve")
    source = torch.Generator().manual_seed(0)
    faces = {person: torch.rand(2, 3, 64, 64, generator=source) for person in network.people}
    picture = sheet(network, faces)
    assert picture.shape == (3 * (2 * (TILE + GAP) + CAPTION), 5 * (TILE + GAP), 3)
    with torch.no_grad():
        again, _ = network.swap(faces["ada"], "ada")
        swapped, mask = network.swap(faces["ada"], "chen")
    columns = [faces["ada"], again, swapped, network.swap(faces["ada"], "eve")[0]]
    columns.append(mask.expand(-1, 3, -1, -1))
    for number, expected in enumerate(columns):
        left = number * (TILE + GAP)
        tile = picture[CAPTION : CAPTION + TILE, left : left + TILE]
        assert np.array_equal(tile[::2, ::2], pixels(expected)[0])


def test_one_person_alone_has_a_sheet_too() -> None:
    picture = sheet(model("ada"), {"ada": torch.rand(1, 3, 64, 64)})
    assert picture.shape == (TILE + GAP + CAPTION, 3 * (TILE + GAP), 3)


def test_pixels_are_rounded_and_cut() -> None:
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert pixels(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]

"""Preview sheets show swaps as conversion draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.noise_facesets import write_faceset
from tests.support.tiny_network import Tiny
from understudy.conversion.rehearsal import SIDE, Rehearsal
from understudy.errors import CheckpointError
from understudy.faces.align import CORE
from understudy.faces.masks import face_mask
from understudy.facesets.faceset import Faceset
from understudy.models.gallery import path_of, write
from understudy.settings import ConvertSettings
from understudy.training.gallery_choice import gallery_of
from understudy.training.preview_sheet import CAPTION, DETAILED, GAP, sheet

ROWS = np.array([1, 3])
PLAIN = ConvertSettings(grain=0)
CPU = torch.device("cpu")


@pytest.fixture
def facesets(tmp_path: Path) -> dict[str, Faceset]:
    return {
        name: Faceset.open(write_faceset(tmp_path / name, [-10, 0, 5, 10], side=192, seed=seed))
        for seed, name in enumerate(("ada", "chen"))
    }


@pytest.fixture
def folder(tmp_path: Path, facesets: dict[str, Faceset]) -> Path:
    """Of a model with a gallery of ada alone."""
    (tmp_path / "duo").mkdir()
    write(path_of(tmp_path / "duo", "ada"), gallery_of(facesets["ada"]), "here")
    return tmp_path / "duo"


def model() -> Tiny:
    torch.manual_seed(0)
    return Tiny(64, ("ada", "chen")).eval()


def rehearsal(folder: Path, facesets: dict[str, Faceset], detail: float = 1.0) -> Rehearsal:
    settings = PLAIN.model_copy(update={"detail": detail})
    return Rehearsal(folder, facesets, dict.fromkeys(facesets, ROWS), settings, CPU)


OTHERS = {"ada": ["chen"], "chen": ["ada"]}


def test_whoever_has_a_gallery_comes_into_held_out_pictures(
    folder: Path, facesets: dict[str, Faceset]
) -> None:
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    strides = [value.stride() for value in network.state_dict().values()]
    found = rehearsal(folder, facesets).draw(network, OTHERS)
    assert {goes: one.comes for goes, one in found.items()} == {"chen": "ada"}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert [value.stride() for value in network.state_dict().values()] == strides
    edge = round((1 - CORE) / 2 * SIDE)
    arrays = facesets["chen"].load(SIDE, core=False, rows=ROWS.tolist())
    core = slice(edge, SIDE - edge)
    again = rehearsal(folder, facesets).draw(network, OTHERS)["chen"].pictures
    for image, points, drawn, same in zip(
        arrays.images, arrays.landmarks, found["chen"].pictures, again, strict=True
    ):
        assert drawn.shape == (SIDE - 2 * edge, SIDE - 2 * edge, 3)
        assert (drawn == same).all()
        inside = face_mask(points, SIDE, 0.0)[core, core] > 0
        apart = np.abs(drawn.astype(int) - image[core, core]).max(-1)
        assert apart[inside].mean() > 5
        assert (apart[0] == 0).all()


def test_its_detail_is_the_gallerys(folder: Path, facesets: dict[str, Faceset]) -> None:
    """A network that draws every face in one tone gets the lines of the pictures."""
    network = model()
    with torch.no_grad():
        for decoder in network.decoders:
            first = next(decoder.children())
            assert isinstance(first, torch.nn.Conv2d)
            assert first.bias is not None
            first.weight.zero_()
            first.bias.fill_(3)
    edge = round((1 - CORE) / 2 * SIDE)
    points = facesets["chen"].load(SIDE, core=False, rows=ROWS.tolist()).landmarks[0]
    inside = face_mask(points, SIDE, 0.0)[edge : SIDE - edge, edge : SIDE - edge] > 0
    rough = {}
    for detail in (0.25, 1.0):
        drawn = rehearsal(folder, facesets, detail).draw(network, OTHERS)["chen"].pictures[0]
        lines = np.abs(np.diff(drawn.astype(float).mean(-1), axis=1, append=0))
        rough[detail] = lines[inside].mean()
    assert rough[1.0] > 1.5 * rough[0.25] > 0


def test_without_a_gallery_or_detail_there_are_no_finished_swaps(
    folder: Path, facesets: dict[str, Faceset]
) -> None:
    assert rehearsal(folder, facesets).draw(model(), {"ada": ["chen"], "chen": []}) == {}
    assert rehearsal(folder, facesets, 0.0).draw(model(), OTHERS) == {}
    path_of(folder, "ada").write_bytes(b"no gallery")
    with pytest.raises(CheckpointError, match="damaged"):
        rehearsal(folder, facesets).draw(model(), OTHERS)


def test_the_sheet_has_a_column_for_them(folder: Path, facesets: dict[str, Faceset]) -> None:
    network = model()
    finished = rehearsal(folder, facesets).draw(network, OTHERS)
    source = torch.Generator().manual_seed(0)
    faces = {person: torch.rand(2, 3, 64, 64, generator=source) for person in network.people}
    picture = sheet(network, faces, finished)
    step = DETAILED + GAP
    assert picture.shape == (2 * (2 * step + CAPTION), 5 * step, 3)
    lower = picture[2 * step + 2 * CAPTION :, 4 * step :][:DETAILED, :DETAILED]
    drawn = finished["chen"].pictures[0]
    assert abs(float(lower.mean()) - float(drawn.mean())) < 1
    assert lower.std() > 5
    assert (picture[CAPTION : 2 * step, 4 * step + 1 :] == 24).all(), "nobody comes for ada"

"""The example is short, does without our networks, runs, and says what its picture is."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image as Pillow

from tests.support import studio
from understudy.media.images import read_image

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "from_scratch.py"
TAKEN = {
    "understudy",
    "understudy.media.contact_sheet",
    "understudy.conversion.finish",
    "understudy.facesets.faceset",
    "understudy.demo",
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("from_scratch", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_short_and_its_network_and_training_are_its_own() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    taken = {
        node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("understudy")
    }
    assert taken == TAKEN


def test_faces_and_masks_stay_together_when_varied(example: ModuleType) -> None:
    torch.manual_seed(0)
    # A disc in the middle: red where the mask is.
    line = torch.linspace(-1, 1, example.SIZE)
    disc = ((line[:, None] ** 2 + line**2) < 0.4).float()
    faces = torch.stack([disc, 0 * disc, 0 * disc, disc]).repeat(4, 1, 1, 1)
    seen, target = example.varied(faces)
    assert seen.shape == (4, 3, 64, 64)
    assert target.shape == (4, 4, 64, 64)
    inside = target[:, 3] > 0.99
    assert float(target[:, 0][inside].min()) > 0.5
    assert float(target[:, 0][target[:, 3] == 0].abs().max()) == 0
    assert float((seen[:, :1] - target[:, :1]).abs().mean()) > 1e-3
    assert float(target.min()) >= 0
    assert float(target.max()) <= 1


@pytest.mark.slow
def test_it_goes_the_whole_way(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = studio.build(tmp_path)
    capsys.readouterr()
    example.main(folder, 4)
    said = capsys.readouterr().out
    assert "step 4: loss" in said
    assert "sheet.png" in said
    with Pillow.open(folder / "sheet.png") as picture:
        assert "Faces swapped with understudy" in picture.info["Comment"]
    # Two people: their pictures, and what either decoder makes of them.
    sheet = read_image(folder / "sheet.png")
    assert sheet.shape[0] == 6 * (22 + 128 + 4)


@pytest.mark.slow
def test_it_learns(example: ModuleType) -> None:
    torch.manual_seed(0)
    line = torch.linspace(0, 1, example.SIZE)
    ramp = line.expand(example.SIZE, -1)
    face = torch.stack([ramp, ramp.T, 1 - ramp, torch.ones_like(ramp)])
    faces = {"a": face.repeat(4, 1, 1, 1), "b": face.flip(1).repeat(4, 1, 1, 1)}
    encoder, decoders = example.train(faces, 12)
    fresh = example.make_encoder(), example.make_decoder()
    with torch.no_grad():
        drawn = decoders["a"](encoder(faces["a"][:, :3]))
        before = fresh[1](fresh[0](faces["a"][:, :3]))
    true = faces["a"][:, :3]
    assert float((drawn - true).abs().mean()) < 0.9 * float((before - true).abs().mean())

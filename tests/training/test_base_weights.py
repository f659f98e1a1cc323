from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from understudy.errors import CheckpointError
from understudy.models.modulated import Modulated
from understudy.models.swift import Swift
from understudy.runtime import files
from understudy.training.base_readings import fit
from understudy.training.base_weights import (
    SHIPPED,
    SHIPPED_SIZE,
    UNFAMILIAR,
    Known,
    begin,
    latents,
    mean_person,
    read_base,
    write_base,
)

PEOPLE = ("ada", "ben", "chen")
MADE = {"count": 3, "minutes": 1.5}
FACES = torch.randint(
    0, 256, (60, 4, 120, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
)


@pytest.fixture(scope="module")
def model() -> Modulated:
    torch.manual_seed(0)
    model = Modulated(96, PEOPLE)
    with torch.no_grad():
        # As different from one another as trained people are.
        model.modulation.weight.mul_(4)
        model.trunk.head.weight.mul_(20)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(model: Modulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    network = mean_person(model)
    seen = latents(network, FACES)
    write_base(path, network, Known.of(seen), fit(("up",), seen, seen[:, :1]), MADE)
    return path


def meant_weights(model: Modulated) -> dict[str, torch.Tensor]:
    """Weights of the network that the base is."""
    mean = torch.stack([model.embedding(person) for person in PEOPLE]).mean(0)
    decoder = {f"decoders.0.{name}": value for name, value in model.folded(mean).items()}
    encoder = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items()}
    return encoder | decoder


def test_a_base_is_encoder_and_mean_person_but_for_rounding(model: Modulated, file: Path) -> None:
    base = read_base(file)
    assert base.training == MADE
    assert len(base.model.decoders) == 1
    assert not base.model.training
    found, meant = base.model.state_dict(), meant_weights(model)
    assert set(found) == set(meant)
    for name, value in meant.items():
        step = value.flatten(1).abs().amax(1) / 127 if value.dim() > 1 else value.abs() / 1024
        step = step.view(-1, *[1] * (value.dim() - 1))
        assert bool(((found[name] - value).abs() <= 0.5 * step + 1e-7).all()), name


def test_rounding_cannot_be_seen(model: Modulated, file: Path) -> None:
    images = torch.rand(2, 3, 96, 96)
    base = read_base(file).model
    exact = Swift(96, ("mean",)).eval()
    exact.load_state_dict(meant_weights(model))
    with torch.no_grad():
        before, after = exact.swap(images, "mean")[0], base.swap(images, "mean")[0]
        # Next to what moves the picture: another person's decoder.
        other = float((before - model.swap(images, "ada")[0]).abs().mean())
        assert float((before - after).abs().mean()) < 0.1 * other


def test_nobody_can_be_drawn_from_a_base(file: Path) -> None:
    with safetensors.safe_open(file, "pt") as opened:
        names = " ".join(opened.keys())
        assert "embedding" not in names
        assert "modulation" not in names
        assert not any(person in str(opened.metadata()) for person in PEOPLE)


def test_a_weight_takes_a_byte(model: Modulated, file: Path) -> None:
    count = sum(value.numel() for value in meant_weights(model).values())
    assert count < file.stat().st_size < 1.1 * count


def test_the_same_network_gives_the_same_bytes(
    model: Modulated, file: Path, tmp_path: Path
) -> None:
    network = mean_person(model)
    seen = latents(network, FACES)
    readings = fit(("up",), seen, seen[:, :1])
    write_base(tmp_path / "again", network, Known.of(seen), readings, MADE)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_a_new_network_begins_with_the_base(file: Path) -> None:
    base = read_base(file)
    new, average = Swift(96, ("eve", "fay")).eval(), Swift(96, ("eve", "fay")).eval()
    begin((new, average), base)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        meant = base.model.swap(images, "mean")[0]
        for one in (new, average):
            for person in one.people:
                assert torch.equal(one.swap(images, person)[0], meant)
        # Copies: what one learns is not the other's.
        next(new.encoder.parameters()).add_(1)
        new.decoder("eve").get_parameter("head.bias").add_(1)
        assert torch.equal(average.swap(images, "fay")[0], meant)
        assert torch.equal(base.model.swap(images, "mean")[0], meant)


def test_what_is_known_is_near_and_what_is_not_is_far() -> None:
    source = torch.Generator().manual_seed(1)
    mix = torch.randn(256, 256, generator=source) * torch.logspace(0, -1.5, 256)
    usual = torch.randn(2000, 256, generator=source) @ mix + 3
    known = Known.of(usual[:1500])
    assert known.distance(usual[1500:]).median() == pytest.approx(1, abs=0.1)
    assert known.distance(usual[1500:] * 2 - 3).median() == pytest.approx(2, abs=0.2)
    assert float(known.distance(usual[1500:] + 10).median()) > UNFAMILIAR


def test_what_never_differs_does_not_make_everything_strange() -> None:
    flat = torch.randn(300, 256, generator=torch.Generator().manual_seed(1))
    flat[:, 100:] = 1
    known = Known.of(flat[:200])
    assert float(known.distance(flat[200:]).median()) < UNFAMILIAR


def test_a_base_tells_its_faces_from_others(file: Path) -> None:
    base = read_base(file)
    assert base.distance(FACES) == pytest.approx(1, abs=0.1)
    assert base.distance(torch.full_like(FACES, 255)) > UNFAMILIAR


def test_a_base_reads_faces(file: Path, tmp_path: Path, model: Modulated) -> None:
    base = read_base(file)
    seen = latents(base.model, FACES)
    assert base.readings is not None
    assert base.readings.names == ("up",)
    assert base.readings.agreement(seen, seen[:, :1])["up"] > 0.9
    network = mean_person(model)
    write_base(tmp_path / "mute", network, Known.of(latents(network, FACES)), None, MADE)
    assert read_base(tmp_path / "mute").readings is None


def test_the_shipped_base_reads_mouth_and_lids() -> None:
    base = read_base(SHIPPED)
    assert base.readings is not None
    assert {"mouth open", "smile", "eyes shut", "yaw", "pitch"} <= set(base.readings.names)
    assert min(base.training["readings"][name] for name in ("mouth open", "yaw")) > 0.9


def test_the_shipped_base_is_the_one_that_its_card_is_about() -> None:
    card = Path(__file__).resolve().parents[2] / "docs" / "research" / "base.md"
    assert files.sha256(SHIPPED) in card.read_text(encoding="utf-8")


def test_the_shipped_base_takes_noise_for_unfamiliar() -> None:
    base = read_base(SHIPPED)
    noise = torch.randint(0, 256, (8, 4, 160, 160), dtype=torch.uint8)
    assert base.distance(noise) > UNFAMILIAR


def test_the_shipped_base_is_small_and_knows_faces() -> None:
    assert SHIPPED.stat().st_size < 8_000_000
    base = read_base(SHIPPED)
    assert base.model.size == SHIPPED_SIZE
    assert base.training["people"] == 66
    # Of a picture without a face it makes one: a mask in the middle, skin that is redder than blue.
    with torch.no_grad():
        image, mask = base.model.swap(torch.full((1, 3, 128, 128), 0.5), "mean")
    assert float(mask[..., 48:80, 48:80].mean()) > 0.9
    assert float(mask[..., :8, :8].mean()) < 0.1
    skin = image[..., 48:80, 48:80].mean((0, 2, 3))
    assert skin[0] > skin[1] > skin[2]


def _about(file: Path, **changed: object) -> bytes:
    data = file.read_bytes()
    with safetensors.safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["base"])
    return safetensors.torch.save(
        safetensors.torch.load(data), {"base": json.dumps(about | changed)}
    )


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda file: file.read_bytes()[:-100], "damaged"),
        (lambda file: b"", "damaged"),
        (lambda file: b"not a base", "damaged"),
        (lambda file: safetensors.torch.save({"a": torch.zeros(1)}), "no base"),
        (lambda file: _about(file, schema_version=2), "schema 2"),
        (lambda file: _about(file, size=128), "incompatible"),
        (lambda file: _about(file, network="original"), "not a base|schema"),
        (lambda file: _about(file, size="large"), "incompatible"),
    ],
)
def test_what_is_no_base_is_refused(file: Path, tmp_path: Path, harm, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "base.safetensors"
    path.write_bytes(harm(file))
    with pytest.raises(CheckpointError, match=words) as caught:
        read_base(path)
    assert "--base none" in str(caught.value.remedy)


def test_a_base_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_base(tmp_path / "none")

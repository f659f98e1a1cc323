"""The command `explain` on real, small networks trained for a few steps on painted people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.support import studio
from tests.support.painted_people import Act, film
from understudy.cli.commands.explain import gallery_lines, table
from understudy.cli.entry import main
from understudy.errors import (
    CheckpointError,
    ConsentError,
    FacesError,
    MediaError,
    SettingsError,
    UnknownModel,
)
from understudy.evaluation.inspection.explain import CONVENTIONS
from understudy.facesets.traits import TRAITS
from understudy.media import xmp
from understudy.media.contact_sheet import CAPTION, GAP, TILE
from understudy.media.heatmap import colour, heat_map
from understudy.media.images import read_image
from understudy.models import base
from understudy.models.checkpoint import load_model
from understudy.models.gallery import path_of, read
from understudy.models.hashing import weights_hash
from understudy.project import Project
from understudy.safeguards import consent_gate
from understudy.training.preview_sheet import DETAILED
from understudy.verification.verify import verify

REAL = {name: base.NETWORKS[name] for name in ("autoencoder", "vae")}
FEW: dict[str, Any] = {"shown": 2, "passes": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found = Project.open(studio.build(tmp_path_factory.mktemp("explain")))
    for name in REAL:
        found.train(("red", "blue"), name, network=name, size=96, batch=4, steps=8, device="cpu")
    return found


@pytest.mark.slow
def test_a_vae_is_shown_person_by_person(project: Project, tmp_path: Path) -> None:
    report = project.explain("vae", tmp_path / "out", **FEW)
    figures = report.figures
    assert json.loads((tmp_path / "out" / "explain.json").read_text()) == json.loads(
        json.dumps(figures)
    )
    assert figures["model"] == {
        "name": "vae",
        "network": "vae",
        "size": 96,
        "people": ["red", "blue"],
        "weights_sha256": weights_hash(load_model(project.model_folder("vae"))),
    }
    assert figures["conventions"] == CONVENTIONS
    assert figures["latent"]["numbers"] == 16
    assert figures["macs"]["encode"] == report.anatomy.macs("encode") > 0
    assert {layer["name"] for layer in figures["layers"]} >= {"encoder.squeeze", "widen"}
    assert figures["layers"][0]["receptive_field"] == 8
    assert list(figures["people"]) == ["red", "blue"]
    for name, inside in figures["people"].items():
        kept = inside["kept"]
        assert [one["axes"] for one in kept] == [0, 1, 2, 4, 8, 16, None]
        assert kept[0]["variance"] == 0
        shares = [one["variance"] for one in kept[:-1]]
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)
        # All 16 axes of 16 numbers are the latent itself.
        assert kept[-2]["ssim"] == pytest.approx(kept[-1]["ssim"], abs=1e-3)
        assert set(inside["correlations"]) == set(TRAITS)
        for values in inside["correlations"].values():
            assert all(value is None or -1 <= value <= 1 for value in values)
        for kind in ("kept", "axes", "traits"):
            path = tmp_path / "out" / f"{name}-{kind}.png"
            if kind == "traits":
                assert path.name not in figures["outputs"], "a heat map shows no face"
                with Pillow.open(path) as picture:
                    assert "Measured with understudy" in picture.info["Comment"]
                continue
            (packet,) = xmp.packets(path.read_bytes())
            assert b"Faces redrawn with understudy" in packet
            assert b"ai-generated" in packet
            told = figures["outputs"][path.name]
            assert (told["people"], told["mark"]) == ([name], "found")
            found = verify(path)
            assert (found.outcome, found.mark) == ("intact", told["number"])


def test_the_sheet_of_its_training_shows_swaps_as_in_a_film(project: Project) -> None:
    step = DETAILED + GAP
    sheet = read_image(project.model_folder("vae") / "preview" / "latest.png")
    assert sheet.shape[1] == 5 * step
    assert sheet[:DETAILED, 4 * step :].std() > 5
    alone = read_image(project.model_folder("autoencoder") / "preview" / "latest.png")
    assert alone.shape[1] == 3 * (TILE + GAP)


def test_the_same_latent_goes_through_every_decoder(project: Project, tmp_path: Path) -> None:
    project.explain("vae", tmp_path, **FEW)
    picture = read_image(tmp_path / "decoders.png")
    line = CAPTION + TILE + GAP
    head = len(picture) - 3 * line
    assert 0 < head < line, "there is a label above"
    picture = picture[head:]
    assert picture.shape == (3 * line, 4 * (TILE + GAP), 3)
    tiles = [picture[CAPTION + place * line :][:TILE, :TILE] for place in range(3)]
    assert len({tile.tobytes() for tile in tiles}) == 3
    assert all(tile.std() > 0 for tile in tiles)


@pytest.mark.slow
def test_an_autoencoder_is_shown_as_a_whole(project: Project) -> None:
    report = project.explain("autoencoder", format="webp", **FEW)
    assert report.folder == project.renders_folder / "explain-autoencoder"
    assert list(report.figures["people"]) == ["everybody"]
    assert sorted(path.name for path in report.folder.iterdir()) == [
        "decoders.webp",
        "everybody-axes.webp",
        "everybody-kept.webp",
        "everybody-traits.webp",
        "explain.json",
    ]
    data = (report.folder / "decoders.webp").read_bytes()
    assert b"Faces redrawn with understudy" in data
    height, width = read_image(report.folder / "decoders.webp").shape[:2]
    assert height > 2 * (CAPTION + TILE + GAP)
    assert width == 2 * (TILE + GAP)
    assert {one["mark"] for one in report.figures["outputs"].values()} == {"found"}


@pytest.mark.slow
def test_galleries_are_shown_and_what_a_film_takes_out_of_them(
    project: Project, tmp_path: Path
) -> None:
    scene = project.folder.parent / "scene.mp4"
    with studio.painted():
        figures = project.explain("vae", tmp_path, film=scene, **FEW).figures
    own = read(path_of(project.model_folder("vae"), "red"))
    about = figures["galleries"]["red"]
    assert (about["sha256"], about["pictures"]) == (own.sha256, len(own))
    assert figures["film"]["name"] == "scene.mp4"
    swaps = {(one["comes"], one["goes"]): one for one in figures["film"]["swaps"]}
    assert set(swaps) == {("red", "blue"), ("blue", "red")}
    assert swaps["red", "blue"]["frames"] == studio.FRAMES - 10
    parts = swaps["red", "blue"]["pictures"]
    assert sum(one["frames"] for one in parts if one["part"] == "eyes") == studio.FRAMES - 10
    assert all(one["picture"] < len(own) for one in parts)
    assert len(figures["film"]["missing"]) >= 2
    assert all("scene.mp4" in sentence for sentence in figures["film"]["missing"])
    for name, people in (
        ("red-gallery.png", ["red"]),
        ("red-for-blue.png", ["blue", "red"]),
        ("blue-for-red.png", ["blue", "red"]),
    ):
        told = figures["outputs"][name]
        assert (told["people"], told["mark"]) == (people, "found")
        assert verify(tmp_path / name).outcome == "intact"
    lines = gallery_lines(figures)
    assert lines[0].startswith(f"Gallery of red: {len(own)} pictures, yaw ")
    assert lines[2:] == figures["film"]["missing"]


def test_a_film_without_the_people_or_a_model_without_galleries_is_told(
    project: Project, tmp_path: Path
) -> None:
    scene = project.folder.parent / "scene.mp4"
    with pytest.raises(SettingsError, match="autoencoder has no gallery"):
        project.explain("autoencoder", tmp_path, film=scene, **FEW)
    alone = film(tmp_path / "green.mp4", 8, [Act("green", 0, 8, 90)])
    with studio.painted(), pytest.raises(FacesError, match="could replace was found"):
        project.explain("vae", tmp_path, film=alone, **FEW)
    with pytest.raises(MediaError, match=r"no\.mp4"):
        project.explain("vae", tmp_path, film=tmp_path / "no.mp4", **FEW)


def test_nobody_is_shown_without_consent(project: Project) -> None:
    place = project.person("blue")
    before = place.consent
    assert before is not None
    consent_gate.write(
        place.consent_file, before.model_copy(update={"revoked_at": before.stated_at})
    )
    try:
        with pytest.raises(ConsentError, match="blue withdrew the consent"):
            project.explain("vae", **FEW)
    finally:
        consent_gate.write(place.consent_file, before)


def test_bad_input_is_said_clearly(project: Project) -> None:
    with pytest.raises(UnknownModel, match="nobody"):
        project.explain("nobody")
    with pytest.raises(SettingsError, match="shown"):
        project.explain("vae", shown=0)
    (project.models_folder / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        project.explain("empty")
    (project.models_folder / "empty").rmdir()


@pytest.mark.slow
def test_the_command_prints_a_table(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "vae", "--output", str(tmp_path), "--shown", "1", "--passes", "1"]
    assert main(["--project", str(project.folder), *words]) == 0
    said = capsys.readouterr().out
    assert "vae: vae at 96 px, step 8" in said
    assert "encoder.squeeze" in said
    assert "590,080" in said
    assert "Latent: 16, 16 numbers" in said
    assert "explain.json" in said


@pytest.mark.slow
def test_every_line_of_the_table_ends_in_a_share(project: Project, tmp_path: Path) -> None:
    lines = table(project.explain("autoencoder", tmp_path, **FEW).anatomy)
    assert lines[0].split() == [
        *("layer", "kind", "output", "parameters", "MMAC", "sees", "draws", "time")
    ]
    shares = [float(line.rsplit(maxsplit=1)[1].rstrip("%")) for line in lines[1:]]
    assert sum(shares) == pytest.approx(100, abs=len(shares) * 0.06)


def test_a_heat_map_shows_sign_and_size() -> None:
    drawn = heat_map("title", ["up", "down"], ["one", "two"], [[1.0, None], [0.0, -1.0]])
    assert drawn.dtype == np.uint8
    colours = {tuple(int(v) for v in pixel) for pixel in drawn.reshape(-1, 3)}
    assert {colour(1.0), colour(-1.0)} <= colours
    assert colour(2.0) == colour(1.0) != colour(0.5) != colour(0.0)
    assert colour(0.0) == (24, 24, 24)

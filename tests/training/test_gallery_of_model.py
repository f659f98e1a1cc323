"""Galleries from training to the finished film: made, named in records, damaged, removed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.painted_people import Act, film
from tests.support.studio import CONVERT, TRAIN, build, command
from understudy.conversion.plan import galleries_of
from understudy.errors import CheckpointError
from understudy.models.gallery import kept_in, path_of, read
from understudy.project import Project


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    build(folder)
    film(folder / "short.mp4", 12, [Act("red", 0, 12, 60)])
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy" / "project"


def convert(project: Path, *words: str) -> dict[str, Any]:
    """The record of a short film that was converted."""
    assert command(project, "convert", project.parent / "short.mp4", *CONVERT, *words) == 0
    newest = max(project.glob("renders/*.json"), key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def model(project: Path) -> Path:
    return Project.open(project).model_folder("duo")


@pytest.mark.slow
def test_a_film_names_the_gallery_and_can_be_verified(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = read(path_of(model(project), "blue"))
    faces = Project.open(project).person("blue").faces_folder / "images"
    assert set(own.pictures) <= {path.read_bytes() for path in faces.iterdir()}
    record = convert(project)
    assert record["model"]["galleries"] == {"blue": own.sha256}
    assert record["settings"]["convert"]["detail"] == 1
    made = project / "renders" / record["outputs"]["film"]["file"]
    capsys.readouterr()
    assert command(project, "verify", made, "--json") == 0
    assert made.name in capsys.readouterr().out
    assert convert(project, "--detail", "0")["model"]["galleries"] == {}


@pytest.mark.slow
def test_a_model_of_an_earlier_version_draws_as_before_and_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in kept_in(model(project)):
        path.unlink()
    assert galleries_of(Project.open(project), "duo", {"red": "blue"}).own == {}
    capsys.readouterr()
    record = convert(project)
    assert record["model"]["galleries"] == {}
    said = " ".join(capsys.readouterr().err.split())
    assert "The model duo has no gallery of blue: the swap is as soft as" in said
    assert "To create one: understudy train --name duo --size 64" in said
    assert command(project, *TRAIN, "--steps", "3") == 0
    assert [path.name for path in kept_in(model(project))] == [
        "gallery-blue.safetensors",
        "gallery-red.safetensors",
    ]
    assert list(convert(project)["model"]["galleries"]) == ["blue"]


def test_without_galleries_they_go_and_come_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: read(path).sha256 for path in kept_in(model(project))}
    assert len(before) == 2
    assert command(project, *TRAIN, "--steps", "4", "--no-gallery") == 0
    assert kept_in(model(project)) == []
    said = " ".join(capsys.readouterr().err.split())
    for name in ("red", "blue"):
        assert f"The gallery of {name} was removed because of --no-gallery." in said
    assert command(project, *TRAIN, "--steps", "5", "--no-gallery") == 0
    assert "was removed" not in capsys.readouterr().err
    assert command(project, *TRAIN, "--steps", "6") == 0
    assert {path.name: read(path).sha256 for path in kept_in(model(project))} == before


def test_a_damaged_gallery_stops_a_film_and_names_the_way_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(model(project), "blue")
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-50] ^= 1
    words = ("convert", project.parent / "short.mp4", *CONVERT)
    for data in (bytes(flipped), good[:-50]):
        path.write_bytes(data)
        capsys.readouterr()
        assert command(project, *words) == CheckpointError.exit_code
        said = capsys.readouterr().err
        assert path.name in said.replace("\n", "")
        assert "Traceback" not in said
        assert not list(project.glob("renders/*.mp4"))
    assert convert(project, "--detail", "0")["model"]["galleries"] == {}
    path.unlink()
    assert command(project, *TRAIN, "--steps", "3") == 0
    assert read(path).pictures
    assert np.isfinite(read(path).meshes).all()

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
import torch

import understudy.people.export
from tests.support.painted_people import SIZE, Act, ColourTracker, paint
from tests.support.studio import CONVERT, build, command
from understudy.conversion.onnx_swapper import ExportedArtist
from understudy.conversion.own_gallery import cached_path, own_galleries
from understudy.conversion.swapper import Swapper
from understudy.errors import (
    ConsentError,
    MediaError,
    SettingsError,
    TrainingError,
    TrustError,
    UnderstudyError,
    UnknownPerson,
)
from understudy.models.base import NETWORKS
from understudy.models.checkpoint import load_model
from understudy.models.gallery import read as read_gallery
from understudy.models.hashing import weights_hash
from understudy.models.onnx.card import grant
from understudy.models.onnx.runner import Exported
from understudy.progress import silent
from understudy.project import Project
from understudy.provenance import model_lookup
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, its exported people and a scene; work on a copy of it."""
    folder = tmp_path_factory.mktemp("export")
    project = build(folder)
    assert command(project, "export", "blue", "--replace", "red") == 0
    assert command(project, "export", "blue", "--kind", "onnx", "--replace", "red") == 0
    return folder


@pytest.fixture
def project(folder: Path) -> Path:
    return folder / "project"


@pytest.fixture
def refused(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail in the stated way; gives what it says."""

    def run(kind: type[UnderstudyError], *words: str | Path) -> str:
        code = command(project, *words)
        said = capsys.readouterr().err
        assert code == kind.exit_code, said
        return said

    return run


def painted_frame() -> tuple[Frame, list[Face]]:
    picture = av.VideoFrame.from_ndarray(paint([Act("red", 0, 9, 96)], 0), format="rgb24")
    frame = Frame(0, Fraction(0), picture, lambda _: paint([Act("red", 0, 9, 96)], 0))
    return frame, ColourTracker().update(frame)


def laid(frame: Image, patch_image: Image, alpha: Floats, x: int, y: int) -> Floats:
    result = frame.astype(np.float32)
    height, width = alpha.shape
    place = (slice(y, y + height), slice(x, x + width))
    result[place] += alpha[..., None] * (patch_image - result[place])
    return result


@pytest.mark.parametrize("kind", ["onnx", "dfm"])
@pytest.mark.parametrize("goes", ["red", "any"])
@pytest.mark.slow
def test_an_exported_person_is_laid_over_as_the_trained_one(
    project: Path, kind: str, goes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))
    model = load_model(Project.open(project).model_folder("duo"))
    settings = ConvertSettings()
    frame, faces = painted_frame()
    trained = Swapper(model, "blue", settings, CPU, False, goes)
    exported = ExportedArtist(project / f"exports/duo-blue.{kind}", settings).drawer(goes, "blue")
    one, other = (
        laid(frame.image, patch.image, patch.alpha, patch.x, patch.y)
        for drawer in (trained, exported)
        for patch in drawer.patches([(frame, faces)])[0]
    )
    assert one.shape == (SIZE, SIZE, 3)
    assert np.abs(one - frame.image).max() > 20
    differences = np.abs(one - other)
    if kind == "onnx":
        assert differences.max() < 1
    else:  # whose crop ends above the lower edge of ours, where an untrained mask still is
        changed = np.abs(one - frame.image).max(2) > 0
        assert differences[changed].mean() < 4


def test_what_the_file_says_of_itself(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))
    opened = Project.open(project)
    card = Exported(project / "exports/duo-blue.dfm").contract.card
    assert card is not None
    assert (card.person, card.replaced, card.model, card.kind) == ("blue", "red", "duo", "dfm")
    assert card.weights_sha256 == weights_hash(load_model(opened.model_folder("duo")))
    for name in ("red", "blue"):
        on_file = opened.person(name).consent
        assert on_file is not None
        assert card.consents[name] == grant(on_file)
    assert card.difference is not None
    assert card.difference < 1e-5
    assert card.checked == 8


def test_the_file_is_known_here(
    project: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "blue.dfm"
    assert command(project, "export", "blue", "--replace", "red", "--output", file) == 0
    found = model_lookup.search(Home(home), files.sha256(file))
    assert found is not None
    assert found.holds
    assert found.summary.startswith("It draws one person of the model duo, and this installation")
    assert found.summary.endswith("with 2 consent records.")
    with Ledger.open(Home(home), write=False) as ledger:
        (entry,) = ledger.by_sha256(files.sha256(file))
    assert entry.values["kind"] == "export"
    assert "blue" not in entry.text


def test_a_file_that_cannot_be_entered_is_not_left(
    project: Path, home: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    home.mkdir(parents=True)
    (home / "ledger.sqlite").write_bytes(b"no database " * 500)
    refused(TrustError, "export", "blue", "--output", tmp_path / "blue.dfm")
    assert not list(tmp_path.glob("*blue.dfm*"))


@pytest.mark.parametrize("kind", ["onnx", "dfm"])
@pytest.mark.slow
def test_a_film_is_converted_by_a_file(folder: Path, project: Path, kind: str) -> None:
    model = project / f"exports/duo-blue.{kind}"
    assert command(project, "convert", folder / "scene.mp4", "--model", model, *CONVERT) == 0
    record = json.loads((project / "renders/scene-blue-for-red.json").read_text())
    assert record["model"]["name"] == model.name
    assert record["model"]["card"]["person"] == "blue"
    assert record["swapped"] >= 30
    assert record["consents"]["blue"]["footing"] == "synthetic"
    own = read_gallery(cached_path(project / "cache", "blue"))
    assert record["model"]["galleries"] == {"blue": own.sha256}
    faces = Project.open(project).person("blue").faces_folder / "images"
    assert set(own.pictures) <= {path.read_bytes() for path in faces.iterdir()}


def test_a_file_takes_its_detail_from_the_faces_of_the_project(project: Path) -> None:
    opened, swaps = Project.open(project), {"red": "blue"}
    galleries = own_galleries(opened, swaps, silent())
    assert list(galleries.shapes) == ["red"]
    plain = ExportedArtist(project / "exports/duo-blue.onnx", ConvertSettings(detail=1))
    artist = plain.with_galleries(galleries)
    assert artist.facts() == {
        **plain.facts(),
        "galleries": {"blue": galleries.own["blue"].sha256},
    }
    frame, faces = painted_frame()
    drawn = {}
    for name, one in {
        "plain": plain,
        "none": artist.with_settings(ConvertSettings(detail=0)),
        "half": artist.with_settings(ConvertSettings(detail=0.5)),
        "full": artist,
    }.items():
        (patch,) = one.drawer("red", "blue").patches([(frame, faces)])[0]
        drawn[name] = patch.image.astype(np.int16)
    assert np.array_equal(drawn["plain"], drawn["none"])
    half, full = (np.abs(drawn[name] - drawn["none"]).mean() for name in ("half", "full"))
    assert full > 1.2 * half > 0.5


def test_without_faces_of_who_comes_a_file_draws_as_it_is_and_says_so(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blue = Project.open(project).person("blue")
    shutil.rmtree(blue.faces_folder)
    words = ("convert", folder / "scene.mp4", "--model", project / "exports/duo-blue.onnx")
    assert command(project, *words, *CONVERT) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "The project has no faces of blue: the swap is as soft as duo-blue.onnx" in said
    record = json.loads((project / "renders/scene-blue-for-red.json").read_text())
    assert record["model"]["galleries"] == {}
    assert not cached_path(project / "cache", "blue").exists()


@pytest.mark.slow
def test_a_strangers_file_is_told_and_needs_consent(
    folder: Path,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    refused: Callable[..., str],
) -> None:
    proto = onnx.load(str(project / "exports/duo-blue.dfm"))
    del proto.metadata_props[:]
    onnx.save(proto, str(folder / "strange.dfm"))
    words = ("convert", folder / "scene.mp4", "--model", folder / "strange.dfm")
    assert command(project, *words, *CONVERT) == 0
    assert "does not name the person it draws" in capsys.readouterr().err
    record = json.loads((project / "renders/scene-blue-for-red.json").read_text())
    assert list(record["model"]["galleries"]) == ["blue"]
    said = refused(UnknownPerson, *words, "--replace", "red", "--with", "stranger")
    assert "no person `stranger`" in said
    two = refused(SettingsError, *words, "--replace", "red=blue", "--replace", "blue=red")
    assert "draws one person" in two


def test_a_file_draws_nobody_else(folder: Path, project: Path, refused: Callable[..., str]) -> None:
    words = ("convert", folder / "scene.mp4", "--model", project / "exports/duo-blue.dfm")
    said = refused(SettingsError, *words, "--replace", "blue", "--with", "red")
    assert "draws blue, not red" in said
    assert "--with blue" in said


def test_consent_that_ended_stops_export_and_file(
    folder: Path, project: Path, refused: Callable[..., str]
) -> None:
    blue = Project.open(project).person("blue")
    assert blue.consent is not None
    ended = blue.consent.model_copy(update={"revoked_at": datetime(2020, 1, 1, tzinfo=UTC)})
    consent_gate.write(blue.consent_file, ended)
    assert "withdrew the consent" in refused(ConsentError, "export", "blue")
    assert "withdrew the consent" in refused(ConsentError, "export", "red", "--replace", "blue")
    model = project / "exports/duo-blue.dfm"
    said = refused(ConsentError, "convert", folder / "scene.mp4", "--model", model, *CONVERT)
    assert "withdrew the consent" in said


@pytest.mark.slow
def test_another_consent_on_file_is_told(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blue = Project.open(project).person("blue")
    consent_gate.write(blue.consent_file, consent_gate.state("blue", "self"))
    model = project / "exports/duo-blue.dfm"
    assert command(project, "convert", folder / "scene.mp4", "--model", model, *CONVERT) == 0
    assert "under another consent of blue" in capsys.readouterr().err


def test_a_file_that_differs_is_not_left(
    project: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    before = (project / "exports/duo-blue.dfm").read_bytes()
    monkeypatch.setattr(understudy.people.export, "TOLERANCE", -1.0)
    assert "nothing was written" in refused(TrainingError, "export", "blue")
    assert (project / "exports/duo-blue.dfm").read_bytes() == before
    assert sorted(path.name for path in (project / "exports").iterdir()) == [
        "duo-blue.dfm",
        "duo-blue.onnx",
    ]


def test_whoever_is_not_in_the_model_cannot_be_exported(
    project: Path, refused: Callable[..., str]
) -> None:
    assert "no person `nobody`" in refused(UnknownPerson, "export", "nobody")
    opened = Project.open(project)
    shutil.copytree(opened.person("red").folder, opened.people_folder / "eva")
    assert "belongs to red" in refused(ConsentError, "export", "eva")
    record = consent_gate.state("eva", "synthetic")
    consent_gate.write(opened.person("eva").consent_file, record)
    assert "not trained on eva" in refused(SettingsError, "export", "eva")


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_without_the_extra(
    folder: Path,
    project: Path,
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    model = project / "exports/duo-blue.dfm"
    said = refused(SettingsError, "convert", folder / "scene.mp4", "--model", model, *CONVERT)
    assert "understudy[export]" in said


def test_a_file_that_is_none(folder: Path, refused: Callable[..., str]) -> None:
    (folder / "bad.dfm").write_bytes(b"\x80\x04pickle")
    for name in ("bad.dfm", "absent.dfm"):
        said = refused(
            MediaError, "convert", folder / "scene.mp4", "--model", folder / name, *CONVERT
        )
        assert name in said


def test_a_copy_of_what_was_deleted_here_draws_nothing(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the same name has a new consent."""
    away = folder / "away.dfm"
    assert command(project, "export", "blue", "--replace", "red", "--output", away) == 0
    shutil.copytree(project, folder / "second", symlinks=True)
    assert command(project, "person", "remove", "blue") == 0
    blue = Project.open(folder / "second").person("blue")
    consent_gate.write(blue.consent_file, consent_gate.state("blue", "self"))
    words = ("convert", folder / "scene.mp4", "--model", away, *CONVERT)
    assert command(folder / "second", *words) == ConsentError.exit_code
    said = capsys.readouterr().err
    assert "away.dfm was made with a person who was removed here on" in said
    assert not list((folder / "second" / "renders").glob("*"))

"""Real networks, small and few steps, on drawn faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.drawn_facesets import Drawn
from tests.training.test_train import Listener, interrupt
from understudy.errors import CheckpointError, ConsentError, SettingsError
from understudy.models.base import network_class
from understudy.models.checkpoint import load_model
from understudy.models.gallery import kept_in
from understudy.project import Project
from understudy.provenance import model_records
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate
from understudy.training import initial_weights, plan, train
from understudy.training import pretrain as stage
from understudy.training.base_weights import read_base

CROWD = tuple(f"p{number}" for number in range(10))
FEW: dict[str, Any] = {
    "size": 96,
    "steps": 3,
    "batch": 2,
    "report_every": 1000,
    "gallery": False,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "Faceset", Drawn)
    monkeypatch.setattr(stage, "Faceset", Drawn)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "film")
    for name in (*CROWD, "ada", "chen"):
        person = project.place_of(name)
        person.faces_folder.mkdir(parents=True)
        (person.faces_folder / "count.txt").write_text("40")
        consent_gate.write(person.consent_file, consent_gate.state(name, "synthetic"))
    return project


def test_a_base_is_made_and_a_training_begins_with_it(
    project: Project, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "crowd.safetensors"
    report = project.pretrain(CROWD, "crowd", file, aside=2, **FEW | {"gallery": True})
    assert report.file == file
    assert kept_in(report.trained.folder) == [], "a base draws nobody"
    assert set(report.aside) == {"p0", "p5"}
    learned = tuple(name for name in CROWD if name not in report.aside)
    assert report.trained.people == learned
    assert report.trained.network == "modulated"
    made = read_base(file)
    (entered,) = model_records.find(Home(home), files.sha256(file))
    assert (entered.kind, entered.model, len(entered.consents)) == ("base", "crowd", 8)
    assert made.training["people"] == 8
    assert made.training["faces"] == 8 * 40
    assert made.training["steps"] == 3
    assert all(0 < figures.ssim < 1 for figures in report.aside.values())

    few = FEW | {"steps": 1}
    # So little is learned in one step that what it began with is what it still is.
    project.train(("ada", "chen"), "based", base=str(file), **few)
    project.train(("ada", "chen"), "bare", base="none", **few)
    encoder = made.model.encoder.state_dict()
    distance = {}
    for name in ("based", "bare"):
        own = load_model(project.model_folder(name)).get_submodule("encoder").state_dict()
        distance[name] = sum(float((own[key] - encoder[key]).abs().sum()) for key in own)
    assert distance["based"] < 0.1 * distance["bare"]
    state = json.loads((_last(project, "based") / "state.json").read_text())
    assert state["base"] == made.sha256
    manifest = files.sha256(_last(project, "based") / "manifest.json")
    (based,) = model_records.find(Home(home), manifest)
    assert based.base_sha256 == made.sha256
    assert json.loads((_last(project, "bare") / "state.json").read_text())["base"] is None


@pytest.mark.slow
def test_with_strangers_the_bases_encoder_learns_as_quickly_as_the_rest(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "crowd.safetensors"
    project.pretrain(CROWD, "crowd", file, aside=2, **FEW)
    encoder = read_base(file).model.encoder.state_dict()
    moved = {}
    for name, limit in (("known", 1e6), ("strange", 0.0)):
        monkeypatch.setattr(initial_weights, "UNFAMILIAR", limit)
        listener = Listener()
        project.train(("ada", "chen"), name, listener.progress, base=str(file), **FEW)
        said = any("far from those the base" in note for note in listener.notes)
        assert said == (name == "strange")
        state = json.loads((_last(project, name) / "state.json").read_text())
        assert state["shared"] == (1.0 if said else 0.05)
        assert state["apart"] == (1.0 if said else network_class("swift").recipe.apart)
        own = load_model(project.model_folder(name)).get_submodule("encoder").state_dict()
        moved[name] = sum(float((own[key] - encoder[key]).abs().sum()) for key in own)
    assert moved["strange"] > 3 * moved["known"]


@pytest.mark.slow
def test_whom_the_base_knows_is_trained_for_less_unless_told(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "crowd.safetensors"
    project.pretrain(CROWD, "crowd", file, aside=2, **FEW)
    monkeypatch.setattr(train, "KNOWN_MINUTES", 0.002)
    monkeypatch.setattr(train, "DEFAULT_MINUTES", 0.004)
    how = FEW | {"steps": None, "base": str(file)}
    for name, limit, minutes in (("known", 1e6, 0.002), ("strange", 0.0, 0.004)):
        monkeypatch.setattr(initial_weights, "UNFAMILIAR", limit)
        report = project.train(("ada", "chen"), name, **how)
        assert report.minutes >= minutes
        state = json.loads((_last(project, name) / "state.json").read_text())
        assert state["budget"] == {"minutes": minutes}
        again = project.train(("ada", "chen"), name, **how)
        assert (again.steps, again.finished) == (report.steps, True)
    more = project.train(("ada", "chen"), "known", **(how | {"minutes": 0.05}))
    assert more.minutes >= 0.05


def _labels(path: Path, frames: int = 40) -> Path:
    rows = [[(number % 7) / 7, number % 2] for number in range(frames)]
    people = dict.fromkeys(CROWD, rows)
    text = {"schema_version": 1, "names": ["mouth open", "odd"], "people": people}
    path.write_text(json.dumps(text))
    return path


@pytest.mark.slow
def test_with_labels_a_base_reads_its_faces(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "crowd.safetensors"
    labels = _labels(tmp_path / "labels.json")
    report = project.pretrain(CROWD, "crowd", file, aside=2, labels=labels, **FEW)
    # What is drawn changes with the mouth; nothing in it is odd.
    assert report.readings["mouth open"] > 0.8
    assert "odd" not in report.readings
    readings = read_base(file).readings
    assert readings is not None
    assert readings.names == ("mouth open",)
    assert read_base(file).training["readings"] == report.readings


def test_labels_that_do_not_reach_are_refused_before_anything_is_done(
    project: Project, tmp_path: Path
) -> None:
    labels = _labels(tmp_path / "labels.json", 39)
    with pytest.raises(SettingsError, match="39 frames of p0, but there are faces up to frame 39"):
        project.pretrain(CROWD, "crowd", tmp_path / "base", labels=labels, aside=2, **FEW)
    assert not project.model_folder("crowd").exists()


def _last(project: Project, name: str) -> Path:
    return project.model_folder(name) / "checkpoints" / "last"


@pytest.mark.slow
def test_stopped_and_resumed_it_makes_the_same_base(project: Project, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    project.pretrain(CROWD, "whole", whole, aside=1, **FEW)
    listener = Listener(2, interrupt)
    report = project.pretrain(CROWD, "parts", parts, listener.progress, aside=1, **FEW)
    assert report.file is None
    assert not parts.exists()
    assert project.pretrain(CROWD, "parts", parts, aside=1, **FEW).file == parts
    one, other = read_base(whole).model.state_dict(), read_base(parts).model.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_everybody_is_learned_from_in_turns(project: Project, tmp_path: Path) -> None:
    # Nine people, four in a step: after three steps everybody has been seen.
    project.pretrain(CROWD, "crowd", tmp_path / "base", aside=1, **FEW)
    model = load_model(project.model_folder("crowd"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = type(model)(96, model.people)
    for person in model.people:
        assert not torch.equal(
            model.decoder(person).get_parameter("embedding"),
            fresh.decoder(person).get_parameter("embedding"),
        ), person


def test_too_few_people_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least 8 people"):
        project.pretrain(CROWD[:8], "crowd", tmp_path / "base", aside=1, **FEW)
    with pytest.raises(SettingsError, match="at least 8 people"):
        project.pretrain(CROWD, "crowd", tmp_path / "base", aside=-1, **FEW)
    with pytest.raises(SettingsError, match="20 of them held out"):
        project.pretrain(CROWD, "crowd", tmp_path / "base", aside=20, **FEW)
    assert not (tmp_path / "base").exists()
    assert not project.models_folder.exists() or not list(project.models_folder.iterdir())


def test_who_is_kept_aside_needs_consent_too(project: Project, tmp_path: Path) -> None:
    project.place_of("p0").consent_file.unlink()
    with pytest.raises(ConsentError, match="p0"):
        project.pretrain(CROWD, "crowd", tmp_path / "base", aside=1, **FEW)


def test_a_base_of_another_size_is_refused_before_anything_is_done(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "base.safetensors"
    project.pretrain(CROWD, "crowd", file, aside=0, **FEW | {"steps": 1})
    with pytest.raises(SettingsError, match="for swift at 96 px"):
        project.train(("ada", "chen"), "duo", base=str(file), **FEW | {"size": 128})
    with pytest.raises(SettingsError, match="for swift at 96 px"):
        project.train(("ada", "chen"), "duo", base=str(file), network="vae", **FEW)
    with pytest.raises(CheckpointError, match="No such file"):
        project.train(("ada", "chen"), "duo", base=str(tmp_path / "nowhere"), **FEW)
    assert not project.model_folder("duo").exists()


def test_other_sizes_and_networks_begin_with_nothing(project: Project) -> None:
    report = project.train(("ada", "chen"), "duo", **FEW | {"steps": 1})
    assert report.steps == 1
    assert json.loads((_last(project, "duo") / "state.json").read_text())["base"] is None

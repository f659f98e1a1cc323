"""Models in the ledger: trained, exported, imported and deleted, and found again by their hash."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest

from tests.support import galleries
from tests.support.studio import build
from tests.support.three_people import snapshot, studio, trained
from understudy.errors import CheckpointError, TrustError
from understudy.models import base
from understudy.models.checkpoint import Snapshot, checkpoints, load, load_model, replace, save
from understudy.models.gallery import kept_in, path_of
from understudy.models.hashing import weights_hash
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.provenance import model_lookup, model_records
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.model_registry import enter_checkpoint, hashes_of
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.training.adding_people import without_person
from understudy.training.schedule import State


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = studio(Project.create(tmp_path / "film"))
    trained(project)
    enter_checkpoint(project, "trio")
    return project


def newest(project: Project, model: str = "trio") -> Path:
    return checkpoints(project.model_folder(model))[0]


def notes_into(notes: list[str]) -> Progress:
    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)

    return Progress(listen)


def forget_eva(project: Project) -> None:
    """Let the model of three be one of two with the same encoder."""
    for one in checkpoints(project.model_folder("trio")):
        snapshot = load(one)
        left, state = without_person(snapshot, "eva"), State.from_json(snapshot.state)
        state.forget("eva")
        replace(
            one, Snapshot(left.model, left.average, left.optimizer, left.settings, state.json())
        )


@pytest.mark.slow
def test_the_end_of_a_training_is_entered_once(tmp_path: Path, home: Path) -> None:
    """A real training of three steps; the same command again changes nothing."""
    project = Project.open(build(tmp_path))
    digest = files.sha256(newest(project, "duo") / "encoder.safetensors")
    (record,) = model_records.find(Home(home), digest)
    assert (record.kind, record.model, record.steps) == ("training", "duo", 3)
    assert record.weights_sha256 == weights_hash(load_model(project.model_folder("duo")))
    kept = [files.sha256(path) for path in kept_in(project.model_folder("duo"))]
    assert len(kept) == 2
    assert list(record.files) == hashes_of(newest(project, "duo")) + kept
    ids = {name: project.person(name).consent for name in ("red", "blue")}
    assert {one.id for one in record.consents} == {one.id for one in ids.values() if one}
    enter_checkpoint(project, "duo")
    with Ledger.open(Home(home), write=False) as ledger:
        (entry,) = [one for one in ledger.latest(100) if one.values["kind"] == "model"]
        for name, consent in ids.items():
            assert consent is not None
            (digest,) = [
                one for one in entry.values["people"] if ledger.matches(consent.id, name, one)
            ]
            assert digest not in entry.values["consents"]
    assert entry.values["sha256"] == files.sha256(newest(project, "duo") / "manifest.json")
    assert entry.values["weights"] == record.weights_sha256
    assert "red" not in entry.text
    assert b"red" not in b"".join(one.read_bytes() for one in home.glob("records/models/*"))


@pytest.mark.parametrize(
    "name", ["manifest.json", "ema-decoder-eva.safetensors", "encoder.safetensors"]
)
def test_every_file_of_a_checkpoint_leads_to_it(project: Project, home: Path, name: str) -> None:
    found = model_lookup.search(Home(home), files.sha256(newest(project) / name))
    assert found is not None
    assert found.holds
    assert found.summary.startswith(
        "It is part of the model trio, which this installation trained on "
    )
    assert found.summary.endswith("with 3 consent records.")
    consent = project.person("eva").consent
    assert consent is not None
    said = {text: tone for tone, text in found.findings}
    assert said[f"Consent record {consent.id} was on file."] == "proved"
    assert said["It had 20 training steps at that time."] == "proved"


def test_a_gallery_leads_to_its_model(project: Project, home: Path) -> None:
    """Also one that is newer than the model, which is entered once more with it."""
    galleries.keep(project, "trio", "eva")
    path = path_of(project.model_folder("trio"), "eva")
    digest = files.sha256(path)
    assert model_lookup.search(Home(home), digest) is None
    for _ in range(2):
        enter_checkpoint(project, "trio")
        (record,) = model_records.find(Home(home), digest)
        assert list(record.files) == [*hashes_of(newest(project)), digest]
    found = model_lookup.search(Home(home), digest)
    assert found is not None
    assert found.holds
    assert found.summary.startswith("It is part of the model trio, which this installation trained")
    with Ledger.open(Home(home), write=False) as ledger:
        (entry,) = [one for one in ledger.latest(100) if digest in one.values.get("files", ())]
    assert entry.values["kind"] == "model"
    path.unlink()
    enter_checkpoint(project, "trio")
    assert len(list(home.glob("records/models/*.json"))) == 2


def test_a_film_s_model_is_known_by_its_weights(project: Project, home: Path) -> None:
    weights = weights_hash(load_model(project.model_folder("trio")))
    said = model_lookup.drew(Home(home), weights)
    assert said is not None
    assert said.startswith("It was drawn by the model trio, which this installation trained until")
    assert model_lookup.drew(Home(home), "ab" * 32) is None
    (path,) = home.glob("records/models/*.json")
    path.write_text("{" + weights)
    assert model_lookup.drew(Home(home), weights) is None


def test_what_nobody_entered_is_not_known(project: Project, home: Path) -> None:
    assert model_lookup.search(Home(home), "ab" * 32) is None
    older = checkpoints(project.model_folder("trio"))[1]
    assert model_lookup.search(Home(home), files.sha256(older / "manifest.json")) is None


def test_an_exported_decoder_is_known_when_it_comes_back(
    project: Project, home: Path, tmp_path: Path
) -> None:
    file = project.export_person("eva", "trio").file
    found = model_lookup.search(Home(home), files.sha256(file))
    assert found is not None
    assert found.holds
    assert found.summary.startswith("It is a person's decoder of the model trio, which this ")
    with Ledger.open(Home(home), write=False) as ledger:
        (entry,) = ledger.by_sha256(files.sha256(file))
    assert entry.values["kind"] == "export"
    other = studio(Project.create(tmp_path / "other"), ("ada", "chen"))
    trained(other)
    forget_eva(other)
    notes: list[str] = []
    renamed = tmp_path / "renamed.decoder.safetensors"
    renamed.write_bytes(file.read_bytes())
    other.import_person(renamed, "trio", progress=notes_into(notes))
    assert found.summary in notes
    known = model_lookup.search(
        Home(home), files.sha256(newest(other) / "ema-decoder-eva.safetensors")
    )
    assert known is not None
    assert "into which this installation took a person" in known.summary


def test_what_was_deleted_is_said_of_every_copy(project: Project, home: Path) -> None:
    decoder = newest(project) / "ema-decoder-eva.safetensors"
    exported = project.export_person("eva", "trio").file
    kept = newest(project) / "ema-decoder-ada.safetensors"
    hashes = {path: files.sha256(path) for path in (decoder, exported, kept)}
    project.remove_person("eva")
    assert not exported.exists()
    for path in (decoder, exported):
        found = model_lookup.search(Home(home), hashes[path])
        assert found is not None
        assert not found.holds
        assert found.summary.startswith("Do not use it: a person whose face it draws withdrew")
        assert found.findings[-1][0] == "broken"
    found = model_lookup.search(Home(home), hashes[kept])
    assert found is not None
    assert found.holds
    with Ledger.open(Home(home), write=False) as ledger:
        kinds = [one.values["kind"] for one in ledger.latest(100)]
    # Of the export, and of each of two checkpoints.
    assert kinds.count("tombstone") == 3


def test_a_removal_goes_on_without_a_ledger(project: Project, home: Path) -> None:
    (home / "ledger.sqlite").write_bytes(b"no database " * 500)
    for more in home.glob("ledger.sqlite-*"):
        more.unlink()
    notes: list[str] = []
    project.remove_person("eva", notes_into(notes))
    assert "eva" not in project.people
    assert any("The removal from trio could not be recorded" in note for note in notes)


def test_a_record_that_was_changed_is_not_believed(project: Project, home: Path) -> None:
    digest = files.sha256(newest(project) / "manifest.json")
    (path,) = home.glob("records/models/*.json")
    whole = json.loads(path.read_text())
    for change, words in (
        ({"steps": 21}, "another value for its steps"),
        ({"weights_sha256": "ab" * 32}, "another value for its weights"),
        ({"consents": []}, "another value for its consents"),
        ({"made_at": "2020-01-01T00:00:00Z"}, "another value for its time"),
        ({"model": "other"}, "another value for its kind, name or consent records"),
        ({"kind": "import"}, "another value for its kind, name or consent records"),
        (
            {"consents": [one | {"id": str(UUID(int=7))} for one in whole["consents"]]},
            "another value for its kind, name or consent records",
        ),
        ({"ledger": {"index": 5, "hash": "ab" * 32}}, "another value for its place"),
    ):
        path.write_text(json.dumps({**whole, **change}))
        found = model_lookup.search(Home(home), digest)
        assert found is not None
        assert not found.holds
        assert found.summary.startswith("Do not rely on it: according to its record, it is part of")
        assert any(words in text for tone, text in found.findings if tone == "broken")
    path.write_text(json.dumps({**whole, "kind": "odd"}))
    with pytest.raises(TrustError, match="cannot be read"):
        model_records.find(Home(home), digest)
    found = model_lookup.search(Home(home), digest)
    assert found is not None
    assert not found.holds


def test_what_the_ledger_binds_besides_stands_in_it_for_nobody_to_read(
    project: Project, home: Path
) -> None:
    (path,) = home.glob("records/models/*.json")
    record = model_records.ModelRecord.model_validate_json(path.read_bytes())
    with Ledger.open(Home(home), write=False) as ledger:
        entry = ledger.entry(record.ledger.index)
    assert entry is not None
    assert len(entry.values["rest"]) == 64
    assert "trio" not in entry.text
    assert not any(one.id in entry.text for one in record.consents)


@pytest.mark.parametrize("kind", ["folder", "pipe", "locked", "other"])
def test_a_record_that_cannot_be_opened_breaks_no_other(
    project: Project, home: Path, kind: str
) -> None:
    digest = files.sha256(newest(project) / "manifest.json")
    odd = home / "records" / "models" / "00000000-odd.json"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    elif kind == "locked":
        odd.symlink_to(odd)  # nor can anybody open a link in a circle
    else:
        odd.write_bytes(b"\xff{")
    notes: list[str] = []
    found = model_lookup.search(Home(home), digest, notes.append)
    assert found is not None
    assert found.holds
    assert [str(odd) in note for note in notes] == ([] if kind == "other" else [True])
    assert model_lookup.search(Home(home), "ab" * 32) is None


def test_a_ledger_that_lost_the_entry_proves_nothing(project: Project, home: Path) -> None:
    digest = files.sha256(newest(project) / "manifest.json")
    with sqlite3.connect(home / "ledger.sqlite") as database:
        database.execute(
            "UPDATE entries SET entry = replace(entry, '\"steps\":20', '\"steps\":21')"
        )
    found = model_lookup.search(Home(home), digest)
    assert found is not None
    assert not found.holds


def summary(home: Path, digest: str) -> str:
    found = model_lookup.search(Home(home), digest)
    assert found is not None
    return found.summary


def test_a_model_that_knew_nobody_else_is_known_as_deleted(project: Project, home: Path) -> None:
    for step in (10, 20):
        save(project.model_folder("solo"), step, snapshot(step, ("eva",), seed=5))
    enter_checkpoint(project, "solo")
    hashes = hashes_of(newest(project, "solo"))
    assert len(hashes) == 5
    project.remove_person("eva")
    assert all(summary(home, one).startswith("Do not use it") for one in hashes)


def test_what_stays_of_a_model_that_goes_is_not_taken_for_deleted(
    project: Project, home: Path
) -> None:
    """A model of one, with the very encoder of a model that stays."""
    save(project.model_folder("solo"), 20, snapshot(20, ("eva",)))
    encoder = files.sha256(newest(project, "solo") / "encoder.safetensors")
    manifest = files.sha256(newest(project, "solo") / "manifest.json")
    assert encoder == files.sha256(newest(project) / "encoder.safetensors")
    project.remove_person("eva")
    assert summary(home, encoder).startswith("It is part of the model trio")
    assert summary(home, manifest).startswith("Do not use it")


def test_a_damaged_checkpoint_is_known_as_deleted_as_it_was(project: Project, home: Path) -> None:
    """Also copies of the damaged file, from before; decoders of others do not draw who went."""
    save(project.model_folder("trio"), 30, snapshot(30, seed=7))
    enter_checkpoint(project, "trio")
    bad = newest(project)
    before = {path.name: files.sha256(path) for path in bad.glob("*.safetensors")}
    manifest = files.sha256(bad / "manifest.json")
    (bad / "ema-encoder.safetensors").write_bytes(b"short")
    project.remove_person("eva")
    assert not bad.exists()
    gone = [manifest, hashlib.sha256(b"short").hexdigest()]
    gone += [before[f"{one}.safetensors"] for one in ("ema-encoder", "encoder")]
    gone += [before[f"{one}decoder-eva.safetensors"] for one in ("", "ema-")]
    assert all(summary(home, one).startswith("Do not use it") for one in gone)
    assert summary(home, before["ema-decoder-ada.safetensors"]).startswith("It is part of")


def test_a_checkpoint_without_a_manifest_is_known_as_deleted(project: Project, home: Path) -> None:
    save(project.model_folder("trio"), 30, snapshot(30, seed=7))
    bad = newest(project)
    encoder = files.sha256(bad / "ema-encoder.safetensors")
    (bad / "manifest.json").unlink()
    project.remove_person("eva")
    assert summary(home, encoder).startswith("Do not use it")


def test_what_was_exported_elsewhere_is_known_as_withdrawn(
    project: Project, home: Path, tmp_path: Path
) -> None:
    save(project.model_folder("pair"), 10, snapshot(10, ("ada", "eva"), seed=5))
    away = project.export_person("eva", "pair", tmp_path / "away.safetensors").file
    hers = project.export_person("ada", "trio", tmp_path / "ada.safetensors").file
    inside = project.export_person("eva", "trio").file
    digest = files.sha256(inside)
    (home / "records/models/0-broken.json").write_text("{")
    notes: list[str] = []
    project.remove_person("eva", notes_into(notes))
    for one in (files.sha256(away), digest):
        assert summary(home, one).startswith("Do not use it")
    assert summary(home, files.sha256(hers)).startswith("It is a person's decoder")
    (told,) = [one for one in notes if "exported with eva" in one]
    assert "1 more file was" in told
    assert any("0-broken.json cannot be read" in one for one in notes)


@pytest.mark.parametrize("name", ["ema-encoder.safetensors", "encoder.safetensors"])
def test_a_damaged_checkpoint_is_not_entered_with_other_weights(
    project: Project, home: Path, name: str
) -> None:
    folder = project.model_folder("trio")
    save(folder, 30, snapshot(30, seed=3))
    save(folder, 40, snapshot(40, seed=4))
    (newest(project) / name).write_bytes(b"short")
    damaged, whole = hashes_of(newest(project)), checkpoints(folder)[1]
    enter_checkpoint(project, "trio")
    assert not any(model_records.find(Home(home), one) for one in damaged)
    (record,) = model_records.find(Home(home), files.sha256(whole / "manifest.json"))
    assert (record.steps, list(record.files)) == (30, hashes_of(whole))
    assert record.weights_sha256 == weights_hash(load(whole).average)


def test_a_model_without_a_whole_checkpoint_is_not_entered(project: Project) -> None:
    save(project.model_folder("solo"), 10, snapshot(10, ("eva",)))
    (newest(project, "solo") / "ema-encoder.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="ema-encoder"):
        enter_checkpoint(project, "solo")
    enter_checkpoint(project, "empty")

"""Models in the ledger: trained, exported, imported and deleted, and found again by their hash."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from coming_and_going import studio, trained
from studio import build
from understudy import files, model_search
from understudy.errors import TrustError
from understudy.model_entries import enter_checkpoint, hashes_of
from understudy.models import base, load_model
from understudy.models.checkpoint import Snapshot, checkpoints, load, replace
from understudy.models.people import without_person
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.render import weights_hash
from understudy.schedule import State
from understudy.trust import model_records
from understudy.trust.home import Home
from understudy.trust.ledger import Ledger


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tinynet", "Tiny"))


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


def test_the_end_of_a_training_is_entered_once(tmp_path: Path, home: Path) -> None:
    """A real training of three steps; the same command again changes nothing."""
    project = Project.open(build(tmp_path))
    digest = files.sha256(newest(project, "duo") / "encoder.safetensors")
    (record,) = model_records.find(Home(home), digest)
    assert (record.kind, record.model, record.steps) == ("training", "duo", 3)
    assert record.weights_sha256 == weights_hash(load_model(project.model_folder("duo")))
    assert list(record.files) == hashes_of(newest(project, "duo"))
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
    found = model_search.search(Home(home), files.sha256(newest(project) / name))
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
    assert said["It had 20 steps of training then."] == "proved"


def test_a_film_s_model_is_known_by_its_weights(project: Project, home: Path) -> None:
    weights = weights_hash(load_model(project.model_folder("trio")))
    said = model_search.drew(Home(home), weights)
    assert said is not None
    assert said.startswith("The model that drew it is trio, which this installation trained until")
    assert model_search.drew(Home(home), "ab" * 32) is None
    (path,) = home.glob("records/models/*.json")
    path.write_text("{" + weights)
    assert model_search.drew(Home(home), weights) is None


def test_what_nobody_entered_is_not_known(project: Project, home: Path) -> None:
    assert model_search.search(Home(home), "ab" * 32) is None
    older = checkpoints(project.model_folder("trio"))[1]
    assert model_search.search(Home(home), files.sha256(older / "manifest.json")) is None


def test_an_exported_decoder_is_known_when_it_comes_back(
    project: Project, home: Path, tmp_path: Path
) -> None:
    file = project.export_person("eva", "trio").file
    found = model_search.search(Home(home), files.sha256(file))
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
    known = model_search.search(
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
        found = model_search.search(Home(home), hashes[path])
        assert found is not None
        assert not found.holds
        assert found.summary.startswith("Do not use it: somebody whose face it draws took back")
        assert found.findings[-1][0] == "broken"
    found = model_search.search(Home(home), hashes[kept])
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
    assert any("The ledger does not hold what is removed of trio" in note for note in notes)


def test_a_record_that_was_changed_is_not_believed(project: Project, home: Path) -> None:
    digest = files.sha256(newest(project) / "manifest.json")
    (path,) = home.glob("records/models/*.json")
    whole = json.loads(path.read_text())
    for change, words in (
        ({"steps": 21}, "something else of its steps"),
        ({"weights_sha256": "ab" * 32}, "something else of its weights"),
        ({"consents": []}, "something else of its consents"),
        ({"ledger": {"index": 5, "hash": "ab" * 32}}, "something else of its place"),
    ):
        path.write_text(json.dumps({**whole, **change}))
        found = model_search.search(Home(home), digest)
        assert found is not None
        assert not found.holds
        assert found.summary.startswith("Do not rely on it: by its record, it is part of")
        assert any(words in text for tone, text in found.findings if tone == "broken")
    path.write_text(json.dumps({**whole, "kind": "odd"}))
    with pytest.raises(TrustError, match="cannot be read"):
        model_records.find(Home(home), digest)
    found = model_search.search(Home(home), digest)
    assert found is not None
    assert not found.holds


def test_a_ledger_that_lost_the_entry_proves_nothing(project: Project, home: Path) -> None:
    digest = files.sha256(newest(project) / "manifest.json")
    with sqlite3.connect(home / "ledger.sqlite") as database:
        database.execute(
            "UPDATE entries SET entry = replace(entry, '\"steps\":20', '\"steps\":21')"
        )
    found = model_search.search(Home(home), digest)
    assert found is not None
    assert not found.holds

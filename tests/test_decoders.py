"""Decoders leave models as files, and come into models that they fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from coming_and_going import newest, parts, snapshot, studio, trained
from understudy.errors import (
    CheckpointError,
    ConsentError,
    SettingsError,
    UnderstudyError,
    UnknownModel,
    UnknownPerson,
)
from understudy.models import base, load_model
from understudy.models.checkpoint import Snapshot, save
from understudy.models.decoder_file import read
from understudy.models.people import encoder_digest, only, put_back, with_person
from understudy.project import Project
from understudy.trust import consent


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tinynet", "Tiny"))


@pytest.fixture
def here(tmp_path: Path) -> Project:
    project = studio(Project.create(tmp_path / "here"))
    trained(project)
    return project


@pytest.fixture
def there(here: Project, tmp_path: Path) -> Project:
    """Another project, with the same encoder and without eva."""
    project = studio(Project.create(tmp_path / "there"), ("ada", "chen"))
    whole = newest(here)
    two = snapshot(20, ("ada", "chen"))
    for part, source in ((two.model, whole.model), (two.average, whole.average)):
        shared = source.parts()
        part.load_parts({name: shared[name] for name in part.parts()})
    save(project.model_folder("duo"), 20, two)
    return project


def test_a_person_goes_from_model_to_model(here: Project, there: Project) -> None:
    report = here.export_person("eva")
    assert report.file == here.folder / "exports" / "trio-eva.decoder.safetensors"
    label, weights = read(report.file)
    assert (label.person, label.network, label.size) == ("eva", "swift", 64)
    assert label.consent.footing == "synthetic"
    assert label.encoder_sha256 == encoder_digest(newest(here).average)
    before = parts(there, "duo")
    there.import_person(report.file)
    after = parts(there, "duo")
    assert {name: after[name] for name in before} == before
    model = load_model(there.model_folder("duo"))
    assert model.people == ("ada", "chen", "eva")
    images = torch.rand(2, 3, 64, 64)
    mine = load_model(here.model_folder("trio"))
    assert torch.equal(model.swap(images, "eva")[0], mine.swap(images, "eva")[0])
    assert all(torch.equal(weights[key], model.parts()["decoder-eva"][key]) for key in weights)
    assert there.person("eva").consent == here.person("eva").consent
    state = newest(there, "duo").state
    assert (state["people"], state["since_step"]) == (["ada", "chen", "eva"], 20)


def refused(project: Project, file: Path, error: type[UnderstudyError], match: str) -> None:
    """Nothing changes."""
    before, people = parts(project, project.models[0]), project.people
    with pytest.raises(error, match=match) as caught:
        project.import_person(file)
    assert caught.value.remedy
    assert parts(project, project.models[0]) == before
    assert project.people == people


def test_what_does_not_fit_is_refused(here: Project, there: Project, tmp_path: Path) -> None:
    file = here.export_person("eva").file
    with pytest.raises(SettingsError, match="not trained on eva"):
        studio(there, ("eva",)).export_person("eva")
    refused(here, file, SettingsError, "has a decoder of eva already")
    save(there.model_folder("duo"), 30, snapshot(30, ("ada", "chen"), seed=1))
    refused(there, file, CheckpointError, "belongs to another encoder")
    with pytest.raises(UnknownModel):
        there.import_person(file, "quartet")
    with pytest.raises(UnknownPerson):
        here.export_person("eve")


def test_one_decoder_for_everybody_is_nobodys_to_export(here: Project) -> None:
    model = base.network_class("autoencoder")(96, ("ada", "chen", "eva"))
    save(here.model_folder("plain"), 1, Snapshot(model, copy.deepcopy(model), {}, {}, {}))
    with pytest.raises(SettingsError, match="one decoder for everybody"):
        here.export_person("ada", "plain")


def relabelled(file: Path, target: Path, **changes: object) -> Path:
    label, weights = read(file)
    text = json.loads(label.model_dump_json(exclude_none=True)) | changes
    safetensors.torch.save_file(weights, target, {"understudy": json.dumps(text)})
    return target


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"schema_version": 2}, "version 2"),
        ({"kind": "encoder"}, "not a person's decoder"),
        ({"size": 96}, "at 96 px"),
        ({"network": "original"}, "of original"),
        ({"weights_sha256": "0" * 64}, "damaged"),
        ({"consent": {"person": "eva"}}, "cannot be: consent"),
        ({"more": 1}, "cannot be: more"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    here: Project, there: Project, tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    file = relabelled(here.export_person("eva").file, tmp_path / "file", **changes)
    refused(there, file, CheckpointError, match)


def test_damaged_and_foreign_files_are_refused(
    here: Project, there: Project, tmp_path: Path
) -> None:
    good = here.export_person("eva").file.read_bytes()
    bad = tmp_path / "bad"
    flipped = bytearray(good)
    flipped[-100] ^= 1
    for data in (good[:-10], bytes(flipped), b"", b"not at all", b"\xff" * 64):
        bad.write_bytes(data)
        refused(there, bad, CheckpointError, "bad")
    refused(there, tmp_path / "missing", CheckpointError, "cannot be read")
    safetensors.torch.save_file({"a": torch.zeros(1)}, bad)
    refused(there, bad, CheckpointError, "not a person's decoder")
    _, weights = read(here.export_person("eva").file)
    weights.pop(next(iter(weights)))
    from understudy.models.people import digest

    safetensors.torch.save_file(weights, bad)
    label = json.loads(read(here.export_person("eva").file)[0].model_dump_json(exclude_none=True))
    text = json.dumps(label | {"weights_sha256": digest(weights)})
    safetensors.torch.save_file(weights, bad, {"understudy": text})
    refused(there, bad, CheckpointError, "do not fit")


def test_the_name_in_a_file_cannot_lead_elsewhere(
    here: Project, there: Project, tmp_path: Path
) -> None:
    file = relabelled(here.export_person("eva").file, tmp_path / "file", person="../eva")
    refused(there, file, UnderstudyError, "cannot name a person")


def test_the_consent_comes_along_and_must_hold(
    here: Project, there: Project, tmp_path: Path
) -> None:
    agreement = tmp_path / "agreement.txt"
    agreement.write_text("yes")
    record = consent.state("eva", "granted", agreement)
    consent.write(here.person("eva").consent_file, record)
    file = here.export_person("eva").file
    refused(there, file, ConsentError, "the agreement is not here")
    other = tmp_path / "other.txt"
    other.write_text("no")
    with pytest.raises(ConsentError, match="not the agreement"):
        there.import_person(file, statement=other)
    revoked = json.loads(record.model_dump_json(exclude_none=True))
    revoked["revoked_at"] = "2020-01-01T00:00:00Z"
    refused(
        there, relabelled(file, tmp_path / "revoked", consent=revoked), ConsentError, "took the"
    )
    theirs = {**json.loads(record.model_dump_json(exclude_none=True)), "person": "ada"}
    refused(
        there, relabelled(file, tmp_path / "theirs", consent=theirs), ConsentError, "that of ada"
    )
    there.import_person(file, statement=agreement)
    assert there.person("eva").consent == record
    assert (there.person("eva").folder / "statement.txt").read_text() == "yes"


def test_taking_people_out_and_putting_them_back_changes_nothing_else() -> None:
    whole = snapshot(10)
    part = only(whole, ["eva"])
    assert part.model.people == ("eva",)
    assert torch.equal(
        part.model.state_dict()["encoder.0.weight"],
        whole.average.state_dict()["encoder.0.weight"],
    )
    again = put_back(whole, part)
    for one, other in ((again.model, whole.model), (again.average, whole.average)):
        pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
        assert all(key == name and torch.equal(a, b) for (key, a), (name, b) in pairs)
    assert again.optimizer.keys() == whole.optimizer.keys()
    more = with_person(whole, "ben", whole.model.parts()["decoder-ada"])
    assert more.model.people == ("ada", "chen", "eva", "ben")
    assert {key for key in more.optimizer if "decoders.3" in key} == set()
    assert torch.equal(
        more.optimizer["decoders.2.0.weight.exp_avg"],
        whole.optimizer["decoders.2.0.weight.exp_avg"],
    )


def test_a_copy_of_what_was_deleted_here_is_refused(
    here: Project, there: Project, tmp_path: Path
) -> None:
    """Also in another project of this machine."""
    copied = tmp_path / "copy.safetensors"
    copied.write_bytes(here.export_person("eva").file.read_bytes())
    here.remove_person("eva")
    refused(there, copied, ConsentError, "copy.safetensors was made with somebody who was removed")
    assert not there.place_of("eva").folder.exists()

"""Decoders leave models as files, and come into models that they fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.support import galleries
from tests.support.three_people import newest, parts, snapshot, studio, trained
from understudy.cli.entry import main
from understudy.errors import (
    CheckpointError,
    ConsentError,
    SettingsError,
    StorageError,
    UnderstudyError,
    UnknownModel,
    UnknownPerson,
)
from understudy.models import base
from understudy.models.checkpoint import Snapshot, load_model, save
from understudy.models.gallery import kept_in, path_of
from understudy.models.gallery import read as read_gallery
from understudy.models.hashing import digest
from understudy.people import decoders
from understudy.people.decoder_file import Label, read, write
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.safeguards import consent_gate
from understudy.training.adding_people import encoder_digest, only, put_back, with_person


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


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
    label, weights, gallery = read(report.file)
    assert gallery is None
    assert label.schema_version == 1
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
    model = project.models[0]
    before, people = parts(project, model), project.people
    kept = kept_in(project.model_folder(model))
    with pytest.raises(error, match=match) as caught:
        project.import_person(file)
    assert caught.value.remedy
    assert parts(project, model) == before
    assert project.people == people
    assert kept_in(project.model_folder(model)) == kept


def test_what_does_not_fit_is_refused(here: Project, there: Project, tmp_path: Path) -> None:
    file = here.export_person("eva").file
    with pytest.raises(SettingsError, match="not trained on eva"):
        studio(there, ("eva",)).export_person("eva")
    refused(here, file, SettingsError, "already has a decoder of eva")
    save(there.model_folder("duo"), 30, snapshot(30, ("ada", "chen"), seed=1))
    refused(there, file, CheckpointError, "belongs to another encoder")
    with pytest.raises(UnknownModel):
        there.import_person(file, "quartet")
    with pytest.raises(UnknownPerson):
        here.export_person("eve")


def test_one_decoder_for_everybody_is_nobodys_to_export(here: Project) -> None:
    model = base.network_class("autoencoder")(96, ("ada", "chen", "eva"))
    save(here.model_folder("plain"), 1, Snapshot(model, copy.deepcopy(model), {}, {}, {}))
    with pytest.raises(SettingsError, match="one decoder for all people"):
        here.export_person("ada", "plain")


def relabelled(file: Path, target: Path, **changes: object) -> Path:
    label, weights, _ = read(file)
    text = json.loads(label.model_dump_json(exclude_none=True)) | changes
    safetensors.torch.save_file(weights, target, {"understudy": json.dumps(text)})
    return target


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"schema_version": 3}, "version 3"),
        ({"schema_version": 2}, "schema 2 names a gallery"),
        ({"gallery_sha256": "0" * 64}, "schema 1 does not"),
        ({"schema_version": 2, "gallery_sha256": "0" * 64}, "missing"),
        ({"kind": "encoder"}, "not a person's decoder"),
        ({"size": 96}, "at 96 px"),
        ({"network": "original"}, "for original"),
        ({"weights_sha256": "0" * 64}, "damaged"),
        ({"consent": {"person": "eva"}}, "not valid: consent"),
        ({"more": 1}, "not valid: more"),
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
    _, weights, _ = read(here.export_person("eva").file)
    weights.pop(next(iter(weights)))
    safetensors.torch.save_file(weights, bad)
    label = json.loads(read(here.export_person("eva").file)[0].model_dump_json(exclude_none=True))
    text = json.dumps(label | {"weights_sha256": digest(weights)})
    safetensors.torch.save_file(weights, bad, {"understudy": text})
    refused(there, bad, CheckpointError, "are incompatible")


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
    record = consent_gate.state("eva", "granted", agreement)
    consent_gate.write(here.person("eva").consent_file, record)
    file = here.export_person("eva").file
    refused(there, file, ConsentError, "the agreement is missing")
    other = tmp_path / "other.txt"
    other.write_text("no")
    with pytest.raises(ConsentError, match="not the agreement"):
        there.import_person(file, statement=other)
    revoked = json.loads(record.model_dump_json(exclude_none=True))
    revoked["revoked_at"] = "2020-01-01T00:00:00Z"
    refused(
        there, relabelled(file, tmp_path / "revoked", consent=revoked), ConsentError, "withdrew the"
    )
    theirs = {**json.loads(record.model_dump_json(exclude_none=True)), "person": "ada"}
    refused(
        there, relabelled(file, tmp_path / "theirs", consent=theirs), ConsentError, "belongs to ada"
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
    refused(there, copied, ConsentError, "copy.safetensors was made with a person who was removed")
    assert not there.place_of("eva").folder.exists()


class TestGallery:
    """A person's pictures go with their decoder."""

    def test_it_travels_with_the_person(self, here: Project, there: Project) -> None:
        own = galleries.keep(here, "trio", "ada", "chen", "eva")["eva"]
        report = here.export_person("eva")
        assert report.pictures == 3
        label, weights, gallery = read(report.file)
        assert gallery is not None
        assert (label.schema_version, label.gallery_sha256) == (2, own.sha256)
        assert gallery.sha256 == own.sha256
        assert gallery.pictures == own.pictures
        assert label.weights_sha256 == digest(newest(here).average.parts()["decoder-eva"])
        assert weights.keys() == newest(here).average.parts()["decoder-eva"].keys()
        galleries.keep(there, "duo", "ada")
        assert there.import_person(report.file).pictures == 3
        folder = there.model_folder("duo")
        assert [one.name for one in kept_in(folder)] == [
            "gallery-ada.safetensors",
            "gallery-eva.safetensors",
        ]
        assert read_gallery(path_of(folder, "eva")).sha256 == own.sha256

    def test_it_can_be_left_out(self, here: Project, there: Project) -> None:
        own = galleries.keep(here, "trio", "eva")["eva"]
        report = here.export_person("eva", gallery=False)
        label, _, gallery = read(report.file)
        assert (report.pictures, gallery, label.gallery_sha256) == (0, None, None)
        assert label.schema_version == 1
        text = label.model_dump_json(exclude_none=True)
        assert "gallery" not in text
        data = report.file.read_bytes()
        assert b"gallery" not in data
        assert own.pictures[0] not in data
        # Nothing that an import was cut short with comes back.
        galleries.keep(there, "duo", "eva")
        there.import_person(report.file)
        assert kept_in(there.model_folder("duo")) == []

    def test_a_model_without_one_gives_a_file_without_and_says_so(self, here: Project) -> None:
        told: list[Event] = []
        report = here.export_person("eva", progress=Progress(told.append))
        assert report.label.schema_version == 1
        assert [event.text for event in told if event.kind == "note"] == [
            "The model trio has no gallery of eva, so the file contains none."
        ]
        told.clear()
        here.export_person("eva", progress=Progress(told.append), gallery=False)
        assert told == []

    def test_damaged_bytes_inside_a_file_are_refused(
        self, here: Project, there: Project, tmp_path: Path
    ) -> None:
        own = galleries.keep(here, "trio", "eva")["eva"]
        good = here.export_person("eva").file.read_bytes()
        bad = tmp_path / "bad.decoder.safetensors"
        places = {
            "picture": good.index(own.pictures[1]) + 30,
            "mesh": good.index(own.meshes.tobytes()) + 1000,
            "mask": good.index(own.masks.tobytes()) + 5,
            "mean": good.index(own.mean.tobytes()) + 100,
        }
        for place in places.values():
            flipped = bytearray(good)
            flipped[place] ^= 1
            bad.write_bytes(flipped)
            refused(there, bad, CheckpointError, "bad.decoder.safetensors is damaged: its gallery")
        for data in (good[:-1], good[: places["mesh"]]):
            bad.write_bytes(data)
            refused(there, bad, CheckpointError, "bad.decoder.safetensors cannot be read")

    def test_what_the_label_says_of_it_must_be_so(
        self, here: Project, there: Project, tmp_path: Path
    ) -> None:
        galleries.keep(here, "trio", "eva")
        label, weights, gallery = read(here.export_person("eva").file)
        assert gallery is not None
        bad, values = tmp_path / "bad", label.model_dump()
        old = {**values, "schema_version": 1, "gallery_sha256": None}
        write(bad, Label.model_validate(old), weights, gallery)
        refused(there, bad, CheckpointError, "contains a gallery that it does not name")
        write(bad, label, weights, galleries.made(seed=9))
        refused(there, bad, CheckpointError, "its gallery was changed")
        write(bad, label, {**weights, "gallery.more": torch.zeros(1)}, gallery)
        refused(there, bad, CheckpointError, "its gallery was changed")
        write(bad, label, weights)
        refused(there, bad, CheckpointError, "is missing")

    def test_a_damaged_one_is_not_exported(self, here: Project) -> None:
        galleries.keep(here, "trio", "eva")
        path = path_of(here.model_folder("trio"), "eva")
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"gallery-eva\.safetensors is damaged") as caught:
            here.export_person("eva")
        assert "--no-gallery" in caught.value.remedy
        assert not list(here.exports_folder.glob("*"))
        assert here.export_person("eva", gallery=False).file.is_file()

    def test_an_import_that_fails_leaves_no_pictures(
        self, here: Project, there: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        galleries.keep(here, "trio", "eva")
        file = here.export_person("eva").file

        def full(*_: object) -> None:
            raise StorageError("There is no room left.", "Make some.")

        before = parts(there, "duo")
        with monkeypatch.context() as patched:
            patched.setattr(decoders, "replace", full)
            with pytest.raises(StorageError):
                there.import_person(file)
        assert parts(there, "duo") == before
        assert kept_in(there.model_folder("duo")) == []
        there.import_person(file)
        assert len(kept_in(there.model_folder("duo"))) == 1

    def test_the_commands_say_what_is_in_a_file(
        self, here: Project, there: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        galleries.keep(here, "trio", "eva")
        at = ["--project", str(here.folder)]
        assert main(["person", "export", "eva", *at]) == 0
        assert "The file contains a gallery of 3 pictures of eva." in capsys.readouterr().out
        file = str(here.exports_folder / "trio-eva.decoder.safetensors")
        assert main(["person", "import", file, "--project", str(there.folder)]) == 0
        assert "Imported with it: a gallery of 3 pictures of eva." in capsys.readouterr().out
        assert main(["person", "export", "eva", "--no-gallery", *at]) == 0
        assert "gallery" not in capsys.readouterr().out
        assert read(Path(file)).gallery is None

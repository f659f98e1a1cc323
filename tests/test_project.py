from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import (
    ConsentError,
    FacesError,
    ProjectError,
    SettingsError,
    StorageError,
    UnknownModel,
    UnknownPerson,
)
from understudy.project import Project
from understudy.safeguards import consent_gate as consents
from understudy.safeguards.consent_gate import Consent
from understudy.settings import AllSettings
from understudy.workspace import Footage, Person, check_name


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "film")


def _person(project: Project, name: str) -> Person:
    place = project.place_of(name)
    place.footage_folder.mkdir(parents=True)
    return place


def test_a_new_project_is_plain_folders(project: Project) -> None:
    assert sorted(entry.name for entry in project.folder.iterdir()) == [
        "cache",
        "models",
        "people",
        "project.toml",
        "renders",
    ]
    assert project.settings == AllSettings()
    assert project.people == []
    assert project.models == []
    assert project.folder.is_absolute()


def test_a_project_is_found_from_inside(project: Project) -> None:
    inside = project.renders_folder / "deep"
    inside.mkdir()
    assert Project.find(inside) == project == Project.open(project.folder)


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="understudy init"):
        Project.open(tmp_path)
    with pytest.raises(ProjectError, match="--project DIR"):
        Project.find(tmp_path)


def test_a_project_is_not_made_twice(project: Project) -> None:
    (project.folder / "project.toml").write_text("schema_version = 1\n[train]\nseed = 5\n")
    with pytest.raises(ProjectError, match="already contains a project"):
        Project.create(project.folder)
    assert Project.open(project.folder).settings.train.seed == 5


def test_a_project_may_be_made_where_other_things_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    Project.create(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(ProjectError, match="is a file"):
        Project.create(tmp_path / "notes.txt")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file is in the way of a folder"):
        Project.create(tmp_path / "file" / "inside")
    with pytest.raises(ProjectError, match="cannot be created"):
        Project.create(Path("/proc/understudy"))


def test_a_misspelt_setting_is_named(project: Project) -> None:
    path = project.folder / "project.toml"
    path.write_text("[train]\nminuts = 3\n")
    with pytest.raises(SettingsError, match="Did you mean `minutes`") as caught:
        Project.open(project.folder)
    assert str(path) in caught.value.problem


@pytest.mark.parametrize("name", ["ada", "a", "person-2", "x_y", "0", "a" * 64])
def test_good_names(name: str) -> None:
    assert check_name(name, "person") == name


@pytest.mark.parametrize(
    "name", ["", "Ada", "-a", "a b", "../x", "ä", "a/b", ".", "a" * 65, "any", "all", "a\n"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(ProjectError) as caught:
        check_name(name, "person")
    assert caught.value.remedy


def test_a_bad_name_comes_with_a_good_one() -> None:
    with pytest.raises(ProjectError, match="`ada-lovelace`"):
        check_name("Ada Lovelace", "person")


@given(st.text(max_size=70))
def test_a_name_never_leaves_its_folder(name: str) -> None:
    try:
        check_name(name, "model")
    except ProjectError:
        return
    assert Path("/models", name).resolve() == Path("/models") / name


def test_unknown_people_and_models_list_near_names(project: Project) -> None:
    with pytest.raises(UnknownPerson, match="understudy add"):
        project.person("ada")
    with pytest.raises(UnknownModel, match="understudy train"):
        project.model("duo")
    _person(project, "ada")
    _person(project, "chen")
    project.model_folder("duo").mkdir()
    with pytest.raises(UnknownPerson, match="Did you mean `ada`"):
        project.person("adda")
    with pytest.raises(UnknownPerson, match="Known here: ada, chen"):
        project.person("zoe")
    with pytest.raises(UnknownModel, match="Did you mean `duo`"):
        project.model("dou")
    assert project.person("ada").folder == project.people_folder / "ada"


def test_the_only_model_need_not_be_named(project: Project) -> None:
    with pytest.raises(UnknownModel, match="no model in"):
        project.model()
    project.model_folder("duo").mkdir()
    assert project.model() == "duo" == project.model("duo")
    project.model_folder("trio").mkdir()
    with pytest.raises(UnknownModel, match="--model: duo, trio"):
        project.model()


def test_other_things_in_the_folders_are_passed_over(project: Project) -> None:
    (project.people_folder / ".ada.lock").touch()
    (project.people_folder / ".half").mkdir()
    (project.people_folder / "Notes").mkdir()
    _person(project, "ada")
    assert project.people == ["ada"]
    assert project.people_with_faces == []
    place = project.person("ada")
    place.faces_folder.mkdir()
    (place.faces_folder / "faces.parquet").touch()
    assert project.people_with_faces == ["ada"]


def test_footage_is_what_is_listed_and_there(project: Project) -> None:
    place = _person(project, "ada")
    assert place.footage == []
    entries = [
        Footage(
            file=name,
            source=f"/somewhere/{name}",
            sha256=digit * 64,
            bytes=3,
            kind="video",
            added_at=datetime(2026, 1, 2, tzinfo=UTC),
            facts={"width": 2},
        )
        for name, digit in (("b.mp4", "0"), ("a.mp4", "1"), ("gone.mp4", "2"))
    ]
    for name in ("a.mp4", "b.mp4", "unlisted.mp4"):
        (place.footage_folder / name).write_bytes(b"abc")
    place.write_index(entries)
    assert list(place.index()) == entries
    assert [path.name for path in place.footage] == ["b.mp4", "a.mp4"]
    value = json.loads(place.index_file.read_text())
    assert value["schema_version"] == 1
    value["footage"][1]["sha256"] = "x"
    place.index_file.write_text(json.dumps(value))
    with pytest.raises(ProjectError, match=r"footage\.1\.sha256"):
        place.index()


def test_unknown_keywords_of_a_stage_are_refused_before_it_starts(project: Project) -> None:
    with pytest.raises(SettingsError, match="`minutes`"):
        project.train(["ada"], minuts=3)
    with pytest.raises(SettingsError, match="`crf`"):
        project.convert(Path("x.mp4"), replace="a", with_="b", crv=3)
    with pytest.raises(SettingsError, match="`size`"):
        project.extract("ada", size=100)
    with pytest.raises(FacesError, match="understudy extract"):
        project.train()


class TestConsent:
    now = datetime(2026, 5, 1, tzinfo=UTC)

    def write(self, project: Project, **more: object) -> Person:
        place = _person(project, "ada")
        values = {"person": "ada", "footing": "self", "stated_at": "2026-01-01T00:00:00Z", **more}
        place.consent_file.write_text(json.dumps(values, default=str))
        return place

    def test_it_comes_back(self, project: Project) -> None:
        record = consents.state("ada", "synthetic")
        place = _person(project, "ada")
        consents.write(place.consent_file, record)
        assert place.consent == record
        assert json.loads(place.consent_file.read_text())["schema_version"] == 2
        assert record.stated_at.utcoffset() == timedelta(0)
        assert consents.require(place, "train") == record

    def test_none_is_refused(self, project: Project) -> None:
        with pytest.raises(ConsentError, match="but training needs it") as caught:
            consents.require(_person(project, "ada"), "train")
        assert "understudy add ada --consent" in caught.value.remedy

    def test_expired_or_taken_back_is_refused(self, project: Project) -> None:
        place = self.write(project, expires_at=self.now, revoked_at=None)
        assert consents.require(place, "convert", self.now - timedelta(seconds=1))
        with pytest.raises(ConsentError, match="ended on 2026-05-01"):
            consents.require(place, "convert", self.now)

    def test_taken_back_is_refused(self, project: Project) -> None:
        place = self.write(project, revoked_at=self.now)
        with pytest.raises(ConsentError, match="withdrew the consent"):
            consents.require(place, "train", self.now)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "{}", '{"person": "ada", "footing": "mine"}', "\udcff"]
    )
    def test_a_damaged_record_is_no_consent(self, project: Project, text: str) -> None:
        place = _person(project, "ada")
        place.consent_file.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ConsentError, match=r"consent\.json"):
            consents.require(place, "train")

    def test_a_time_without_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="timezone"):
            Consent(person="ada", footing="self", stated_at=datetime(2026, 1, 1))

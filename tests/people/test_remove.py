"""Somebody is removed: from everywhere, once and for all, also when it is cut short."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.support import galleries
from tests.support.painted_people import Act, ColourTracker, film
from tests.support.three_people import PEOPLE, newest, parts, snapshot, studio, trained
from understudy.cli.entry import main
from understudy.conversion.own_gallery import cached_path
from understudy.errors import FacesError, ProjectLocked, UnknownPerson
from understudy.facesets.extract import extract
from understudy.facesets.footage import add
from understudy.models.checkpoint import checkpoints, complete, load, replace, save
from understudy.models.gallery import kept_in, path_of, write
from understudy.people import remove
from understudy.people.decoder_file import read
from understudy.progress import silent
from understudy.project import Project
from understudy.provenance.model_lookup import search
from understudy.provenance.model_registry import enter_checkpoint
from understudy.runtime.files import only_writer, sha256, write_json
from understudy.runtime.installation import Home
from understudy.runtime.project_cache import ProjectCache
from understudy.settings import ScanSettings
from understudy.tracks.scan import scan_key
from understudy.workspace import Private

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Everything that there can be of eva, and the same of others."""
    project = studio(Project.create(tmp_path / "film"))
    trained(project)
    trained(project, "duo", ("ada", "chen"))
    trained(project, "solo", ("eva",))
    galleries.keep(project, "trio", *PEOPLE)
    galleries.keep(project, "solo", "eva")
    for name in ("eva", "ada"):
        project.export_person(name, "trio")
        cached = cached_path(project.cache_folder, name)
        write(cached, galleries.made(), "print")
        digest = hashlib.sha256(f"film of {name}".encode()).hexdigest()
        scan = project.cache_folder / "scan" / scan_key(digest, project.settings.scan)
        scan.mkdir(parents=True)
        (scan / "chunk-000000.parquet").write_bytes(b"embeddings")
        whole = project.cache_folder / "scan" / f"whole-{name}"
        whole.mkdir()
        write_json(whole / "meta.json", {"schema_version": 1, "sha256": digest, "files": {}})
        write_json(project.cache_folder / "hashes" / f"{name}.json", {"sha256": digest})
        work = project.renders_folder / ".work" / f"key-{name}"
        write_json(work / "job.json", {"swaps": {"ben": name}})
        (work / "segment-000000.film.nut").write_bytes(b"frames")
        still = project.renders_folder / ".work" / f"still-{name}"
        own = {"person": name, "footing": "synthetic"}
        write_json(still / "job.json", {"swaps": {"left": "right"}, "consents": {"left": own}})
        (still / "film.png").write_bytes(b"picture")
        crops = project.cache.crops / name / "key"
        crops.mkdir(parents=True)
        (crops / "chunk-000000.parquet").write_bytes(b"faces")
        log = project.cache_folder / f"fault-{name[0]}.log"
        log.write_text(f"understudy extract {name}\nTraceback")
        cut = project.people_folder / f".{name}.x1y2z3"
        write_json(cut / "consent.json", {"person": name})
        film = project.renders_folder / f"scene-{name}-for-chen.mp4"
        film.write_bytes(b"film")
        write_json(film.with_suffix(".json"), {"swaps": {"chen": name}})
    return project


def traces(project: Project, name: str) -> list[str]:
    """Everything in the project by whose name or content somebody is told of."""
    found = []
    for path in sorted(project.folder.rglob("*")):
        told = path.is_file() and f'"{name}"'.encode() in path.read_bytes()
        if name in path.name or told:
            found.append(str(path.relative_to(project.folder)))
    return found


LEFT = [
    "people/removed.json",
    "renders/scene-eva-for-chen.json",
    "renders/scene-eva-for-chen.mp4",
]


def test_everything_goes_and_what_stays_is_said(project: Project) -> None:
    before, duo = parts(project), parts(project, "duo")
    report = project.remove_person("eva")
    assert traces(project, "eva") == LEFT
    after = parts(project)
    assert after == {name: data for name, data in before.items() if "eva" not in name}
    assert parts(project, "duo") == duo
    for one in checkpoints(project.model_folder("trio")):
        state = load(one).state
        assert state["people"] == ["ada", "chen"]
        assert set(state["history"][0]["people"]) == {"ada", "chen"}
    assert newest(project).optimizer.keys() == snapshot(1, ("ada", "chen")).optimizer.keys()
    assert project.models == ["duo", "trio"], "solo contained no other person"
    assert not list((project.model_folder("trio") / "preview").iterdir())
    assert len(list((project.model_folder("duo") / "preview").iterdir())) == 2
    told = "\n".join(report.removed)
    for what in (
        "2 scans",
        "2 unfinished conversions",
        "1 stopped extraction",
        "1 log of a fault",
        "1 exported file",
        "2 preview sheets of trio",
        "2 checkpoints of trio",
        "the gallery in trio",
        "the gallery in solo",
        "the gallery in the cache",
        "the model solo",
        "1 file of footage",
        "the faceset",
        "the consent",
    ):
        assert what in told
    assert [path.name for path in report.renders] == [Path(one).name for one in LEFT[1:]]
    assert report.models == ("trio",)
    assert project.people == ["ada", "chen"]
    assert [one.name for one in kept_in(project.model_folder("trio"))] == [
        "gallery-ada.safetensors",
        "gallery-chen.safetensors",
    ]
    assert cached_path(project.cache_folder, "ada").is_file()
    assert (project.cache_folder / "scan" / "whole-ada").is_dir()
    assert (project.renders_folder / ".work" / "key-ada" / "job.json").is_file()
    assert (project.renders_folder / ".work" / "still-ada" / "job.json").is_file()
    assert (project.cache.crops / "ada" / "key" / "chunk-000000.parquet").is_file()
    assert (project.cache_folder / "fault-a.log").is_file()
    assert (project.people_folder / ".ada.x1y2z3" / "consent.json").is_file()
    record = json.loads(project.removed_file.read_text())["removed"]["eva"]
    assert set(record) == {"at", "finished"}
    assert record["finished"]


def test_each_kind_of_thing_that_tells_of_somebody_has_a_way_to_go(project: Project) -> None:
    assert tuple(project.private) == get_args(Private)
    assert set(remove._WAYS) == set(project.private)
    inside = {path for path in project.cache_folder.iterdir() if path.is_dir()}
    assert inside == set(vars_of(project.cache)) <= set(project.private.values())


def vars_of(cache: ProjectCache) -> list[Path]:
    """Every folder that the cache has a name for."""
    names = [name for name, one in vars(ProjectCache).items() if isinstance(one, property)]
    return [getattr(cache, name) for name in names]


def test_nothing_is_left_of_an_extraction_that_came_to_nothing(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "film")
    clip = film(tmp_path / "red.mp4", 2, [Act("red", 0, 2, 90)])
    add(project, "red", [clip], "synthetic", None, silent())
    own = project.settings
    for settings in (own.scan, ScanSettings(min_face=30)):
        with pytest.raises(FacesError):
            extract(project, "red", own.extract, settings, silent(), make_tracker=ColourTracker)
    (whole, *_) = project.cache.scans.iterdir()
    (whole / "meta.json").unlink()
    inside = set(project.cache_folder.iterdir())
    assert inside == {project.cache.scans, project.cache.hashes, project.cache.crops}
    assert list(project.cache.crops.rglob("*.parquet"))
    project.remove_person("red")
    assert not [path for path in project.cache_folder.rglob("*") if path.is_file()]


def test_a_scan_under_way_is_somebody_elses(project: Project) -> None:
    under_way, left = (project.cache.scans / name for name in ("under-way", "left"))
    for folder in (under_way, left):
        folder.mkdir()
        (folder / "chunk-000000.parquet").write_bytes(b"embeddings")
    with only_writer(under_way / ".writer.lock", "the scan of scene.mp4"):
        project.remove_person("eva")
    assert (under_way / "chunk-000000.parquet").is_file()
    assert not left.exists(), "nobody can tell that it is not hers"


def test_whoever_asks_for_them_is_answered(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = project.export_person("eva", "trio", tmp_path / "eva.safetensors").file
    project.remove_person("eva")
    film = tmp_path / "x.mp4"
    film.write_bytes(b"\0" * 64)
    for ask in (
        lambda: project.train(["ada", "eva"], "new", steps=1),
        lambda: project.train(add=["eva"], name="trio", steps=1),
        lambda: project.convert(film, "ada", "eva", "trio"),
        lambda: project.convert(film, {"eva": "ada"}, model="trio"),
        lambda: project.extract("eva"),
        lambda: project.export_person("eva", "trio"),
        lambda: project.import_person(file, "trio"),
        lambda: project.remove_person("eva"),
    ):
        with pytest.raises(UnknownPerson, match="eva was removed from this project on 2"):
            ask()
    assert main(["person", "remove", "eva", "--project", str(project.folder)]) == 3
    assert "was removed" in capsys.readouterr().err


def test_the_command_says_what_it_did(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["person", "remove", "eva", "--project", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("eva was removed:\n")
    assert "scene-eva-for-chen.mp4" in out
    assert "The shared encoder of trio still contains" in out
    assert main(["person", "remove", "eve", "--project", str(project.folder)]) == 3


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("calls", range(2, 131, 8))
@pytest.mark.slow
def test_cut_short_anywhere_the_same_command_completes_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Dies at the n-th removal or renaming of anything."""
    left = calls

    def deadly(honest: Any) -> Any:
        def maybe(*args: Any, **given: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise _Killed
            return honest(*args, **given)

        return maybe

    before = parts(project)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", deadly(shutil.rmtree))
        patched.setattr(os, "replace", deadly(os.replace))
        patched.setattr(os, "unlink", deadly(os.unlink))
        try:
            project.remove_person("eva")
        except _Killed:
            with pytest.raises(UnknownPerson, match="removal of"):
                project.person("eva")
    if left <= 0:
        project.remove_person("eva")
    assert traces(project, "eva") == LEFT
    assert parts(project) == {name: data for name, data in before.items() if "eva" not in name}
    assert [path.name for path in checkpoints(project.model_folder("trio"))] == [
        "00000020",
        "00000010",
    ]


def test_a_damaged_checkpoint_goes_as_a_whole(project: Project) -> None:
    bad = checkpoints(project.model_folder("trio"))[0]
    (bad / "encoder.safetensors").write_bytes(b"short")
    project.remove_person("eva")
    assert [path.name for path in checkpoints(project.model_folder("trio"))] == ["00000010"]
    assert traces(project, "eva") == LEFT


def test_nothing_is_removed_under_somebody_who_works(project: Project) -> None:
    with (
        only_writer(project.model_folder("trio") / ".lock", "it"),
        pytest.raises(ProjectLocked, match="trio"),
    ):
        project.remove_person("eva")
    project.remove_person("eva")
    assert traces(project, "eva") == LEFT


def test_somebody_who_was_removed_can_be_added_with_a_new_consent(project: Project) -> None:
    project.remove_person("eva")
    studio(project, ("eva",))
    assert project.person("eva").name == "eva"
    project.remove_person("eva")
    assert traces(project, "eva") == LEFT


def test_a_checkpoint_made_anew_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path, 7, snapshot(7))
    fresh = snapshot(7, seed=3)
    honest, count = os.replace, 0

    def dies(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise _Killed
        honest(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dies)
        with pytest.raises(_Killed):
            replace(folder, fresh)
    assert not checkpoints(tmp_path)
    complete(tmp_path)
    (found,) = checkpoints(tmp_path)
    assert load(found).model.people == PEOPLE
    first = next(iter(fresh.model.state_dict().values()))
    assert (next(iter(load(found).model.state_dict().values())) == first).all()


def test_pictures_go_from_models_that_do_not_know_the_person(project: Project) -> None:
    """Where an import was cut short, or a training before its first checkpoint."""
    galleries.keep(project, "duo", "eva", "ada")
    young = project.model_folder("young")
    with only_writer(young / ".lock", "it"):
        galleries.keep(project, "young", "eva", "chen")
        left = path_of(young, "eva").with_name(".gallery-eva.abcdefgh.safetensors")
        left.write_bytes(path_of(young, "eva").read_bytes())
        with pytest.raises(ProjectLocked, match="young"):
            project.remove_person("eva")
    report = project.remove_person("eva")
    assert traces(project, "eva") == LEFT
    assert "the gallery in young" in report.removed
    assert path_of(young, "chen").is_file()
    assert path_of(project.model_folder("duo"), "ada").is_file()


def test_copies_of_pictures_are_known_as_deleted(project: Project, home: Path) -> None:
    exported = project.exports_folder / "trio-eva.decoder.safetensors"
    assert read(exported).gallery is not None
    own = [exported, path_of(project.model_folder("trio"), "eva")]
    hashes = [sha256(path) for path in own]
    chen = sha256(path_of(project.model_folder("trio"), "chen"))
    enter_checkpoint(project, "trio")
    project.remove_person("eva")
    for one in hashes:
        found = search(Home(home), one)
        assert found is not None
        assert found.summary.startswith("Do not use it: a person whose face it draws withdrew")
    stays = search(Home(home), chen)
    assert stays is not None
    assert stays.summary.startswith("It is part of the model trio, which this installation trained")
    assert stays.holds

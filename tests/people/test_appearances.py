"""Which renders were made with somebody: just those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.painted_people import Act, paint
from tests.support.three_people import studio
from understudy.cli.entry import main
from understudy.conversion.finish_drawn import Finisher
from understudy.people.appearances import made_with
from understudy.project import Project
from understudy.runtime.files import write_json
from understudy.settings import TrustSettings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = studio(Project.create(tmp_path / "film"))
    project.renders_folder.mkdir(exist_ok=True)
    return project


def rendered(project: Project, stem: str, people: dict[str, str], **more: Any) -> None:
    """A film, its side-by-side and their record, as a conversion leaves them."""
    outputs = {"film": f"{stem}.mp4", "side": f"{stem}-side-by-side.mp4"}
    for name in outputs.values():
        (project.renders_folder / name).write_bytes(b"film")
    write_json(
        project.renders_folder / f"{stem}.json",
        {
            "swaps": people,
            "consents": {name: {} for pair in people.items() for name in pair},
            "outputs": {key: {"file": name, "sha256": "ab"} for key, name in outputs.items()},
            **more,
        },
    )


def names(project: Project, person: str) -> list[str]:
    made = made_with(project, project.person(person))
    return [str(path.relative_to(project.renders_folder)) for path in made.files]


def test_a_film_is_listed_for_those_who_are_in_it(project: Project) -> None:
    rendered(project, "scene-ada-for-chen", {"chen": "ada"}, model={"people": ["ada", "eva"]})
    film = ["scene-ada-for-chen-side-by-side.mp4", "scene-ada-for-chen.json"]
    film.append("scene-ada-for-chen.mp4")
    assert names(project, "ada") == names(project, "chen") == film
    assert names(project, "eva") == [], "the model knows eva, and drew somebody else"


def test_whoever_was_only_recognised_is_not(project: Project) -> None:
    tracks = [{"track": 0, "person": "eva", "as_": None}]
    rendered(project, "scene", {"chen": "ada"}, tracks=tracks)
    assert names(project, "eva") == []


def test_names_that_begin_alike_are_told_apart(project: Project) -> None:
    rendered(project, "scene", {"chen": "ada"})
    rendered(project, "scene-sidewalk", {"ben": "eva"})
    for name in ("scene.sidewalk.mp4", "scene-sides.mp4"):
        (project.renders_folder / name).write_bytes(b"film")
    assert names(project, "ada") == ["scene-side-by-side.mp4", "scene.json", "scene.mp4"]
    assert len(names(project, "eva")) == 3


def test_films_from_before_have_no_list_of_outputs(project: Project) -> None:
    folder = project.renders_folder
    write_json(folder / "old.json", {"swaps": {"any": "eva"}})
    for name in ("old.mp4", "old-matte.mkv", "old-matte.mkv.c2pa", "old-sides.mp4", "older.mp4"):
        (folder / name).write_bytes(b"film")
    write_json(folder / "old.report.json", {"with": "eva", "replace": "any"})
    (folder / "old.report.html").write_bytes(b"page")
    expected = ["old-matte.mkv", "old-matte.mkv.c2pa", "old.json", "old.mp4"]
    assert names(project, "eva") == sorted([*expected, "old.report.html", "old.report.json"])
    assert names(project, "ada") == []


def test_sheets_are_listed_one_by_one(project: Project) -> None:
    folder = project.renders_folder / "explain-trio"
    consents = {name: project.person(name).consent for name in ("ada", "eva")}
    known = {name: one for name, one in consents.items() if one is not None}
    run = Finisher(TrustSettings(), {"model": "trio"}, "Faces redrawn", known)
    sheet = paint([Act("red", 0, 1, 90)], 0)
    for name in ("ada", "eva"):
        run.still(folder / f"{name}-kept.png", sheet, [name])
    run.still(folder / "decoders.png", sheet)
    write_json(folder / "explain.json", {"model": {"people": ["ada", "eva"]}, **run.told()})
    for name in ("ada", "eva"):
        own = ("decoders.png", f"{name}-kept.png", "explain.json")
        assert names(project, name) == sorted(f"explain-trio/{one}" for one in own)
    assert names(project, "chen") == []
    assert made_with(project, project.person("eva")).elsewhere == ()
    (folder / "explain.json").unlink()
    made = made_with(project, project.person("eva"))
    assert made.files == ()
    assert [one.split(" (")[0] for one in sorted(made.elsewhere)] == [
        "decoders.png",
        "eva-kept.png",
    ]


def test_what_was_written_elsewhere_is_known_by_its_record(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consent = project.person("eva").consent
    assert consent is not None
    run = Finisher(TrustSettings(), {}, "Faces redrawn", {"eva": consent})
    run.still(tmp_path / "away.png", np.tile(paint([Act("red", 0, 1, 90)], 0), (1, 2, 1)))
    assert [one.split(" (")[0] for one in made_with(project, project.person("eva")).elsewhere] == [
        "away.png"
    ]
    assert made_with(project, project.person("ada")).elsewhere == ()
    assert main(["person", "remove", "eva", "--project", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert "not in the renders folder" in out
    assert "  away.png (20" in out


def test_a_note_that_is_none_is_passed_over(project: Project) -> None:
    folder = project.renders_folder
    (folder / "broken.json").write_bytes(b"{")
    (folder / "list.json").write_text('["eva"]')
    write_json(folder / "odd.json", {"outputs": ["eva"], "consents": "eva", "swaps": ["eva"]})
    write_json(folder / "other.json", {"outputs": {"film": "eva"}, "consents": {"eva": {}}})
    assert names(project, "eva") == []


def test_what_was_moved_out_or_changed_is_told_by_its_record(
    project: Project, tmp_path: Path
) -> None:
    """The note stays where the film was."""
    folder = project.renders_folder
    consent = project.person("eva").consent
    assert consent is not None
    run = Finisher(TrustSettings(), {}, "Faces redrawn", {"eva": consent})
    sheet = paint([Act("red", 0, 1, 90)], 0)
    for name in ("kept", "moved", "changed"):
        run.still(folder / f"{name}.png", sheet, ["eva"])
        sheet = sheet[:, ::-1]
        write_json(folder / "explain.json", run.told())
    assert made_with(project, project.person("eva")).elsewhere == ()
    (folder / "moved.png").rename(tmp_path / "moved.png")
    (folder / "changed.png").write_bytes(b"cropped")
    made = made_with(project, project.person("eva"))
    assert sorted(one.split(" (")[0] for one in made.elsewhere) == ["changed.png", "moved.png"]
    assert [path.name for path in made.files] == ["changed.png", "explain.json", "kept.png"]

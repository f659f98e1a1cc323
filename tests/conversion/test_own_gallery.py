"""A gallery straight from the project's faceset."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.noise_facesets import write_faceset
from understudy.conversion.own_gallery import cached_path, gallery_from_faceset, own_galleries
from understudy.errors import FacesError
from understudy.models.gallery import read
from understudy.progress import Event, Progress, silent
from understudy.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "film")
    for seed, (name, yaws) in enumerate({"ada": range(-20, 21, 5), "chen": (0, 10)}.items()):
        write_faceset(project.place_of(name).faces_folder, list(yaws), seed=seed)
    project.place_of("eva").folder.mkdir()
    return project


def test_it_is_made_once_and_again_when_the_faceset_has_changed(project: Project) -> None:
    told: list[Event] = []
    progress = Progress(told.append)
    made = gallery_from_faceset(project, "ada", progress)
    assert len(made) == 9
    faces = project.place_of("ada").faces_folder
    assert set(made.pictures) == {one.read_bytes() for one in (faces / "images").iterdir()}
    path = cached_path(project.cache_folder, "ada")
    assert read(path).sha256 == made.sha256
    assert told[-1].kind == "finish"
    told.clear()
    before = path.read_bytes()
    assert gallery_from_faceset(project, "ada", progress).sha256 == made.sha256
    assert told == []
    assert path.read_bytes() == before
    (faces / "images" / "000.webp").unlink()
    assert len(gallery_from_faceset(project, "ada", progress)) == 8
    assert len(read(path)) == 8


def test_a_damaged_copy_is_made_again(project: Project) -> None:
    made = gallery_from_faceset(project, "chen", silent())
    path = cached_path(project.cache_folder, "chen")
    good = path.read_bytes()
    for data in (good[:-40], good[:-1] + bytes([good[-1] ^ 1]), b"", b"no gallery"):
        path.write_bytes(data)
        assert gallery_from_faceset(project, "chen", silent()).sha256 == made.sha256
        assert read(path).sha256 == made.sha256


def test_whoever_has_no_faces_has_no_gallery(project: Project) -> None:
    with pytest.raises(FacesError, match="There are no faces"):
        gallery_from_faceset(project, "eva", silent())
    write_faceset(project.place_of("eva").faces_folder, [])
    with pytest.raises(FacesError, match="has no face suitable for a gallery"):
        gallery_from_faceset(project, "eva", silent())


def test_galleries_of_who_comes_and_shapes_of_who_goes(project: Project) -> None:
    found = own_galleries(project, {"chen": "ada", "any": "ada"}, silent())
    assert list(found.own) == ["ada"]
    assert list(found.shapes) == ["chen"]
    chen = gallery_from_faceset(project, "chen", silent())
    assert np.allclose(found.shapes["chen"], chen.mean, atol=1e-6)
    assert own_galleries(project, {"chen": "eva"}, silent()).own == {}
    write_faceset(project.place_of("eva").faces_folder, [])
    assert own_galleries(project, {"chen": "eva"}, silent()).own == {}
    assert list(own_galleries(project, {"eva": "chen"}, silent()).shapes) == []
    assert os.listdir(project.cache_folder / "galleries")

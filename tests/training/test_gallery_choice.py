"""Which pictures of a person become their gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.noise_facesets import ME, OTHER, write_faceset
from understudy.errors import FacesError, MediaError
from understudy.facesets.faceset import Faceset
from understudy.models.gallery import is_made_from, path_of, read
from understudy.progress import Event, Progress, silent
from understudy.training import gallery_choice
from understudy.training.gallery_choice import gallery_of, make_galleries


def faceset(
    folder: Path,
    yaws: Sequence[float],
    identities: Sequence[NDArray[np.float32]] | None = None,
    seed: int = 0,
) -> Faceset:
    return Faceset.open(write_faceset(folder, yaws, identities=identities, seed=seed))


def stored(found: Faceset, row: int) -> bytes:
    return (found.folder / "images" / found.names[row]).read_bytes()


def test_it_holds_the_pictures_with_their_meshes(tmp_path: Path) -> None:
    faces = faceset(tmp_path, range(-30, 31, 10))
    gallery = gallery_of(faces)
    assert gallery.pictures == tuple(stored(faces, row) for row in range(7))
    assert np.allclose(gallery.meshes[..., :2], faces.shapes, atol=1e-6)
    assert np.allclose(gallery.mean, faces.mean_mesh, atol=1e-6)
    assert gallery.masks.shape == (7, 96, 96)
    assert gallery.masks[:, 48, 48].min() > 200
    assert gallery.masks[:, 0].max() == 0
    deep = gallery.meshes[3, :, 2]
    assert 0.3 < np.ptp(deep) / np.ptp(gallery.meshes[3, :, 0]) < 1.5


def test_two_pictures_are_enough(tmp_path: Path) -> None:
    faces = faceset(tmp_path, (0, 15))
    gallery = gallery_of(faces)
    assert gallery.pictures == (stored(faces, 0), stored(faces, 1))
    assert len(gallery_of(faces, np.array([1]))) == 1
    assert gallery_of(faces, np.array([1])).pictures == (stored(faces, 1),)


def test_pictures_of_one_pose_are_chosen_by_their_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = faceset(tmp_path, [0] * 9)
    assert len(gallery_of(faces)) == 9
    monkeypatch.setattr(gallery_choice, "COUNT", 4)
    gallery = gallery_of(faces)
    assert len(set(gallery.pictures)) == 4
    assert np.isfinite(gallery.meshes).all()


def test_the_same_picture_many_times_is_no_fault(tmp_path: Path) -> None:
    faces = faceset(tmp_path, [0] * 4)
    data = stored(faces, 0)
    same = faceset(tmp_path / "same", [0] * 4)
    for row in range(4):
        (same.folder / "images" / same.names[row]).write_bytes(data)
    assert set(gallery_of(same).pictures) == {data}


def test_few_pictures_cover_all_poses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of one pose and few of others: none of these is left out."""
    monkeypatch.setattr(gallery_choice, "COUNT", 5)
    faces = faceset(tmp_path, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -35, 35])
    chosen = gallery_of(faces).pictures
    assert stored(faces, 8) in chosen
    assert stored(faces, 9) in chosen
    assert len(chosen) == 5


def test_somebody_else_does_not_slip_in(tmp_path: Path) -> None:
    yaws = [0, 5, 10, 15, 20, 25]
    faces = faceset(tmp_path, yaws, [ME, ME, OTHER, ME, ME, OTHER])
    gallery = gallery_of(faces)
    assert gallery.pictures == tuple(stored(faces, row) for row in (0, 1, 3, 4))


def test_blurred_pictures_are_left_out_while_enough_are_left(tmp_path: Path) -> None:
    faces = faceset(tmp_path, range(0, 40, 5))
    table = faces.table
    values = [100.0] * 6 + [20.0, 60.0]
    column = table.schema.get_field_index("sharpness")
    blurred = table.set_column(column, table.schema.field(column), [np.array(values, np.float32)])
    assert gallery_of(replace(faces, table=blurred)).pictures == tuple(
        stored(faces, n) for n in (0, 1, 2, 3, 4, 5, 7)
    )


def test_no_face_and_lost_pictures_are_said(tmp_path: Path) -> None:
    with pytest.raises(FacesError, match="has no face suitable for a gallery") as caught:
        gallery_of(faceset(tmp_path / "none", []))
    assert "understudy extract" in caught.value.remedy
    faces = faceset(tmp_path / "some", (0, 10, 20))
    lost = faces.folder / "images" / faces.names[1]
    data = lost.read_bytes()
    lost.write_bytes(b"x" * len(data))
    with pytest.raises(MediaError, match=lost.name):
        gallery_of(faces)
    lost.unlink()
    with pytest.raises(FacesError, match=lost.name):
        gallery_of(faces)


def test_a_model_gets_one_of_everybody_without_what_is_held_out(tmp_path: Path) -> None:
    people = {
        name: faceset(tmp_path / name, range(-20, 20, 2), seed=seed)
        for seed, name in enumerate(("ada", "eva"))
    }
    folder = tmp_path / "duo"
    told: list[Event] = []
    make_galleries(folder, people, 0.2, Progress(told.append))
    assert {event.task for event in told} == {"gallery of ada", "gallery of eva"}
    for name, faces in people.items():
        kept, held = faces.split(0.2)
        gallery = read(path_of(folder, name))
        assert set(gallery.pictures) == {stored(faces, row) for row in kept}
        assert not set(gallery.pictures) & {stored(faces, row) for row in held}
    assert people["ada"].fingerprint != people["eva"].fingerprint


def test_one_is_made_again_only_when_its_faces_are_others(tmp_path: Path) -> None:
    faces, folder = faceset(tmp_path / "ada", range(0, 40, 4)), tmp_path / "duo"
    make_galleries(folder, {"ada": faces}, 0.2, silent())
    path = path_of(folder, "ada")
    before = path.stat()
    make_galleries(folder, {"ada": faces}, 0.2, silent())
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    make_galleries(folder, {"ada": faces}, 0.5, silent())
    assert path.stat().st_ino != before.st_ino
    assert len(read(path)) == len(faces.split(0.5)[0])
    (faces.folder / "images" / faces.names[0]).unlink()
    fewer = Faceset.open(faces.folder)
    make_galleries(folder, {"ada": fewer}, 0.5, silent())
    assert len(read(path)) == len(fewer.split(0.5)[0])


def test_one_of_another_version_or_damaged_is_made_again(tmp_path: Path) -> None:
    faces, folder = faceset(tmp_path / "ada", range(0, 40, 4)), tmp_path / "duo"
    make_galleries(folder, {"ada": faces}, 0.2, silent())
    path = path_of(folder, "ada")
    good = read(path)
    made_from = f"{faces.fingerprint} 0.2 200"
    assert is_made_from(path, made_from)
    other = path.read_bytes().replace(b'"understudy_gallery":"1"', b'"understudy_gallery":"9"')
    for data in (other, b"", path.read_bytes()[:100]):
        path.write_bytes(data)
        assert not is_made_from(path, made_from)
        make_galleries(folder, {"ada": faces}, 0.2, silent())
        assert read(path).sha256 == good.sha256

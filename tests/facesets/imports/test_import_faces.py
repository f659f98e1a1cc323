from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.foreign_files import chunk, values
from tests.support.painted_people import COLOURS, Act, embedding, film, paint
from tests.support.studio import command
from understudy.errors import ConsentError, FacesError, MediaError
from understudy.faces.pose import reference
from understudy.facesets.faceset import INDEX, Faceset
from understudy.facesets.imports.import_faces import ImportReport, import_faces
from understudy.facesets.imports.pictures import has_pickle
from understudy.media.images import encode_image, read_image, write_image
from understudy.progress import silent
from understudy.project import Project
from understudy.safeguards.consent_gate import Footing
from understudy.types import Face, Floats, Image, Pose


class ColourFinder:
    """Finds the painted people in single pictures, with meshes of `height` pixels."""

    height = 60

    def faces(self, image: Image) -> list[Face]:
        found = []
        for colour in COLOURS.values():
            near = np.abs(image.astype(np.int16) - colour).sum(2) < 90
            if near.sum() < 100:
                continue
            rows, columns = np.nonzero(near)
            head = reference().points
            points = (head - head.mean(0)) / np.ptp(head[:, 1]) * self.height
            landmarks = points + np.array([columns.mean(), rows.mean(), 0])
            low, high = landmarks.min(0), landmarks.max(0)
            box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
            found.append(Face(box, landmarks.astype(np.float32), 0.9, Pose(1, 2, 3)))
        return found

    def embed(self, image: Image, face: Face) -> Floats:
        x, y = (round((face.box[i] + face.box[i + 2]) / 2) for i in (0, 1))
        patch = image[y - 5 : y + 5, x - 5 : x + 5].reshape(-1, 3).astype(np.int16)
        near = {
            who: int((np.abs(patch - colour).sum(1) < 90).sum()) for who, colour in COLOURS.items()
        }
        return embedding(max(near, key=lambda who: near[who]))


class NeedsRoom(ColourFinder):
    """Finds faces only in pictures that show much around them."""

    def faces(self, image: Image) -> list[Face]:
        found = super().faces(image)
        return [face for face in found if face.box[2] - face.box[0] < 0.35 * image.shape[1]]


def crop(who: str, index: int, margin: int = 40) -> Image:
    whole = paint([Act(who, 0, 10_000, 96)], index)
    x, y = round(96 + 6 * np.sin(index / 5)), round(96 + 5 * np.cos(index / 7))
    side = 34 + margin
    return np.ascontiguousarray(whole[max(0, y - side) : y + side, max(0, x - side) : x + side])


def faceswap_png(who: str, index: int, name: str = "clip") -> bytes:
    png = encode_image(crop(who, index), ".png")
    said = values()
    said["source"]["source_filename"] = f"{name}_{index:06d}.png"
    return png[:33] + chunk(b"iTXt", b"faceswap\0\0\0\0\0" + str(said).encode()) + png[33:]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for index in range(6):
        write_image(folder / f"{index}.jpg", crop("red", 3 * index))
    return folder


def run(
    project: Project,
    *sources: Path,
    person: str = "red",
    footing: Footing | None = "synthetic",
    finder: type[ColourFinder] = ColourFinder,
) -> ImportReport:
    settings = project.settings
    return import_faces(
        project,
        person,
        sources,
        footing,
        None,
        settings.extract,
        settings.scan,
        silent(),
        make_finder=finder,
    )


def faceset(project: Project, person: str = "red") -> Faceset:
    return Faceset.open(project.person(person).faces_folder)


def test_a_folder_of_crops_becomes_a_faceset(project: Project, faces: Path) -> None:
    report = run(project, faces)
    assert (report.faces, report.added, report.others, report.refused) == (6, 6, 0, ())
    found = faceset(project)
    assert found.table.schema.names == INDEX.names
    (source,) = found.notes["sources"]
    assert source["name"] == "faces"
    expected = [
        [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in sorted(faces.iterdir())
    ]
    assert source["imported"] == expected
    assert set(found.sources) == {source["sha256"]}
    assert len(found.embeddings) == 6
    arrays = found.load(128)
    middle = arrays.images.shape[1] // 2
    colour = arrays.images[:, middle - 8 : middle + 8, middle - 8 : middle + 8].max((1, 2))
    assert (np.abs(colour.astype(int) - COLOURS["red"]).sum(1) < 60).all()
    consent = project.person("red").consent
    assert consent is not None
    assert consent.footing == "synthetic"


def test_faces_lie_where_extraction_would_put_them(project: Project, faces: Path) -> None:
    run(project, faces)
    found = faceset(project)
    sides = found.table["size"].to_numpy()
    assert set(sides) == {256}  # the faces are small
    points = found.landmarks / sides[:, None, None]
    head = reference().points[:, :2]
    spread = points.max((1, 2)) - points.min((1, 2))
    assert points.shape == (6, len(head), 2)
    assert np.ptp(points, axis=0).max() < 0.01  # one template for all
    assert (spread > 0.5).all()


def test_faceswap_pictures_keep_their_film_and_order(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "fs"
    folder.mkdir()
    for place, index in enumerate((30, 5, 110, 12, 7)):
        (folder / f"{place}.png").write_bytes(faceswap_png("red", index))
        (folder / f"{place}b.png").write_bytes(faceswap_png("red", index + 1, "other"))
    run(project, folder)
    found = faceset(project)
    assert [source["name"] for source in found.notes["sources"]] == ["clip", "other"]
    rows = found.table.to_pylist()
    times = [row["time_numerator"] / row["time_denominator"] for row in rows[:5]]
    assert times == [index / 25 for index in (5, 7, 12, 30, 110)]
    assert [row["source_name"] for row in rows] == ["clip"] * 5 + ["other"] * 5


def test_the_same_pictures_again_change_nothing(project: Project, faces: Path) -> None:
    run(project, faces)
    index = project.person("red").faces_folder / "faces.parquet"
    before = index.read_bytes()
    report = run(project, faces, footing=None)
    assert (report.added, report.already, report.faces) == (0, 6, 6)
    assert index.read_bytes() == before
    write_image(faces / "new.jpg", crop("red", 50))
    report = run(project, faces)
    assert (report.added, report.already, report.faces) == (1, 6, 7)


def test_a_deleted_picture_stays_out(project: Project, faces: Path) -> None:
    run(project, faces)
    images = project.person("red").faces_folder / "images"
    sorted(images.iterdir())[2].unlink()
    write_image(faces / "new.jpg", crop("red", 50))
    assert run(project, faces).faces == 6
    assert len(faceset(project).missing) == 1


def test_somebody_else_stays_out(project: Project, faces: Path, tmp_path: Path) -> None:
    for index in range(3):
        write_image(faces / f"blue{index}.jpg", crop("blue", index))
    report = run(project, faces)
    assert (report.added, report.others) == (6, 3)
    blue = tmp_path / "blue"
    blue.mkdir()
    write_image(blue / "a.jpg", crop("blue", 30))
    with pytest.raises(FacesError, match="None of the 1 faces shows red"):
        run(project, blue)


def test_tight_crops_are_given_an_edge(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "tight"
    folder.mkdir()
    for index in range(4):
        write_image(folder / f"{index}.png", crop("red", index, margin=4))
    report = run(project, folder, finder=NeedsRoom)
    assert report.added == 4
    loose = tmp_path / "loose"
    loose.mkdir()
    for index in range(4):
        write_image(loose / f"{index}.png", crop("red", index, margin=60))
    run(project, loose, person="other")
    one, other = (faceset(project, name).load(64).images.astype(int) for name in ("red", "other"))
    inner = slice(24, 56)
    assert np.abs(one[:, inner, inner] - other[:, inner, inner]).mean() < 3


def test_hostile_pictures_are_left_out_and_the_rest_is_kept(
    project: Project, faces: Path, tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    good = faceswap_png("red", 3)
    head, rest = good[:33], good[33 + good[33:].index(b"IDAT") - 4 :]
    bad = {
        "nested.png": head + chunk(b"iTXt", b"faceswap\0\0\0\0\0" + b"[" * 9999) + rest,
        "code.png": head
        + chunk(
            b"iTXt",
            f"faceswap\0\0\0\0\0__import__('pathlib').Path({str(owned)!r}).touch()".encode(),
        )
        + rest,
        "cut.png": good[:300],
        "giant.png": good[:16] + b"\0\1\0\0\0\1\0\0" + good[24:],
        "text.jpg": b"not a picture",
        "empty.png": b"",
        "flat.jpg": encode_image(np.full((80, 80, 3), 120, np.uint8), ".jpg"),
    }
    for name, data in bad.items():
        (faces / name).write_bytes(data)
    (faces / "notes.txt").write_text("x")
    (faces / "good.png").write_bytes(good)
    report = run(project, faces)
    assert {refusal.path.name for refusal in report.refused} == set(bad)
    assert all(refusal.problem and refusal.remedy for refusal in report.refused)
    assert (report.added, sum(report.passed_over.values())) == (7, 1)
    assert not owned.exists()
    assert {path.name for path in faces.iterdir()} >= set(bad)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_data_of_deepfacelab_is_not_opened(project: Project, faces: Path, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    jpeg = encode_image(crop("red", 70), ".jpg")
    body = pickle.dumps(Touch(owned))
    segment = b"\xff\xef" + (len(body) + 2).to_bytes(2, "big") + body
    assert not has_pickle(jpeg)
    (faces / "dfl.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    report = run(project, faces)
    assert report.added == 7
    assert "DeepFaceLab" in report.notes[0]
    assert not owned.exists()


def test_needs_consent_and_faces(project: Project, faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ConsentError):
        run(project, faces, footing=None)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MediaError, match="No picture was found"):
        run(project, empty)
    with pytest.raises(MediaError, match="does not exist"):
        run(project, tmp_path / "absent")
    write_image(empty / "one.png", crop("red", 1))
    with pytest.raises(FacesError, match="only 1 face"):
        run(project, empty)
    assert project.people == []


def test_extraction_keeps_what_was_imported(project: Project, faces: Path, tmp_path: Path) -> None:
    run(project, faces)
    assert command(project.folder, "extract") == 0
    assert len(faceset(project)) == 6
    footage = film(tmp_path / "red.mp4", 20, [Act("red", 0, 20, 90)])
    assert command(project.folder, "add", "red", footage) == 0
    assert command(project.folder, "extract", "red") == 0
    assert len(faceset(project)) == 26
    assert command(project.folder, "extract", "red", "--size", "288", "--every", "2") == 0
    found = faceset(project)
    assert len(found) == 16
    assert cv2.imread(str(found.folder / "images" / found.names[0])) is not None


def test_large_faces_are_kept_large(project: Project, tmp_path: Path) -> None:
    class Near(ColourFinder):
        height = 400

    folder = tmp_path / "large"
    folder.mkdir()
    for index in range(6):
        small = crop("red", 3 * index)
        large = cv2.resize(small, None, fx=6, fy=6)
        write_image(folder / f"{index}.png", np.asarray(large, np.uint8))
    run(project, folder, finder=Near)
    found = faceset(project)
    sides = found.table["size"].to_numpy()
    assert (sides > 600).all()
    assert (sides % 32 == 0).all()
    for name, side in zip(found.names, sides, strict=True):
        assert read_image(found.folder / "images" / name).shape == (side, side, 3)
    points = found.landmarks / sides[:, None, None]
    assert np.ptp(points, axis=0).max() < 0.01


def test_imports_join_what_was_extracted(project: Project, faces: Path, tmp_path: Path) -> None:
    footage = film(tmp_path / "red.mp4", 20, [Act("red", 0, 20, 90)])
    assert command(project.folder, "add", "red", footage, "--consent", "synthetic") == 0
    assert command(project.folder, "extract", "red") == 0
    before = {row["image"]: row for row in faceset(project).table.to_pylist()}
    assert run(project, faces, footing=None).faces == 26
    after = {row["image"]: row for row in faceset(project).table.to_pylist()}
    assert before.items() <= after.items()
    assert command(project.folder, "extract", "red") == 0
    assert len(faceset(project)) == 26

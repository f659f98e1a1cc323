"""Which face of a photo is meant, and whether it may be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.conversion_project import studio
from tests.support.painted_people import Act, embedding, paint
from understudy.conversion.portrait import from_left, pick, places, sit
from understudy.conversion.request import Portrait
from understudy.errors import ConsentError, FacesError, MediaError, ProjectError
from understudy.faces.pose import reference
from understudy.media.images import write_image
from understudy.progress import Event, Progress, silent
from understudy.project import Project
from understudy.types import Face, Floats, Image, Pose


def face(x: float, width: float = 40.0, yaw: float = 0.0) -> Face:
    landmarks = (reference().points * width / 2 + np.array([x, 50, 0])).astype(np.float32)
    box = (x - width / 2, 20.0, x + width / 2, 80.0)
    return Face(box, landmarks, 1.0, Pose(yaw, 0, 0))


class Eyes:
    """Finds the faces it was given, all of one person."""

    def __init__(self, faces: Sequence[Face], who: str = "red") -> None:
        self._faces, self._who = list(faces), who

    def faces(self, image: Image) -> list[Face]:
        assert image.ndim == 3
        return self._faces

    def embed(self, image: Image, face: Face) -> Floats:
        return embedding(self._who)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return studio(tmp_path_factory.mktemp("portrait") / "film")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "A Photo (2).png"
    write_image(path, paint([Act("red", 0, 9, 90)], 0))
    return path


def test_a_photo_may_carry_a_number(tmp_path: Path) -> None:
    assert Portrait.parse("b/two.jpg#2") == Portrait(Path("b/two.jpg"), 2)
    assert Portrait.parse(Path("two.jpg"), "self") == Portrait(Path("two.jpg"), None, "self")
    assert Portrait.parse("two#x.jpg").number is None
    there = tmp_path / "odd.png#2"
    there.touch()
    assert Portrait.parse(str(there)) == Portrait(there)


@pytest.mark.parametrize(
    ("file", "name"),
    [("Ada.jpg", "ada"), ("A Photo (2).png", "a-photo-2"), ("写真.png", "somebody")],
)
def test_a_photo_names_its_person(file: str, name: str) -> None:
    assert Portrait.parse(file).name == name


def test_the_only_face_is_meant() -> None:
    only = face(50)
    assert pick(Portrait(Path("p.png")), [only]) is only
    assert pick(Portrait(Path("p.png"), 1), [only]) is only


def test_faces_are_counted_from_the_left() -> None:
    right, left = face(150, 60), face(50)
    assert from_left([right, left]) == [left, right]
    assert pick(Portrait(Path("p.png"), 2), [right, left]) is right


def test_a_photo_without_a_face_is_refused() -> None:
    with pytest.raises(FacesError, match=r"No face was found in p\.png"):
        pick(Portrait(Path("p.png")), [])


def test_a_photo_with_two_faces_asks_for_one() -> None:
    with pytest.raises(FacesError) as error:
        pick(Portrait(Path("p.png")), [face(150), face(50)])
    assert "2 faces: 1 around x 50, y 50, 40 px wide; 2 around x 150" in error.value.problem
    assert "--face 'p.png#1'" in error.value.remedy


@pytest.mark.parametrize("number", [0, 3])
def test_a_number_that_no_face_has_is_refused(number: int) -> None:
    with pytest.raises(FacesError, match=f"no face number {number}; it shows 1 around x 50"):
        pick(Portrait(Path("p.png"), number), [face(50), face(150)])


def test_places_in_words() -> None:
    assert places([face(50)]) == "1 around x 50, y 50, 40 px wide"


def test_a_person_with_consent_sits_without_a_footing(project: Project, photo: Path) -> None:
    still = sit(project, Portrait(photo), "red", Eyes([face(90)]), 0.6, silent())
    assert still.person == "red"
    assert still.image.shape == (192, 192, 3)
    assert len(project.person("red").footage) == 1


def test_somebody_elses_face_is_not_covered_by_a_consent(project: Project, photo: Path) -> None:
    with pytest.raises(ConsentError, match=r"not that of blue.*distance 1\.4.*limit 0\.60"):
        sit(project, Portrait(photo), "blue", Eyes([face(90)]), 0.6, silent())


def test_a_stranger_needs_a_footing(project: Project, photo: Path) -> None:
    for eyes in (Eyes([face(90)]), Eyes([])):
        with pytest.raises(ConsentError, match="basis on which the face of eva"):
            sit(project, Portrait(photo), "eva", eyes, 0.6, silent())
    assert "eva" not in project.people


def test_a_granted_footing_needs_its_statement(project: Project, photo: Path) -> None:
    with pytest.raises(ConsentError, match="there is no statement"):
        sit(project, Portrait(photo, None, "granted"), "eva", Eyes([face(90)]), 0.6, silent())


def test_a_footing_that_contradicts_the_one_on_file_is_refused(
    project: Project, photo: Path
) -> None:
    with pytest.raises(ConsentError, match="on file has the basis `synthetic`, not `self`"):
        sit(project, Portrait(photo, None, "self"), "red", Eyes([face(90)]), 0.6, silent())


def test_a_consent_taken_back_is_obeyed(tmp_path: Path, photo: Path) -> None:
    project = Project.create(tmp_path / "p")
    eyes = Eyes([face(90)])
    sit(project, Portrait(photo, None, "self"), "eva", eyes, 0.6, silent())
    record = project.person("eva").consent_file
    values = json.loads(record.read_text())
    record.write_text(json.dumps(values | {"revoked_at": "2020-01-01T00:00:00Z"}))
    with pytest.raises(ConsentError, match="withdrew the consent"):
        sit(project, Portrait(photo), "eva", eyes, 0.6, silent())


def test_a_stated_footing_adds_the_person_with_the_photo(tmp_path: Path, photo: Path) -> None:
    project = Project.create(tmp_path / "p")
    statement = tmp_path / "agreed.txt"
    statement.write_text("yes")
    portrait = Portrait(photo, None, "granted", statement)
    for _ in range(2):
        sit(project, portrait, "eva", Eyes([face(90)]), 0.6, silent())
    person = project.person("eva")
    assert person.consent is not None
    assert person.consent.footing == "granted"
    assert (person.folder / "statement.txt").read_text() == "yes"
    assert [path.read_bytes() for path in person.footage] == [photo.read_bytes()]


def test_nobody_is_added_for_a_photo_that_cannot_be_used(tmp_path: Path, photo: Path) -> None:
    project = Project.create(tmp_path / "p")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:200])
    (tmp_path / "empty.png").touch()
    for path, eyes, kind in (
        (photo, Eyes([]), FacesError),
        (photo, Eyes([face(50), face(150)]), FacesError),
        (broken, Eyes([face(50)]), MediaError),
        (tmp_path / "empty.png", Eyes([face(50)]), MediaError),
        (tmp_path / "missing.png", Eyes([face(50)]), MediaError),
    ):
        with pytest.raises(kind):
            sit(project, Portrait(path, None, "self"), "eva", eyes, 0.6, silent())
    with pytest.raises(ProjectError, match="cannot name a person"):
        sit(project, Portrait(photo, None, "self"), "Eva!", Eyes([face(50)]), 0.6, silent())
    assert project.people == []


def test_a_face_that_looks_aside_is_worth_a_word(project: Project, photo: Path) -> None:
    told: list[Event] = []
    progress = Progress(told.append)
    sit(project, Portrait(photo), "red", Eyes([face(90, yaw=10)]), 0.6, progress)
    assert not told
    sit(project, Portrait(photo), "red", Eyes([face(90, yaw=-40)]), 0.6, progress)
    assert "looks to the side (yaw -40" in told[0].text

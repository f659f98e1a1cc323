"""The gate at the stages: the record is asked, and the faceset too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.three_people import studio, trained
from understudy.conversion.plan import choose_artist
from understudy.conversion.portrait import sit
from understudy.conversion.request import ConversionRequest, Portrait
from understudy.errors import ConsentError, UnknownPerson
from understudy.facesets.faceset import INDEX, SCHEMA_VERSION, Faceset
from understudy.facesets.permission import check_one_person, permit, permit_recognised
from understudy.progress import Event, Progress, silent
from understudy.project import Project
from understudy.runtime import parquet
from understudy.safeguards import consent_gate
from understudy.tracks.matching import Doubt, Match

pytestmark = pytest.mark.usefixtures("tiny")

SAME = 0.55


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = studio(Project.create(tmp_path / "film"))
    trained(project)
    return project


def agree(project: Project, name: str, **terms: Any) -> None:
    record = consent_gate.state(name, "self", **terms)
    consent_gate.write(project.person(name).consent_file, record)


def rows(
    who: int, film: str, track: int, count: int, measured: bool = True
) -> list[dict[str, Any]]:
    """Faces of somebody in a track; the same `who` is the same face, a little noisy."""
    noise = np.random.default_rng([who, track, count])
    face = np.zeros(128)
    face[who] = 0.6
    return [
        {
            "image": f"{film}-{track}-{number}.webp",
            "bytes": 1,
            "source": film * 64,
            "source_name": f"{film}.mp4",
            "frame": number,
            "track": track,
            "embedding": list(face + noise.normal(0, 0.02, 128)) if measured else None,
        }
        for number in range(count)
    ]


def faceset(faces: Sequence[dict[str, Any]], folder: Path = Path()) -> Faceset:
    table = pa.Table.from_pylist(list(faces), INDEX)
    return Faceset(folder, table, {}, (), ())


def store(folder: Path, faces: Sequence[dict[str, Any]]) -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for face in faces:
        (folder / "images" / face["image"]).write_bytes(b"x")
    table = pa.Table.from_pylist(list(faces), INDEX)
    parquet.write(folder / "faces.parquet", table, {"schema_version": SCHEMA_VERSION})


def wanted(swaps: dict[str, str]) -> ConversionRequest:
    return ConversionRequest(film=Path("film.mp4"), swaps=swaps, model="trio")


class TestOnePerson:
    def test_one_person_in_several_films(self) -> None:
        check_one_person("ada", faceset(rows(0, "a", 0, 9) + rows(0, "b", 0, 30)), SAME)

    def test_somebody_else_is_named_by_the_footage(self) -> None:
        mixed = rows(0, "a", 0, 30) + rows(0, "b", 0, 10) + rows(1, "b", 1, 8)
        with pytest.raises(ConsentError, match=r"8 of 48 faces are unlike.*in b\.mp4\.") as caught:
            check_one_person("ada", faceset(mixed), SAME)
        assert "understudy extract ada" in caught.value.remedy

    def test_it_does_not_matter_who_comes_first(self) -> None:
        mixed = rows(1, "a", 0, 10) + rows(0, "b", 0, 30) + rows(2, "c", 0, 9)
        with pytest.raises(ConsentError, match=r"19 of 49 .* in a\.mp4, c\.mp4"):
            check_one_person("ada", faceset(mixed), SAME)

    def test_a_few_faces_that_were_measured_badly_do_not_matter(self) -> None:
        check_one_person("ada", faceset(rows(0, "a", 0, 95) + rows(1, "a", 1, 5)), SAME)

    def test_whoever_calls_more_the_same_is_believed(self) -> None:
        mixed = rows(0, "a", 0, 20) + rows(1, "b", 0, 20)
        check_one_person("ada", faceset(mixed), 1.2)

    def test_nothing_to_compare(self) -> None:
        check_one_person("ada", faceset([]), SAME)
        check_one_person("ada", faceset(rows(0, "a", 0, 5, measured=False)), SAME)
        odd = [{**row, "embedding": [float("nan")] * 128} for row in rows(1, "b", 0, 20)]
        check_one_person("ada", faceset(rows(0, "a", 0, 5) + odd), SAME)


class TestPermit:
    def test_the_faceset_is_looked_into(self, project: Project) -> None:
        place = project.person("eva")
        store(place.faces_folder, rows(0, "a", 0, 20) + rows(1, "b", 0, 20))
        for ask in (
            lambda: permit(project, "eva", "train"),
            lambda: project.export_person("eva", "trio"),
            lambda: project.export("eva", "trio"),
            lambda: project.imagine("trio", "eva"),
            lambda: project.train(["eva", "chen"], name="new", size=64),
        ):
            with pytest.raises(ConsentError, match="more than one person"):
                ask()

    def test_the_footage_must_be_covered(self, project: Project) -> None:
        place = project.person("eva")
        store(place.faces_folder, rows(0, "a", 0, 20) + rows(0, "b", 0, 20))
        agree(project, "eva", footage=("a" * 64,))
        with pytest.raises(ConsentError, match=r"does not cover b\.mp4"):
            permit(project, "eva", "train")
        agree(project, "eva", footage=("a" * 64, "b" * 64))
        assert permit(project, "eva", "train").footage == ("a" * 64, "b" * 64)

    def test_without_faces_the_record_alone_decides(self, project: Project) -> None:
        assert permit(project, "eva", "convert", "shown") == project.person("eva").consent
        with pytest.raises(UnknownPerson):
            permit(project, "zoe", "train")

    def test_who_comes_and_who_goes_are_two_roles(self, project: Project) -> None:
        def artist(swaps: dict[str, str]) -> Any:
            return choose_artist(project, wanted(swaps), swaps, silent())

        agree(project, "eva", roles=("replaced",))
        assert set(artist({"eva": "ada"})[1]) == {"ada", "eva"}
        for swaps in ({"ada": "eva"}, {"any": "eva"}, {"eva": "ada", "ada": "eva"}):
            with pytest.raises(ConsentError, match="eva does not cover being shown"):
                artist(swaps)
        agree(project, "eva", roles=("shown",))
        assert artist({"any": "eva"})
        with pytest.raises(ConsentError, match="eva does not cover being replaced"):
            artist({"eva": "ada"})
        with pytest.raises(ConsentError, match="eva does not cover being replaced"):
            project.export("ada", "trio", replace="eva")

    def test_what_may_not_be_published_stays_here(self, project: Project) -> None:
        agree(project, "eva", purposes=("train", "convert"))
        for ask in (
            lambda: project.export_person("eva", "trio"),
            lambda: project.export("eva", "trio"),
        ):
            with pytest.raises(ConsentError, match="does not cover publishing"):
                ask()
        told: list[Event] = []
        swaps = {"any": "eva"}
        choose_artist(project, wanted(swaps), swaps, Progress(told.append))
        assert "eva does not cover publishing" in " ".join(event.text for event in told)

    def test_a_photo_must_be_covered(self, project: Project, tmp_path: Path) -> None:
        photo = tmp_path / "photo.png"
        photo.write_bytes(b"never read")
        agree(project, "eva", footage=("a" * 64,))
        with pytest.raises(ConsentError, match=r"does not cover photo\.png"):
            sit(project, Portrait(photo), "eva", _Nobody(), 0.6, silent())

    def test_an_edited_record_stops_every_stage(self, project: Project) -> None:
        agree(project, "eva")
        record = project.person("eva").consent_file
        record.write_text(record.read_text().replace('"publish"', '"detector-training"'))
        for ask in (
            lambda: permit(project, "eva", "train"),
            lambda: project.export_person("eva", "trio"),
            lambda: project.imagine("trio", "eva"),
            lambda: project.explain("trio"),
            lambda: project.train(["eva", "chen"], name="new", size=64),
        ):
            with pytest.raises(ConsentError, match="eva was changed after it was signed"):
                ask()


class TestRecognised:
    """People of the project in the target film who are replaced without being named."""

    def ask(self, project: Project, swaps: dict[str, str], *matches: Match) -> set[str]:
        return set(permit_recognised(project, matches, swaps, 0.6))

    def test_who_may_not_be_replaced_stops_it(self, project: Project) -> None:
        agree(project, "eva", roles=("shown",))
        for as_ in ("any", "#ada"):
            doubts: tuple[Doubt | None, ...] = (None, "close")
            for doubt in doubts:
                seen = Match(0, 0, 9, "eva", 0.3, as_, "chen", doubt)
                with pytest.raises(ConsentError, match="eva does not cover being replaced"):
                    self.ask(project, {as_: "ada"}, seen)
        agree(project, "eva", roles=("replaced",))
        assert self.ask(project, {"any": "ada"}, Match(0, 0, 9, "eva", 0.3, "any")) == {"eva"}

    def test_nobody_else_is_asked(self, project: Project) -> None:
        agree(project, "eva", roles=("shown",))
        project.person("chen").consent_file.unlink()
        for seen in (
            Match(0, 0, 9, "eva", 0.3, None),  # stays as she is
            Match(0, 0, 9, "eva", 0.7, "any"),  # not like her
            Match(0, 0, 9, "eva", 0.3, "any", "chen", "taken"),  # she is elsewhere in view
            Match(0, 0, 9, None, None, "any"),  # a stranger
            Match(0, 0, 9, "chen", 0.3, "any"),  # has no record, like a stranger
        ):
            assert self.ask(project, {"any": "ada"}, seen) == set()
        own = Match(0, 0, 9, "eva", 0.3, "any")
        assert self.ask(project, {"any": "eva"}, own) == set(), "she comes in her own place"

    def test_of_whom_the_faceset_is_not_one_person(self, project: Project) -> None:
        store(project.person("eva").faces_folder, rows(0, "a", 0, 20) + rows(1, "b", 0, 20))
        with pytest.raises(ConsentError, match="more than one person"):
            self.ask(project, {"any": "ada"}, Match(0, 0, 9, "eva", 0.3, "any"))


class _Nobody:
    def faces(self, image: Any) -> Any:
        raise AssertionError

    def embed(self, image: Any, face: Any) -> Any:
        raise AssertionError

"""Photos in films and in pictures, and faces that change places: the whole way, with painted
people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support import conversion_project
from tests.support.conversion_project import studio
from tests.support.painted_people import Act, ColourTracker, film, paint
from understudy.cli.entry import main
from understudy.conversion import finish_still
from understudy.conversion.convert import ConvertReport
from understudy.conversion.own_gallery import gallery_from_faceset
from understudy.errors import (
    ConsentError,
    ContentError,
    FacesError,
    MediaError,
    SettingsError,
    UnknownPerson,
)
from understudy.media.images import encode_image, read_image, write_image
from understudy.media.video import VideoReader
from understudy.progress import silent
from understudy.project import Project
from understudy.provenance import seal
from understudy.provenance.credentials import credentials
from understudy.provenance.credentials.certificates import anchors
from understudy.provenance.inspect import Look, look
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.records import find
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards.content_guard.guard import Verdict
from understudy.settings import ScanSettings
from understudy.tracks import identify
from understudy.types import Face, Floats, Frame, Image

BOTH = [Act("red", 0, 99, 50), Act("blue", 0, 99, 140)]


class PaintedAnalyser:
    """Finds painted people in single pictures."""

    def __init__(self, settings: ScanSettings) -> None:
        assert isinstance(settings, ScanSettings)

    def faces(self, image: Image) -> list[Face]:
        still = mock.Mock(Frame, image=image, index=0)
        return ColourTracker().update(still)

    def embed(self, image: Image, face: Face) -> Floats:
        assert face.embedding is not None
        return face.embedding


@pytest.fixture(autouse=True)
def painted_faces() -> Iterator[None]:
    with (
        mock.patch.object(identify, "scan", conversion_project._scan),
        mock.patch("understudy.faces.analyser.FaceAnalyser", PaintedAnalyser),
        mock.patch("understudy.conversion.still.FaceAnalyser", PaintedAnalyser),
    ):
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return studio(tmp_path_factory.mktemp("stills") / "film")


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A photo of red alone."""
    write_image(tmp_path / "red.png", paint(BOTH[:1], 3))
    return tmp_path / "red.png"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A picture of red at the left and blue at the right."""
    write_image(tmp_path / "two.png", paint(BOTH, 3))
    return tmp_path / "two.png"


def middle(image: Image, x: float) -> Floats:
    """The mean colour of the face around `x`, away from its edge."""
    y = 96 + 5 * np.cos(3 / 7)
    part = image[round(y) - 12 : round(y) + 12, round(x) - 8 : round(x) + 8]
    return np.asarray(part.mean((0, 1)), np.float32)


def description(path: Path) -> str:
    """What the XMP packet of a picture says."""
    packet = re.search(rb"<x:xmpmeta.*</x:xmpmeta>", path.read_bytes(), re.DOTALL)
    assert packet is not None
    return "".join(ElementTree.fromstring(packet[0]).itertext())


PLAIN: dict[str, Any] = {"color": "none", **conversion_project.UNLABELLED}


def convert(project: Project, *words: Any, **given: Any) -> ConvertReport:
    run: Any = project.convert
    with conversion_project.unmarked():
        report: ConvertReport = run(*words, **PLAIN, **given)
    return report


def test_a_photos_face_comes_into_a_film(project: Project, red: Path, tmp_path: Path) -> None:
    source = film(tmp_path / "scene.mp4", 24, [Act("blue", 0, 99, 90)])
    report = convert(project, source, "blue", "red", "warp", face=red, segment=10)
    assert report.output.name == "scene-red-for-blue.mp4"
    assert (report.frames, report.swapped) == (24, 24)
    with VideoReader(report.output) as reader:
        for frame in reader:
            x = 90 + 6 * np.sin(frame.index / 5)
            r, _, b = middle(frame.image, x)
            assert r > b + 50
    record = json.loads(report.record.read_text())
    assert record["model"]["name"] == "warp"
    assert record["model"]["people"] == ["red"]
    assert len(record["model"]["stills_sha256"]["red"]) == 64
    again = convert(project, source, "blue", "red", "warp", face=red, segment=10)
    assert again.output == report.output
    other = tmp_path / "other.png"
    write_image(other, paint([Act("red", 0, 9, 80)], 5))
    assert convert(project, source, "blue", "red", "warp", face=other, segment=10).output.name == (
        "scene-red-for-blue-2.mp4"
    )


@pytest.mark.slow
def test_a_faceset_comes_into_a_film_without_a_photo(project: Project, tmp_path: Path) -> None:
    source = film(tmp_path / "scene.mp4", 12, [Act("blue", 0, 99, 90)])
    report = convert(project, source, "blue", "red", "warp", segment=10)
    assert (report.frames, report.swapped) == (12, 12)
    with VideoReader(report.output) as reader:
        for frame in reader:
            r, _, b = middle(frame.image, 90 + 6 * np.sin(frame.index / 5))
            assert r > b + 50
    model = json.loads(report.record.read_text())["model"]
    assert (model["name"], model["people"]) == ("warp", ["red"])
    made = gallery_from_faceset(project, "red", silent())
    assert model["galleries"] == {"red": made.sha256}
    again = convert(project, source, "blue", "red", "warp", segment=10)
    assert again.output == report.output


def test_two_people_change_places_in_a_picture_out_of_their_facesets(
    project: Project, two: Path
) -> None:
    report = convert(project, two, {"blue": "red", "red": "blue"}, None, "warp")
    picture = read_image(report.output)
    left, right = (middle(picture, x) for x in (50, 140))
    assert left[2] > left[0] + 50
    assert right[0] > right[2] + 50


def test_without_words_a_photo_comes_for_everybody(project: Project, red: Path, two: Path) -> None:
    report = convert(project, two, face=red)
    assert report.output.name == "two-red-for-any.png"
    assert len(report.matches) == 2
    for x in (50, 140):
        r, _, b = middle(read_image(report.output), x)
        assert r > b + 60


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_picture_becomes_a_marked_picture(
    project: Project, red: Path, tmp_path: Path, suffix: str
) -> None:
    picture = tmp_path / f"both{suffix}"
    picture.write_bytes(encode_image(paint(BOTH, 3), suffix))
    before = picture.read_bytes()
    report = convert(project, picture, "blue", "red", face=red, side_by_side=True, matte=True)
    assert picture.read_bytes() == before
    assert report.output.name == f"both-red-for-blue{suffix}"
    assert report.side_by_side is not None
    assert report.matte is not None
    image, source = read_image(report.output), read_image(picture)
    assert middle(image, 140)[0] > 150
    assert np.abs(middle(image, 50) - middle(source, 50)).max() < 3
    for path in (report.output, report.side_by_side, report.matte):
        assert "Face replaced with understudy" in description(path)
        assert "ai-generated" in description(path)
    side = read_image(report.side_by_side)
    assert side.shape == (192, 384, 3)
    alpha = read_image(report.matte)[..., 0]
    if suffix == ".png":
        assert (image[alpha == 0] == source[alpha == 0]).all()
        assert (side == np.hstack([source, image])).all()
    assert alpha[98, 143] == 255
    record = json.loads(report.record.read_text())
    assert record["outputs"]["film"]["file"] == report.output.name
    assert record["consents"]["red"]["footing"] == "synthetic"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_picture_is_labelled_marked_and_signed(
    project: Project, red: Path, home: Path, tmp_path: Path, suffix: str
) -> None:
    picture = tmp_path / f"sealed{suffix}"
    picture.write_bytes(encode_image(paint(BOTH, 3), suffix))
    report = project.convert(
        picture, "blue", "red", face=red, color="none", side_by_side=True, matte=True
    )
    told = json.loads(report.record.read_text())
    assert set(told["outputs"]) == {"film", "side", "matte"}
    trusted = anchors(Home(home))
    for name, one in told["outputs"].items():
        path = report.output.with_name(one["file"])
        found = credentials.read(path, trusted=trusted)
        assert (found.state, found.sidecar, one["credentials"]) == ("trusted", False, "embedded")
        assert one["sha256"] == files.sha256(path)
        assert found.facts is not None
        assert found.facts.record == told["number"]
        assert found.facts.source_sha256 == files.sha256(picture)
        assert found.facts.label == ("none" if name == "matte" else "corner")
        assert (found.facts.mark is None) == (name == "matte")
        marked = name != "matte"
        number = int(told["number"], 16) if marked else None
        assert look(path).reading.record_id == number
        assert one["mark"] == ("found" if marked else "none")
    assert sorted(one.kind for one in find(Home(home), int(told["number"], 16))) == [
        "matte",
        "still",
        "still",
    ]
    with Ledger.open(Home(home), write=False) as ledger:
        assert len(ledger.by_record(int(told["number"], 16))) == 6
        assert ledger.audit().intact
    plain = convert(project, picture, "blue", "red", face=red)
    apart = np.abs(read_image(report.output).astype(int) - read_image(plain.output)).max(2) > 60
    rows, columns = np.nonzero(apart)
    assert np.ptp(columns) > 20
    assert rows.max() < 48, "the label is in an upper corner"


@pytest.mark.parametrize(
    ("replaced", "comes", "below"), [("red", "blue", False), ("blue", "red", True)]
)
def test_a_label_leaves_the_replaced_face_of_a_picture_free(
    project: Project, tmp_path: Path, replaced: str, comes: str, below: bool
) -> None:
    picture, photo = tmp_path / "three.png", tmp_path / "photo.png"
    acts = [Act("red", 0, 99, 96, 150), Act("blue", 0, 99, 48, 36), Act("green", 0, 99, 144, 36)]
    write_image(picture, paint(acts, 3))
    write_image(photo, paint([Act(comes, 0, 99, 96)], 3))
    report = project.convert(picture, replaced, comes, face=photo, color="none")
    plain = convert(project, picture, replaced, comes, face=photo)
    apart = np.abs(read_image(report.output).astype(int) - read_image(plain.output)).max(2) > 60
    rows, _ = np.nonzero(apart)
    assert (rows > 96).all() == below
    assert (rows < 96).all() != below


def test_a_picture_without_a_label_needs_a_reason(project: Project, red: Path, two: Path) -> None:
    kept = sorted(project.renders_folder.iterdir())
    with pytest.raises(SettingsError, match="without a visible label needs a reason"):
        project.convert(two, "blue", "red", face=red, label="none")
    assert sorted(project.renders_folder.iterdir()) == kept


def test_a_picture_that_the_guard_refuses_gets_no_name(
    project: Project, red: Path, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Verdict("output", "refused", "nudenet 3.4.2", 1, ("exposed, score 0.90",))
    monkeypatch.setattr(seal, "guarded", lambda *_: refused)
    kept = sorted(project.renders_folder.glob("[!.]*"))
    with pytest.raises(ContentError, match="guard refuses"):
        project.convert(two, "blue", "red", face=red, feather=0.11)
    assert sorted(project.renders_folder.glob("[!.]*")) == kept


def test_a_mark_that_no_picture_keeps_is_called_weak(
    project: Project, red: Path, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(path: Path) -> Look:
        seen = look(path)
        return replace(seen, reading=replace(seen.reading, record_id=None))

    monkeypatch.setattr(finish_still, "look", blind)
    monkeypatch.setattr(seal, "look", blind)
    report = project.convert(two, "blue", "red", face=red, output=tmp_path / "weak.png")
    assert any("could not be read back" in note for note in report.notes)
    assert json.loads(report.record.read_text())["outputs"]["film"]["mark"] == "weak"


def test_a_trained_model_turns_a_picture_into_a_picture(project: Project, two: Path) -> None:
    report = conversion_project.convert(project, two, "red", "green")
    image, source = read_image(report.output), read_image(two)
    assert report.output.suffix == ".png"
    # The painted network inverts colours.
    assert np.abs(middle(image, 50) - (255 - middle(source, 50))).max() < 30
    assert np.abs(middle(image, 140) - middle(source, 140)).max() < 3


def test_a_second_picture_of_the_same_name_is_numbered(
    project: Project, red: Path, two: Path
) -> None:
    first = convert(project, two, "blue", "red", face=red)
    assert convert(project, two, "blue", "red", face=red).output == first.output
    write_image(two, paint(BOTH, 4))
    second = convert(project, two, "blue", "red", face=red)
    assert second.output.name == f"{first.output.stem}-2.png"


def test_two_faces_change_places(project: Project, two: Path) -> None:
    report = project.swap_faces(two, **PLAIN)
    assert report.output.name == "two-faces-swapped.png"
    image, source = read_image(report.output), read_image(two)
    for x, other in ((50, 140), (140, 50)):
        assert np.abs(middle(image, x) - middle(source, other)).max() < 25
    record = json.loads(report.record.read_text())
    assert {side: told["person"] for side, told in record["consents"].items()} == {
        "left": "red",
        "right": "blue",
    }
    assert "ai-generated" in description(report.output)


def test_strangers_change_places_on_a_stated_footing_only(tmp_path: Path, two: Path) -> None:
    project = Project.create(tmp_path / "empty")
    with pytest.raises(ConsentError, match="face on the left"):
        project.swap_faces(two)
    with pytest.raises(ConsentError, match="there is no statement"):
        project.swap_faces(two, consent="granted")
    assert not list(project.renders_folder.iterdir())
    report = project.swap_faces(two, consent="synthetic")
    told = json.loads(report.record.read_text())["consents"]
    assert told["right"]["footing"] == "synthetic"
    assert project.people == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_only_two_faces_can_change_places(project: Project, tmp_path: Path, count: int) -> None:
    acts = [Act(who, 0, 9, 35 + 60 * i) for i, who in enumerate(("red", "blue", "green")[:count])]
    write_image(tmp_path / "some.png", paint(acts, 0))
    with pytest.raises(FacesError, match=f"shows {count or 'none'}"):
        project.swap_faces(tmp_path / "some.png")


def test_a_photo_of_two_asks_for_one_and_takes_the_one_named(
    project: Project, two: Path, tmp_path: Path
) -> None:
    blue = tmp_path / "blue.png"
    write_image(blue, paint(BOTH[1:], 3))
    with pytest.raises(FacesError, match="shows 2 faces"):
        convert(project, blue, "blue", "red", face=two)
    report = convert(project, blue, "blue", "red", face=f"{two}#1")
    assert middle(read_image(report.output), 140)[0] > 150
    with pytest.raises(ConsentError, match="not that of red"):
        convert(project, blue, "blue", "red", face=f"{two}#2")


def test_what_cannot_be_is_refused(project: Project, red: Path, two: Path, tmp_path: Path) -> None:
    ground = tmp_path / "ground.png"
    write_image(ground, paint([], 0))
    broken = tmp_path / "broken.png"
    broken.write_bytes(red.read_bytes()[:100])
    kept = sorted(path.name for path in project.renders_folder.iterdir())
    for kind, match, words, given in (
        (FacesError, "No face was found in", (two, "blue", "red"), {"face": ground}),
        (FacesError, "No face was found in", (ground, "blue", "red"), {"face": red}),
        (FacesError, "blue was not found", (red, "blue", "red"), {"face": red}),
        (MediaError, "cut off", (two, "blue", "red"), {"face": broken}),
        (MediaError, "cut off", (broken, "blue", "red"), {"face": red}),
        (MediaError, "does not exist", (two, "blue", "red"), {"face": tmp_path / "no.png"}),
        (MediaError, "does not exist", (tmp_path / "no.png", "blue", "red"), {"face": red}),
        (
            MediaError,
            "cannot be written as",
            (two, "blue", "red", None, Path("o.mp4")),
            {"face": red},
        ),
        (MediaError, "is the film", (two, "blue", "red", None, two), {"face": red}),
        (SettingsError, "cannot be combined", (two, "blue", "red", "duo"), {"face": red}),
        (SettingsError, "neither for green", (two, "blue", "green", "warp"), {}),
        (SettingsError, "one person", (two, {"blue": "red", "red": "blue"}), {"face": red}),
        (SettingsError, "no photo", (two, "blue", "red", "warp"), {"consent": "self"}),
        (SettingsError, "only for films", (two, "blue", "red", None, None, 1), {"face": red}),
        (UnknownPerson, "eva", (two, "eva", "red"), {"face": red}),
        (ConsentError, "basis on which the face of eva", (two, "blue", "eva"), {"face": red}),
    ):
        with pytest.raises(kind, match=match):
            convert(project, *words, **given)
    assert sorted(path.name for path in project.renders_folder.iterdir()) == kept


def test_the_command_line_takes_photos_and_pictures(
    project: Project, red: Path, two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--project", str(project.folder), "convert", str(two), "--model", "warp"]
    assert main([*to, "--face", str(red), "--replace", "blue=red"]) == 0
    assert "two-red-for-blue" in capsys.readouterr().out
    source = film(red.with_name("scene.mp4"), 4, [Act("blue", 0, 99, 90)])
    warp = ["convert", str(source), "--model", "warp", "--replace", "blue", "--with", "red"]
    assert main(["--project", str(project.folder), *warp]) == 0
    said = capsys.readouterr().out
    assert "scene-red-for-blue" in said
    assert "Next: understudy verify" in said
    assert main([*to, "--swap-faces"]) == 0
    assert "two faces exchanged" in capsys.readouterr().out
    assert main([*to, "--face", f"{two}#1", "--with", "eva"]) == ConsentError.exit_code
    assert "--consent" in capsys.readouterr().err
    assert main([*to, "--swap-faces", "--with", "red"]) == SettingsError.exit_code
    assert "--swap-faces" in capsys.readouterr().err
    assert main([*to]) == SettingsError.exit_code
    assert "--face" in capsys.readouterr().err

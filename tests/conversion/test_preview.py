"""The sheet to choose settings from, on painted people and a network that inverts colours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import conversion_project
from tests.support.conversion_project import (
    PEOPLE,
    UNLABELLED,
    Inverter,
    faces_of,
    studio,
    unmarked,
)
from tests.support.painted_people import COLOURS, SIZE, Act, film, paint, seconds
from understudy.cli import commands
from understudy.conversion import plan as stage
from understudy.conversion.preview import COLUMNS, MOST, ROOM, SIDE, PreviewReport, options
from understudy.conversion.swapper import Swapper, Trained
from understudy.conversion.warp import Still, Warp
from understudy.errors import FacesError, MediaError, SettingsError
from understudy.evaluation import inputs
from understudy.facesets.faceset import Faceset
from understudy.media.contact_sheet import CAPTION, GAP, PAPER, cut_square
from understudy.media.images import read_image, write_image
from understudy.media.video import VideoReader
from understudy.models.gallery import path_of, write
from understudy.project import Project
from understudy.provenance.credentials import credentials
from understudy.provenance.inspect import look
from understudy.settings import ConvertSettings
from understudy.tracks import identify
from understudy.training.gallery_choice import gallery_of
from understudy.types import Face, Image

FRAMES = 30
ACTS = [Act("red", 0, FRAMES, 60), Act("blue", 6, FRAMES, 130)]
WORDS = (
    "the film",
    "--color auto --feather 0.08  (the default)",
    "--color linear-gain",
    "--color light  (the same as the default)",
    "--color reinhard",
    "--color seamless",
    "--color none",
    "--feather 0.16  (softer edge)",
    "--feather 0.04  (harder edge)",
    "--widen 0  (within the network's mask)  (the same as the default)",
    "--blend feather  (the same as the default)",
    "--blend bands",
    "--sharpen 0.5  (sharper)",
    "--grain 0  (no noise)",
    "--no-occlusion  (covers objects in front)  (the same as the default)",
)


class Here(NamedTuple):
    project: Project
    clip: Path

    @property
    def finished(self) -> list[str]:
        folder = self.project.renders_folder
        return sorted(path.name for path in folder.iterdir() if path.name != ".work")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Here:
    folder = tmp_path_factory.mktemp("preview")
    return Here(studio(folder / "project"), film(folder / "clip.mp4", FRAMES, ACTS))


@pytest.fixture
def here(made: Here, tmp_path: Path) -> Here:
    shutil.copytree(made.project.folder, tmp_path / "project")
    return Here(Project.open(tmp_path / "project"), made.clip)


def preview(
    here: Here,
    replace: str | Mapping[str, str] = "red",
    with_: str | None = "green",
    plain: bool = True,
    **given: Any,
) -> PreviewReport:
    """A preview with neither label nor mark where it is `plain`."""
    values = {**(UNLABELLED if plain else {}), **given}
    with (
        unmarked() if plain else nullcontext(),
        mock.patch.object(identify, "scan", conversion_project._scan),
        mock.patch.object(stage, "load_model", return_value=Inverter(PEOPLE)),
    ):
        return here.project.preview(here.clip, replace, with_, "duo", **values)


def tiles(report: PreviewReport) -> dict[str, list[Image]]:
    """The pictures of a sheet by the flags of their row, without what is said in brackets."""
    sheet = read_image(report.output)
    found = {}
    bottom = len(sheet)
    for words in reversed(report.rows):
        row = sheet[bottom - SIDE - GAP : bottom - GAP]
        starts = range(0, sheet.shape[1], SIDE + GAP)
        found[words.split("  (")[0]] = [row[:, x : x + SIDE] for x in starts]
        bottom -= SIDE + GAP + CAPTION
    return found


def cut(image: Image, face: Face) -> Image:
    square = cut_square(image, face.box, ROOM)
    how = cv2.INTER_AREA if len(square) > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=how), np.uint8)


def middle(tile: Image) -> Any:
    half = SIDE // 2
    return tile[half - 20 : half + 20, half - 20 : half + 20].mean((0, 1))


def apart(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_rows_show_what_a_conversion_would(here: Here) -> None:
    report = preview(here)
    assert report.output == here.project.renders_folder / "clip-green-for-red-preview.png"
    assert report.rows == WORDS
    assert report.times == tuple(seconds(index) for index in (3, 9, 15, 21, 27))
    rows = tiles(report)
    faces = {
        Fraction(index, 25): faces_of(here.project, here.clip, index)[0] for index in range(FRAMES)
    }
    plain = conversion_project.convert(here.project, here.clip, codec="ffv1", color="none")
    usual = conversion_project.convert(here.project, here.clip, codec="ffv1", color="auto")
    shown = {
        "the film": here.clip,
        "--color none": plain.output,
        "--color auto --feather 0.08": usual.output,
        "--color light": usual.output,
    }
    for row, path in shown.items():
        with VideoReader(path) as reader:
            frames = {frame.time: frame.image for frame in reader}
        for tile, time in zip(rows[row], report.times, strict=True):
            assert apart(tile, cut(frames[time], faces[time])) < 0.01


@pytest.mark.slow
def test_each_row_is_another_way(here: Here) -> None:
    rows = tiles(preview(here))
    red = middle(rows["the film"][2])
    own = middle(rows["--color none"][2])
    assert np.abs(red - COLOURS["red"]).max() < 60
    assert np.abs(own - (255 - red)).max() < 12
    for row in ("--color auto --feather 0.08", "--color linear-gain", "--color reinhard"):
        assert middle(rows[row][2]).argmax() == red.argmax() != own.argmax(), row
    alike = {
        "--color light",
        "--widen 0",
        "--blend feather",
        "--sharpen 0.5",
        "--grain 0",
        "--no-occlusion",
    }
    different = [row for row in rows if row not in alike]
    for one in different:
        for other in different:
            assert one == other or apart(rows[one][2], rows[other][2]) > 0.05, (one, other)


@pytest.mark.slow
def test_with_a_gallery_there_are_rows_of_less_detail(here: Here) -> None:
    own = gallery_of(Faceset.open(here.project.person("red").faces_folder))
    write(path_of(here.project.model_folder("duo"), "red"), own, "here")
    report = preview(here, "blue", "red", color="none", grain=0)
    without = preview(here, "blue", "red", color="none", grain=0, detail=0).rows
    # With detail the swap is as sharp as the film, so that sharpening changes nothing.
    same = "  (the same as set now)"
    sharp = "--sharpen 0.5  (sharper)"
    assert sharp in without
    assert report.rows[:-2] == tuple(row + same if row == sharp else row for row in without)
    rows = tiles(report)
    assert list(reversed(rows))[-2:] == ["--detail 0", "--detail 0.5"]
    now = rows["--color none --feather 0.08"][2]
    none, half = (apart(rows[row][2], now) for row in ("--detail 0", "--detail 0.5"))
    assert none > half > 0.02
    less = preview(here, "blue", "red", color="none", grain=0, detail=0.5)
    assert [words.split("  (")[0] for words in less.rows[-2:]] == ["--detail 0", "--detail 1"]
    assert apart(tiles(less)["--color none --feather 0.08"][2], rows["--detail 0.5"][2]) < 0.01


@pytest.mark.slow
def test_a_harder_edge_changes_more(here: Here) -> None:
    rows = tiles(preview(here, color="none"))
    source = rows["the film"][1]
    soft, usual, hard = (
        apart(rows[row][1], source)
        for row in ("--feather 0.16", "--color none --feather 0.08", "--feather 0.04")
    )
    assert soft < usual < hard


@pytest.mark.slow
def test_the_sheet_is_labelled_marked_and_sealed(here: Here) -> None:
    report = preview(here, plain=False)
    told = json.loads(report.record.read_text())
    seen = credentials.read(report.output)
    assert seen.intact, seen.reasons
    assert seen.facts is not None
    assert (seen.facts.label, seen.facts.source_sha256) == ("corner", told["film"]["sha256"])
    assert look(report.output).carries(int(told["number"], 16))
    assert told["outputs"]["film"]["mark"] == "found"
    assert told["preview"]["rows"] == list(WORDS)
    assert set(told["consents"]) == {"red", "green"}
    assert b"ai-generated" in report.output.read_bytes()
    assert here.finished == ["clip-green-for-red-preview.json", "clip-green-for-red-preview.png"]


@pytest.mark.slow
def test_the_label_hides_nothing(here: Here) -> None:
    bare = read_image(preview(here).output)
    with_label = read_image(preview(here, label="opening", label_reason=None).output)
    room = len(with_label) - len(bare)
    assert (with_label[room:] == bare).all()
    assert (with_label[:room] > 200).any()


@pytest.mark.slow
def test_the_same_preview_has_the_same_name_and_another_has_its_own(here: Here) -> None:
    first, again = preview(here), preview(here)
    other = preview(here, color="reinhard")
    assert first.output == again.output
    assert other.output.name == "clip-green-for-red-preview-2.png"
    assert other.rows[1] == "--color reinhard --feather 0.08  (set now)"
    named = preview(here, output=here.project.folder / "sheet.webp")
    assert credentials.read(named.output).intact


def test_a_film_of_one_frame_gives_one_column(here: Here, tmp_path: Path) -> None:
    report = preview(Here(here.project, film(tmp_path / "one.mp4", 1, [Act("red", 0, 1, 90)])))
    assert report.times == (Fraction(0),)
    first, *rest = tiles(report)["the film"]
    assert np.ptp(first) > 100
    assert len(rest) == COLUMNS - 1
    assert all((tile == PAPER).all() for tile in rest)


@pytest.mark.slow
def test_only_frames_of_the_part_are_shown(here: Here) -> None:
    report = preview(here, start=Fraction(10, 25), end=Fraction(14, 25))
    assert report.times == tuple(seconds(index) for index in range(10, 14))


@pytest.mark.slow
def test_everybody_who_goes_has_columns_of_their_own(here: Here) -> None:
    report = preview(here, {"red": "green", "blue": "red"}, None)
    assert len(report.times) == COLUMNS
    faces = [int(middle(tile).argmax()) for tile in tiles(report)["the film"]]
    assert sorted(faces) == [0, 0, 0, 2, 2]
    everybody = preview(here, "any", "green")
    assert len(everybody.times) == COLUMNS <= MOST


@pytest.mark.slow
def test_a_tracks_file_is_obeyed(here: Here) -> None:
    with mock.patch.object(identify, "scan", conversion_project._scan):
        listed = here.project.tracks(here.clip, {"blue": "green"})
    report = preview(here, "any", None, tracks=listed.file)
    assert report.output.name == "clip-green-for-tracks-preview.png"
    assert {int(middle(tile).argmax()) for tile in tiles(report)["the film"]} == {2}
    with pytest.raises(FacesError, match="visible in this part"):
        preview(here, "any", None, tracks=listed.file, end=Fraction(4, 25))


def test_who_is_not_there_is_told_and_nothing_is_written(here: Here, tmp_path: Path) -> None:
    empty = Here(here.project, film(tmp_path / "empty.mp4", 8, []))
    with pytest.raises(FacesError):
        preview(empty)
    other = Here(here.project, film(tmp_path / "blue.mp4", 8, [Act("blue", 0, 8, 90)]))
    with pytest.raises(FacesError, match="red"):
        preview(other)
    assert here.finished == []


def test_what_cannot_be_asked_for(here: Here, tmp_path: Path) -> None:
    write_image(tmp_path / "red.png", paint(ACTS, 3))
    with pytest.raises(SettingsError, match="is a picture"):
        preview(Here(here.project, tmp_path / "red.png"))
    with pytest.raises(MediaError, match=r"cannot be written as out\.mp4"):
        preview(here, output=tmp_path / "out.mp4")
    with pytest.raises(SettingsError, match="needs a reason"):
        preview(here, label_reason=None)
    assert here.finished == []


@pytest.mark.slow
def test_a_preview_is_no_film_to_be_measured(here: Here) -> None:
    preview(here)
    ask = (here.project, "duo", Inverter(PEOPLE), here.clip, None, "red", "green")
    with pytest.raises(MediaError, match="contains no film"):
        inputs.choose(*ask)
    done = conversion_project.convert(here.project, here.clip)
    preview(here)
    assert inputs.choose(*ask).swap == done.output


@settings(max_examples=30, deadline=None)
@given(
    color=st.sampled_from(["auto", "linear-gain", "light", "reinhard", "seamless", "none"]),
    feather=st.floats(0, 0.5).map(lambda value: round(value, 3)),
    occlusion=st.booleans(),
)
@pytest.mark.slow
def test_the_words_above_a_row_ask_for_it(color: Any, feather: float, occlusion: bool) -> None:
    now = ConvertSettings(color=color, feather=feather, occlusion=occlusion)
    found = options(now)
    if not occlusion:
        assert found[0].words.endswith("(set now)")
    assert [way.settings.occlusion for way in found].count(not occlusion) == 1
    assert found[0].settings == now
    assert len({way.settings for way in found}) == len(found)
    for way in found:
        flags = way.words.split("  (")[0].split()
        words = ["convert", "x.mp4", "--replace", "a", "--with", "b", *flags]
        _, bound, _ = commands.app.parse_args(words, exit_on_error=False, print_error=False)
        said = bound.arguments["settings"].model_dump(exclude_unset=True)
        assert now.model_copy(update=said) == way.settings


def test_an_artist_with_other_settings_is_the_same_artist() -> None:
    network, settings = Inverter(PEOPLE), ConvertSettings(feather=0.3)
    trained = Trained("duo", network, ConvertSettings(), torch.device("cpu"))
    other = trained.with_settings(settings)
    assert other.facts() == trained.facts()
    drawer = other.drawer("red", "green")
    assert isinstance(drawer, Swapper)
    assert drawer.model is network
    assert (drawer.settings, trained.settings) == (settings, ConvertSettings())
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    warp = Warp([Still("red", image, mock.Mock(landmarks=np.zeros((468, 3))))], ConvertSettings())
    assert warp.with_settings(settings).drawer("blue", "red").settings == settings
    assert warp.with_settings(settings).facts() == warp.facts()

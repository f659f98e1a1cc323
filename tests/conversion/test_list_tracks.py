"""The list of tracks, and a conversion that obeys it, on painted people."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import av
import cv2
import numpy as np
import pytest

import tests.support.studio as commands
import understudy.tracks.scan
from tests.support.conversion_project import PEOPLE, Inverter, studio
from tests.support.painted_people import SIZE, Act, ColourTracker, film, paint
from understudy.conversion import plan as stage
from understudy.conversion.convert import ConvertReport
from understudy.conversion.list_tracks import TracksReport
from understudy.errors import ConsentError, FacesError, MediaError, SettingsError
from understudy.media.images import read_image
from understudy.media.video import VideoReader
from understudy.project import Project
from understudy.safeguards import consent_gate
from understudy.tracks.tracks_file import load_orders
from understudy.types import Face, Frame

FRAMES = 30
ACTS = [Act("red", 0, 12, 50), Act("red", 16, FRAMES, 50), Act("blue", 4, FRAMES, 140)]
SETTINGS: dict[str, Any] = {
    **{"codec": "ffv1", "preset": "ultrafast", "segment": 10, "color": "none", "matte": True},
    **{"label": "none", "label_reason": "painted people in a test, not a film of anybody"},
}


class Near(ColourTracker):
    """The face fills the frame and reaches past its border."""

    def _face(self, who: str, x: float, y: float) -> Face:
        face = super()._face(who, x, y)
        middle = face.landmarks.mean(0)
        landmarks = ((face.landmarks - middle) * 5 + middle).astype(np.float32)
        low, high = landmarks.min(0), landmarks.max(0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        return replace(face, landmarks=landmarks, box=box)


class Stage(NamedTuple):
    project: Project
    clip: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("made")
    return Stage(studio(folder / "project"), film(folder / "clip.mp4", FRAMES, ACTS))


@pytest.fixture
def here(made: Stage, tmp_path: Path) -> Iterator[Stage]:
    shutil.copytree(made.project.folder, tmp_path / "project")
    with painted(ColourTracker):
        yield Stage(Project.open(tmp_path / "project"), made.clip)


def painted(tracker: type[ColourTracker]) -> Any:
    return mock.patch.object(understudy.tracks.scan, "trackers", return_value=tracker)


def convert(here: Stage, tracks: Path, **given: Any) -> ConvertReport:
    with mock.patch.object(stage, "load_model", return_value=Inverter(PEOPLE)):
        return here.project.convert(here.clip, model="duo", tracks=tracks, **SETTINGS, **given)


def change(report: TracksReport, number: int, person: str, part: str = "") -> None:
    """Write a name after `person` in the lines of a track."""
    head, *tables = report.file.read_text().split("[[track]]")
    for place, table in enumerate(tables):
        if f"number = {number}\n" in table:
            lines = [
                f'person = "{person}"' if line.startswith("person =") else line
                for line in table.rstrip().splitlines()
            ]
            tables[place] = "\n".join([*lines, *part.splitlines()]) + "\n\n"
    report.file.write_text("[[track]]".join([head, *tables]))


def touched(report: ConvertReport) -> list[tuple[bool, bool]]:
    """For every frame whether a face was laid over its left and its right third."""
    assert report.matte is not None
    third = SIZE // 3
    with VideoReader(report.matte) as frames:
        return [
            (bool(frame.image[:, :third].any()), bool(frame.image[:, -third:].any()))
            for frame in frames
        ]


def alpha(report: ConvertReport) -> list[bytes]:
    assert report.matte is not None
    with VideoReader(report.matte) as frames:
        return [frame.image.tobytes() for frame in frames]


def test_lists_who_it_is_from_when_to_when(here: Stage) -> None:
    report = here.project.tracks(here.clip)
    red, blue = report.tracks
    assert str(red).startswith("track 0: red, sure (distance 0.0")
    assert (red.order.start, red.order.end, red.order.frames) == (0.0, 1.2, FRAMES)
    assert (blue.order.shows, blue.order.start, blue.order.frames) == ("blue", 0.16, FRAMES - 4)
    assert report.shots == 1
    assert report.file == here.project.renders_folder / "clip.tracks.toml"
    written = tomllib.loads(report.file.read_text())
    assert [one["person"] for one in written["track"]] == ["auto", "auto"]
    assert load_orders(report.file).track == tuple(one.order for one in report.tracks)
    sheet = read_image(report.sheet)
    rows = np.split(sheet, 2)
    for row, colour in zip(rows, ("red", "blue"), strict=True):
        vivid = row[np.ptp(row.astype(int), axis=2) > 80]
        assert (vivid.argmax(1) == (0 if colour == "red" else 2)).all()
        assert len(vivid) > 6 * 128**2 / 5


def test_what_replace_says_is_written_and_obeyed(here: Stage) -> None:
    report = here.project.tracks(here.clip, {"red": "green"})
    assert [one.order.person for one in report.tracks] == ["green", "none"]
    done = convert(here, report.file)
    assert done.output.name == "clip-green-for-tracks.mkv"
    assert touched(done) == [(True, False)] * FRAMES
    plain = mock.patch.object(stage, "load_model", return_value=Inverter(PEOPLE))
    with plain:
        ruled = here.project.convert(here.clip, "red", "green", "duo", **SETTINGS)
    assert alpha(done) == alpha(ruled)


def test_orders_win_over_replace_and_hold_for_parts(here: Stage) -> None:
    report = here.project.tracks(here.clip)
    change(report, 0, "auto", '[[track.part]]\nstart = 0.2\nend = 0.4\nperson = "none"')
    change(report, 1, "red")
    done = convert(here, report.file, replace="red", with_="green")
    changed = touched(done)
    assert [left for left, _ in changed] == [n not in range(5, 10) for n in range(FRAMES)]
    assert [right for _, right in changed] == [n >= 4 for n in range(FRAMES)]
    assert {match.as_ for match in done.matches} == {"red", "#red", None}


def test_who_is_recognised_is_asked_though_nobody_named_them(here: Stage) -> None:
    """Neither a tracks file nor `any` is a way around the consent of whom a track shows."""
    report = here.project.tracks(here.clip, {"red": "green"})
    told = json.loads(convert(here, report.file).record.read_text())
    assert list(told["consents"]) == ["green", "red"]
    plain = mock.patch.object(stage, "load_model", return_value=Inverter(PEOPLE))
    red = here.project.person("red")
    only_shown = consent_gate.state("red", "self", roles=("shown",))
    consent_gate.write(red.consent_file, only_shown)
    with pytest.raises(ConsentError, match="red does not cover"):
        convert(here, report.file)
    with plain, pytest.raises(ConsentError, match="red does not cover"):
        here.project.convert(here.clip, "any", "green", "duo", **SETTINGS)
    change(report, 0, "none")
    change(report, 1, "green")
    told = json.loads(convert(here, report.file).record.read_text())
    assert list(told["consents"]) == ["blue", "green"]


def test_what_the_user_wrote_is_kept(here: Stage) -> None:
    report = here.project.tracks(here.clip)
    change(report, 1, "green", '[[track.part]]\nstart = 1.0\nend = 1.1\nperson = "none"')
    own = load_orders(report.file)
    again = here.project.tracks(here.clip)
    assert again.kept == 1
    assert load_orders(report.file) == own
    with pytest.raises(SettingsError, match="lists other tracks"):
        here.project.tracks(here.clip, detect_every=3)
    assert load_orders(report.file) == own


def test_a_part_of_the_film(here: Stage) -> None:
    report = here.project.tracks(here.clip, {"any": "green"}, start=Fraction(1, 5))
    assert [one.order.start for one in report.tracks] == [0.2, 0.2]
    with pytest.raises(SettingsError, match=r"only the tracks of a part of clip\.mp4"):
        convert(here, report.file)
    done = convert(here, report.file, start=Fraction(2, 5), end=Fraction(4, 5))
    assert (done.frames, done.swapped) == (10, 10)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('person = "green"', 'person = "gren"', "source `gren` .* not exist.*`green`"),
        ('person = "green"', "person = green", "cannot be read as a tracks file"),
        ('person = "green"', "person = 3", "person"),
        ('person = "green"', 'persn = "green"', "Unknown setting"),
        ('person = "green"', 'person = "none"', "names no source for any track"),
        ("number = 0", "number = 7", "entry for track 7, which clip.mp4 does not have"),
        ("number = 0", "number = 1", "two entries for track 1"),
        ("number = 0", "number = -1", "number"),
        ("found = ", 'found = "x" #', "found with other settings"),
        ("sha256 = ", 'sha256 = "x" #', "tracks of another film"),
        ("schema_version = 1", "schema_version = 9", "schema_version"),
        ('start = ""', 'start = "soon"', "is not a valid time"),
        ("frames = 30", "frames = 30\n[[track.part]]\nstart=1\nend=1\nperson='none'", "ends at"),
        ("frames = 30", "frames = 30\n[[track.part]]\nstart=7\nend=8\nperson='none'", "visible"),
        (
            "frames = 30",
            "frames = 30\n[[track.part]]\nstart=0\nend=1\nperson='none'\n"
            "[[track.part]]\nstart=0.5\nend=2\nperson='blue'",
            "overlap between 0.5 and 1 s",
        ),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_rendered(
    here: Stage, old: str, new: str, match: str
) -> None:
    report = here.project.tracks(here.clip, {"red": "green"})
    text = report.file.read_text().replace("width = ", "# ")
    assert old in text
    report.file.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError, match=match):
        convert(here, report.file)
    assert not list(here.project.renders_folder.glob("*.mkv"))
    assert not (here.project.renders_folder / ".work").exists()


def test_files_that_are_none_are_refused(here: Stage, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        convert(here, tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\x00" * 9)
    with pytest.raises(SettingsError, match="cannot be read"):
        convert(here, tmp_path / "binary.toml")
    with pytest.raises(SettingsError, match=r"end in \.toml"):
        here.project.tracks(here.clip, output=tmp_path / "list.txt")
    listed = here.project.tracks(here.clip)
    with pytest.raises(MediaError, match="no film"):
        convert(Stage(here.project, tmp_path / "no film.mp4"), listed.file)
    picture = listed.sheet
    with pytest.raises(SettingsError, match="only for films"):
        here.project.convert(picture, model="duo", tracks=tmp_path / "missing.toml")
    empty = film(tmp_path / "empty.mp4", 5, [])
    with pytest.raises(FacesError, match="No face"):
        here.project.tracks(empty)


@pytest.mark.parametrize("x", [4, SIZE - 4, SIZE / 2])
def test_a_face_that_fills_the_frame_or_is_cut_by_its_border(
    here: Stage, tmp_path: Path, x: float
) -> None:
    clip = film(tmp_path / "near.mp4", 6, [Act("red", 0, 6, x)])
    with painted(Near if x == SIZE / 2 else ColourTracker):
        report = here.project.tracks(clip, {"any": "green"})
        done = convert(Stage(here.project, clip), report.file)
    assert (len(report.tracks), done.swapped) == (1, 6)
    assert read_image(report.sheet).shape[1] == 6 * 132


def test_two_films_of_different_size_in_one_file(here: Stage, tmp_path: Path) -> None:
    clip = tmp_path / "two.ts"
    clip.write_bytes(stream(tmp_path / "a.ts", SIZE) + stream(tmp_path / "b.ts", 2 * SIZE))
    report = here.project.tracks(clip, {"any": "green"})
    assert report.tracks[-1].order.frames > 20
    done = convert(Stage(here.project, clip), report.file)
    assert done.frames == done.swapped > 20
    with VideoReader(done.output) as frames:
        assert {frame.image.shape for frame in frames} == {(SIZE, SIZE, 3)}


def stream(path: Path, size: int) -> bytes:
    with av.open(str(path), "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"})
        assert isinstance(video, av.VideoStream)
        video.width = video.height = size
        video.pix_fmt = "yuv420p"
        for index in range(12):
            image = cv2.resize(paint([Act("red", 0, 12, 90)], index), (size, size))
            picture = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
    return path.read_bytes()


def test_a_flash_is_left_alone_unless_ordered(here: Stage, tmp_path: Path) -> None:
    clip = film(tmp_path / "flash.mp4", 30, [Act("red", 0, 30, 50), Act("blue", 10, 12, 140)])
    report = here.project.tracks(clip, {"any": "green"})
    assert [one.order.person for one in report.tracks] == ["green", "none"]
    assert "brief" in str(report.tracks[1])
    change(report, 1, "green")
    done = convert(Stage(here.project, clip), report.file)
    assert [n for n, (_, right) in enumerate(touched(done)) if right] == [10, 11]


def test_the_command(here: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.command(here.project.folder, "tracks", here.clip) == 0
    told = capsys.readouterr().out
    assert "clip.mp4: 1 shot, 2 tracks." in told
    assert "track 0: red, sure" in told
    assert "--tracks" in told
    words = ("tracks", here.clip, "--replace", "red", "--with", "nobody")
    assert commands.command(here.project.folder, *words) == 3
    assert "nobody" in capsys.readouterr().err


def test_frames_are_only_read_where_a_picture_is_wanted(here: Stage) -> None:
    read: list[int] = []
    whole = VideoReader.__iter__

    def watching(self: VideoReader) -> Iterator[Frame]:
        for frame in whole(self):
            read.append(frame.index)
            yield frame

    here.project.tracks(here.clip)
    with mock.patch.object(VideoReader, "__iter__", watching):
        report = here.project.tracks(here.clip)
    assert len(read) <= FRAMES
    assert report.sheet.is_file()


def test_what_cannot_be_read_of_a_film_is_told(here: Stage, tmp_path: Path) -> None:
    data = bytearray(here.clip.read_bytes())
    with av.open(str(here.clip)) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in spans[20:23]:
        assert position is not None
        data[position : position + size] = b"\xff" * size
    harmed = tmp_path / "harmed.mp4"
    harmed.write_bytes(data)
    report = here.project.tracks(harmed)
    assert any("could not be" in note for note in report.notes), report.notes
    assert here.project.tracks(here.clip).notes == ()

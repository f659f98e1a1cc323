"""Films that nobody planned for: frames that change size, shots of one frame, people alike.

Painted people and a network that inverts colours; everything else is real.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import cv2
import numpy as np
import pytest

import understudy.tracks.scan
from tests.support.changing_films import changing_film
from tests.support.conversion_project import PEOPLE, UNLABELLED, Inverter, studio, unmarked
from tests.support.painted_people import SIZE, Act, ColourTracker, embedding, film, paint
from understudy.conversion import plan
from understudy.conversion.convert import ConvertReport
from understudy.evaluation.frame_measures import Films, Finders, walk
from understudy.evaluation.metrics import PSNR_CEILING
from understudy.facesets.extract import extract
from understudy.facesets.faceset import Faceset
from understudy.facesets.footage import add
from understudy.media.video import VideoReader, probe
from understudy.progress import Event, Progress, silent
from understudy.project import Project
from understudy.settings import ExtractSettings, ScanSettings
from understudy.tracks.scan import scan
from understudy.types import Face, Floats, Image

HALF = 12
FRAMES = 2 * HALF
LARGE = 2 * SIZE
KINDS = {
    "broadcast.ts": ("libx264", "yuv420p"),
    "call.mkv": ("libx264", "yuv420p"),
    "camera.avi": ("mjpeg", "yuvj420p"),
}


class Twins(ColourTracker):
    """Red and blue have the same face; blue's is measured a little worse."""

    def _face(self, who: str, x: float, y: float) -> Face:
        found = super()._face(who, x, y)
        if found.embedding is None:
            return found
        off = 0.2 if who == "blue" else 0.1
        wobble = np.float32(off) * np.sin(np.arange(128, dtype=np.float32) + self.calls)
        return replace(found, embedding=embedding("red") + wobble / np.float32(8))


def person(index: int, width: int, height: int) -> Image:
    """Red in the middle of a picture, as large as it is high."""
    image = cv2.resize(paint([Act("red", 0, 99, 90)], index), (height, height))
    room = max(0, width - height)
    return np.asarray(
        cv2.copyMakeBorder(image, 0, 0, room // 2, room - room // 2, cv2.BORDER_REPLICATE), np.uint8
    )


def following(tracker: type[ColourTracker]) -> Any:
    return mock.patch.object(understudy.tracks.scan, "trackers", return_value=tracker)


class Stage(NamedTuple):
    project: Project
    told: list[str]

    def convert(
        self,
        clip: Path,
        goes: str = "any",
        comes: str | None = None,
        tracker: type[ColourTracker] = ColourTracker,
        **given: Any,
    ) -> ConvertReport:
        """Lossless, without label and mark: nothing but faces is changed."""

        def listen(event: Event) -> None:
            if event.kind == "note":
                self.told.append(event.text)

        values: dict[str, Any] = {"codec": "ffv1", "color": "none", "segment": 10, **UNLABELLED}
        values |= {"matte": True, **given}
        with (
            unmarked(),
            following(tracker),
            mock.patch.object(plan, "load_model", return_value=Inverter(PEOPLE)),
        ):
            return self.project.convert(
                clip, goes, comes, "duo", progress=Progress(listen), **values
            )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return studio(tmp_path_factory.mktemp("odd") / "project")


@pytest.fixture
def here(made: Project, tmp_path: Path) -> Stage:
    shutil.copytree(made.folder, tmp_path / "project")
    return Stage(Project.open(tmp_path / "project"), [])


@pytest.fixture(scope="module", params=sorted(KINDS))
def growing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film whose second half is twice as large."""
    path = tmp_path_factory.mktemp("growing") / str(request.param)
    parts = ((SIZE, SIZE), (LARGE, LARGE))
    return changing_film(path, person, parts, HALF, *KINDS[path.name])


def images(path: Path) -> Iterator[Image]:
    with VideoReader(path) as frames:
        for frame in frames:
            yield frame.image


def laid(report: ConvertReport) -> list[Floats]:
    """Where faces were laid over each frame, 0..1."""
    assert report.matte is not None
    return [image[..., 0].astype(np.float32) / np.float32(255) for image in images(report.matte)]


def middle(alpha: Floats) -> tuple[float, float]:
    rows, columns = np.nonzero(alpha > 0.5)
    return float(columns.mean()), float(rows.mean())


def test_a_film_that_grows_is_converted_in_its_first_size(here: Stage, growing: Path) -> None:
    done = here.convert(growing, "red", "green")
    assert (done.frames, done.swapped) == (FRAMES, FRAMES)
    info = probe(done.output)
    assert (info.width, info.height) == (SIZE, SIZE)
    mattes = laid(done)
    for index, (alpha, swap, source) in enumerate(
        zip(mattes, images(done.output), images(growing), strict=True)
    ):
        away = cv2.dilate(alpha, np.ones((5, 5))) == 0
        np.testing.assert_array_equal(swap[away], source[away])
        assert np.abs(swap.astype(int) - source)[alpha > 0.9].mean() > 30
        x, y = 90 + 6 * np.sin(index / 5), SIZE / 2 + 5 * np.cos(index / 7)
        assert middle(alpha) == pytest.approx((x, y), abs=9)
    (told,) = (note for note in here.told if growing.name in note and "resized to" in note)
    assert f"{HALF} frames, the first at 0.480 s, are {LARGE}x{LARGE}" in told
    assert f"{SIZE}x{SIZE}, the size of the film's first frame" in told


@pytest.mark.slow
def test_a_part_of_the_larger_half_is_as_in_the_whole(here: Stage, growing: Path) -> None:
    whole = list(images(here.convert(growing, "red", "green").output))
    part = here.convert(growing, "red", "green", start=Fraction(16, 25), end=Fraction(20, 25))
    assert (part.frames, part.swapped) == (4, 4)
    for image, wanted in zip(images(part.output), whole[16:20], strict=True):
        assert image.shape == wanted.shape
        assert np.abs(image.astype(int) - wanted).mean() < 3


@pytest.mark.slow
def test_a_film_that_grows_has_one_track_and_is_measured(here: Stage, growing: Path) -> None:
    with following(ColourTracker):
        listed = here.project.tracks(growing, {"red": "green"})
    assert [one.order.frames for one in listed.tracks] == [FRAMES]
    done = here.convert(growing, tracks=listed.file)
    assert done.swapped == FRAMES
    cache = here.project.cache_folder
    found = scan(growing, cache, ScanSettings(), silent(), make_tracker=ColourTracker)
    finders = Finders(
        film=lambda index: found.faces(index)[0],
        swap=lambda index, face: face,
        truth=lambda index, face: face,
        embed=lambda image, face: np.zeros(128, np.float32),
    )
    moments = list(walk(Films(growing, done.output, truth=growing), finders, 1, 1))
    assert [moment.index for moment in moments] == list(range(FRAMES))
    for moment in moments:
        assert moment.untouched is not None
        assert moment.untouched.psnr_db == PSNR_CEILING


def test_faces_are_extracted_from_both_sizes(here: Stage, growing: Path) -> None:
    before = Faceset.open(here.project.person("red").faces_folder)
    add(here.project, "red", [growing], "synthetic", None, silent())
    report = extract(
        here.project,
        "red",
        ExtractSettings(),
        ScanSettings(),
        silent(),
        make_tracker=ColourTracker,
    )
    assert report.added > 0
    (source,) = (each for each in report.sources if each.name == growing.name)
    assert source.frames == FRAMES
    assert len(Faceset.open(here.project.person("red").faces_folder)) > len(before)
    assert any(f"are {LARGE}x{LARGE} and were resized to" in note for note in report.notes)


def test_who_turns_the_phone_keeps_their_shape(here: Stage, tmp_path: Path) -> None:
    """Upright pictures in a lying film are not stretched: the face has its own proportions."""

    def turned(index: int, width: int, height: int) -> Image:
        if width > height:
            return person(index, width, height)
        image = np.full((height, width, 3), 120, np.uint8)
        top = (height - width) // 2
        image[top : top + width] = person(index, width, width)
        return image

    lying, upright = (2 * SIZE, SIZE), (SIZE, 2 * SIZE)
    clip = changing_film(tmp_path / "phone.ts", turned, (lying, upright), HALF)
    done = here.convert(clip, "red", "green")
    assert done.frames == FRAMES
    pictures = list(images(done.output))
    assert {picture.shape for picture in pictures} == {(SIZE, 2 * SIZE, 3)}
    for picture in pictures[HALF:]:
        assert picture[:, : SIZE // 2].max() <= 8
        assert picture[:, -SIZE // 2 :].max() <= 8
    *_, last = images(clip)
    rows, columns = np.nonzero((np.abs(last.astype(int) - 120).sum(2) > 90) & (last.max(2) > 60))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(34 / 26, abs=0.12)


@pytest.mark.parametrize("grain", [0.0, 1.0])
def test_a_film_of_one_frame(here: Stage, tmp_path: Path, grain: float) -> None:
    clip = film(tmp_path / "one.mp4", 1, [Act("red", 0, 1, 90)])
    done = here.convert(clip, "any", "green", grain=grain)
    assert (done.frames, done.swapped) == (1, 1)
    (alpha,) = laid(done)
    assert alpha.max() > 0.9


def test_somebody_in_one_frame_only_stays_unless_ordered(here: Stage, tmp_path: Path) -> None:
    clip = film(tmp_path / "flash.mp4", 24, [Act("red", 0, 24, 50), Act("blue", 10, 11, 140)])
    done = here.convert(clip, "any", "green")
    right = [bool(alpha[:, 2 * SIZE // 3 :].any()) for alpha in laid(done)]
    assert not any(right)
    assert done.swapped == 24
    with following(ColourTracker):
        listed = here.project.tracks(clip, {"any": "green"})
    listed.file.write_text(listed.file.read_text().replace('person = "none"', 'person = "green"'))
    ordered = here.convert(clip, tracks=listed.file)
    right = [bool(alpha[:, 2 * SIZE // 3 :].any()) for alpha in laid(ordered)]
    assert [index for index, there in enumerate(right) if there] == [10]


def sides(report: ConvertReport) -> set[tuple[bool, bool]]:
    """Which of the left and the right third was changed, over all frames."""
    third = SIZE // 3
    return {(bool(a[:, :third].any()), bool(a[:, -third:].any())) for a in laid(report)}


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (None, {(True, False)}),
        (lambda text: text.replace("green", "-").replace("none", "green"), {(False, True)}),
        (lambda text: text.replace('"none"', '"green"'), {(True, True)}),
    ],
    ids=["the nearer one", "the other by order", "both by order"],
)
@pytest.mark.slow
def test_of_two_who_look_alike_one_is_taken_throughout(
    here: Stage,
    tmp_path: Path,
    order: Callable[[str], str] | None,
    wanted: set[tuple[bool, bool]],
) -> None:
    clip = film(tmp_path / "twins.mp4", 24, [Act("red", 0, 24, 50), Act("blue", 0, 24, 140)])
    if order is None:
        done = here.convert(clip, "red", "green", tracker=Twins)
        assert {match.doubt for match in done.matches} == {None, "taken"}
        assert any("looks like red, who is elsewhere in the picture" in note for note in here.told)
    else:
        with following(Twins):
            listed = here.project.tracks(clip, {"red": "green"})
        listed.file.write_text(order(listed.file.read_text()).replace('"-"', '"none"'))
        done = here.convert(clip, tracker=Twins, tracks=listed.file)
    assert sides(done) == wanted

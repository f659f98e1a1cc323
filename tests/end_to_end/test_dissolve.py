"""One track becomes another person: each is their own, and the mixture fades from one to the other.

The people are painted, the tracker follows them whoever they are; scan, tracks, extraction and
conversion are real.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conversion.test_convert import LOSSLESS, pictures
from tests.support.conversion_project import convert, studio
from tests.support.dissolving_films import Follower, dissolve, turning
from tests.support.painted_people import ColourTracker
from understudy.errors import WeightsError
from understudy.facesets.extract import extract
from understudy.facesets.faceset import Faceset
from understudy.facesets.footage import add
from understudy.progress import silent
from understudy.project import Project
from understudy.settings import ScanSettings
from understudy.tracks.repair import mend
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.scan import Scan, scan, trackers
from understudy.types import Frame

BEFORE, OVER, AFTER = 30, 6, 30
SHARES = turning(BEFORE, OVER, AFTER)


class Stage(NamedTuple):
    project: Project
    clip: Path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("stage")
    return Stage(studio(folder / "project"), dissolve(folder / "clip.mp4", SHARES))


def look(film: Path, cache: Path, make: Callable[[], ColourTracker] = Follower) -> Scan:
    return scan(film, cache, ScanSettings(), silent(), make_tracker=make)


def numbers(found: MendedScan, index: int) -> list[int]:
    return [face.track for face in found.faces(index)]


def test_each_person_has_a_track_and_the_mixture_belongs_to_both(
    stage: Stage, tmp_path: Path
) -> None:
    found = mend(look(stage.clip, tmp_path))
    assert [track.number for track in found.tracks] == [0, 1]
    for index, truth in enumerate(SHARES):
        faces = found.faces(index)
        shares = {face.track: face.share for face in faces}
        assert sum(shares.values()) == pytest.approx(1)
        assert shares.get(1, 0.0) == pytest.approx(truth, abs=0.12)
        if truth in (0, 1):
            assert shares == {int(truth): 1}
    first, second = found.tracks
    assert (first.first, second.last) == (0, len(SHARES) - 1)
    assert BEFORE <= second.first <= first.last < BEFORE + OVER
    for track in found.tracks:
        there = [n for n in found.indices if track.number in numbers(found, n)]
        assert (track.first, track.last, track.faces) == (there[0], there[-1], len(there))
    assert first.embedding is not None
    assert second.embedding is not None
    assert np.linalg.norm(first.embedding - second.embedding) > 1.3


def test_rows_are_those_of_the_mended_tracks(stage: Stage, tmp_path: Path) -> None:
    found = mend(look(stage.clip, tmp_path))
    rows = list(found)
    assert [row.index for row in rows] == found.indices
    assert [[f.track for f in row.faces] for row in rows] == [numbers(found, n) for n in range(66)]


@pytest.mark.parametrize("at", [21, 30, 40, 41])
def test_a_cut_that_nobody_saw_is_found_to_the_frame(tmp_path: Path, at: int) -> None:
    film = dissolve(tmp_path / "cut.mp4", turning(at, 0, 66 - at))
    found = mend(look(film, tmp_path))
    assert [(t.number, t.first, t.last) for t in found.tracks] == [(0, 0, at - 1), (1, at, 65)]
    assert not found.mixtures


def test_somebody_who_stays_is_one_track(tmp_path: Path) -> None:
    film = dissolve(tmp_path / "still.mp4", turning(80, 0, 0))
    result = look(film, tmp_path)
    assert [(t.number, t.faces) for t in mend(result).tracks] == [(0, 80)]
    measured = sum(face.embedding is not None for row in result for face in row.faces)
    assert measured <= 80 // 20 + 1, "a still shot costs hardly a measurement more"


class Interruption(Exception):
    pass


@pytest.mark.parametrize("stop", [9, 33, 50])
def test_stopped_and_begun_again_it_finds_the_same(
    stage: Stage, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("understudy.tracks.scan_store", "understudy.tracks.scan"):
        monkeypatch.setattr(f"{module}.CHUNK", 16)

    class Stopping(Follower):
        def update(self, frame: Frame) -> list[Any]:
            if frame.index == stop:
                raise Interruption
            return super().update(frame)

    whole = look(stage.clip, tmp_path / "whole")
    with pytest.raises(Interruption):
        look(stage.clip, tmp_path / "again", Stopping)
    again = look(stage.clip, tmp_path / "again")
    chunks = [sorted(one.folder.glob("*.parquet")) for one in (whole, again)]
    assert [path.read_bytes() for path in chunks[0]] == [path.read_bytes() for path in chunks[1]]
    shares = [[face.share for face in mend(again).faces(n)] for n in range(len(SHARES))]
    assert [len(one) for one in shares[:BEFORE]] == [1] * BEFORE
    assert [len(one) for one in shares[BEFORE + OVER :]] == [1] * AFTER
    assert sum(len(one) == 2 for one in shares) >= OVER - 2


def changes(stage: Stage, **given: Any) -> list[float]:
    """How much a conversion changes the face in each frame, mean of absolute differences."""
    report = convert(stage.project, stage.clip, tracker=Follower, **LOSSLESS, **given)
    old, new = pictures(stage.clip), pictures(report.output)

    def changed(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
        return float(np.abs(one.astype(int) - other).mean())

    return [changed(*pair) for pair in zip(old, new, strict=True)]


def test_a_swap_fades_out_with_its_person(stage: Stage) -> None:
    changed = changes(stage, replace="red")
    assert changed[BEFORE + OVER :] == [0] * AFTER, "the stranger stays as they are, to the pixel"
    assert min(changed[:BEFORE]) > 1
    fading = changed[BEFORE - 1 : BEFORE + OVER + 1]
    assert fading == sorted(fading, reverse=True)
    assert 0.1 * fading[0] < fading[4] < 0.7 * fading[0]


def test_a_swap_fades_in_with_its_person(stage: Stage) -> None:
    changed = changes(stage, replace="blue")
    assert changed[:BEFORE] == [0] * BEFORE, "the stranger stays as they are, to the pixel"
    assert min(changed[BEFORE + OVER :]) > 1
    assert 0.1 * changed[-1] < changed[BEFORE + 2] < 0.7 * changed[-1]


def test_both_replaced_nothing_of_either_shows_through(stage: Stage) -> None:
    changed = changes(stage, replace={"red": "green", "blue": "green"}, with_=None)
    alone = changes(stage, replace="any")
    np.testing.assert_allclose(changed, alone, atol=0.05)


def test_a_faceset_holds_one_person(stage: Stage) -> None:
    project = stage.project
    clip = dissolve(stage.clip.with_name("longer.mp4"), turning(40, OVER, 20))
    add(project, "ruby", [clip], "synthetic", None, silent())
    settings = project.settings.extract
    report = extract(project, "ruby", settings, ScanSettings(), silent(), make_tracker=Follower)
    faces = Faceset.open(project.person("ruby").faces_folder)
    frames = faces.table["frame"].to_pylist()
    assert frames == list(range(40))
    assert set(faces.table["track"].to_pylist()) == {0}
    assert report.faces == 40
    assert [(other.tracks, other.measured) for other in report.others] == [(1, True)]
    assert any("Another person was seen" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "until", "since"), [("scene.mp4", 23, 36), ("ada-to-ben-6.mp4", 23, 30)]
)
def test_rendered_people_who_dissolve(
    shared_data: Path, tmp_path: Path, name: str, until: int, since: int
) -> None:
    try:
        make = trackers(ScanSettings())
        film = shared_data / "trouble" / "dissolve" / name
        found = mend(scan(film, tmp_path, ScanSettings(), silent(), make_tracker=make))
    except WeightsError as error:
        pytest.skip(str(error))
    assert [track.number for track in found.tracks] == [0, 1]
    for index in range(found.frames):
        share = sum(face.share for face in found.faces(index) if face.track == 1)
        truth = np.clip((index - until) / (since - until), 0, 1)
        assert share == pytest.approx(truth, abs=0.2)

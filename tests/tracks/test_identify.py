"""Everybody in a film is found once, for every stage that asks."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from unittest import mock

import pytest

import understudy.tracks.scan
from tests.support.painted_people import Act, ColourTracker, embedding, film
from understudy.errors import SettingsError
from understudy.progress import silent
from understudy.settings import ScanSettings
from understudy.tracks.identify import Identified, Search, identify
from understudy.tracks.tracks_file import Orders, PartOrder, TrackOrder

FRAMES = 30
PEOPLE = {"red": embedding("red"), "blue": embedding("blue")}


@pytest.fixture(autouse=True)
def painted() -> Iterator[None]:
    with mock.patch.object(understudy.tracks.scan, "trackers", return_value=ColourTracker):
        yield


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Red, missed for four frames, beside blue."""
    acts = [Act("red", 0, 12, 50), Act("red", 16, FRAMES, 50), Act("blue", 4, FRAMES, 140)]
    return film(tmp_path / "clip.mp4", FRAMES, acts)


def found(clip: Path, *orders: TrackOrder, replace: tuple[str, ...] = ("red",)) -> Identified:
    search = Search(clip.parent / "cache", ScanSettings(), 0.6)
    said = Orders(film=clip.name, sha256="0" * 64, found="0" * 16, track=orders)
    file = (clip.parent / "clip.tracks.toml", said) if orders else None
    return identify(clip, PEOPLE, replace=replace, search=search, progress=silent(), orders=file)


def test_tracks_are_put_right_before_they_are_taken_for_anybody(clip: Path) -> None:
    seen = found(clip)
    assert [(m.track, m.person, m.as_) for m in seen.matches] == [
        (0, "red", "red"),
        (1, "blue", None),
    ]
    assert [m.track for m in seen.matches] == [track.number for track in seen.scan.tracks]
    assert [len(seen.scan.faces(index)) for index in (2, 13, 20)] == [1, 2, 2], "red is filled in"


def test_a_part_of_a_film_is_looked_through(clip: Path) -> None:
    search = Search(
        clip.parent / "cache", ScanSettings(), 0.6, start=Fraction(2, 25), end=Fraction(4, 25)
    )
    seen = identify(clip, PEOPLE, replace=["red"], search=search, progress=silent())
    assert seen.scan.times == [Fraction(2, 25), Fraction(3, 25)]
    assert [m.person for m in seen.matches] == ["red"]


def test_a_tracks_file_wins_over_what_is_recognised(clip: Path) -> None:
    part = PartOrder(start=0.8, end=1.2, person="blue")
    seen = found(clip, TrackOrder(number=0, person="none"), TrackOrder(number=1, part=(part,)))
    assert [(m.track, m.as_) for m in seen.matches] == [(0, None), (1, None), (2, "#blue")]
    assert [m.track for m in seen.matches] == [track.number for track in seen.scan.tracks]
    assert {face.track for face in seen.scan.faces(10)} == {0, 1}
    assert {face.track for face in seen.scan.faces(25)} == {0, 2}


def test_an_order_for_a_track_that_is_not_there_names_the_file(clip: Path) -> None:
    with pytest.raises(SettingsError, match=r"clip\.tracks\.toml has an entry for track 7"):
        found(clip, TrackOrder(number=7, person="none"))

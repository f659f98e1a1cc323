"""A request says who goes and who comes, and is parsed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.conversion.request import (
    ConversionRequest,
    check_swaps,
    in_name,
    parse_swaps,
    tell_swaps,
)
from understudy.errors import SettingsError, UnknownModel
from understudy.project import Project
from understudy.settings import EncodeSettings

FILM = Path("film.mp4")


def test_words_say_who_goes_and_who_comes() -> None:
    assert parse_swaps(["ben"], "ada") == {"ben": "ada"}
    assert parse_swaps(["ben=ada", "eva=chen"], None) == {"ben": "ada", "eva": "chen"}
    assert parse_swaps(["a=b", "b=a"], None) == {"a": "b", "b": "a"}
    assert parse_swaps(["ben=ada", "any"], "chen") == {"ben": "ada", "any": "chen"}
    assert parse_swaps(["ben=ada", "ben=ada"], None) == {"ben": "ada"}


@pytest.mark.parametrize(
    ("words", "with_", "match"),
    [
        (["ben"], None, "No source is named for the target ben"),
        (["ben=ada", "ben=eva"], None, "has two sources, ada and eva"),
        (["ben="], None, "is not TARGET=SOURCE"),
        (["=ada"], None, "is not TARGET=SOURCE"),
        (["ben=ada"], "eva", "so --with eva is not used"),
        (["ben=ben"], None, "cannot (replace|be the source)"),
        (["ben=any"], None, "cannot (replace|be the source)"),
        ([], None, "--replace is missing"),
    ],
)
def test_words_that_do_not_are_refused(words: list[str], with_: str | None, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        parse_swaps(words, with_)
    with pytest.raises(SettingsError):
        check_swaps({})


def test_pairs_are_checked_as_words_are() -> None:
    assert parse_swaps({"ben": "ada", "any": "chen"}, None) == {"ben": "ada", "any": "chen"}
    for pairs, with_, match in (
        ({"ben": "ben"}, None, "cannot (replace|be the source)"),
        ({"": "ada"}, None, "`=ada` is not TARGET=SOURCE"),
        ({"ben": "ada"}, "eva", "so --with eva is not used"),
        ({}, None, "--replace is missing"),
    ):
        with pytest.raises(SettingsError, match=match):
            parse_swaps(pairs, with_)


def test_whom_a_photo_shows_comes_for_who_has_nobody() -> None:
    assert parse_swaps([], None, "ada") == {"any": "ada"}
    assert parse_swaps({}, None, "ada") == {"any": "ada"}
    assert parse_swaps(["ben"], None, "ada") == {"ben": "ada"}
    assert parse_swaps(["ben"], "chen", "ada") == {"ben": "chen"}
    assert parse_swaps(["ben=eva"], None, "ada") == {"ben": "eva"}


def test_swaps_by_order_are_one_word_in_a_name() -> None:
    swaps = {"ben": "ada", "any": "eva", "#eva": "eva", "#chen": "chen"}
    assert in_name(swaps) == {"ben": "ada", "any": "eva", "tracks": "chen-eva"}
    assert tell_swaps({"ben": "ada", "eva": "chen"}) == "ben by ada, eva by chen"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project")
    project.model_folder("duo").mkdir()
    return project


def test_what_is_not_said_comes_from_the_project(project: Project) -> None:
    request = ConversionRequest.parse(
        project, FILM, replace="ben", with_="ada", given={"feather": 0.2, "crf": 20}
    )
    assert request == ConversionRequest(
        film=FILM,
        swaps={"ben": "ada"},
        model="duo",
        settings=project.settings.convert.model_copy(update={"feather": 0.2}),
        scan=project.settings.scan,
        encode=EncodeSettings(crf=20),
    )


def test_a_tracks_file_may_say_all_of_it(project: Project) -> None:
    file = Path("film.tracks.toml")
    for nobody in ("any", dict[str, str]()):
        request = ConversionRequest.parse(project, FILM, replace=nobody, tracks=file, given={})
        assert (request.swaps, request.tracks) == ({}, file)
    request = ConversionRequest.parse(project, FILM, replace={"ben": "ada"}, tracks=file, given={})
    assert request.swaps == {"ben": "ada"}


def test_a_photo_needs_no_model(project: Project) -> None:
    project.model_folder("other").mkdir()
    request = ConversionRequest.parse(project, FILM, replace="any", face="Eva.png#2", given={})
    assert (request.model, request.swaps) == (None, {"any": "eva"})
    assert request.portrait is not None
    assert request.portrait.number == 2
    with pytest.raises(UnknownModel, match="several models"):
        ConversionRequest.parse(project, FILM, replace="any", with_="eva", given={})
    with pytest.raises(SettingsError, match="no photo that it is for"):
        ConversionRequest.parse(project, FILM, replace="any", consent="self", given={})

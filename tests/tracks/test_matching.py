"""Who is who in a film."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import FacesError
from understudy.tracks.matching import (
    Match,
    match_tracks,
    mean_identity,
    named,
    require_match,
    summary,
)
from understudy.types import Floats, Track


def identity(*values: float) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[: len(values)] = values
    return vector


PEOPLE = {"ada": identity(1, 0), "ben": identity(0, 1)}


def track(number: int, embedding: Floats | None) -> Track:
    return Track(number, 0, 0, 9, 10, embedding)


def test_only_the_named_person_is_chosen() -> None:
    tracks = [track(0, identity(0.9, 0)), track(1, identity(0, 0.9)), track(2, None)]
    matches = match_tracks(tracks, PEOPLE, ["ada"], 0.6)
    assert [m.chosen for m in matches] == [True, False, False]
    assert [m.person for m in matches] == ["ada", "ben", None]
    assert matches[0].distance == pytest.approx(0.1)


def test_a_nearer_known_person_wins() -> None:
    tracks = [track(0, identity(0.6, 0.65))]
    assert np.linalg.norm(tracks[0].embedding - PEOPLE["ada"]) < 0.8  # type: ignore[operator]
    assert not match_tracks(tracks, PEOPLE, ["ada"], 0.8)[0].chosen
    assert match_tracks(tracks, {"ada": PEOPLE["ada"]}, ["ada"], 0.8)[0].chosen


def test_too_far_is_nobody() -> None:
    matches = match_tracks([track(0, identity(3, 0))], PEOPLE, ["ada"], 0.6)
    assert not matches[0].chosen
    with pytest.raises(FacesError) as error:
        require_match(matches, ["ada"], 0.6, "film.mp4")
    assert "2.00" in error.value.problem
    assert "--replace any" in error.value.remedy
    assert "--same-person" in error.value.remedy


def test_anybody_takes_all_measured_or_not() -> None:
    tracks = [track(0, identity(3, 0)), track(1, None)]
    assert all(m.chosen for m in match_tracks(tracks, {}, ["any"], 0.6))


def test_no_face_at_all_is_said() -> None:
    with pytest.raises(FacesError, match="No face"):
        require_match([], ["any"], 0.6, "film.mp4")


def test_only_somebody_else_is_said() -> None:
    matches = match_tracks([track(0, identity(0, 1))], PEOPLE, ["ada"], 0.6)
    with pytest.raises(FacesError, match="closer to ben"):
        require_match(matches, ["ada"], 0.6, "film.mp4")


def test_each_of_several_people_gets_their_own_tracks_and_the_rest_falls_to_any() -> None:
    tracks = [
        track(0, identity(0.1, 0.95)),
        track(1, identity(0.9, 0)),
        track(2, identity(0, 0, 0, 2)),
        track(3, None),
        track(4, identity(1, 0.1)),
    ]
    both = match_tracks(tracks, PEOPLE, ["ada", "ben"], 0.6)
    assert [match.as_ for match in both] == ["ben", "ada", None, None, "ada"]
    everybody = match_tracks(tracks, PEOPLE, ["ada", "any"], 0.6)
    assert [match.as_ for match in everybody] == ["any", "ada", "any", "any", "ada"]
    told = summary(both, {"ada": "ben", "ben": "ada"}, "film.mp4")
    assert "3 of 5 tracks are replaced: ada by ben in 2 tracks" in told
    assert "ben by ada in 1 track" in told


def test_whoever_of_several_is_not_found_is_named() -> None:
    people = {**PEOPLE, "eva": identity(0, 0, 1)}
    matches = match_tracks([track(0, identity(0.9, 0))], people, people, 0.6)
    require_match(matches, ["ada"], 0.6, "film.mp4")
    with pytest.raises(FacesError, match="ben and eva were not found") as error:
        require_match(matches, ["ada", "ben", "eva"], 0.6, "film.mp4")
    assert "remove ben and eva from the command" in error.value.remedy


def test_mean_identity_leaves_out_unmeasured_rows() -> None:
    rows = np.stack([identity(1), identity(3), np.full(128, np.nan, np.float32)])
    np.testing.assert_allclose(mean_identity(rows), identity(2))
    with pytest.raises(FacesError):
        mean_identity(rows[2:])


def test_nobody_is_in_two_places_at_once() -> None:
    tracks = [track(0, identity(0.8, 0.3)), track(1, identity(0.9, 0)), track(2, identity(0.7, 0))]
    apart = match_tracks(tracks, PEOPLE, ["ada"], 0.6)
    assert [match.as_ for match in apart] == ["ada"] * 3
    matches = match_tracks(tracks, PEOPLE, ["ada"], 0.6, together=[(0, 1)])
    assert [match.as_ for match in matches] == [None, "ada", "ada"]
    assert [match.doubt for match in matches] == ["taken", None, None]
    assert "track 0 looks like ada, who is elsewhere in the picture" in summary(
        matches, {"ada": "eva"}, "film.mp4"
    )
    everybody = match_tracks(tracks, PEOPLE, ["ada", "any"], 0.6, together=[(0, 1)])
    assert [match.as_ for match in everybody] == ["any", "ada", "ada"]


def test_two_people_who_look_alike_are_told_apart_by_who_is_left_and_called_uncertain() -> None:
    twins = {"ada": identity(1, 0.02), "eva": identity(1, -0.02)}
    tracks = [track(0, identity(1, 0.02, 0.1)), track(1, identity(1, 0.01, 0.2))]
    matches = match_tracks(tracks, twins, ["ada", "eva"], 0.6, together=[(0, 1)])
    assert [match.as_ for match in matches] == ["ada", "eva"]
    assert [match.doubt for match in matches] == ["close", "close"]
    told = summary(matches, {"ada": "ben", "eva": "chen"}, "film.mp4")
    assert "uncertain: track 0 could be ada or eva, track 1 could be eva or ada" in told


def test_somebody_a_little_like_a_person_who_is_surely_there_stays() -> None:
    tracks = [track(0, identity(0.9, 0)), track(1, identity(0.45, 0)), track(2, identity(0.7, 0))]
    matches = match_tracks(tracks, {"ada": PEOPLE["ada"]}, ["ada"], 0.6)
    assert [match.as_ for match in matches] == ["ada", None, "ada"]
    assert [match.doubt for match in matches] == [None, "unlike", None]
    assert "track 1 is a little like ada, but others are more similar" in summary(
        matches, {"ada": "eva"}, "film.mp4"
    )
    everybody = match_tracks(tracks, {"ada": PEOPLE["ada"]}, ["ada", "any"], 0.6)
    assert [match.as_ for match in everybody] == ["ada", "any", "ada"]
    alone = match_tracks(tracks[1:2], {"ada": PEOPLE["ada"]}, ["ada"], 0.6)
    assert [match.as_ for match in alone] == ["ada"]


def test_where_strangers_look_alike_a_person_has_to_be_nearer() -> None:
    ada = {"ada": PEOPLE["ada"]}
    tracks = [
        track(0, identity(0.9, 0)),
        track(1, identity(1, 0.5)),
        track(2, identity(1, 0.38)),
        track(3, identity(0.8, 0)),
    ]
    apart = match_tracks(tracks, ada, ["ada"], 0.6)
    assert [match.as_ for match in apart] == ["ada", None, "ada", "ada"]
    alike = match_tracks(tracks, ada, ["ada"], 0.6, together=[(0, 1)])
    assert [match.as_ for match in alike] == ["ada", None, None, "ada"]
    assert alike[2].doubt == "unlike"
    only = match_tracks(tracks[1:3], ada, ["ada"], 0.6, together=[])
    assert [match.as_ for match in only] == ["ada", "ada"]
    brief = match_tracks(tracks, ada, ["ada"], 0.6, together=[(0, 1)], brief=[1])
    assert brief[2].as_ == "ada"


def test_what_would_only_flash_stays() -> None:
    matches = match_tracks([track(0, None), track(1, None)], PEOPLE, ["any"], 0.6, brief=[1])
    assert [match.as_ for match in matches] == ["any", None]
    assert "1 too brief" in summary(matches, {"any": "ada"}, "film.mp4")
    seen = match_tracks([track(0, identity(0.9, 0))], PEOPLE, ["ada"], 0.6, brief=[0])
    with pytest.raises(FacesError, match=r"ada is visible too briefly .* in track 0"):
        require_match(seen, ["ada"], 0.6, "film.mp4")


def test_tracks_by_order_are_nobody_in_particular() -> None:
    assert named(["ben", "any", "#eva", "#chen"]) == ["ben"]
    require_match([Match(0, 0, 9, None, None, "#eva")], ["#eva", "any"], 0.6, "film.mp4")

"""Who is who in a film."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import FacesError
from understudy.matching import match_tracks, mean_identity, require_match
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
    matches = match_tracks(tracks, PEOPLE, "ada", 0.6)
    assert [m.chosen for m in matches] == [True, False, False]
    assert [m.person for m in matches] == ["ada", "ben", None]
    assert matches[0].distance == pytest.approx(0.1)


def test_a_nearer_known_person_wins() -> None:
    tracks = [track(0, identity(0.6, 0.65))]
    assert np.linalg.norm(tracks[0].embedding - PEOPLE["ada"]) < 0.8  # type: ignore[operator]
    assert not match_tracks(tracks, PEOPLE, "ada", 0.8)[0].chosen
    assert match_tracks(tracks, {"ada": PEOPLE["ada"]}, "ada", 0.8)[0].chosen


def test_too_far_is_nobody() -> None:
    matches = match_tracks([track(0, identity(3, 0))], PEOPLE, "ada", 0.6)
    assert not matches[0].chosen
    with pytest.raises(FacesError) as error:
        require_match(matches, "ada", 0.6, "film.mp4")
    assert "2.00" in error.value.problem
    assert "--replace any" in error.value.remedy
    assert "--same-person" in error.value.remedy


def test_anybody_takes_all_measured_or_not() -> None:
    tracks = [track(0, identity(3, 0)), track(1, None)]
    assert all(m.chosen for m in match_tracks(tracks, {}, None, 0.6))


def test_no_face_at_all_is_said() -> None:
    with pytest.raises(FacesError, match="No face"):
        require_match([], None, 0.6, "film.mp4")


def test_only_somebody_else_is_said() -> None:
    matches = match_tracks([track(0, identity(0, 1))], PEOPLE, "ada", 0.6)
    with pytest.raises(FacesError, match="nearer to ben"):
        require_match(matches, "ada", 0.6, "film.mp4")


def test_mean_identity_leaves_out_unmeasured_rows() -> None:
    rows = np.stack([identity(1), identity(3), np.full(128, np.nan, np.float32)])
    np.testing.assert_allclose(mean_identity(rows), identity(2))
    with pytest.raises(FacesError):
        mean_identity(rows[2:])

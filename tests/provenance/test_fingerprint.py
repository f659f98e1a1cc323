from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.errors import TrustError
from understudy.provenance.fingerprint import (
    MOST,
    SAME,
    Comparison,
    Fingerprint,
    Sampler,
    compare,
    of_still,
    parse,
)

Grey = NDArray[np.uint8]
RATE = 25


def scene(seed: int, frames: int = 100, width: int = 160, height: int = 120) -> list[Grey]:
    """Blobs that drift over a picture."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 14)
    blobs = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 8)
    film = []
    for frame in range(frames):
        picture = ground / ground.std() + np.roll(blobs, frame, axis=1) / blobs.std()
        film.append(np.clip(120 + 35 * picture, 0, 255).astype(np.uint8))
    return film


def fingerprint(film: list[Any], closely: bool = False, start: float = 0.0) -> Fingerprint:
    sampler = Sampler(closely)
    for number, frame in enumerate(film):
        sampler.add(frame, start + number / RATE)
    return sampler.fingerprint()


FILM = scene(1)
RECORD = fingerprint(FILM)


def turned(frame: Grey) -> Grey:
    turn = cv2.getRotationMatrix2D((80, 60), 1.0, 1.0)
    return np.asarray(cv2.warpAffine(frame, turn, (160, 120), borderMode=cv2.BORDER_REFLECT))


def jpeg(frame: Grey) -> Grey:
    _, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 20])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


CHANGES: dict[str, Callable[[Grey], NDArray[Any]]] = {
    "nothing": lambda frame: frame,
    "compression": jpeg,
    "half size": lambda frame: cv2.resize(frame, (80, 60), interpolation=cv2.INTER_AREA),
    "twice the size": lambda frame: cv2.resize(frame, (320, 240)),
    "contrast": lambda frame: np.clip(frame * 1.2 + 20, 0, 255),
    "crop": lambda frame: frame[6:114, 8:152],
    "crop at a corner": lambda frame: frame[12:, 16:],
    "crop at a side": lambda frame: frame[:, :144],
    "rotation": turned,
    "deep colour": lambda frame: frame.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_near(name: str) -> None:
    copy = fingerprint([CHANGES[name](frame) for frame in FILM], closely=True)
    found = compare(copy, RECORD)
    assert found.same
    assert found.distance < (0.01 if name == "nothing" else 0.18)
    assert not found.flipped
    assert found.offset == 0.0
    assert found.frames >= 0.75 * len(RECORD.frames)


def test_a_mirrored_copy_is_near_and_said_to_be_mirrored() -> None:
    found = compare(fingerprint([frame[:, ::-1] for frame in FILM]), RECORD)
    assert found.same
    assert found.flipped


def test_a_trimmed_copy_is_found_where_it_was_cut() -> None:
    copy = fingerprint([jpeg(frame) for frame in FILM[33:90]], closely=True)
    found = compare(copy, RECORD)
    assert found.same
    assert found.offset == pytest.approx(33 / RATE, abs=1 / 16)
    back = compare(RECORD, copy)
    assert back.distance == found.distance
    assert back.offset == -found.offset


def test_one_frame_is_found_in_its_film() -> None:
    found = compare(of_still(jpeg(FILM[50])), RECORD)
    assert found.same
    assert found.offset == pytest.approx(2.0)


@pytest.mark.parametrize("seed", range(2, 8))
def test_other_footage_is_far(seed: int) -> None:
    other = scene(seed)
    assert compare(fingerprint(other, closely=True), RECORD).distance > 0.35
    assert not compare(of_still(other[50]), of_still(FILM[50])).same


def test_long_films_are_sampled_less_often_and_still_found() -> None:
    film = [frame for seed in range(20) for frame in scene(seed, 75)]
    record = fingerprint(film)
    assert MOST / 2 < len(record.frames) <= MOST
    assert record.doublings == 3
    assert list(record.numbers) == sorted(set(record.numbers))
    found = compare(fingerprint(film[700:1300], closely=True), record)
    assert found.same
    assert found.offset == pytest.approx(28.0, abs=1 / 16)


def test_only_wanted_frames_count() -> None:
    sampler = Sampler()
    wanted = []
    for number, frame in enumerate(FILM[:26]):
        if sampler.wants(number / RATE):
            wanted.append(number)
            sampler.add(frame, number / RATE)
    assert wanted == [0, 7, 13, 19, 25]
    sampler.add(FILM[60], 25.5 / RATE)
    assert sampler.fingerprint() == fingerprint(FILM[:26])


def test_nothing_is_far_from_everything() -> None:
    nothing = Sampler().fingerprint()
    assert compare(nothing, RECORD) == Comparison(1.0, 0.0, False, 0)
    assert not compare(RECORD, nothing).same


def test_flat_pictures_are_not_told_by_their_noise() -> None:
    flat = of_still(np.full((90, 120), 77, np.uint8))
    assert flat == of_still(np.full((45, 33), 12, np.uint8))


@given(st.integers(0, 2**16), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_any_size_has_a_fingerprint_that_comes_back_from_json(
    seed: int, width: int, height: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    made = of_still(picture)
    again = parse(made.model_dump_json())
    assert again == made
    assert compare(made, again).distance == 0.0


def test_the_json_form_has_a_version() -> None:
    assert json.loads(RECORD.model_dump_json())["schema_version"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"frames": ["00"]},
        {"numbers": [0]},
        {"doublings": 99},
        {"more": 1},
    ],
)
def test_damaged_json_is_refused(change: dict[str, object]) -> None:
    damaged = {**json.loads(RECORD.model_dump_json()), **change}
    with pytest.raises(TrustError, match="cannot be read"):
        parse(json.dumps(damaged))
    with pytest.raises(TrustError):
        parse(RECORD.model_dump_json()[:-20])


def test_the_threshold_lies_between() -> None:
    assert 0.18 < SAME < 0.34

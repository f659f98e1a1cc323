"""Cuts on painted frames, and in films whose cuts are known."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.tracks.shots import Shots
from understudy.types import Image


def scene(seed: int, shift: float = 0.0, gain: float = 1.0) -> Image:
    """Soft blobs of colour, seen `shift` pixels further right, lit by `gain`."""
    coarse = np.random.default_rng(seed).integers(40, 200, (9, 12, 3)).astype(np.uint8)
    wide = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
    moved = np.roll(wide, round(shift), axis=1)[60:420, 80:560]
    lit: Image = np.clip(moved * gain, 0, 255).astype(np.uint8)
    return lit


def cuts(frames: list[Image]) -> list[int]:
    shots = Shots()
    return [index for index, frame in enumerate(frames) if shots.update(frame)]


def test_finds_the_cuts_and_only_them() -> None:
    frames = [scene(seed, 2 * k) for seed in (1, 2, 3) for k in range(12)]
    assert cuts(frames) == [12, 24]


def test_motion_however_fast_is_no_cut() -> None:
    assert cuts([scene(1, 14 * k) for k in range(40)]) == []


def test_a_flash_and_a_fade_are_no_cuts() -> None:
    flash = [scene(4, k, 1.25 if k == 10 else 0.9) for k in range(20)]
    assert cuts(flash) == []
    assert cuts([scene(4, k, 1 - k / 40) for k in range(40)]) == []


def test_a_still_picture_has_none() -> None:
    assert cuts([scene(5)] * 10) == []
    assert cuts([np.zeros((48, 64, 3), np.uint8)] * 5) == []


def test_goes_on_from_its_state_as_if_uninterrupted() -> None:
    frames = [scene(seed, 5 * k) for seed in (1, 2, 3) for k in range(9)]
    whole, first = Shots(), Shots()
    answers = [whole.update(frame) for frame in frames]
    for stop in (1, 8, 9, 10):
        first = Shots()
        begun = [first.update(frame) for frame in frames[:stop]]
        second = Shots()
        second.restore(json.loads(json.dumps(first.state())))
        assert begun + [second.update(frame) for frame in frames[stop:]] == answers


@pytest.mark.parametrize(
    ("film", "expected"),
    [
        ("real/clips/r01_grid_man_two_sentences.mp4", [75]),
        ("real/clips/r11_asl_man_hand_occlusion.mp4", [63, 115, 189, 262]),
        ("real/clips/r12_two_people_headpose_small.mp4", []),
        ("real/clips/r15_grid_three_people_shotcuts.mp4", [75, 150]),
        ("synthetic/test1_ada.mp4", []),
        ("synthetic/train_ben.mp4", [150, 300, 450, 600, 750]),
    ],
)
def test_films(shared_data: Path, film: str, expected: list[int]) -> None:
    with av.open(str(shared_data / film)) as source:
        frames = [
            np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
            for picture in source.decode(video=0)
        ]
    assert cuts(frames) == expected


def test_frames_of_another_size_begin_a_shot() -> None:
    large = [cv2.resize(scene(1, 2 * k), (960, 720)) for k in range(4)]
    frames = [scene(1, 2 * k) for k in range(12)] + [np.asarray(one, np.uint8) for one in large]
    assert cuts(frames) == [12]


def test_a_shot_of_one_frame() -> None:
    frames = [scene(1)] * 10 + [scene(2)] + [scene(3)] * 10
    assert cuts(frames) == [10, 11]

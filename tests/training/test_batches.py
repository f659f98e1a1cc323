from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.support.drawn_facesets import Drawn
from understudy.models.focus import around_eyes
from understudy.models.recipe import Augmentation
from understudy.models.swift import Swift
from understudy.progress import silent
from understudy.training.batches import Feed
from understudy.training.labels import Labels
from understudy.training.plan import Course

PEOPLE = ("ada", "chen")
FACES = 40


def feed(how: Augmentation, labels: Labels | None = None) -> Feed:
    facesets: Any = {name: Drawn(name, FACES) for name in PEOPLE}
    course = Course("swift", 96, PEOPLE, PEOPLE, False)
    recipe = replace(Swift.recipe, augmentation=how)
    return Feed(course, facesets, recipe, 16, 0, 0.1, torch.device("cpu"), silent(), labels)


@pytest.fixture(scope="module")
def labels() -> Labels:
    rows = np.stack((np.arange(FACES), np.arange(FACES) - 19.5), 1).astype(np.float32)
    return Labels(("open", "yaw"), dict.fromkeys(PEOPLE, rows), ("yaw",))


def test_nothing_is_told_of_a_face_that_a_double_plays(labels: Labels) -> None:
    how = Augmentation(doubles=0.5, flip=0.5, double_eyes=False, color="none")
    for batch in feed(how, labels).batches(3):
        known, asked = cast(torch.Tensor, batch.known), cast(torch.Tensor, batch.asked)
        played = known.isnan().all(1)
        assert torch.equal(known.isnan().any(1), played)
        assert 2 <= int(played.sum()) <= 14
        assert torch.equal(asked[~played], torch.ones_like(asked[~played]))
        around = (1 - around_eyes(96)).expand_as(asked[played])
        assert torch.equal(asked[played], around)


def test_what_is_known_is_that_of_the_frame_and_turns_with_the_picture(labels: Labels) -> None:
    how = Augmentation(doubles=0, flip=0.5, rotation=0, zoom=0, shift=0, warp=0, color="none")
    straight = replace(how, flip=0.0)
    mirrored = 0
    both = zip(feed(how, labels).batches(0), feed(straight, labels).batches(0), strict=True)
    for batch, plain in both:
        assert batch.asked is None
        known, own = cast(torch.Tensor, batch.known), cast(torch.Tensor, plain.known)
        assert torch.equal(known[:, 0], own[:, 0])
        signs = torch.where(batch.mirrored, -1.0, 1.0)
        assert torch.equal(known[:, 1], own[:, 1] * signs)
        flipped = plain.target.flip(3)
        seen = torch.where(batch.mirrored[:, None, None, None], flipped, plain.target)
        assert float((batch.target - seen).abs().max()) < 1e-3
        mirrored += int(batch.mirrored.sum())
        # Open and yaw rise together over the frames.
        assert torch.corrcoef(own.T)[0, 1] > 0.999
    assert 0 < mirrored < 32


def test_without_labels_all_of_everything_is_asked() -> None:
    for batch in feed(Augmentation(doubles=0.5)).batches(1):
        assert batch.known is None
        assert batch.asked is None


def test_a_step_is_a_function_of_its_number(labels: Labels) -> None:
    how = Augmentation(doubles=0.5, double_eyes=False)
    one, other = feed(how, labels), feed(how, labels)
    one.batches(0)
    for a, b in zip(one.batches(5), other.batches(5), strict=True):
        assert torch.equal(a.input, b.input)
        assert torch.equal(
            cast(torch.Tensor, a.known).nan_to_num(9), cast(torch.Tensor, b.known).nan_to_num(9)
        )

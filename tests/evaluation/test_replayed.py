"""A person's held-out pictures, put through the whole way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.support.heads import blurred, face, texture
from understudy.conversion.rehearsal import Rehearsal
from understudy.evaluation.gauges.detail import Crispness, Detail
from understudy.evaluation.gauges.wording import own_footage
from understudy.evaluation.replayed import replayed
from understudy.models.base import SwapModel, build
from understudy.training.preview_sheet import Finished
from understudy.types import Floats, Image


def detail(share: float) -> Detail:
    one = Crispness((share, share, 1.0), (0.5, 0.7, 0.9))
    return Detail(one, one, None)


@pytest.mark.parametrize(("share", "tone"), [(0.3, "bad"), (0.75, "note"), (0.95, "good")])
def test_the_sentence_says_how_much_of_the_detail_is_left(share: float, tone: str) -> None:
    ((found, text),) = own_footage({"ada": detail(share), "ben": None})
    assert found == tone
    assert text == (
        f"Held-out pictures of ada, drawn again through the whole pipeline, keep "
        f"{str(share).lstrip('0'):0<3} of their detail; .60 of it is in the right place."
    )


class Played(Rehearsal):
    """One textured face that is drawn again, blurred by so many pixels; below 0 there is no
    gallery."""

    def __init__(self, deviation: float) -> None:
        self.truth, self.deviation = texture(0), deviation

    def shown(self, person: str) -> list[tuple[Image, Floats]]:
        return [(self.truth, face().landmarks)]

    def draw(self, model: SwapModel, others: Mapping[str, Sequence[str]]) -> dict[str, Finished]:
        if self.deviation < 0:
            return {}
        picture = blurred(self.truth, self.deviation) if self.deviation else self.truth
        return {"ada": Finished("ada", [picture])}


def test_a_picture_drawn_as_it_was_is_all_there_and_a_blurred_one_is_not() -> None:
    model = build("swift", 96, ("ada",))
    same, soft = (replayed(Played(deviation), model, "ada") for deviation in (0.0, 1.5))
    assert same is not None
    assert same.face is not None
    assert same.face.detail == pytest.approx((1, 1, 1), abs=1e-6)
    assert same.face.found == pytest.approx((1, 1, 1), abs=1e-6)
    assert soft is not None
    assert soft.face is not None
    assert soft.face.detail[0] < 0.5 < soft.face.detail[2]
    assert soft.face.found[0] < 0.5


def test_without_a_gallery_nothing_is_measured() -> None:
    assert replayed(Played(-1.0), build("swift", 96, ("ada",)), "ada") is None

"""A person's held-out pictures, put through the whole way."""

from __future__ import annotations

import pytest

from understudy.evaluation.detail import Crispness, Detail
from understudy.evaluation.wording import own_footage


def detail(share: float) -> Detail:
    one = Crispness((share, share, 1.0), (0.5, 0.7, 0.9))
    return Detail(one, one, None)


@pytest.mark.parametrize(("share", "tone"), [(0.3, "bad"), (0.75, "note"), (0.95, "good")])
def test_the_sentence_says_how_much_of_the_detail_is_left(share: float, tone: str) -> None:
    ((found, text),) = own_footage({"ada": detail(share), "ben": None})
    assert found == tone
    assert text == (
        f"ada's own pictures that were kept aside, drawn again the whole way, keep "
        f"{str(share).lstrip('0'):0<3} of their detail; .60 of it is in the right place."
    )

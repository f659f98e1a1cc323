"""The visible label: how large, where, when, and that it cannot go silently."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import SettingsError
from understudy.media.lay import lay
from understudy.trust.label import FADE, SECONDS, Form, Label, check_label
from understudy.types import Box, Image

SIZES = [(256, 256), (512, 512), (1280, 720), (1920, 1080), (720, 1280), (480, 270)]
CENTRES = {
    "upper right": (0.85, 0.15),
    "upper left": (0.15, 0.15),
    "lower right": (0.85, 0.85),
    "lower left": (0.15, 0.85),
}


def box_at(centre: tuple[float, float], width: int, height: int) -> Box:
    x, y, reach = centre[0] * width, centre[1] * height, 0.12 * min(width, height)
    return x - reach, y - reach, x + reach, y + reach


def shown(label: Label, time: Fraction, width: int, height: int) -> Image:
    """The label over mid-grey."""
    grey = np.full((height, width, 3), 128, np.uint8)
    frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
    return np.asarray(lay(frame, label.patches(time)).to_ndarray(format="rgb24"), np.uint8)


def white_rows(image: Image) -> int:
    """Rows from the first to the last that letters cover by half or more somewhere."""
    rows = np.flatnonzero((image[..., 0] > 140).any(axis=1))
    return int(rows[-1] - rows[0] + 1) if rows.size else 0


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_letters_are_a_twentieth_of_the_short_side(width: int, height: int) -> None:
    label = Label("corner", width, height, end=Fraction(10))
    image = shown(label, Fraction(5), width, height)
    assert white_rows(image) >= 0.05 * min(width, height)
    assert label.letters == pytest.approx(max(0.05 * min(width, height), 9), abs=1.5)
    assert label.large_enough


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("form", ["corner", "opening"])
def test_a_label_lies_inside_the_picture(width: int, height: int, form: Form) -> None:
    (patch,) = Label(form, width, height, end=Fraction(10)).patches(Fraction(0))
    h, w = patch.alpha.shape
    assert patch.image.shape == (h, w, 3)
    assert patch.x >= 0
    assert patch.y >= 0
    assert patch.x + w <= width
    assert patch.y + h <= height
    assert patch.alpha.min() >= 0
    assert patch.alpha.max() == 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_letters_stand_out_from_any_picture(level: int) -> None:
    (patch,) = Label("corner", 640, 360).patches(Fraction(0))
    alpha = patch.alpha[..., None]
    mixed = alpha * patch.image + (1 - alpha) * level
    letters, plate = mixed[patch.alpha > 0.99], mixed[np.isclose(patch.alpha, 0.62)]
    # 4.5 to 1 is what WCAG 2.1 asks of text; code values this far apart give more.
    assert letters.min() > 225
    assert plate.max() < 100


def test_the_corner_label_stays_as_it_is_all_the_time() -> None:
    label = Label("corner", 640, 360, Fraction(2), Fraction(60))
    first = label.patches(Fraction(2))
    assert len(first) == 1
    for time in (Fraction(3), Fraction(5), Fraction(59)):
        assert label.patches(time) == first


@pytest.mark.parametrize("free", list(CENTRES))
def test_the_corner_that_faces_leave_free_is_taken(free: str) -> None:
    faces = [
        (Fraction(n), box_at(centre, 1280, 720))
        for n, (name, centre) in enumerate(CENTRES.items())
        if name != free
    ]
    assert Label("corner", 1280, 720, faces=faces).corner == free


def test_where_all_corners_are_as_good_it_is_the_upper_right() -> None:
    assert Label("corner", 1280, 720).corner == "upper right"
    middle = [(Fraction(0), box_at((0.5, 0.5), 1280, 720))]
    assert Label("corner", 1280, 720, faces=middle).corner == "upper right"


def test_the_card_keeps_clear_of_the_faces_under_it_and_of_no_others() -> None:
    low, high = box_at((0.5, 0.8), 640, 360), box_at((0.5, 0.2), 640, 360)
    tops = []
    for faces in ([], [(Fraction(1), low)], [(Fraction(9), low)], [(Fraction(1), high)]):
        (card,) = Label("opening", 640, 360, end=Fraction(20), faces=faces).patches(Fraction(0))
        tops.append(card.y < 180)
    assert tops == [False, True, False, False]


def test_the_card_is_whole_for_two_seconds_then_fades() -> None:
    start = Fraction(7)
    label = Label("opening", 640, 360, start, Fraction(30))
    (whole,) = label.patches(start)
    assert label.patches(start + 2) == [whole]
    strengths = []
    for step in range(5):
        patches = label.patches(start + SECONDS - FADE + FADE * Fraction(step, 4))
        strengths.append(float(patches[0].alpha.max()) if patches else 0.0)
    assert strengths == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert label.patches(start + SECONDS + 5) == []


@pytest.mark.parametrize("form", ["opening", "both"])
def test_a_film_shorter_than_the_card_has_it_to_its_end(form: Form) -> None:
    label = Label(form, 640, 360, Fraction(0), Fraction(5, 2))
    first = label.patches(Fraction(0))
    assert len(first) == 1
    assert label.patches(Fraction(12, 5)) == first
    assert label.facts()["seconds"] == 2.5


def test_with_both_the_corner_label_comes_when_the_card_has_gone() -> None:
    both = Label("both", 640, 360, end=Fraction(30))
    card = Label("opening", 640, 360, end=Fraction(30)).patches(Fraction(0))[0]
    corner = Label("corner", 640, 360, end=Fraction(30)).patches(Fraction(0))[0]
    np.testing.assert_array_equal(both.patches(Fraction(1))[0].alpha, card.alpha)
    np.testing.assert_array_equal(both.patches(Fraction(9))[0].alpha, corner.alpha)
    for step in range(0, 400):
        assert len(both.patches(Fraction(step, 100))) <= 1


def test_a_still_has_the_corner_label_whatever_was_asked_for() -> None:
    still = Label("opening", 640, 360, Fraction(0), Fraction(0))
    assert still.form == "corner"
    np.testing.assert_array_equal(
        still.patches(Fraction(0))[0].alpha, Label("corner", 640, 360).patches(Fraction(0))[0].alpha
    )


def test_the_same_film_gets_the_same_label() -> None:
    one, two = (Label("both", 853, 480, end=Fraction(9)).patches(Fraction(0)) for _ in range(2))
    np.testing.assert_array_equal(one[0].image, two[0].image)
    np.testing.assert_array_equal(one[0].alpha, two[0].alpha)


def test_long_words_are_made_smaller_until_they_fit() -> None:
    text = "This face was generated by artificial intelligence"
    label = Label("corner", 320, 240, text=text)
    (patch,) = label.patches(Fraction(0))
    assert patch.alpha.shape[1] <= 320
    assert not label.large_enough
    assert label.facts()["large_enough"] is False
    assert Label("corner", 3840, 1080, text=text).large_enough


def test_chinese_words_are_drawn() -> None:
    # A missing glyph would come out as a question mark: both labels would be alike.
    one, two = (
        Label("corner", 640, 360, text=text).patches(Fraction(0))[0] for text in ("合成", "生成")
    )
    assert one.alpha.shape != two.alpha.shape or not np.array_equal(one.alpha, two.alpha)


def test_wide_pixels_make_a_narrow_patch() -> None:
    square = Label("corner", 1440, 1080).patches(Fraction(0))[0]
    wide = Label("corner", 1440, 1080, pixel_aspect=Fraction(4, 3)).patches(Fraction(0))[0]
    assert wide.alpha.shape[0] == square.alpha.shape[0]
    assert wide.alpha.shape[1] == pytest.approx(square.alpha.shape[1] * 3 / 4, abs=1)
    card = Label("opening", 1440, 1080, pixel_aspect=Fraction(4, 3)).patches(Fraction(0))[0]
    assert (card.x, card.alpha.shape[1]) == (0, 1440)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(16, 900),
    st.integers(16, 900),
    st.sampled_from(["corner", "opening", "both"]),
    st.text(min_size=1, max_size=60).filter(lambda text: any(map(str.isalpha, text))),
)
def test_any_picture_can_be_labelled(width: int, height: int, form: Form, text: str) -> None:
    label = Label(form, width, height, end=Fraction(8), text=text)
    image = shown(label, Fraction(1), width, height)
    assert image.shape == (height, width, 3)
    assert (image != 128).any()


@pytest.mark.parametrize("text", ["", "  ", "...", "A" * 61])
def test_a_label_without_words_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="label"):
        Label("corner", 640, 360, text=text)


@pytest.mark.parametrize(
    "reason", [None, "", "   ", "no", "because", "xxxxxxxxxxxxxxxx", "1234567890 12"]
)
def test_no_label_without_a_reason(reason: str | None) -> None:
    with pytest.raises(SettingsError, match="reason"):
        check_label("none", reason)


def test_a_reason_is_tidied_up() -> None:
    said = check_label("none", "  the label is put on\nin the final edit ")
    assert said == "the label is put on in the final edit"


def test_a_label_needs_no_reason_and_takes_none() -> None:
    assert check_label("corner", None) is None
    assert check_label("both", "  ") is None
    with pytest.raises(SettingsError, match="corner"):
        check_label("corner", "the label is put on in the final edit")

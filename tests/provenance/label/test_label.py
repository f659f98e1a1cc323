"""The visible label: how large, where, when, and that it cannot go silently."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import SettingsError
from understudy.media.overlay import lay
from understudy.provenance.label.label import (
    FADE,
    SECONDS,
    TEXT,
    Form,
    Ground,
    Label,
    Seen,
    check_label,
)
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


def made(form: Form, width: int, height: int, *, text: str = TEXT, **ground: Any) -> Label:
    return Label(form, Ground(width, height, **ground), text)


def seen(box: Box, second: int = 0, replaced: bool = True) -> Seen:
    return Seen(Fraction(second), box, replaced)


def hidden(label: Label, box: Box) -> float:
    """Share of a box that the corner label lies over."""
    (patch,) = label.patches(Fraction(1))
    covered = np.zeros((2000, 2000), bool)
    h, w = patch.alpha.shape
    covered[patch.y : patch.y + h, patch.x : patch.x + w] = True
    x0, y0, x1, y1 = (round(max(side, 0)) for side in box)
    return float(covered[y0:y1, x0:x1].mean())


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
    label = made("corner", width, height, end=Fraction(10))
    image = shown(label, Fraction(5), width, height)
    assert white_rows(image) >= 0.05 * min(width, height)
    assert label.letters == pytest.approx(max(0.05 * min(width, height), 9), abs=1.5)
    assert label.large_enough


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("form", ["corner", "opening"])
def test_a_label_lies_inside_the_picture(width: int, height: int, form: Form) -> None:
    (patch,) = made(form, width, height, end=Fraction(10)).patches(Fraction(0))
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
    (patch,) = made("corner", 640, 360).patches(Fraction(0))
    alpha = patch.alpha[..., None]
    mixed = alpha * patch.image + (1 - alpha) * level
    letters, plate = mixed[patch.alpha > 0.99], mixed[np.isclose(patch.alpha, 0.62)]
    # 4.5 to 1 is what WCAG 2.1 asks of text; code values this far apart give more.
    assert letters.min() > 225
    assert plate.max() < 100


def test_the_corner_label_stays_as_it_is_all_the_time() -> None:
    label = made("corner", 640, 360, start=Fraction(2), end=Fraction(60))
    first = label.patches(Fraction(2))
    assert len(first) == 1
    for time in (Fraction(3), Fraction(5), Fraction(59)):
        assert label.patches(time) == first


@pytest.mark.parametrize("free", list(CENTRES))
def test_the_corner_that_faces_leave_free_is_taken(free: str) -> None:
    faces = [
        seen(box_at(centre, 1280, 720), n)
        for n, (name, centre) in enumerate(CENTRES.items())
        if name != free
    ]
    assert made("corner", 1280, 720, faces=faces).corner == free


def test_where_all_corners_are_as_good_it_is_the_upper_right() -> None:
    assert made("corner", 1280, 720).corner == "upper right"
    middle = [seen(box_at((0.5, 0.5), 1280, 720))]
    assert made("corner", 1280, 720, faces=middle).corner == "upper right"


def swaying(box: Box, replaced: bool = True, frames: int = 50) -> list[Seen]:
    """A face that moves a little about a place."""
    x0, y0, x1, y1 = box
    reach = 0.05 * (x1 - x0)
    shifts = [(reach * np.sin(n / 4), reach * np.cos(n / 6)) for n in range(frames)]
    return [
        Seen(Fraction(n, 25), (x0 + x, y0 + y, x1 + x, y1 + y), replaced)
        for n, (x, y) in enumerate(shifts)
    ]


@pytest.mark.parametrize("across", [-40, 0, 40])
def test_a_large_head_keeps_its_chin_and_gives_its_hair(across: int) -> None:
    box = (105.0 + across, 112.0, 375.0 + across, 442.0)
    faces = swaying(box)
    label = made("corner", 480, 480, end=Fraction(2), faces=faces, text=TEXT)
    still = made("corner", 480, 480, end=Fraction(0), faces=[seen(box)])
    for one in (label, still):
        assert one.corner in ("upper right", "upper left")
        assert max(hidden(one, face.box) for face in faces) == 0


def test_the_card_too_leaves_a_large_face_free() -> None:
    box = (105.0, 150.0, 375.0, 440.0)
    label = made("opening", 480, 480, end=Fraction(20), faces=swaying(box))
    (card,) = label.patches(Fraction(0))
    assert card.y + card.alpha.shape[0] < 150 + 30


CROWD: dict[str, Box] = {
    "the one": (500, 378, 580, 458),
    "below, left": (60, 405, 130, 470),
    "left": (90, 70, 150, 140),
    "further left": (12, 70, 72, 140),
    "right": (430, 70, 495, 140),
    "further right": (558, 70, 623, 140),
}


def test_in_a_crowd_the_face_that_was_replaced_is_spared_first() -> None:
    # The heads above hide behind the label with their hair, the two below with their faces.
    faces = [
        face for name, box in CROWD.items() for face in swaying(box, replaced=name == "the one")
    ]
    label = made("corner", 640, 480, end=Fraction(2), faces=faces)
    assert max(hidden(label, face.box) for face in faces if face.replaced) == 0
    assert label.corner in ("upper right", "upper left")
    assert max(hidden(label, face.box) for face in faces) < 0.05


@pytest.mark.parametrize("chosen", list(CENTRES))
def test_where_every_corner_has_a_face_another_is_hidden(chosen: str) -> None:
    faces = [
        face
        for name, centre in CENTRES.items()
        for face in swaying(box_at(centre, 640, 480), replaced=name == chosen)
    ]
    label = made("corner", 640, 480, end=Fraction(2), faces=faces)
    assert label.corner != chosen
    assert max(hidden(label, face.box) for face in faces if face.replaced) == 0


def test_a_face_that_is_hidden_for_a_while_counts_though_others_are_free() -> None:
    # For a tenth of the time it fills the upper right corner; else it only brushes the upper left.
    usual, away = (100.0, 60.0, 220.0, 180.0), (500.0, 20.0, 600.0, 110.0)
    low = [seen(box_at(CENTRES[name], 640, 480), 0, False) for name in CENTRES if "lower" in name]
    faces = [seen(away if n % 10 == 0 else usual, n) for n in range(60)]
    assert made("corner", 640, 480, faces=[*faces, *low * 60]).corner.startswith("lower")
    assert hidden(made("corner", 640, 480, faces=faces), away) == 0


def test_a_label_that_touches_the_corner_of_a_box_touches_no_face() -> None:
    # The label in the lower right hides a sliver of the box; those above would hide much hair.
    label = made("corner", 480, 480, faces=[seen((60, 100, 290, 418))])
    assert label.corner == "lower right"
    assert hidden(label, (60, 100, 290, 418)) < 0.02


def test_the_card_keeps_clear_of_the_faces_under_it_and_of_no_others() -> None:
    low, high = box_at((0.5, 0.8), 640, 360), box_at((0.5, 0.2), 640, 360)
    tops = []
    for faces in ([], [seen(low, 1)], [seen(low, 9)], [seen(high, 1)]):
        (card,) = made("opening", 640, 360, end=Fraction(20), faces=faces).patches(Fraction(0))
        tops.append(card.y < 180)
    assert tops == [False, True, False, False]


def test_the_card_is_whole_for_two_seconds_then_fades() -> None:
    start = Fraction(7)
    label = made("opening", 640, 360, start=start, end=Fraction(30))
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
    label = made(form, 640, 360, end=Fraction(5, 2))
    first = label.patches(Fraction(0))
    assert len(first) == 1
    assert label.patches(Fraction(12, 5)) == first
    assert label.facts()["seconds"] == 2.5


def test_with_both_the_corner_label_comes_when_the_card_has_gone() -> None:
    both = made("both", 640, 360, end=Fraction(30))
    card = made("opening", 640, 360, end=Fraction(30)).patches(Fraction(0))[0]
    corner = made("corner", 640, 360, end=Fraction(30)).patches(Fraction(0))[0]
    np.testing.assert_array_equal(both.patches(Fraction(1))[0].alpha, card.alpha)
    np.testing.assert_array_equal(both.patches(Fraction(9))[0].alpha, corner.alpha)
    for step in range(0, 400):
        assert len(both.patches(Fraction(step, 100))) <= 1


def test_a_still_has_the_corner_label_whatever_was_asked_for() -> None:
    still = made("opening", 640, 360, end=Fraction(0))
    assert still.form == "corner"
    np.testing.assert_array_equal(
        still.patches(Fraction(0))[0].alpha, made("corner", 640, 360).patches(Fraction(0))[0].alpha
    )


def test_the_same_film_gets_the_same_label() -> None:
    one, two = (made("both", 853, 480, end=Fraction(9)).patches(Fraction(0)) for _ in range(2))
    np.testing.assert_array_equal(one[0].image, two[0].image)
    np.testing.assert_array_equal(one[0].alpha, two[0].alpha)


def test_long_words_are_made_smaller_until_they_fit() -> None:
    text = "This face was generated by artificial intelligence"
    label = made("corner", 320, 240, text=text)
    (patch,) = label.patches(Fraction(0))
    assert patch.alpha.shape[1] <= 320
    assert not label.large_enough
    assert label.facts()["large_enough"] is False
    assert made("corner", 3840, 1080, text=text).large_enough


def test_chinese_words_are_drawn() -> None:
    # A missing glyph would come out as a question mark: both labels would be alike.
    one, two = (
        made("corner", 640, 360, text=text).patches(Fraction(0))[0] for text in ("合成", "生成")
    )
    assert one.alpha.shape != two.alpha.shape or not np.array_equal(one.alpha, two.alpha)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(16, 900),
    st.integers(16, 900),
    st.sampled_from(["corner", "opening", "both"]),
    st.text(min_size=1, max_size=60).filter(lambda text: any(map(str.isalpha, text))),
)
def test_any_picture_can_be_labelled(width: int, height: int, form: Form, text: str) -> None:
    label = made(form, width, height, end=Fraction(8), text=text)
    image = shown(label, Fraction(1), width, height)
    assert image.shape == (height, width, 3)
    assert (image != 128).any()


@pytest.mark.parametrize("text", ["", "  ", "...", "A" * 61])
def test_a_label_without_words_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="label"):
        made("corner", 640, 360, text=text)


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

"""What is seen in finished films and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.painted_people import SIZE, Act, film, paint
from understudy.errors import MediaError
from understudy.media.images import write_image
from understudy.media.video import SegmentWriter, VideoReader
from understudy.provenance import fingerprint, inspect
from understudy.provenance.inspect import guarded, look
from understudy.provenance.watermark.frames import SAMPLED, Marker
from understudy.safeguards.content_guard.guard import Verdict
from understudy.settings import EncodeSettings
from understudy.types import Image

NUMBER = 0xC0FFEE42
FRAMES = 60
ACTS = [Act("red", 0, FRAMES, 90)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("looked") / "plain.mp4", FRAMES, ACTS)


@pytest.fixture(scope="module")
def marked(plain: Path) -> Path:
    path = plain.with_name("marked.nut")
    marker = Marker(SIZE, SIZE, NUMBER, 44.0)
    with (
        VideoReader(plain) as reader,
        SegmentWriter(path, reader.info, EncodeSettings(preset="ultrafast"), mark=marker) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    return path


def test_the_mark_in_a_film_is_seen(marked: Path) -> None:
    seen = look(marked)
    assert (seen.kind, seen.width, seen.height) == ("film", SIZE, SIZE)
    assert seen.seconds == pytest.approx((FRAMES - 1) / 25)
    assert seen.reading.record_id == NUMBER
    assert SAMPLED // 2 <= seen.reading.frames <= SAMPLED + 1


def test_a_marked_film_looks_as_it_did(plain: Path, marked: Path) -> None:
    before, after = look(plain), look(marked)
    assert before.reading.record_id is None
    assert fingerprint.compare(before.fingerprint, after.fingerprint).same


def test_more_is_kept_of_a_film_that_is_looked_at_closely(plain: Path) -> None:
    steps: list[None] = []
    closely = look(plain, closely=True, step=lambda: steps.append(None))
    assert len(steps) == FRAMES
    assert len(closely.fingerprint.frames) > len(look(plain).fingerprint.frames)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_the_mark_in_a_picture_is_seen(tmp_path: Path, suffix: str) -> None:
    image = paint(ACTS, 0)
    path = tmp_path / f"picture{suffix}"
    write_image(path, Marker(SIZE, SIZE, NUMBER, 42.0).rgb(image))
    seen = look(path)
    assert (seen.kind, seen.width, seen.height, seen.seconds) == ("still", SIZE, SIZE, 0.0)
    assert seen.reading.record_id == NUMBER
    write_image(path, image)
    assert look(path).reading.record_id is None


def test_what_is_no_film_is_told(tmp_path: Path) -> None:
    for name in ("text.mp4", "text.png"):
        (tmp_path / name).write_text("This is not a film.")
        with pytest.raises(MediaError, match=name):
            look(tmp_path / name)


def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Fraction, Image]]:
    """What the guard is given."""
    frames: list[tuple[Fraction, Image]] = []

    def check(given: Iterable[tuple[Fraction, Image]], what: str) -> Verdict:
        frames.extend(given)
        assert what == "film"
        return Verdict("film", "clean", "stand-in 1", len(frames))

    monkeypatch.setattr(inspect, "check", check)
    return frames


def test_the_guard_is_shown_a_frame_a_second(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = shown(monkeypatch)
    assert guarded(plain, "film").state == "clean"
    assert [time for time, _ in frames] == [0, 1, 2]
    with VideoReader(plain) as reader:
        np.testing.assert_array_equal(frames[0][1], next(iter(reader)).image)


def test_of_a_part_the_guard_is_shown_that_part(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = shown(monkeypatch)
    guarded(plain, "film", Fraction(1, 2), Fraction(6, 5))
    assert len(frames) == 1
    assert Fraction(1, 2) - Fraction(1, 25) < frames[0][0] < Fraction(3, 5)


def test_the_guard_is_shown_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "picture.png", paint(ACTS, 0))
    frames = shown(monkeypatch)
    guarded(tmp_path / "picture.png", "film")
    ((time, image),) = frames
    assert time == 0
    np.testing.assert_array_equal(image, paint(ACTS, 0))


def test_without_a_guard_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.safeguards.content_guard.guard.available", lambda: None)
    assert guarded(tmp_path / "there is none.mp4", "film").state == "unscanned"

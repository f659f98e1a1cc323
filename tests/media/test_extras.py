"""Titles, chapters, time code and whatever else lies in a film beside its pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clips import HEIGHT, WIDTH, painting
from understudy.media.extras import doubled, extras_of, later
from understudy.media.video import SegmentWriter, VideoReader, join, probe
from understudy.settings import EncodeSettings

FRAMES = 50
TAGS = {
    "title": "Reel 7",
    "artist": "Somebody",
    "creation_time": "2024-05-01T10:00:00.000000Z",
    "location": "+47.5000+008.7000/",
}
CHAPTERS: list[Any] = [
    {
        "id": number,
        "start": 1000 * number,
        "end": 1000 * (number + 1),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }
    for number, title in enumerate(("Arrival", "Door"))
]


def film(path: Path, timecode: str = "01:02:03:04", tracks: int = 1) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata.update(TAGS)
        container.set_chapters(CHAPTERS)
        streams = []
        for number in range(tracks):
            stream = container.add_stream("libx264", rate=25)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = WIDTH - 16 * number, HEIGHT
            stream.pix_fmt = "yuv420p"
            if timecode and not number:
                stream.metadata["timecode"] = timecode
            streams.append(stream)
        for index in range(FRAMES):
            for stream in streams:
                image = painting(index, stream.width, HEIGHT)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def copied(
    source: Path, to: Path, start: Fraction | None = None, **settings: Any
) -> tuple[Path, list[str]]:
    how = EncodeSettings(preset="ultrafast", **settings)
    with (
        VideoReader(source, start) as reader,
        SegmentWriter(to.with_suffix(".nut"), reader.info, how) as out,
    ):
        for frame in reader:
            out.write(frame)
    return to, join([to.with_suffix(".nut")], to, source, start, None, how)


def lower(tags: dict[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in tags.items()}


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_what_can_be_kept_is_kept(suffix: str, tmp_path: Path) -> None:
    out, told = copied(film(tmp_path / "film.mov"), tmp_path / f"out{suffix}")
    with av.open(str(out)) as container:
        tags = lower(container.metadata)
        assert (tags["title"], tags["artist"]) == ("Reel 7", "Somebody")
        assert tags["creation_time"].startswith("2024-05-01T10:00:00")
        assert [each["metadata"]["title"] for each in container.chapters()] == ["Arrival", "Door"]
        base = container.chapters()[1]["time_base"]
        assert base is not None
        assert container.chapters()[1]["start"] * base == 1
        assert lower(container.streams.video[0].metadata)["timecode"] == "01:02:03:04"
        assert not any("location" in key for key in tags)
    (of_place,) = [sentence for sentence in told if "place" in sentence]
    assert "--place keeps it" in of_place


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_the_place_is_kept_when_that_is_asked_for(suffix: str, tmp_path: Path) -> None:
    out, told = copied(film(tmp_path / "film.mov"), tmp_path / f"out{suffix}", place=True)
    with av.open(str(out)) as container:
        found = lower(container.metadata)["location"]
        assert found.startswith("+47.5")
    assert not any("place" in sentence for sentence in told)


def test_a_part_has_its_own_chapters_and_time_code(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mov")
    out, _ = copied(source, tmp_path / "out.mov", Fraction(3, 5))
    with av.open(str(out)) as container:
        chapters = container.chapters()
        assert [each["metadata"]["title"] for each in chapters] == ["Arrival", "Door"]
        assert chapters[1]["time_base"] is not None
        assert float(chapters[1]["start"] * chapters[1]["time_base"]) == pytest.approx(0.4)
        assert container.streams.video[0].metadata["timecode"] == "01:02:03:19"
    late, _ = copied(source, tmp_path / "late.mov", Fraction(6, 5))
    with av.open(str(late)) as container:
        assert [each["metadata"]["title"] for each in container.chapters()] == ["Door"]


def test_a_container_without_time_code_says_so(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mov")
    _, told = copied(source, tmp_path / "out.webm", codec="libvpx-vp9", crf=40)
    assert any("time code (01:02:03:04 at the start)" in sentence for sentence in told)


def test_other_tracks_of_pictures_are_told(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", timecode="", tracks=2)
    notes = extras_of(source, probe(source), place=False).notes
    (told,) = [sentence for sentence in notes if "video tracks" in sentence]
    assert f"2 video tracks; this is track 1, {WIDTH}x{HEIGHT}" in told
    assert f"{WIDTH - 16}x{HEIGHT}" in told


def test_a_plain_film_has_nothing_to_tell(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(painting(0), format="rgb24")))
        container.mux(stream.encode(None))
    found = extras_of(path, probe(path), place=False)
    assert (found.notes, found.chapters, found.timecode, dict(found.tags)) == ((), (), None, {})


@pytest.mark.parametrize("pixel_format", ["yuva420p", "yuva444p10le"])
def test_what_is_transparent_is_white_and_told(pixel_format: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
        alpha[:, 16:] = 255
        image = np.dstack([painting(3), alpha])
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgba")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        (frame,) = reader
    assert frame.image[:, :14].min() >= 252
    assert np.abs(frame.image[:, 18:].astype(int) - painting(3)[:, 18:]).mean() < 4
    notes = extras_of(path, probe(path), place=False).notes
    assert any("transparent parts; they are shown on white" in sentence for sentence in notes)


@pytest.mark.parametrize(
    ("before", "frames", "rate", "after"),
    [
        ("01:02:03:04", 21, Fraction(25), "01:02:04:00"),
        ("23:59:59:23", 1, Fraction(24), "00:00:00:00"),
        ("01:02:03:04", 20, Fraction(24000, 1001), "01:02:04:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:00:59:29", 1, Fraction(30000, 1001), "00:01:00:00"),
    ],
)
def test_time_code_goes_on(before: str, frames: int, rate: Fraction, after: str) -> None:
    assert later(before, frames, rate) == after


def test_an_hour_of_drop_frame_is_an_hour() -> None:
    assert later("00:00:00;00", 107892, Fraction(30000, 1001)) == "01:00:00;00"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 200_000), st.integers(0, 200_000), st.sampled_from([":", ";"]))
def test_time_code_adds_up(one: int, other: int, mark: str) -> None:
    rate, zero = Fraction(30000, 1001), f"00:00:00{mark}00"
    first = later(zero, one, rate)
    assert first is not None
    assert later(first, other, rate) == later(zero, one + other, rate)


def test_the_numbers_of_twice_the_rate() -> None:
    assert doubled("01:02:03;14") == "01:02:03;28"


def test_what_is_no_time_code() -> None:
    assert later("yesterday", 3, Fraction(25)) is None

"""Segments joined with the sound of the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import make_film, number, packets
from understudy.errors import MediaError
from understudy.media.video import SegmentWriter, VideoReader, check_destination, join, probe
from understudy.settings import EncodeSettings

X264 = EncodeSettings(preset="veryfast", crf=10)
X265 = EncodeSettings(codec="libx265", preset="ultrafast", crf=10)
VP9 = EncodeSettings(codec="libvpx-vp9", preset="ultrafast", crf=10)
AV1 = EncodeSettings(codec="libsvtav1", preset="ultrafast", crf=10)


def segments(source: Path, settings: EncodeSettings, cuts: Sequence[Fraction | None]) -> list[Path]:
    made = []
    for index, (start, end) in enumerate(pairwise(cuts)):
        path = source.parent / f"segment{index}.nut"
        with (
            VideoReader(source, start, end) as film,
            SegmentWriter(path, film.info, settings) as writer,
        ):
            for frame in film:
                writer.write(frame)
        made.append(path)
    return made


def sound(path: Path, track: int = 0) -> tuple[list[Fraction], list[bytes]]:
    with av.open(str(path)) as container:
        found = [p for p in container.demux(audio=track) if p.size]
        return [p.pts * p.time_base for p in found if p.pts is not None], [bytes(p) for p in found]


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".mp4", X264),
        (".mov", X264),
        (".mkv", X264),
        (".mp4", X265),
        (".mkv", X265),
        (".webm", VP9),
        (".mp4", AV1),
        (".webm", AV1),
    ],
    ids=lambda value: value if isinstance(value, str) else value.codec,
)
def test_a_joined_film_is_the_film(tmp_path: Path, suffix: str, settings: EncodeSettings) -> None:
    source = make_film(tmp_path / "a.mp4", frames=30, options={"bf": "2"})
    parts = segments(source, settings, [None, Fraction(9, 25), Fraction(20, 25), None])
    target = tmp_path / f"b{suffix}"
    assert join(parts, target, source, None, None, settings) == []
    with VideoReader(target) as film:
        frames = list(film)
    assert film.damage == []
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(30)]
    assert [number(frame.image) for frame in frames] == list(range(30))
    assert (film.info.tags.space, film.info.tags.range) == (1, 1)
    assert film.info.duration == Fraction(30, 25)
    assert film.info.rate == 25
    # Seeking works, so the key frames are where the segments begin.
    part = list(VideoReader(target, Fraction(21, 25), Fraction(22, 25)))
    assert [(f.index, number(f.image)) for f in part] == [(21, 21)]
    once = target.read_bytes()
    join(parts, target, source, None, None, settings)
    assert target.read_bytes() == once


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_variable_rate_is_kept_to_the_tick(tmp_path: Path, suffix: str) -> None:
    base = Fraction(1001, 30000)
    times = [i * base for i in (0, 1, 2, 7, 8, 30, 31, 32, 33, 40, 41, 90, 91, 92)]
    source = make_film(tmp_path / "a.mp4", times=times, time_base=Fraction(1, 30000))
    parts = segments(source, X264, [None, times[5], times[9], None])
    join(parts, tmp_path / f"b{suffix}", source, None, None, X264)
    frames = list(VideoReader(tmp_path / f"b{suffix}"))
    assert [frame.time for frame in frames] == times
    assert [number(frame.image) for frame in frames] == list(range(14))
    assert probe(tmp_path / f"b{suffix}").duration == probe(source).duration


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_sound_track_is_copied_packet_for_packet(tmp_path: Path, suffix: str) -> None:
    source = make_film(tmp_path / "a.mp4", frames=30, audio=[("aac", "deu"), ("aac", "fra")])
    parts = segments(source, X264, [None, Fraction(11, 25), None])
    target = tmp_path / f"b{suffix}"
    assert join(parts, target, source, None, None, X264) == []
    for track, language in enumerate(("deu", "fra")):
        assert packets(target, "audio", track) == packets(source, "audio", track)
        assert probe(target).audio[track].language in (
            language,
            {"deu": "ger", "fra": "fre"}[language],
        )
        limit = Fraction(1, 1000) if suffix == ".mkv" else 0
        before, after = sound(source, track)[0], sound(target, track)[0]
        start = probe(target).start
        assert all(abs(a - start - b) <= limit for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_keeps_its_sound_in_step(tmp_path: Path, suffix: str) -> None:
    source = make_film(tmp_path / "a.mp4", frames=75, audio=[("aac", "eng")])
    start, end = Fraction(301, 300), Fraction(56, 25)
    parts = segments(source, X264, [start, Fraction(40, 25), end])
    target = tmp_path / f"b{suffix}"
    join(parts, target, source, start, end, X264)
    frames = list(VideoReader(target))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(30)]
    assert number(frames[0].image) == 26
    times, data = sound(source)
    made_times, made = sound(target)
    first = data.index(made[0])
    assert data[first : first + len(made)] == made
    packet = Fraction(1024, 48000)
    origin = Fraction(26, 25)
    assert origin <= times[first] < origin + packet
    offset = made_times[0] - probe(target).start
    assert abs(offset - (times[first] - origin)) <= Fraction(1, 1000)
    assert times[first + len(made) - 1] < end <= times[first + len(made) - 1] + 2 * packet


def test_sound_that_does_not_fit_is_encoded_anew_and_said(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", frames=50, audio=[("aac", "eng")])
    parts = segments(source, VP9, [None, None])
    notes = join(parts, tmp_path / "b.webm", source, None, None, VP9)
    assert len(notes) == 1
    assert "opus" in notes[0]
    info = probe(tmp_path / "b.webm")
    assert [(t.codec, t.rate, t.language) for t in info.audio] == [("opus", 48000, "eng")]
    waves = []
    for path in (source, tmp_path / "b.webm"):
        with av.open(str(path)) as container:
            wave = np.zeros(48000 * 2)
            for frame in container.decode(audio=0):
                assert frame.pts is not None
                assert frame.time_base
                at = round(frame.pts * frame.time_base * 48000)
                data = frame.to_ndarray()[0]
                if at >= 0 and at + data.size <= wave.size:
                    wave[at : at + data.size] = data
            waves.append(wave[10000:80000])
    lags = range(-400, 401)
    score = [
        float((waves[0][1000:-1000] * np.roll(waves[1], lag)[1000:-1000]).sum()) for lag in lags
    ]
    best = max(score)
    assert best > 0.9 * float((waves[0][1000:-1000] ** 2).sum())


def test_a_source_without_sound_and_images(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", frames=10)
    parts = segments(source, X264, [None, None])
    assert join(parts, tmp_path / "b.mp4", source, None, None, X264) == []
    assert join(parts, tmp_path / "c.mp4", None, None, None, X264) == []
    assert probe(tmp_path / "b.mp4").audio == ()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_tags_of_the_film_are_written(tmp_path: Path, suffix: str) -> None:
    source = make_film(tmp_path / "a.mp4", frames=5)
    settings = VP9 if suffix == ".webm" else X264
    parts = segments(source, settings, [None, None])
    told = {"comment": "made by hand", "synthetic": "true"}
    join(parts, tmp_path / f"b{suffix}", source, None, None, settings, metadata=told)
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert told.items() <= found.items()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, suffix: str) -> None:
    source = make_film(tmp_path / "a.mp4", frames=5)
    wide = replace(probe(source), pixel_aspect=Fraction(16, 11))
    with SegmentWriter(tmp_path / "a.nut", wide, X264) as writer:
        for frame in VideoReader(source):
            writer.write(frame)
    join([tmp_path / "a.nut"], tmp_path / f"b{suffix}", None, None, None, X264)
    assert probe(tmp_path / f"b{suffix}").pixel_aspect == Fraction(16, 11)


def test_the_index_of_an_mp4_comes_first(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", frames=5)
    join(segments(source, X264, [None, None]), tmp_path / "b.mp4", source, None, None, X264)
    data = (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libx264"), ("a.wmv", "libx264"), ("a.mp4", "ffv1")]
)
def test_what_cannot_be_is_said_before_the_work(name: str, codec: str) -> None:
    with pytest.raises(MediaError) as caught:
        check_destination(name, EncodeSettings(codec=codec))
    assert caught.value.remedy


@pytest.mark.parametrize("harm", ["missing", "cut", "other", "order", "none"])
def test_bad_segments_leave_the_older_film_alone(tmp_path: Path, harm: str) -> None:
    source = make_film(tmp_path / "a.mp4", frames=20)
    parts = segments(source, X264, [None, Fraction(10, 25), None])
    target = tmp_path / "b.mp4"
    target.write_bytes(b"older")
    if harm == "missing":
        parts[1].unlink()
    elif harm == "cut":
        parts[1].write_bytes(parts[1].read_bytes()[:40])
    elif harm == "other":
        other = X264.model_copy(update={"preset": "ultrafast"})
        parts[1] = segments(source, other, [Fraction(10, 25), None])[0]
        parts[0] = parts[1].rename(tmp_path / "other.nut")
        parts = [segments(source, X264, [None, Fraction(10, 25)])[0], parts[0]]
    elif harm == "order":
        parts.reverse()
    else:
        parts = []
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MediaError) as caught:
        join(parts, target, source, None, None, X264)
    assert caught.value.remedy
    assert target.read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == before

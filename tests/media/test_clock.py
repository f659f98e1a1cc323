"""Files whose clock jumps: recordings joined end to end, cameras that split, lines that broke."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.support.clips import HEIGHT, WIDTH, number, painting
from understudy.media.video import SegmentWriter, VideoReader, join, probe
from understudy.settings import EncodeSettings

RATE = 25
STEP = Fraction(1, RATE)
HERTZ = 48000


def recording(
    path: Path,
    first: int,
    count: int,
    begins: Fraction = Fraction(0),
    codecs: tuple[str, str | None] = ("libx264", "mp2"),
    more_sound: Fraction = Fraction(0),
) -> Path:
    """`count` pictures from painting number `first` on, the clock at `begins`; a click with every
    tenth of them.

    Args:
        more_sound: seconds by which the sound is longer than the pictures.
    """
    options = {"output_ts_offset": str(float(begins))}
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codecs[0], rate=RATE)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = 2_000_000
        video.codec_context.gop_size = 6
        sound: AudioStream | None = None
        if codecs[1] is not None:
            track = container.add_stream(codecs[1], rate=HERTZ)
            assert isinstance(track, AudioStream)
            track.codec_context.layout = "mono"
            sound = track
        wave = np.zeros(int((count * STEP + more_sound) * HERTZ), np.int16)
        for index in range(count):
            if (first + index) % 10 == 0:
                at = int(index * STEP * HERTZ)
                wave[at : at + 480] = 12000 * np.sign(np.sin(np.arange(480) * 0.5))
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(painting(first + index), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            container.mux(video.encode(frame))
            each = wave[int(index * STEP * HERTZ) :][: HERTZ // RATE]
            if sound is not None and each.size:
                container.mux(sound.encode(_samples(each, index * HERTZ // RATE)))
        if sound is not None:
            rest = wave[int(count * STEP * HERTZ) :]
            if rest.size:
                container.mux(sound.encode(_samples(rest, count * HERTZ // RATE)))
            container.mux(sound.encode(None))
        container.mux(video.encode(None))
    return path


def _samples(wave: np.ndarray[tuple[int], np.dtype[np.int16]], at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = HERTZ, at, Fraction(1, HERTZ)
    return frame


def joined(path: Path, parts: Sequence[Path]) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def clicks(path: Path) -> list[float]:
    """When the clicks in the first sound track begin, seconds."""
    found: list[float] = []
    with av.open(str(path)) as container:
        start = container.streams.video[0].start_time or 0
        begin = float(start * container.streams.video[0].time_base)  # type: ignore[operator]
        for frame in container.decode(audio=0):
            wave = np.abs(frame.to_ndarray().astype(np.float32)).reshape(-1)
            scale = 1.0 if frame.format.name.startswith("flt") else 32768.0
            loud = np.flatnonzero(wave / scale > 0.1)
            assert frame.time is not None
            for place in loud:
                at = frame.time + float(place) / frame.sample_rate - begin
                if not found or at - found[-1] > 0.1:
                    found.append(at)
    return found


def written(source: Path, folder: Path, start: Fraction | None = None) -> tuple[Path, list[str]]:
    """The film read, encoded and joined with its sound, and what was told."""
    with (
        VideoReader(source, start) as reader,
        SegmentWriter(folder / "0.nut", reader.info, EncodeSettings(preset="ultrafast")) as out,
    ):
        for frame in reader:
            out.write(frame)
    told = list(reader.damage)
    path = folder / "out.mp4"
    told += join([folder / "0.nut"], path, source, start, None, EncodeSettings())
    return path, told


KINDS = {
    ".ts": ("libx264", "mp2"),
    ".mpg": ("mpeg2video", "mp2"),
}
BEGINS = {
    "again": (Fraction(0), Fraction(0), Fraction(0)),
    "back": (Fraction(700), Fraction(20), Fraction(10)),
    "forward": (Fraction(0), Fraction(7200), Fraction(7230)),
}


@pytest.mark.parametrize("suffix", sorted(KINDS))
@pytest.mark.parametrize("how", sorted(BEGINS))
def test_parts_are_played_one_after_the_other(suffix: str, how: str, tmp_path: Path) -> None:
    parts = [
        recording(tmp_path / f"{index}{suffix}", first, count, begins, KINDS[suffix])
        for index, (first, count, begins) in enumerate(
            zip((0, 12, 22), (12, 10, 8), BEGINS[how], strict=True)
        )
    ]
    film = joined(tmp_path / f"film{suffix}", parts)
    with VideoReader(film) as reader:
        frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    steps = np.diff([float(frame.time) for frame in frames])
    assert steps == pytest.approx(0.04, abs=1e-3)
    (told,) = [sentence for sentence in reader.damage if "clock jumps" in sentence]
    assert "jumps 2 times, first after 0.480 s" in told
    assert ("forward" if how == "forward" else "back") in told
    assert not any("decoded" in sentence for sentence in reader.damage)
    info = probe(film)
    assert info.frames == pytest.approx(30, abs=1), "not by the clock"
    out, _ = written(film, tmp_path)
    assert probe(out).duration == pytest.approx(30 * STEP, abs=0.05)
    assert clicks(out) == pytest.approx([0, 0.4, 0.8], abs=0.03), "in step with pictures 0, 10, 20"


@pytest.mark.parametrize("suffix", sorted(KINDS))
def test_a_part_after_the_jump_is_as_in_the_whole(suffix: str, tmp_path: Path) -> None:
    halves = [
        recording(tmp_path / f"{first}{suffix}", first, 15, codecs=KINDS[suffix])
        for first in (0, 15)
    ]
    film = joined(tmp_path / f"film{suffix}", halves)
    with VideoReader(film) as whole:
        every = list(whole)
    start = every[18].time
    with VideoReader(film, start) as part:
        frames = list(part)
    assert [number(frame.image) for frame in frames] == list(range(18, 30))
    assert [(one.index, one.time) for one in frames] == [(o.index, o.time) for o in every[18:]]
    out, _ = written(film, tmp_path, start)
    assert clicks(out) == pytest.approx([2 * 0.04], abs=0.03)


def test_sound_that_is_longer_than_its_pictures_stays_in_step(tmp_path: Path) -> None:
    extra = Fraction(1, 4)
    parts = [
        recording(tmp_path / "a.ts", 0, 10, more_sound=extra),
        recording(tmp_path / "b.ts", 10, 10),
    ]
    film = joined(tmp_path / "film.ts", parts)
    out, told = written(film, tmp_path)
    assert clicks(out)[0] == pytest.approx(0, abs=0.03)
    assert any("of extra sound were left out" in sentence for sentence in told)
    with VideoReader(out) as reader:
        steps = np.diff([float(frame.time) for frame in reader])
    assert steps == pytest.approx(0.04, abs=2e-3)


def test_sound_that_is_missing_is_told(tmp_path: Path) -> None:
    parts = [
        recording(tmp_path / "a.ts", 0, 10, more_sound=-Fraction(1, 5)),
        recording(tmp_path / "b.ts", 10, 10),
    ]
    out, told = written(joined(tmp_path / "film.ts", parts), tmp_path)
    assert clicks(out) == pytest.approx([0, 0.4], abs=0.03)
    assert any("of sound are missing" in sentence for sentence in told)


def test_a_steady_clock_is_left_alone(tmp_path: Path) -> None:
    film = recording(tmp_path / "film.ts", 0, 20, Fraction(3))
    with VideoReader(film) as reader:
        times = [frame.time for frame in reader]
    assert times == [n * STEP for n in range(20)]
    assert reader.damage == []


def test_a_short_loss_is_kept_as_a_gap(tmp_path: Path) -> None:
    """Nothing was received for two seconds, or a little less: that is time that passed."""
    parts = [
        recording(tmp_path / "a.ts", 0, 10),
        recording(tmp_path / "b.ts", 10, 10, 10 * STEP + 2),
    ]
    with VideoReader(joined(tmp_path / "film.ts", parts)) as reader:
        times = [float(frame.time) for frame in reader]
    assert times[10] - times[9] == pytest.approx(2, abs=0.1)
    assert not any("jumps" in sentence for sentence in reader.damage)


def test_pictures_without_sound(tmp_path: Path) -> None:
    parts = [recording(tmp_path / f"{n}.ts", 8 * n, 8, codecs=("libx264", None)) for n in range(4)]
    with VideoReader(joined(tmp_path / "film.ts", parts)) as reader:
        frames = list(reader)
    assert [number(frame.image) for frame in frames] == list(range(32))
    assert [frame.time for frame in frames] == [n * STEP for n in range(32)]

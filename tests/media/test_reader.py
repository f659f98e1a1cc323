"""Reading: variable rates, turned pictures, deep colour, damage, threads."""

from __future__ import annotations

import threading
import time
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import make_film, number, painting, set_display_matrix
from understudy.errors import MediaError
from understudy.media import planes, reader
from understudy.media.images import write_image
from understudy.media.video import VideoReader, probe


def test_a_variable_rate_is_kept_exactly(tmp_path: Path) -> None:
    base = Fraction(1, 90000)
    ticks = [0, 3003, 3604, 9000, 9001, 20000, 23003, 23600, 50000, 53003]
    times = [tick * base for tick in ticks]
    path = make_film(tmp_path / "a.mp4", times=times, time_base=base, options={"bf": "2"})
    frames = list(VideoReader(path))
    assert [frame.time for frame in frames] == times
    assert [number(frame.image) for frame in frames] == list(range(10))
    part = list(VideoReader(path, times[4], times[8]))
    assert [(f.index, f.time) for f in part] == [(i, times[i]) for i in range(4, 8)]


def test_between_two_frames_the_later_is_the_first(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=10)
    part = VideoReader(path, Fraction(101, 1000), Fraction(2001, 10000))
    assert [frame.index for frame in part] == [3, 4, 5]


def test_a_part_beyond_the_end_is_empty(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=5)
    assert list(VideoReader(path, Fraction(10), Fraction(12))) == []


def test_times_begin_at_the_first_frame(tmp_path: Path) -> None:
    times = [Fraction(100 + i, 25) for i in range(8)]
    path = make_film(tmp_path / "a.mkv", times=times)
    with VideoReader(path) as film:
        assert [frame.time for frame in film] == [Fraction(i, 25) for i in range(8)]
    assert film.info.start == 4
    assert [f.index for f in VideoReader(path, Fraction(5, 25))] == [5, 6, 7]


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["90", "180", "270"],
)
def test_turned_films_come_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], turns: int
) -> None:
    path = make_film(tmp_path / "a.mp4", frames=4, options={"crf": "5"})
    flat = list(VideoReader(path))
    set_display_matrix(path, *matrix)
    for frame, before in zip(VideoReader(path), flat, strict=True):
        assert frame.picture.format.name == "yuv420p"
        planes_of = planes.arrays
        for after, stored in zip(planes_of(frame.picture), planes_of(before.picture), strict=True):
            assert np.array_equal(after, np.rot90(stored, turns))
        wanted = np.rot90(before.image, turns).astype(int)
        assert np.abs(frame.image - wanted).max() <= 3


def test_odd_sizes(tmp_path: Path) -> None:
    path = make_film(
        tmp_path / "a.webm",
        "libvpx-vp9",
        frames=4,
        size=(63, 47),
        options={"crf": "5", "b": "0", "cpu-used": "8"},
    )
    for index, frame in enumerate(VideoReader(path)):
        assert frame.image.shape == (47, 63, 3)
        assert np.abs(frame.image.astype(int) - painting(index, 63, 47)).mean() < 4


@pytest.mark.parametrize("full", [False, True])
def test_ten_bits_and_full_range(tmp_path: Path, full: bool) -> None:
    path = make_film(
        tmp_path / "a.mkv",
        "libx265",
        frames=4,
        pixel_format="yuv420p10le",
        options={"crf": "4", "x265-params": "log-level=error"},
        tags=(1, 2 if full else 1, 1, 1),
    )
    info = probe(path)
    assert (info.bit_depth, info.colour.full) == (10, full)
    for index, frame in enumerate(VideoReader(path)):
        assert planes.arrays(frame.picture)[0].dtype == np.uint16
        assert np.abs(frame.image.astype(int) - painting(index)).mean() < 3


def test_full_range_of_eight_bits(tmp_path: Path) -> None:
    path = make_film(
        tmp_path / "a.mp4",
        frames=3,
        pixel_format="yuvj420p",
        options={"crf": "4"},
        tags=(1, 2, 1, 1),
    )
    assert probe(path).colour.full
    for index, frame in enumerate(VideoReader(path)):
        assert np.abs(frame.image.astype(int) - painting(index)).mean() < 3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_tail_gives_what_is_there_and_says_so(tmp_path: Path, suffix: str) -> None:
    whole = make_film(
        tmp_path / f"a{suffix}", frames=200, options={"g": "10", "crf": "1", "bf": "0"}
    )
    if suffix == ".mp4":
        with av.open(str(whole)) as source:
            moved = tmp_path / "b.mp4"
            with av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
                stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        target.mux(packet)
        whole = moved
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) * 6 // 10])
    with VideoReader(cut) as film:
        frames = list(film)
    assert 60 < len(frames) < 190
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(len(frames))]
    assert any("cut off" in sentence for sentence in film.damage)


def test_a_damaged_middle_is_skipped_and_told(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=40, options={"g": "5", "crf": "10", "bf": "0"})
    with av.open(str(path)) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in spans[20:23]:
        assert position is not None
        data[position : position + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    with VideoReader(path) as film:
        frames = list(film)
    assert film.damage
    seen = {frame.index: frame for frame in frames}
    assert set(range(20)) | set(range(25, 40)) <= set(seen)
    for index in [*range(20), *range(25, 40)]:
        assert number(seen[index].image) == index % 32
        assert seen[index].time == Fraction(index, 25)
    part = {frame.index for frame in VideoReader(path, Fraction(26, 25), Fraction(30, 25))}
    assert part == {26, 27, 28, 29}


def test_a_damaged_image_in_a_folder_leaves_a_gap(tmp_path: Path) -> None:
    for index in range(4):
        write_image(tmp_path / f"{index}.png", painting(index))
    (tmp_path / "2.png").write_bytes(b"no image")
    with VideoReader(tmp_path) as film:
        assert [frame.index for frame in film] == [0, 1, 3]
    assert "2.png" in film.damage[0]


def _decoders() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "understudy-decode"]


def test_only_a_few_frames_are_decoded_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_film(tmp_path / "a.mp4", frames=60)
    decoded = []
    turn = planes.turn

    def counting(picture: av.VideoFrame, how: planes.Turn) -> av.VideoFrame:
        decoded.append(1)
        return turn(picture, how)

    monkeypatch.setattr(planes, "turn", counting)
    with VideoReader(path) as film:
        frames = iter(film)
        next(frames)
        before = -1
        while before != len(decoded):
            before = len(decoded)
            time.sleep(0.05)
        assert len(decoded) <= reader.PREFETCH + 3
        assert _decoders()
    assert not _decoders()
    assert list(frames) == []


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=300, size=(160, 120))
    tracemalloc.start()
    count = sum(frame.image.shape[0] > 0 for frame in VideoReader(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300
    assert peak < 20 * 160 * 120 * 3


def test_leaving_the_loop_stops_the_thread(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=60)
    with VideoReader(path) as film:
        for frame in film:
            if frame.index == 3:
                break
    assert not _decoders()


def test_what_goes_wrong_in_the_thread_comes_to_the_reader(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=10)
    film = VideoReader(path)
    path.unlink()
    with pytest.raises(MediaError, match="does not exist"):
        list(film)
    assert not _decoders()


def test_old_films(shared_data: Path) -> None:
    path = sorted((shared_data / "real" / "grid_raw").glob("*.mpg"))[0]
    frames = list(VideoReader(path))
    assert [frame.index for frame in frames] == list(range(75))
    assert {b.time - a.time for a, b in pairwise(frames)} == {Fraction(1, 25)}
    part = list(VideoReader(path, Fraction(50, 25), Fraction(55, 25)))
    assert [frame.index for frame in part] == list(range(50, 55))
    assert np.array_equal(part[2].image, frames[52].image)

"""What holds for every kind of film, whatever its container and codec."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import HEIGHT, WIDTH, make_film, number, painting
from understudy.media.images import write_image
from understudy.media.video import VideoReader, probe

COUNT = 20
KINDS = {
    "h264 mp4": (".mp4", "libx264", {"bf": "3", "g": "8", "crf": "10"}),
    "h264 mov": (".mov", "libx264", {"crf": "10"}),
    "hevc mkv": (".mkv", "libx265", {"crf": "8", "x265-params": "log-level=error:keyint=8"}),
    "vp9 webm": (".webm", "libvpx-vp9", {"crf": "10", "b": "0", "cpu-used": "8", "g": "8"}),
    # With alternative references: packets that give no frame.
    "vp8 webm": (
        ".webm",
        "libvpx",
        {"crf": "4", "b": "4000000", "auto-alt-ref": "1", "lag-in-frames": "16", "g": "8"},
    ),
    "mpeg4 avi": (".avi", "mpeg4", {"b": "4000000", "qmax": "2"}),
    "mpeg ts": (".ts", "libx264", {"crf": "10", "bf": "2"}),
    "gif": (".gif", "gif", {}),
    "images": ("", "", {}),
}
TICK = {".mkv": Fraction(1, 1000), ".webm": Fraction(1, 1000), ".gif": Fraction(1, 100)}


@pytest.fixture(scope="module", params=KINDS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    suffix, codec, options = KINDS[request.param]
    folder = tmp_path_factory.mktemp("film")
    if not codec:
        for index in range(COUNT):
            write_image(folder / f"frame{index}.png", painting(index))
        return folder
    path = folder / f"film{suffix}"
    if codec == "gif":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("gif", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb8"
            for index in range(COUNT):
                frame = av.VideoFrame.from_ndarray(painting(index), format="rgb24")
                container.mux(stream.encode(frame.reformat(format="rgb8")))
            container.mux(stream.encode(None))
        return path
    base = Fraction(1, 25) if suffix == ".avi" else Fraction(1, 12800)
    # AVI has no place for colour tags: players take so small a film for BT.601. VP8 knows
    # nothing else.
    other = {"mpeg4": (2, 0, 2, 2), "libvpx": (6, 1, 6, 6)}
    tags = other.get(codec, (1, 1, 1, 1))
    return make_film(path, codec, COUNT, options=options, time_base=base, tags=tags)


def test_every_frame_comes_once_in_order_with_its_exact_time(film: Path) -> None:
    with VideoReader(film) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(COUNT))
    tick = TICK.get(film.suffix)
    wanted = [Fraction(i, 25) for i in range(COUNT)]
    if tick:
        wanted = [round(time / tick) * tick for time in wanted]
    assert [frame.time for frame in frames] == wanted
    assert reader.damage == []


def test_pictures_are_what_was_painted(film: Path) -> None:
    # The palette of a GIF has only eight steps of red and green and four of blue.
    mean = 25 if film.suffix == ".gif" else 4
    for index, frame in enumerate(VideoReader(film)):
        image = frame.image
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - painting(index)).mean() < mean
        if film.suffix != ".gif":
            assert number(image) == index


def test_probe_tells_size_rate_and_length(film: Path) -> None:
    info = probe(film)
    assert (info.width, info.height) == (WIDTH, HEIGHT)
    assert info.rate == 25
    assert info.duration is not None
    assert abs(info.duration - Fraction(COUNT, 25)) <= Fraction(1, 20)
    assert info.frames in range(COUNT - 1, COUNT + 2)
    assert info.kind == {"": "images", ".gif": "animation"}.get(film.suffix, "video")
    assert info.audio == ()


@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 4), (7, 15), (8, 9), (13, 20)])
def test_a_part_has_the_same_frames_and_numbers_as_the_whole(
    film: Path, first: int, last: int
) -> None:
    whole = list(VideoReader(film))
    end = whole[last].time if last < COUNT else None
    part = list(VideoReader(film, whole[first].time, end))
    assert [frame.index for frame in part] == list(range(first, last))
    assert [frame.time for frame in part] == [frame.time for frame in whole[first:last]]
    for frame in part:
        assert np.array_equal(frame.image, whole[frame.index].image)


def test_a_reader_can_be_read_twice_and_left_early(film: Path) -> None:
    with VideoReader(film) as reader:
        first = next(iter(reader))
        again = list(reader)
    assert np.array_equal(first.image, again[0].image)
    assert len(again) == COUNT

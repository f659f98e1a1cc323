"""Segments and whole films, written."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import HEIGHT, WIDTH, make_film, number, painting
from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.video import MediaInfo, SegmentWriter, VideoReader, probe
from understudy.settings import EncodeSettings
from understudy.types import Patch

FAST = {
    "libx264": EncodeSettings(codec="libx264", preset="ultrafast", crf=8),
    "libx265": EncodeSettings(codec="libx265", preset="ultrafast", crf=8),
    "libvpx-vp9": EncodeSettings(codec="libvpx-vp9", preset="ultrafast", crf=8),
    "libsvtav1": EncodeSettings(codec="libsvtav1", preset="ultrafast", crf=8),
    "ffv1": EncodeSettings(codec="ffv1"),
}
FAST_ALL = pytest.mark.parametrize("settings", FAST.values(), ids=FAST.keys())


def rewrite(
    source: Path, target: Path, settings: EncodeSettings, patches: tuple[Patch, ...] = ()
) -> SegmentWriter:
    with VideoReader(source) as film, SegmentWriter(target, film.info, settings) as writer:
        for frame in film:
            writer.write(frame, patches)
    return writer


@FAST_ALL
def test_times_pictures_and_tags_survive(tmp_path: Path, settings: EncodeSettings) -> None:
    base = Fraction(1, 90000)
    times = [t * base for t in (0, 3003, 3604, 9000, 9001, 20000, 23003, 23600, 50000, 53003)]
    source = make_film(tmp_path / "a.mp4", times=times, time_base=base, tags=(6, 1, 6, 6))
    rewrite(source, tmp_path / "b.nut", settings)
    frames = list(VideoReader(tmp_path / "b.nut"))
    assert [frame.time for frame in frames] == times
    assert [number(frame.image) for frame in frames] == list(range(10))
    info = probe(tmp_path / "b.nut")
    if settings.codec != "ffv1":  # FFV1 keeps no tags itself, and neither does this container
        assert (info.tags.space, info.tags.range) in ((6, 1), (5, 1))
    with av.open(str(tmp_path / "b.nut")) as container:
        first = next(p for p in container.demux(video=0) if p.size)
        assert first.is_keyframe


@FAST_ALL
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, settings: EncodeSettings) -> None:
    source = make_film(tmp_path / "a.mp4", frames=12)
    rewrite(source, tmp_path / "b.nut", settings)
    rewrite(source, tmp_path / "c.nut", settings)
    assert (tmp_path / "b.nut").read_bytes() == (tmp_path / "c.nut").read_bytes()


def test_untouched_pictures_reach_the_encoder_to_the_bit(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", frames=6, tags=(1, 1, 1, 1))
    patch = Patch(10, 8, np.full((9, 11, 3), 255, np.uint8), np.full((9, 11), 0.7, np.float32))
    rewrite(source, tmp_path / "b.nut", FAST["ffv1"])
    rewrite(source, tmp_path / "c.nut", FAST["ffv1"], (patch,))
    films = [list(VideoReader(tmp_path / name)) for name in ("a.mp4", "b.nut", "c.nut")]
    for before, after, patched in zip(*films, strict=True):
        views = [planes.arrays(frame.picture) for frame in (before, after, patched)]
        for number_, (old, new, laid) in enumerate(zip(*views, strict=True)):
            assert np.array_equal(old, new)
            changed = np.argwhere(old != laid)
            assert len(changed)
            corner = (8, 10) if number_ == 0 else (4, 5)
            assert (changed.min(0) >= corner).all()
            assert (changed.max(0) < ((17, 21) if number_ == 0 else (9, 11))).all()


def test_ten_bits_stay_ten_and_full_range_stays_full(tmp_path: Path) -> None:
    source = make_film(
        tmp_path / "a.mkv",
        "libx265",
        frames=3,
        pixel_format="yuv420p10le",
        options={"crf": "4", "x265-params": "log-level=error"},
        tags=(9, 2, 9, 16),
    )
    writer = rewrite(source, tmp_path / "b.mkv", FAST["libx264"])
    info = probe(tmp_path / "b.mkv")
    assert (info.pixel_format, info.tags) == ("yuv420p10le", colours.Tags(9, 2, 9, 16))
    assert writer.notes == []


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_odd_sizes_are_kept(tmp_path: Path, codec: str) -> None:
    source = make_film(
        tmp_path / "a.webm",
        "libvpx-vp9",
        frames=3,
        size=(63, 47),
        options={"crf": "5", "b": "0", "cpu-used": "8"},
    )
    writer = rewrite(source, tmp_path / "b.mkv", FAST[codec])
    info = probe(tmp_path / "b.mkv")
    assert (info.width, info.height) == (63, 47)
    assert bool(writer.notes) == (codec == "libx264")
    for index, frame in enumerate(VideoReader(tmp_path / "b.mkv")):
        assert np.abs(frame.image.astype(int) - painting(index, 63, 47)).mean() < 5


def test_images_become_a_tagged_film(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "a.mp4", frames=3)).reshaped(2 * WIDTH, HEIGHT)
    with SegmentWriter(tmp_path / "b.mp4", info, FAST["libx264"]) as writer:
        for index in range(3):
            wide = np.concatenate([painting(index)] * 2, axis=1)
            writer.write_rgb(wide, Fraction(index, 25))
    made = probe(tmp_path / "b.mp4")
    assert (made.width, made.height, made.frames) == (128, 48, 3)
    assert (made.colour.matrix, made.colour.full, made.colour.guessed) == ("bt601", False, False)
    for index, frame in enumerate(VideoReader(tmp_path / "b.mp4")):
        assert np.abs(frame.image[:, WIDTH:].astype(int) - painting(index)).mean() < 4


def test_a_matte_is_lossless_grey(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "a.mp4", frames=3)).reshaped(WIDTH, HEIGHT, grey=True)
    random = np.random.default_rng(7)
    mattes = [random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8) for _ in range(3)]
    with SegmentWriter(tmp_path / "m.mkv", info, FAST["ffv1"]) as writer:
        for index, matte in enumerate(mattes):
            writer.write_rgb(matte, Fraction(index, 25))
    assert probe(tmp_path / "m.mkv").pixel_format == "gray"
    for frame, matte in zip(VideoReader(tmp_path / "m.mkv"), mattes, strict=True):
        assert np.array_equal(frame.image, np.stack([matte] * 3, -1))


@pytest.fixture
def info(tmp_path: Path) -> MediaInfo:
    return probe(make_film(tmp_path / "a.mp4", frames=3))


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_nothing_is_left_when_it_breaks_off(tmp_path: Path, info: MediaInfo) -> None:
    (tmp_path / "b.nut").write_bytes(b"older")

    def breaking() -> None:
        with SegmentWriter(tmp_path / "b.nut", info, FAST["libx264"]) as writer:
            for frame in VideoReader(info.path):
                writer.write(frame)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaking()
    assert left(tmp_path) == {"a.mp4", "b.nut"}
    assert (tmp_path / "b.nut").read_bytes() == b"older"


def test_a_film_of_nothing_is_refused(tmp_path: Path, info: MediaInfo) -> None:
    with (
        pytest.raises(MediaError, match="No frame"),
        SegmentWriter(tmp_path / "b.nut", info, FAST["libx264"]),
    ):
        pass
    assert left(tmp_path) == {"a.mp4"}


def test_other_sizes_and_times_that_stand_still_are_refused(
    tmp_path: Path, info: MediaInfo
) -> None:
    with (
        pytest.raises(MediaError, match="30x20"),
        SegmentWriter(tmp_path / "b.nut", info, FAST["libx264"]) as writer,
    ):
        writer.write_rgb(painting(0, 30, 20), Fraction(0))
    with SegmentWriter(tmp_path / "c.nut", info, FAST["libx264"]) as writer:
        writer.write_rgb(painting(0), Fraction(1))
        with pytest.raises(MediaError, match="is not after"):
            writer.write_rgb(painting(0), Fraction(1))
    (tmp_path / "c.nut").unlink()
    assert left(tmp_path) == {"a.mp4"}


def test_unknown_suffixes_are_refused(tmp_path: Path, info: MediaInfo) -> None:
    with pytest.raises(MediaError, match=r"\.wmv"):
        SegmentWriter(tmp_path / "b.wmv", info, FAST["libx264"])


def test_a_codec_that_the_container_cannot_hold(tmp_path: Path, info: MediaInfo) -> None:
    with (
        pytest.raises(MediaError, match="cannot contain h264"),
        SegmentWriter(tmp_path / "b.webm", info, FAST["libx264"]),
    ):
        pass
    assert left(tmp_path) == {"a.mp4"}


FULL_DISK = """
import resource, sys
from fractions import Fraction
import numpy as np
from understudy.errors import StorageError
from understudy.media.video import SegmentWriter, probe
from understudy.settings import EncodeSettings
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
info = probe(sys.argv[1]).reshaped(64, 48)
random = np.random.default_rng(0)
try:
    with SegmentWriter(sys.argv[2], info, EncodeSettings(codec="ffv1")) as writer:
        for index in range(40):
            image = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            writer.write_rgb(image, Fraction(index, 25))
except StorageError as error:
    sys.exit(77 if "is full" in error.problem else 1)
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, info: MediaInfo) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(info.path), str(tmp_path / "b.nut")]
    assert subprocess.run(command, check=False, timeout=60).returncode == 77
    assert left(tmp_path) == {"a.mp4"}

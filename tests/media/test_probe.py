"""What a file is, and what is said of one that cannot be used."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from tests.support.clips import make_film, painting, set_display_matrix
from understudy.errors import MediaError
from understudy.media.images import write_image
from understudy.media.probe import natural_key
from understudy.media.video import AudioTrack, VideoReader, probe


def test_everything_is_told(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", audio=[("aac", "deu"), ("aac", "fra")], frames=10)
    info = probe(path)
    assert (info.container, info.codec, info.kind) == ("mov", "h264", "video")
    assert (info.width, info.height, info.rotation) == (64, 48, 0)
    assert (info.rate, info.frames) == (Fraction(25), 10)
    assert info.duration == Fraction(10, 25)
    assert (info.pixel_format, info.bit_depth) == ("yuv420p", 8)
    assert (info.colour.matrix, info.colour.full, info.colour.guessed) == ("bt709", False, False)
    assert info.audio == (AudioTrack("aac", 48000, 1, "deu"), AudioTrack("aac", 48000, 1, "fra"))


@pytest.mark.parametrize("name", ["missing.mp4", "missing.png", "missing"])
def test_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        probe(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_zero_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(MediaError, match="zero bytes") as caught:
        probe(tmp_path / name)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.png", "a.jpg"])
def test_text_under_another_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Dear diary, this is no film at all.\n" * 50)
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / name)
    assert name in caught.value.problem
    assert caught.value.remedy


def test_a_film_without_its_index(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="cut off") as caught:
        probe(path)
    assert "again" in caught.value.remedy


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), format="fltp")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="no pictures, only audio"):
        probe(path)


def test_no_frame_that_can_be_decoded(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", frames=12, options={"g": "1"})
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[at:end] = bytes(end - at)
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, match=r"No frame .* can be decoded"):
        probe(path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no image"):
        probe(tmp_path)


def test_one_image_is_a_film_of_one_frame(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", painting(3))
    info = probe(tmp_path / "a.png")
    assert (info.kind, info.frames, info.rate, info.duration) == ("images", 1, None, None)
    (frame,) = VideoReader(tmp_path / "a.png")
    assert (frame.image == painting(3)).all()


def test_images_are_sorted_as_people_count(tmp_path: Path) -> None:
    names = ["f10.png", "f2.png", "F1.png", "f1b.png", "10.png", "9.png"]
    paths = sorted((tmp_path / name for name in names), key=natural_key)
    assert [p.name for p in paths] == ["9.png", "10.png", "F1.png", "f1b.png", "f2.png", "f10.png"]


def test_the_rate_of_a_folder_can_be_said(tmp_path: Path) -> None:
    for index in range(3):
        write_image(tmp_path / f"{index}.png", painting(index))
    times = [frame.time for frame in VideoReader(tmp_path, rate=Fraction(30000, 1001))]
    assert times == [i * Fraction(1001, 30000) for i in range(3)]


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 90, False),
        ((-1, 0, 0, -1), 180, False),
        ((0, -1, 1, 0), 270, False),
        ((-1, 0, 0, 1), 0, True),
    ],
)
def test_the_display_matrix_is_understood(
    tmp_path: Path, matrix: tuple[int, int, int, int], rotation: int, mirrored: bool
) -> None:
    path = make_film(tmp_path / "a.mp4", frames=3)
    set_display_matrix(path, *matrix)
    info = probe(path)
    assert (info.rotation, info.turn.mirrored) == (rotation, mirrored)
    assert (info.width, info.height) == ((48, 64) if rotation % 180 else (64, 48))


def test_a_phone_film_is_upright(shared_data: Path) -> None:
    path = shared_data / "real" / "clips" / "r09_cyclists_rotation_metadata.mp4"
    info = probe(path)
    assert (info.width, info.height, info.rotation, info.frames) == (640, 480, 90, 511)
    frame = next(iter(VideoReader(path)))
    assert frame.image.shape == (480, 640, 3)
    assert (frame.picture.width, frame.picture.height) == (640, 480)

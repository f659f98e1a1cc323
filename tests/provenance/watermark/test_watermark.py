from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.errors import TrustError
from understudy.provenance.watermark.code import SYMBOLS, decode, encode
from understudy.provenance.watermark.pattern import pattern, tile, tile_side
from understudy.provenance.watermark.reading import THRESHOLD, Reader, Reading
from understudy.provenance.watermark.watermark import Embedder, allowance

Grey = NDArray[np.uint8]
ID = 0xC0FFEE42


def scene(width: int, height: int, at: float = 0.0, seed: int = 1) -> Grey:
    """A picture with smooth and rough parts; `at` moves the disc in it."""
    rng = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(rng.normal(0, 60, (height, width)), (0, 0), 2)
    y, x = np.mgrid[:height, :width] / min(width, height)
    smooth = 90 + 60 * np.sin(2 * x + seed) * np.cos(3 * y)
    picture = smooth + rough * (np.sin(5 * x) > 0)
    disc = (x - 0.5 - 0.2 * np.sin(at)) ** 2 + (y - 0.5) ** 2 < 0.04
    picture[disc] = 190 - 60 * y[disc]
    noise = rng.normal(0, 1, (height, width))
    return np.asarray(np.clip(np.rint(picture + noise), 0, 255), np.uint8)


def read(*frames: NDArray[Any]) -> Reading:
    reader = Reader()
    for frame in frames:
        reader.add(frame)
    return reader.read()


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def rows(plane: VideoPlane) -> Grey:
    """A view on an 8-bit plane."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


def coded(frames: list[Grey], crf: int) -> Iterator[Grey]:
    """What is left of the frames after H.264."""
    height, width = frames[0].shape
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"crf": str(crf)})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame(width, height, "yuv420p")
            luma, *chroma = (rows(plane) for plane in picture.planes)
            luma[...] = frame
            for plane in chroma:
                plane[...] = 128
            writing.mux(stream.encode(picture))
        writing.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as reading:
        for picture in reading.decode(video=0):
            yield rows(picture.planes[0]).copy()


@pytest.fixture(scope="module")
def film() -> list[Grey]:
    return [scene(512, 384, frame / 8) for frame in range(12)]


@pytest.fixture(scope="module")
def marked(film: list[Grey]) -> list[Grey]:
    embedder = Embedder(512, 384, ID)
    return [embedder.mark(frame, full=True) for frame in film]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_coded_id_outlives_noise_as_strong_as_itself(record_id: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.7, (1, SYMBOLS))
    (found,) = decode((encode(record_id) + noise).astype(np.float32))
    assert (found.record_id, found.sound) == (record_id, True)
    assert found.likeness > 0.7
    np.testing.assert_array_equal(found.symbols, encode(record_id))


def test_noise_and_nothing_at_all_are_no_ids() -> None:
    noise = np.random.default_rng(3).normal(0, 1, (40, SYMBOLS)).astype(np.float32)
    found = decode(np.concatenate([noise, np.zeros((1, SYMBOLS), np.float32)]))
    assert max(one.likeness for one in found) < 0.6
    assert sum(one.sound for one in found[:-1]) == 0
    assert found[-1].likeness == 0.0


@pytest.mark.parametrize("record_id", [-1, 2**32])
def test_an_id_that_does_not_fit_is_refused(record_id: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        encode(record_id)


def test_every_symbol_owns_as_much_of_each_ring() -> None:
    known = pattern()
    for ring in range(known.rings):
        owners = np.bincount(known.owner[known.ring == ring])
        assert set(owners[:SYMBOLS]) == {1}
    assert np.allclose(np.abs(known.turn), 1)
    # What is written into a tile is what a transform of it shows.
    signs = np.where(np.arange(len(known.owner)) % 3, 1, -1).astype(np.float32)
    spectrum = np.fft.fft2(tile(signs, 100))
    along = spectrum[known.fy % 100, known.fx % 100] * np.conj(known.turn)
    np.testing.assert_array_equal(np.sign(along.real), signs)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_any_id_comes_back_from_one_picture(record_id: int) -> None:
    marked = Embedder(256, 200, record_id).mark(scene(256, 200), full=True)
    assert read(marked).record_id == record_id


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (333, 257), (720, 406), (1040, 800)])
def test_every_frame_size_can_be_marked_and_read(size: tuple[int, int]) -> None:
    width, height = size
    plain = scene(width, height)
    marked = Embedder(width, height, ID).mark(plain, full=True)
    assert read(marked).record_id == ID
    assert psnr(plain, marked) > 45.8


def test_a_frame_that_is_too_small_is_refused() -> None:
    with pytest.raises(TrustError, match="too small"):
        Embedder(63, 200, ID)


def test_frames_of_another_size_are_refused(film: list[Grey]) -> None:
    with pytest.raises(ValueError, match="a frame of"):
        Embedder(512, 380, ID).mark(film[0])
    reader = Reader()
    reader.add(film[0])
    with pytest.raises(ValueError, match="a frame of"):
        reader.add(film[0][:, 1:])


def test_the_same_frame_is_marked_with_the_same_bytes(film: list[Grey]) -> None:
    before = film[0].copy()
    one, other = (Embedder(512, 384, ID).mark(film[0]) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(film[0], before)


@pytest.mark.parametrize("strength", [42.0, 46.0, 50.0])
def test_strength_is_the_psnr_where_there_is_texture(strength: float) -> None:
    noise = np.random.default_rng(1).normal(120, 20, (384, 512))
    plain = np.clip(noise, 0, 255).astype(np.uint8)
    marked = Embedder(512, 384, ID, strength).mark(plain, full=True)
    assert psnr(plain, marked) == pytest.approx(strength, abs=0.1)


def test_texture_hides_more_than_smooth_parts_do() -> None:
    rng = np.random.default_rng(1)
    picture = np.full((256, 256), 128, np.float32)
    picture[:, 128:] += rng.normal(0, 12, (256, 128))
    allowed = allowance(picture, 128)
    assert allowed[:, 150:].mean() > 1.7 * allowed[:, :100].mean()
    # A flat area gets more only where it touches an edge.
    picture[:, 128:] = 200
    beside = allowance(picture, 128)
    beside[:, 118:138] = 0
    assert beside.max() < 1.05 * allowed[:, :100].mean()


def test_flat_areas_of_large_pictures_are_spared_more() -> None:
    psnrs = []
    for side in (256, 720):
        grey = np.full((side, side), 120, np.uint8)
        psnrs.append(psnr(grey, Embedder(side, side, ID).mark(grey, full=True)))
    assert psnrs[1] > psnrs[0] + 3


def test_a_picture_of_one_colour_is_marked_less() -> None:
    grey = np.full((256, 256), 120, np.uint8)
    marked = Embedder(256, 256, ID).mark(grey, full=True)
    assert psnr(grey, marked) > 48
    assert read(marked).record_id == ID


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_limited_range_is_never_left(bits: int) -> None:
    unit = 2 ** (bits - 8)
    picture = np.random.default_rng(1).normal(125, 60, (256, 256))
    plain = np.rint(np.clip(picture, 16, 235) * unit).astype(np.uint8 if bits == 8 else np.uint16)
    plain[0, :2] = 3, 250 * unit
    marked = Embedder(256, 256, ID, 40.0).mark(plain, bits=bits)
    assert marked.dtype == plain.dtype
    inside = marked[1:]
    assert (plain[1:].min(), plain[1:].max()) == (16 * unit, 235 * unit)
    assert (inside.min(), inside.max()) == (16 * unit, 235 * unit)
    assert marked[0, 0] >= 3
    assert marked[0, 1] <= 250 * unit
    assert not np.array_equal(marked, plain)


def test_a_still_in_colour(film: list[Grey]) -> None:
    picture = np.asarray(cv2.applyColorMap(film[0], cv2.COLORMAP_BONE), np.uint8)
    marked = Embedder(512, 384, ID).mark_rgb(picture)
    assert marked.shape == picture.shape
    assert marked.dtype == np.uint8
    _, jpeg = cv2.imencode(".jpg", marked[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert read(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE))).record_id == ID


def test_unmarked_pictures_carry_nothing(film: list[Grey]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (200, 300), np.uint8)
    flat = np.full((200, 300), 90, np.uint8)
    for frames in (film, [noise], [flat]):
        found = read(*frames)
        assert found.record_id is None
        assert found.score < THRESHOLD
        assert found.frames == len(frames)


def test_nothing_read_is_nothing_found() -> None:
    assert Reader().read().record_id is None
    assert read(np.zeros((8, 8), np.uint8)).record_id is None


@pytest.mark.parametrize("crf", [18, 28])
def test_ten_frames_outlive_h264(marked: list[Grey], crf: int) -> None:
    found = read(*coded(marked[:10], crf))
    assert found.record_id == ID
    assert found.frames == 10


@pytest.mark.parametrize(("crf", "by"), [(32, 1.0), (23, 0.5)])
def test_a_small_film_outlives_h264_and_halving(crf: int, by: float) -> None:
    embedder = Embedder(256, 256, ID)
    marked = [embedder.mark(scene(256, 256, frame / 8), full=True) for frame in range(12)]
    side = round(256 * by)
    small = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in marked]
    assert read(*coded([np.asarray(one, np.uint8) for one in small], crf)).record_id == ID


def test_a_mirrored_copy_is_read_and_said_to_be_mirrored(marked: list[Grey]) -> None:
    found = read(*(frame[:, ::-1] for frame in marked[:3]))
    assert found.record_id == ID
    assert found.geometry.flipped


def test_a_cropped_copy(marked: list[Grey]) -> None:
    found = read(*coded([frame[17:361, 31:495] for frame in marked], 23))
    assert found.record_id == ID
    scale = tile_side(512, 384) / tile_side(464, 344)
    assert found.geometry.scale == pytest.approx(scale, abs=0.02)


def test_a_cropped_copy_brought_back_to_size(marked: list[Grey]) -> None:
    found = read(*(cv2.resize(frame[20:364, 26:486], (512, 384)) for frame in marked))
    assert found.record_id == ID


@pytest.mark.parametrize("by", [0.55, 0.73, 1.7])
def test_a_resized_copy(marked: list[Grey], by: float) -> None:
    size = (round(512 * by), round(384 * by))
    how = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    found = read(*(cv2.resize(frame, size, interpolation=how) for frame in marked))
    assert found.record_id == ID


@pytest.mark.parametrize("angle", [-2.0, 1.0])
def test_a_copy_that_was_turned_a_little(marked: list[Grey], angle: float) -> None:
    turn = cv2.getRotationMatrix2D((256, 192), angle, 1.0)
    found = read(*(cv2.warpAffine(frame, turn, (512, 384)) for frame in marked))
    assert found.record_id == ID


def test_one_frame_in_the_middle_of_the_film_is_enough(marked: list[Grey]) -> None:
    assert read(marked[7]).record_id == ID

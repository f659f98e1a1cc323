"""Crops out of every kind of picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.faces.align import alignment, shown_side, warp
from understudy.faces.pose import reference
from understudy.facesets.crops import Crop, CropMaker, make_crop, stored_side
from understudy.media import colour, planes
from understudy.media.images import decode_image
from understudy.runtime import parquet
from understudy.settings import ExtractSettings
from understudy.types import Face, Frame, Image, Pose

LIMITED_601 = colour.Tags(6, colour.LIMITED, 6, 6)
KINDS = {
    "as WebP": ("yuv420p", LIMITED_601),
    "untagged": ("yuv420p", None),
    "HD": ("yuv420p", colour.Tags(1, colour.LIMITED, 1, 1)),
    "full range": ("yuv420p", colour.Tags(6, colour.FULL, 6, 6)),
    "4:4:4": ("yuv444p", LIMITED_601),
    "deep": ("yuv420p10le", LIMITED_601),
    "RGB": ("rgb24", colour.Tags(0, colour.FULL, 1, 1)),
}


def painting(height: int, width: int) -> Image:
    rng = np.random.default_rng(5)
    coarse = rng.integers(50, 206, (9, 9, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame(kind: str, width: int, height: int) -> Frame:
    pixel_format, tags = KINDS[kind]
    picture = av.VideoFrame.from_ndarray(painting(height, width), format="rgb24")
    colour.put_tags(picture, colour.Tags(0, colour.FULL, 1, 1))
    if pixel_format != "rgb24":
        picture = planes.convert(picture, pixel_format, tags or LIMITED_601)
    if tags is None:
        colour.put_tags(picture, colour.Tags(2, colour.UNSPECIFIED_RANGE, 2, 2))
    return Frame(7, Fraction(7, 25), picture, planes.to_rgb)


def face(scale: float = 120, x: float = 210.4, y: float = 170.7) -> Face:
    points = reference().points * scale + np.array([x, y, 0])
    return Face((0, 0, 1, 1), points.astype(np.float32), 0.9, Pose(0, 0, 0), track=3)


def by_way_of_rgb(crop: Crop, frame: Frame) -> Image:
    return warp(frame.image, crop.matrix, 256)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize(("scale", "size"), [(120, (421, 333)), (30, (360, 288))])
def test_a_crop_shows_what_the_frame_shows(
    kind: str, suffix: str, scale: float, size: tuple[int, int]
) -> None:
    shot = frame(kind, *size)
    crop = make_crop(shot, face(scale), 256, suffix)
    assert (crop.frame, crop.track, crop.width, crop.height) == (7, 3, *size)
    off = decode_image(crop.image).astype(int) - by_way_of_rgb(crop, shot)
    assert np.abs(off).mean() < 1.6
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.6
    # Half a pixel of colour in a wrong place would show as a slope that goes with the edges.
    assert np.abs(off).max() < 14


@pytest.mark.parametrize("kind", KINDS)
def test_sharpness_does_not_go_by_the_kind_of_picture(kind: str) -> None:
    want = make_crop(frame("RGB", 421, 333), face(), 256, ".png").sharpness
    assert make_crop(frame(kind, 421, 333), face(), 256, ".webp").sharpness == pytest.approx(
        want, rel=0.15
    )


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_a_crop_of_the_same_frame_is_the_same(suffix: str) -> None:
    first, second = (make_crop(frame("as WebP", 300, 300), face(), 256, suffix) for _ in range(2))
    assert first.image == second.image


def turned(size: float, degrees: float) -> Face:
    """A face of a head `size` times as large as the reference, turned in the picture."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = reference().points * size
    points[:, :2] = points[:, :2] @ turn.T + [600.3, 580.8]
    return Face((0, 0, 1, 1), points.astype(np.float32), 0.9, Pose(0, 0, degrees), track=3)


def test_what_a_crop_shows_of_the_film_does_not_hang_on_its_size() -> None:
    points = turned(110, 17).landmarks
    shown = shown_side(points)
    for size in (256, 1024):
        across = alignment(points, size)[0, :2].astype(np.float64)
        assert size / np.hypot(*across) == pytest.approx(shown, rel=1e-5)
    assert shown_side(turned(220, -30).landmarks) == pytest.approx(2 * shown, rel=1e-4)


def test_a_face_is_stored_as_large_as_the_film_shows_it() -> None:
    sides = []
    for size in np.geomspace(8, 400, 60):
        points = turned(float(size), 8).landmarks
        side, shown = stored_side(points, 1024), shown_side(points)
        assert side % 32 == 0
        assert side == 256 or side >= min(1.25 * shown, 1024) - 0.1
        assert side == 256 or side - 32 < 1.25 * shown
        assert stored_side(points, 512) == min(side, 512)
        assert stored_side(points, 256) == 256
        sides.append(side)
    assert sides == sorted(sides)
    assert (sides[0], sides[-1]) == (256, 1024)


def test_the_rounding_of_float32_takes_no_step_more() -> None:
    unit = shown_side(turned(100, 0).landmarks) / 100
    exact = turned(512 / 1.25 / unit, 0).landmarks
    assert stored_side(exact, 1024) == 512


def fine_frame(side: int = 1200) -> Frame:
    """A picture with detail as fine as a film holds: noise, a little blurred."""
    noise = np.random.default_rng(3).normal(0, 60, (side, side, 1)).astype(np.float32)
    pixels = (128 + cv2.GaussianBlur(noise, (0, 0), 1.0)).clip(0, 255).astype(np.uint8)
    picture = av.VideoFrame.from_ndarray(np.repeat(pixels[..., None], 3, 2), format="rgb24")
    colour.put_tags(picture, colour.Tags(0, colour.FULL, 1, 1))
    return Frame(0, Fraction(0), picture, planes.to_rgb)


def psnr_in_the_film(shot: Frame, face: Face, size: int) -> float:
    """How near a stored picture, put back into its frame, comes to what was there; dB."""
    crop = make_crop(shot, face, size, ".webp")
    assert crop.size == size
    back = cv2.warpAffine(
        decode_image(crop.image),
        crop.matrix,
        shot.image.shape[1::-1],
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
    )
    hull = cv2.convexHull(np.rint(face.landmarks[:, :2]).astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros(shot.image.shape[:2], np.uint8), hull, 1) > 0
    off = shot.image[inside].astype(np.float64) - np.asarray(back)[inside]
    return float(10 * np.log10(255**2 / (off**2).mean()))


def test_a_large_face_keeps_the_detail_that_its_film_holds() -> None:
    shot, large = fine_frame(), turned(130, 11)
    side = stored_side(large.landmarks, 1024)
    assert 256 < side < 1024
    before, now = (psnr_in_the_film(shot, large, size) for size in (256, side))
    assert now > before + 10
    assert now > 33


def test_sharpness_does_not_hang_on_the_stored_size() -> None:
    shot, large = fine_frame(), turned(130, 11)
    small, whole = (make_crop(shot, large, size, ".png").sharpness for size in (256, 864))
    assert whole == pytest.approx(small, rel=0.15)


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_every_face_has_its_own_size(tmp_path: Path, suffix: str) -> None:
    shot = frame("as WebP", 1200, 1200)
    faces = [turned(size, 3) for size in (30, 110, 80, 400)]
    settings = ExtractSettings.model_validate({"format": suffix, "size": 768})
    with CropMaker(tmp_path, settings) as maker:
        maker.add(Frame(0, Fraction(0), shot.picture, planes.to_rgb), faces)
        maker.commit(0)()
    (stored,) = tmp_path.glob("*.parquet")
    rows = parquet.read(stored).to_pylist()
    sides = [row["size"] for row in rows]
    assert sides == [stored_side(face.landmarks, 768) for face in faces]
    assert sides[0] == 256
    assert sides[3] == 768
    assert 256 < sides[2] < sides[1] <= 768
    for row, one in zip(rows, faces, strict=True):
        assert decode_image(row["image"]).shape == (row["size"], row["size"], 3)
        matrix = alignment(one.landmarks, row["size"])
        np.testing.assert_allclose(np.reshape(row["matrix"], (2, 3)), matrix, atol=1e-4)

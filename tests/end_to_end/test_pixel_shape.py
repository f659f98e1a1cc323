"""Films whose pixels are not square go the whole way as their square versions do."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support.conversion_project import convert, studio
from tests.support.painted_people import SIZE, Act, ColourTracker, paint
from understudy.facesets.extract import extract
from understudy.facesets.faceset import Faceset
from understudy.facesets.footage import add
from understudy.media.video import VideoReader, probe
from understudy.progress import silent
from understudy.project import Project
from understudy.settings import ScanSettings
from understudy.types import Image

FRAMES = 14
SHAPES = {
    "hdv": (Fraction(4, 3), (SIZE * 3 // 4, SIZE)),
    "dv": (Fraction(8, 9), (SIZE, SIZE * 8 // 9)),
}
NEAR = 1.5
"""Code values by which the swap may differ on average from that in the square version. The sources
differ by half a code value, because a quarter of the samples, or a ninth, is missing."""


def film(path: Path, aspect: Fraction, size: tuple[int, int]) -> Path:
    """Red in pixels of this shape, losslessly compressed."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "4"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p"
        if aspect != 1:
            stream.codec_context.sample_aspect_ratio = aspect
        for index in range(FRAMES):
            image = paint([Act("red", 0, FRAMES, 80)], index)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return studio(tmp_path_factory.mktemp("shape") / "project")


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    shutil.copytree(made.folder, tmp_path / "project")
    return Project.open(tmp_path / "project")


def pictures(path: Path) -> list[Image]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def apart(one: list[Image], other: list[Image]) -> float:
    """Mean difference in code values."""
    small = [cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for image in one]
    return float(
        np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(small, other, strict=True)])
    )


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_film_is_converted_as_its_square_version(
    kind: str, project: Project, tmp_path: Path
) -> None:
    aspect, size = SHAPES[kind]
    source = film(tmp_path / f"{kind}.mp4", aspect, size)
    square = film(tmp_path / "square.mp4", Fraction(1), (SIZE, SIZE))
    done = [convert(project, one, crf=4, matte=True, side_by_side=True) for one in (source, square)]
    assert [report.swapped for report in done] == [FRAMES, FRAMES]
    info = probe(done[0].output)
    assert (info.width, info.height, info.pixel_aspect) == (*size, aspect)
    assert done[0].side_by_side is not None
    assert probe(done[0].side_by_side).pixel_aspect == aspect
    swaps = [pictures(report.output) for report in done]
    assert apart(*swaps) < NEAR
    assert apart(pictures(source), swaps[1]) > 5, "something was changed"
    assert done[0].matte is not None
    matte = pictures(done[0].matte)
    assert matte[0].shape[:2] == size[::-1], "a pixel of the matte for every pixel of the film"
    rows, columns = np.nonzero(matte[5][..., 0] > 128)
    high, wide = np.ptp(rows) * SIZE / size[1], np.ptp(columns) * SIZE / size[0]
    (other,) = [pictures(done[1].matte)[5] for _ in "1" if done[1].matte]
    rows, columns = np.nonzero(other[..., 0] > 128)
    assert (high, wide) == pytest.approx((np.ptp(rows), np.ptp(columns)), abs=3)


def test_what_is_not_covered_stays_to_the_bit(project: Project, tmp_path: Path) -> None:
    source = film(tmp_path / "wide.mp4", *SHAPES["hdv"])
    done = convert(project, source, codec="ffv1", matte=True)
    assert any("4:3" in note and "ffv1" in note for note in done.notes), "it cannot say so"
    assert done.matte is not None
    with VideoReader(source) as old, VideoReader(done.output) as new, VideoReader(done.matte) as a:
        for one, other, alpha in zip(old, new, a, strict=True):
            away = alpha.image[..., 0] == 0
            assert away.mean() > 0.5
            for number in range(3):
                planes = [
                    f.picture.to_ndarray().reshape(3, *away.shape)[number] for f in (one, other)
                ]
                np.testing.assert_array_equal(planes[0][away], planes[1][away])


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_faces_are_cut_out_in_their_own_shape(kind: str, project: Project, tmp_path: Path) -> None:
    footage = film(tmp_path / f"{kind}.mp4", *SHAPES[kind])
    add(project, "wide", [footage], "synthetic", None, silent())
    settings = project.settings.extract
    extract(project, "wide", settings, ScanSettings(), silent(), make_tracker=ColourTracker)
    faces = Faceset.open(project.person("wide").faces_folder)
    assert len(faces) > 0
    for image in faces.load(64, core=False).images:
        # Of a painted face only the ellipse is red: 34 high and 26 wide.
        red = (image[..., 0].astype(int) - image[..., 1]) > 40
        rows, columns = np.nonzero(red)
        assert np.ptp(rows) / np.ptp(columns) == pytest.approx(34 / 26, rel=0.1)

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest

from understudy.errors import FacesError, MediaError, ProjectError
from understudy.faces.align import CORE
from understudy.faces.masks import face_mask
from understudy.faces.pose import reference
from understudy.facesets.crops import make_crop, sharpness
from understudy.facesets.faceset import INDEX, INDEX_NAME, SCHEMA_VERSION, Faceset
from understudy.facesets.split import split
from understudy.media import planes
from understudy.runtime import parquet
from understudy.types import Face, Frame, Image, Pose

COUNT = 12


def picture(index: int) -> Image:
    rng = np.random.default_rng(index)
    coarse = rng.integers(40, 216, (12, 12, 3)).astype(np.uint8)
    return coarse.repeat(25, 0).repeat(25, 1)


def frame(index: int) -> Frame:
    pixels = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
    return Frame(index, Fraction(index, 25), pixels, planes.to_rgb)


def face(index: int) -> Face:
    head = reference().points
    points = (head - head.mean(0)) / np.ptp(head[:, 1]) * 140 + [150 + index, 150, 0]
    return Face((0.0, 0.0, 1.0, 1.0), points.astype(np.float32), 0.9, Pose(index, 1, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path, [256] * COUNT)


def written(tmp_path: Path, sides: Sequence[int]) -> Path:
    """A faceset whose pictures have these sides."""
    (tmp_path / "images").mkdir()
    crops = [make_crop(frame(n), face(n), side, ".png") for n, side in enumerate(sides)]
    for n, crop in enumerate(crops):
        (tmp_path / "images" / f"{n:03d}.png").write_bytes(crop.image)
    columns = {
        "image": [f"{n:03d}.png" for n in range(COUNT)],
        "bytes": [len(crop.image) for crop in crops],
        "size": [crop.size for crop in crops],
        "source": ["a" * 64] * 8 + ["b" * 64] * 4,
        "source_name": ["a.mp4"] * 8 + ["b.mp4"] * 4,
        "frame": list(range(COUNT)),
        "time_numerator": list(range(COUNT)),
        "time_denominator": [25] * COUNT,
        "shot": [0] * COUNT,
        "track": [n // 6 for n in range(COUNT)],
        "width": [300] * COUNT,
        "height": [300] * COUNT,
        "box": parquet.vectors(np.zeros((COUNT, 4), np.float32)),
        "score": [0.9] * COUNT,
        "yaw": [float(n) for n in range(COUNT)],
        "pitch": [1.0] * COUNT,
        "roll": [2.0] * COUNT,
        "sharpness": [crop.sharpness for crop in crops],
        "matrix": parquet.vectors(np.stack([crop.matrix.reshape(-1) for crop in crops])),
        "landmarks": parquet.vectors(
            np.stack([face(n).landmarks.reshape(-1) for n in range(COUNT)])
        ),
        "embedding": parquet.vectors(
            np.full((COUNT, 128), 0.5, np.float32), np.arange(COUNT) % 2 == 0
        ),
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, kind.type)
        for column, kind in ((columns[kind.name], kind) for kind in INDEX)
    ]
    table = pa.Table.from_arrays(arrays, schema=INDEX)
    parquet.write(tmp_path / INDEX_NAME, table, {"schema_version": SCHEMA_VERSION, "sources": []})
    return tmp_path


def test_arrays_have_margin_around_the_core(folder: Path) -> None:
    arrays = Faceset.open(folder).load(96)
    side = round(96 / CORE)
    assert side == 120
    assert arrays.images.shape == (COUNT, side, side, 3)
    assert arrays.masks.shape == (COUNT, side, side)
    assert arrays.landmarks.shape == (COUNT, 468, 2)
    assert arrays.images.dtype == arrays.masks.dtype == np.uint8
    assert arrays.landmarks.dtype == arrays.sharpness.dtype == np.float32
    assert len(arrays) == COUNT
    assert Faceset.open(folder).load(96, core=False).images.shape == (COUNT, 96, 96, 3)
    assert list(arrays.sources) == [0] * 8 + [1] * 4
    assert list(arrays.tracks) == [0] * 6 + [1] * 6
    assert arrays.times == pytest.approx(np.arange(COUNT) / 25)
    assert (arrays.pose[:, 0] == np.arange(COUNT)).all()
    assert (arrays.pose[0] == [0, 1, 2]).all()


def test_pictures_landmarks_and_masks_lie_on_each_other(folder: Path) -> None:
    arrays = Faceset.open(folder).load(256, core=False)
    for n in (0, 5, 11):
        crop = make_crop(frame(n), face(n), 256, ".png")
        moved = face(n).landmarks[:, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
        assert np.abs(arrays.landmarks[n] - moved).max() < 1e-3
        inner = face_mask(arrays.landmarks[n], 256, 0.0) > 0.5
        assert np.median(arrays.masks[n][inner]) > 200
        assert arrays.masks[n, 0].max() == 0
        x, y = face(n).landmarks[1, :2]
        colour = picture(n)[round(float(y)) + 2, round(float(x)) + 2].astype(int)
        mx, my = crop.matrix[:, :2] @ [round(float(x)) + 2, round(float(y)) + 2] + crop.matrix[:, 2]
        assert np.abs(arrays.images[n, round(my), round(mx)] - colour).max() < 30


def test_small_arrays_are_the_large_ones_scaled(folder: Path) -> None:
    faces = Faceset.open(folder)
    large, small = faces.load(256, core=False), faces.load(64, core=False)
    expected = large.images.reshape(COUNT, 64, 4, 64, 4, 3).mean((2, 4))
    assert np.abs(expected - small.images).max() <= 1
    assert np.abs((large.landmarks + 0.5) / 4 - 0.5 - small.landmarks).max() < 1e-4


def test_pictures_of_different_sizes_load_alike(tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    (tmp_path / "mixed").mkdir()
    same = Faceset.open(written(tmp_path / "same", [256] * COUNT))
    mixed = Faceset.open(written(tmp_path / "mixed", [256, 352, 512, 1024] * 3))
    sides = mixed.table["size"].to_numpy()
    assert np.ptp(mixed.landmarks / sides[:, None, None], axis=0).max() < 0.01
    for size, core in ((128, True), (96, False), (320, True)):
        one, two = (faces.load(size, core) for faces in (same, mixed))
        assert one.images.shape == two.images.shape
        assert np.abs(one.landmarks - two.landmarks).max() < 1e-3
        assert np.abs(one.images.astype(int) - two.images).mean() < 6
        # A shift of half a pixel between sizes would show as a difference that the edges carry.
        assert np.abs((one.images.astype(int) - two.images).mean((1, 2, 3))).max() < 0.5
        assert (np.abs(one.masks.astype(int) - two.masks) > 127).mean() < 0.01


def test_systems_that_bind_no_process_to_cores_load_pictures_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Faceset.open(folder).load(64).images
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert np.array_equal(Faceset.open(folder).load(64).images, expected)


def test_chosen_rows_in_their_order(folder: Path) -> None:
    faces = Faceset.open(folder)
    whole, some = faces.load(64), faces.load(64, rows=[9, 2, 5])
    for field in dataclasses.fields(whole):
        if field.name != "size":
            assert (getattr(some, field.name) == getattr(whole, field.name)[[9, 2, 5]]).all()


def test_arrays_are_read_only(folder: Path) -> None:
    arrays = Faceset.open(folder).load(64)
    with pytest.raises(ValueError, match="read-only"):
        arrays.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        arrays.pose[0] = 0


def test_deleted_and_cut_pictures_are_out_of_view(folder: Path) -> None:
    before = Faceset.open(folder)
    (folder / "images" / "004.png").unlink()
    (folder / "images" / "007.png").write_bytes(b"cut")
    faces = Faceset.open(folder)
    assert faces.missing == ("004.png",)
    assert faces.damaged == ("007.png",)
    assert faces.names == [f"{n:03d}.png" for n in range(COUNT) if n not in (4, 7)]
    assert faces.fingerprint != before.fingerprint
    arrays, whole = faces.load(64), before.landmarks
    assert len(arrays) == COUNT - 2
    assert (faces.landmarks[4] == whole[5]).all()


def test_embeddings_leave_out_the_unmeasured(folder: Path) -> None:
    embeddings = Faceset.open(folder).embeddings
    assert embeddings.shape == (COUNT // 2, 128)
    assert (embeddings == 0.5).all()


def test_fingerprint_depends_on_content_alone(folder: Path) -> None:
    assert Faceset.open(folder).fingerprint == Faceset.open(folder).fingerprint
    data = bytearray((folder / INDEX_NAME).read_bytes())
    notes = parquet.read_notes(folder / INDEX_NAME)
    before = Faceset.open(folder).fingerprint
    table = parquet.read(folder / INDEX_NAME)
    parquet.write(folder / INDEX_NAME, table, {**notes, "more": 1})
    assert Faceset.open(folder).fingerprint != before
    (folder / INDEX_NAME).write_bytes(data)
    assert Faceset.open(folder).fingerprint == before


def test_split_is_that_of_the_sources(folder: Path) -> None:
    faces = Faceset.open(folder)
    for mine, plain in zip(faces.split(0.2), split(faces.sources, 0.2), strict=True):
        assert (mine == plain).all()


def test_what_cannot_be_opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FacesError, match="no faces"):
        Faceset.open(tmp_path_factory.mktemp("empty"))
    (folder / "images" / "003.png").write_bytes(
        b"x" * (folder / "images" / "003.png").stat().st_size
    )
    with pytest.raises(MediaError, match=r"003\.png"):
        Faceset.open(folder).load(64)
    table = parquet.read(folder / INDEX_NAME)
    parquet.write(folder / INDEX_NAME, table, {"schema_version": 99})
    with pytest.raises(ProjectError, match="another version"):
        Faceset.open(folder)
    (folder / INDEX_NAME).write_bytes(b"nothing")
    with pytest.raises(ProjectError, match="damaged"):
        Faceset.open(folder)


def test_every_flipped_bit_in_a_table_is_noticed(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    table = pa.table({"n": pa.array(range(20)), "rows": parquet.vectors(rows)})
    path = tmp_path / "table.parquet"
    parquet.write(path, table, {"a": 1})
    whole = path.read_bytes()
    for place in range(0, len(whole), 17):
        data = bytearray(whole)
        data[place] ^= 8
        path.write_bytes(data)
        try:
            again, notes = parquet.read(path), parquet.read_notes(path)
        except parquet.DamagedTable:
            continue
        assert again.equals(table) or notes != {"a": 1} or again.schema != table.schema


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    image = np.random.default_rng(3).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    crop = cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.uint8)
    blurred = [sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), s))) for s in (0.5, 2, 5)]
    assert sharpness(crop) > blurred[0] > blurred[1] > blurred[2]
    dim = (crop.astype(np.float32) * 0.6 + 20).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(crop), rel=0.1)
    assert sharpness(np.full((256, 256, 3), 90, np.uint8)) == 0

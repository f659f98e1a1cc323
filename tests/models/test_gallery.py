"""A gallery as a file: what was written is read, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import safe_open

from tests.support.galleries import made
from understudy.errors import CheckpointError
from understudy.models.gallery import (
    Gallery,
    from_tensors,
    is_made_from,
    is_part,
    kept_in,
    path_of,
    read,
    remove,
    write,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = path_of(tmp_path, "ada")
    write(path, made(), "print 0.1")
    return path


def same(one: Gallery, two: Gallery) -> None:
    assert one.pictures == two.pictures
    assert np.array_equal(one.meshes, two.meshes)
    assert np.array_equal(one.masks, two.masks)
    assert np.array_equal(one.mean, two.mean)
    assert one.sha256 == two.sha256


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_was_written_is_read(tmp_path: Path, count: int) -> None:
    path = path_of(tmp_path / "duo", "ada")
    assert path == tmp_path / "duo" / "gallery-ada.safetensors"
    write(path, made(count), "print")
    same(read(path), made(count))
    assert len(read(path)) == count
    assert kept_in(path.parent) == [path]
    same(from_tensors(made(count).tensors(), "here"), made(count))
    assert all(is_part(name) for name in made(count).tensors())
    assert not is_part("0.weight")


def test_the_hash_covers_every_part() -> None:
    whole = made().tensors()
    hashes = {made().sha256}
    for name, values in whole.items():
        if name in ("gallery.lengths", "gallery.pictures"):
            continue
        other = np.array(values)
        other.view(np.uint8).flat[0] ^= 1
        hashes.add(from_tensors({**whole, name: other}, "here").sha256)
    hashes.add(made(seed=1).sha256)
    hashes.add(made(4).sha256)
    assert len(hashes) == 7


def test_a_picture_is_seen_at_the_size_that_is_needed() -> None:
    gallery = made(side=256)
    assert [gallery.near(0, side).shape[0] for side in (1000, 256, 200, 128, 100, 1)] == [
        *(256, 256, 256, 128, 128, 32)
    ]
    assert gallery.near(1, 256).shape == (256, 256, 3)
    assert not np.array_equal(gallery.near(0, 256), gallery.near(1, 256))


def test_it_is_known_what_it_was_made_from(path: Path) -> None:
    assert is_made_from(path, "print 0.1")
    assert not is_made_from(path, "print 0.2")
    assert not is_made_from(path.with_name("gallery-eva.safetensors"), "print 0.1")
    path.write_bytes(b"no gallery")
    assert not is_made_from(path, "print 0.1")


def test_it_goes_with_what_a_killed_process_left(path: Path) -> None:
    left = path.with_name(f".{path.stem}.abcdefgh.safetensors")
    other = path_of(path.parent, "chen")
    for one in (left, other):
        one.write_bytes(path.read_bytes())
    assert remove(path)
    assert list(path.parent.iterdir()) == [other]
    assert not remove(path)


def refused(path: Path, data: bytes, match: str) -> None:
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=match) as caught:
        read(path)
    assert path.name in caught.value.problem
    assert "understudy train" in caught.value.remedy
    assert "--detail 0" in caught.value.remedy


def test_damaged_bytes_are_refused(path: Path) -> None:
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    for place in (*range(header, len(good), len(good) // 23), len(good) - 1):
        flipped = bytearray(good)
        flipped[place] ^= 1
        refused(path, bytes(flipped), "is damaged")
    for data in (good[:-1], good[: header + 5], good[:40], good + b"\0", b"", b"no gallery"):
        refused(path, data, "is damaged")
    path.unlink()
    with pytest.raises(CheckpointError, match="is damaged"):
        read(path)


def test_another_version_is_refused_and_said_so(path: Path) -> None:
    with safe_open(str(path), "np") as file:
        notes = file.metadata()
    plain = made().tensors()
    for version in ("2", "0", ""):
        data = safetensors.numpy.save(plain, notes | {"understudy_gallery": version})
        refused(path, data, f"is a gallery of version '{version}'; this program reads 1")
        assert not is_made_from(path, "print 0.1")
    del notes["understudy_gallery"]
    refused(path, safetensors.numpy.save(plain, notes), "of version None")


@pytest.mark.parametrize(
    ("name", "values", "match"),
    [
        ("lengths", np.array([1, 2, 3], np.int64), "do not match"),
        ("lengths", np.zeros(0, np.int64), "do not match"),
        ("lengths", np.array([10**18] * 3, np.int64), "do not match"),
        ("lengths", np.array([-5, 10, 10], np.int64), "do not match"),
        ("lengths", np.array([[1, 2, 3]], np.int64), "do not match"),
        ("lengths", np.array(7, np.int64), "do not match"),
        ("lengths", np.array([1, 2, 3], np.int32), "wrong types"),
        ("meshes", np.zeros((3, 467, 3), np.float32), "do not match"),
        ("meshes", np.full((3, 468, 3), np.nan, np.float32), "do not match"),
        ("meshes", np.zeros((3, 468, 3), np.float64), "wrong types"),
        ("mean", np.full((468, 2), np.inf, np.float32), "do not match"),
        ("masks", np.zeros((3, 4, 5), np.uint8), "do not match"),
        ("masks", np.zeros((3, 0, 0), np.uint8), "do not match"),
        ("masks", np.zeros((2, 8, 8), np.uint8), "do not match"),
        ("mean", None, "'gallery.mean' is missing"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    name: str, values: NDArray[np.generic] | None, match: str
) -> None:
    parts = dict(made().tensors())
    if values is None:
        del parts[f"gallery.{name}"]
    else:
        parts[f"gallery.{name}"] = values
    with pytest.raises(CheckpointError, match=match):
        from_tensors(parts, "a file")


def test_too_many_pictures_are_refused() -> None:
    parts = made(1).tensors()
    many: dict[str, NDArray[np.generic]] = {
        "gallery.pictures": np.zeros(301, np.uint8),
        "gallery.lengths": np.ones(301, np.int64),
        "gallery.meshes": np.repeat(parts["gallery.meshes"], 301, 0),
        "gallery.masks": np.zeros((301, 2, 2), np.uint8),
    }
    with pytest.raises(CheckpointError, match="do not match"):
        from_tensors({**parts, **many}, "a file")


@pytest.mark.parametrize(
    ("picture", "match"),
    [
        (b"no picture", "is damaged"),
        (cv2.imencode(".png", np.zeros((8, 9, 3), np.uint8))[1].tobytes(), "is not square"),
    ],
)
def test_a_picture_that_is_none_is_said_when_it_is_drawn(picture: bytes, match: str) -> None:
    whole = made(1)
    bad = Gallery((picture,), whole.meshes, whole.masks, whole.gazes, whole.mean)
    with pytest.raises(CheckpointError, match=match):
        bad.near(0, 64)

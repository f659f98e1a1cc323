"""Image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.clips import painting
from understudy.errors import MediaError
from understudy.media.images import decode_image, encode_image, read_image, write_image


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp", ".jpg"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, painting(5), quality=101 if suffix == ".webp" else 95)
    off = np.abs(read_image(path).astype(int) - painting(5))
    assert off.mean() < 3
    assert off.max() == 0 or suffix == ".jpg"
    assert list(tmp_path.iterdir()) == [path]


def test_red_is_red() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    bgr = cv2.imdecode(np.frombuffer(encode_image(red, ".png"), np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    assert (bgr == (0, 0, 255)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_is_applied(orientation: int, order: str, suffix: str) -> None:
    upright = painting(1)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: np.rot90(upright, 2),
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    little = order == "little"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if little else "big")

    tiff = (b"II" if little else b"MM") + number(42, 2) + number(8, 4) + number(1, 2)
    tiff += number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + bytes(6)
    bgr = cv2.cvtColor(np.ascontiguousarray(stored), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencodeWithMetadata(
        suffix, bgr, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(tiff, np.uint8)]
    )
    assert done
    image = decode_image(data.tobytes())
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 4


def test_sixteen_bits_are_rounded() -> None:
    deep = np.array([[0, 128, 257, 385, 386, 65535]], np.uint16)
    _, data = cv2.imencode(".png", cv2.merge([deep] * 3))
    assert decode_image(data.tobytes())[0, :, 0].tolist() == [0, 0, 1, 1, 2, 255]


def test_grey_becomes_rgb() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = decode_image(encode_image(grey, ".png"))
    assert image.shape == (3, 4, 3)
    assert (image == grey[..., None]).all()


def test_transparency_is_over_white() -> None:
    bgra = np.zeros((2, 2, 4), np.uint8)
    bgra[0] = (30, 20, 10, 255)
    bgra[1, 1] = (0, 0, 0, 128)
    _, data = cv2.imencode(".png", bgra)
    image = decode_image(data.tobytes())
    assert (image[0] == (10, 20, 30)).all()
    assert (image[1, 0] == 255).all()
    assert (image[1, 1] == 127).all()


@pytest.mark.parametrize("data", [b"", b"no image", encode_image(painting(1), ".png")[:40]])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        decode_image(data, "holiday.png")
    assert "holiday.png" in caught.value.problem
    assert caught.value.remedy


def test_unknown_formats_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.xyz"):
        write_image(tmp_path / "a.xyz", painting(1))
    assert not list(tmp_path.iterdir())

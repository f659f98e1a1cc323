"""Image files in and out: the one border between RGB (here) and BGR (OpenCV)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.error
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from understudy.errors import MediaError
from understudy.media.heif import read_heif
from understudy.media.kinds import kind_of_data, refusal
from understudy.media.png_text import with_packet
from understudy.media.xmp import JPEG_HEAD
from understudy.runtime import files
from understudy.types import Image

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".jp2"}
    | {".heic", ".heif", ".hif", ".avif"}
)

_ORIENTATION = 0x0112


def decode_image(data: bytes, name: str = "the image") -> Image:
    """RGB uint8 (h, w, 3) of an encoded image.

    The EXIF orientation is applied, 16-bit samples are rounded to 8, grey becomes RGB and
    transparency is laid over white.

    Args:
        name: what to call it in the message.

    Raises:
        MediaError: it cannot be decoded as an image.
    """
    kind = kind_of_data(io.BytesIO(data), Path(name).suffix)
    if (refused := refusal(name, kind)) is not None:
        raise MediaError(*refused)
    if kind.what == "picture" and kind.name in ("HEIC", "AVIF"):
        return read_heif(data, name)
    raw, exif = None, b""
    if data:
        try:
            raw, kinds, parts = cv2.imdecodeWithMetadata(
                np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED
            )
        except cv2.error:
            raw = None
        else:
            for block, part in zip(kinds, parts, strict=False):
                if block == cv2.IMAGE_METADATA_EXIF:
                    exif = np.asarray(part).tobytes()
    if raw is None or raw.size == 0:
        raise MediaError(
            f"{name} cannot be decoded as an image, or it is cut off.",
            "Copy or download it again, or convert it to PNG first.",
        )
    return turned(flat(raw), _orientation(exif))


def read_image(path: Path | str) -> Image:
    """RGB uint8 (h, w, 3) of an image file; as `decode_image`. Of several pictures in it this is
    the first; see `pages`. Raises MediaError."""
    path = Path(path)
    files.check_ordinary(path)
    with files.reading_errors(path):
        data = path.read_bytes()
    if not data:
        raise MediaError(f"{path} is empty (zero bytes).", "Copy or download it again.")
    return decode_image(data, str(path))


def encode_image(rgb: Image, suffix: str, quality: int = 95, packet: bytes | None = None) -> bytes:
    """An image in the format that `suffix` names.

    Args:
        rgb: uint8 (h, w, 3), or (h, w) for grey.
        suffix: ".png" (lossless), ".webp" or ".jpg".
        quality: 1..100 for webp and jpg; above 100 makes webp lossless.
        packet: metadata of the picture, see `xmp`.

    Raises:
        MediaError: the format is unknown or cannot hold this image.
    """
    suffix = suffix.lower()
    options: dict[str, list[int]] = {
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, min(quality, 100)],
        ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, min(quality, 100)],
    }
    if suffix not in options:
        raise MediaError(
            f"Images cannot be written as {suffix or 'a file without a suffix'}.",
            f"Use one of {', '.join(options)}.",
        )
    encoded = _webp(rgb, quality) if suffix == ".webp" and packet is None else None
    if encoded is not None:
        return encoded
    ordered = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    try:
        if packet is None or suffix != ".webp":
            done, data = cv2.imencode(suffix, ordered, options[suffix])
        else:
            said = np.frombuffer(packet, np.uint8)
            done, data = cv2.imencodeWithMetadata(
                suffix, ordered, [cv2.IMAGE_METADATA_XMP], [said], options[suffix]
            )
    except cv2.error:
        done, data = False, np.empty(0, np.uint8)
    if not done:
        raise MediaError(
            f"An image of {rgb.shape[1]}x{rgb.shape[0]} cannot be written as {suffix}.",
            "Write it as .png.",
        )
    if packet is not None and suffix in (".jpg", ".jpeg"):
        return _jpeg_with_xmp(bytes(data.tobytes()), packet)
    if packet is not None and suffix == ".png":
        return with_packet(bytes(data.tobytes()), packet)
    return bytes(data.tobytes())


def _jpeg_with_xmp(jpeg: bytes, packet: bytes) -> bytes:
    """A JPEG file with an XMP segment, which OpenCV does not write (XMP specification, part 3,
    1.1.3): an APP1 after the APP0 with which JFIF files begin."""
    start = 2 + 2 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == b"\xff\xe0" else 2
    body = JPEG_HEAD + packet
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return jpeg[:start] + segment + jpeg[start:]


def _webp(rgb: Image, quality: int) -> bytes | None:
    """WebP of an RGB or grey picture; None where it cannot be had in this way."""
    how = cv2.COLOR_GRAY2BGRA if rgb.ndim == 2 else cv2.COLOR_RGB2BGRA
    try:
        pixels = cast(Image, cv2.cvtColor(rgb, how))
    except cv2.error:
        return None
    return _libwebp(av.VideoFrame.from_ndarray(pixels, format="bgra"), quality)


def webp_of_planes(planes: Sequence[Image], quality: int = 95) -> bytes | None:
    """WebP of a picture that is YUV already, as WebP itself is: nothing but coding is lost.

    Args:
        planes: uint8; Y (h, w), Cb and Cr (h/2, w/2), h and w even; BT.601, limited range.
        quality: 1..100.

    Returns:
        None where FFmpeg has no libwebp.
    """
    stacked = np.concatenate([plane.ravel() for plane in planes])
    height, width = planes[0].shape
    picture = av.VideoFrame.from_ndarray(stacked.reshape(-1, width), format="yuv420p")
    assert picture.height == height
    return _libwebp(picture, quality)


def _libwebp(picture: av.VideoFrame, quality: int) -> bytes | None:
    """WebP by way of FFmpeg, whose quickest method OpenCV does not offer: a third of the time at
    the same fidelity. None where FFmpeg has no libwebp or refuses the picture.
    """
    options = {"compression_level": "0", "quality": str(quality)}
    if quality > 100:
        options = {"compression_level": "0", "quality": "0", "lossless": "1"}
    try:
        encoder = av.CodecContext.create("libwebp", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height = picture.width, picture.height
        encoder.pix_fmt = picture.format.name
        encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
        encoder.options = options
        packets = [*encoder.encode(picture), *encoder.encode(None)]
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError):
        return None
    return b"".join(bytes(packet) for packet in packets)


def write_image(path: Path | str, rgb: Image, quality: int = 95) -> None:
    """Write an image, completely or not at all, in the format of the path's suffix.

    Raises MediaError, StorageError.
    """
    path = Path(path)
    files.write_bytes(path, encode_image(rgb, path.suffix, quality))


def flat(raw: NDArray[Any]) -> Image:
    """What OpenCV decoded as RGB uint8 (h, w, 3): 16-bit samples and fractions of 1 are rounded,
    transparency is laid over white."""
    if raw.dtype == np.uint16:
        raw = ((raw.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif raw.dtype != np.uint8:
        raw = np.rint(np.clip(raw, 0, 1) * 255).astype(np.uint8)
    if raw.ndim == 2 or raw.shape[2] == 1:
        return cast(Image, cv2.cvtColor(raw, cv2.COLOR_GRAY2RGB))
    if raw.shape[2] == 2:
        raw = cv2.merge([raw[..., 0]] * 3 + [raw[..., 1]])
    if raw.shape[2] == 4:
        share = raw[..., 3:].astype(np.float32) / 255
        raw = np.rint(raw[..., :3] * share + 255 * (1 - share)).astype(np.uint8)
    return cast(Image, cv2.cvtColor(raw, cv2.COLOR_BGR2RGB))


def _orientation(exif: bytes) -> int:
    """The orientation tag of an EXIF block (CIPA DC-008, 4.6.4): 1..8, 1 when not there."""
    start = exif.find(b"Exif\0\0")
    tiff = exif[start + 6 :] if start >= 0 else exif
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order not in ("little", "big"):
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "big" if order == "big" else "little")

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def turned(image: Image, orientation: int) -> Image:
    """The image upright; `orientation` is that of EXIF, 1..8."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)

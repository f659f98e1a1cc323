"""What a file is, by its first bytes and not by its name.

A picture whose name ends in .mp4 is a picture, and a camera's raw data, which many programs take
for the small TIFF picture in it, are raw data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from understudy.media.tiff import IMAGE_FORMATS, first_tags
from understudy.runtime import files

What = Literal["picture", "animation", "film", "raw", "unread", "sound", "other"]

_HEAD = 4096
_DNG_VERSION = 0xC612

RAW = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".gpr", ".iiq", ".kdc", ".mef"}
    | {".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"}
    | {".srf", ".srw", ".x3f"}
)
"""Suffixes of cameras' raw data; most are TIFF inside."""

_HEIF_PICTURES = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"avif", b"avci")
_HEIF_SEQUENCES = (b"hevc", b"hevx", b"hevm", b"hevs", b"msf1", b"avis", b"avcs")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ")
_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)
_RAW = (
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"FOVb", "Sigma raw"),
    (b"\0MRM", "Minolta raw"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"MMOR", "Olympus raw"),
    (b"IIU\0", "Panasonic raw"),
)
_UNREAD = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"%PDF", "PDF"),
)
_SOUND = (b"ID3", b"fLaC", b"FORM", b".snd", b"\xff\xfb", b"\xff\xf1", b"\xff\xf9")
_FILMS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\x06\x0e\x2b\x34",  # MXF
    b"\0\0\x01\xba",  # MPEG programme stream
    b"\0\0\x01\xb3",  # MPEG video
    b"OggS",
    b"nut/multimedia container",
    b"YUV4MPEG2",
)
_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


@dataclass(frozen=True)
class Kind:
    """Attributes:
    what: picture (one or several pictures without times), animation, film, raw (a camera's raw
        data), unread (a known format that cannot be read here), sound, or other: cannot be told.
    name: of the format, for people; empty when unknown.
    """

    what: What
    name: str = ""


def kind_of(path: Path) -> Kind:
    """What an ordinary file is. Raises MediaError when it cannot be read."""
    files.check_ordinary(path)
    with files.reading_errors(path), open(path, "rb") as file:
        return kind_of_data(file, path.suffix)


def kind_of_data(file: BinaryIO, suffix: str = "") -> Kind:
    """The kind of `file`, from its bytes.

    Args:
        suffix: of its name, which tells raw data of some cameras from TIFF.
    """
    head = file.read(_HEAD)
    suffix = suffix.lower()
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind("animation", "APNG") if _is_animated_png(file) else Kind("picture", "PNG")
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return Kind("animation", "GIF")
    if head[:4] == b"RIFF":
        return _riff(head)
    if head[4:8] == b"ftyp":
        return _brand(head)
    for magic, name in _RAW:
        if head.startswith(magic):
            return Kind("raw", name)
    if head[:4] in IMAGE_FORMATS:
        return _tiff(file, head, suffix)
    for kinds, what in ((_UNREAD, "unread"), (_PICTURES, "picture")):
        for magic, name in kinds:
            if head.startswith(magic):
                return Kind(what, name)  # type: ignore[arg-type]
    if head.startswith(_FILMS) or head[4:8] in _BOXES or _is_transport_stream(head):
        return Kind("film")
    if head.startswith(_SOUND):
        return Kind("sound")
    return Kind("raw", "raw") if suffix in RAW else Kind("other")


def refusal(name: str, kind: Kind) -> tuple[str, str] | None:
    """Why a picture or film of this kind cannot be used, and what to do; None where it can."""
    if kind.what == "raw":
        return (
            f"{name} contains raw camera data ({kind.name}), which must be developed first.",
            "Export it as JPEG, PNG or TIFF with the camera's software, darktable or RawTherapee.",
        )
    if kind.what == "unread":
        return (
            f"{name} is {kind.name}, which is not supported.",
            "Save it as PNG, JPEG or TIFF with the program that made it.",
        )
    if kind.what == "sound":
        return f"{name} contains only sound, no pictures.", "Name a film or a picture."
    return None


def _riff(head: bytes) -> Kind:
    form = head[8:12]
    if form == b"WEBP":
        moves = head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2
        return Kind("animation" if moves else "picture", "WebP")
    return Kind("sound", "WAV") if form == b"WAVE" else Kind("film")


def _brand(head: bytes) -> Kind:
    """By the brands of a file in the ISO base media format (ISO/IEC 14496-12, 4.3)."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, brands = head[8:12], [head[at : at + 4] for at in range(16, size, 4)]
    if major == b"crx ":
        return Kind("raw", "Canon raw")
    if major == b"jxl ":
        return Kind("unread", "JPEG XL")
    name = "AVIF" if major.startswith(b"av") or b"avif" in brands else "HEIC"
    if major in _HEIF_SEQUENCES:
        return Kind("film", name)
    if major in _HEIF_PICTURES:
        return Kind("picture", name)
    return Kind("sound") if major in _SOUND_BRANDS else Kind("film")


def _tiff(file: BinaryIO, head: bytes, suffix: str) -> Kind:
    if head[8:11] == b"CR\x02":
        return Kind("raw", "Canon raw")
    if suffix in RAW:
        return Kind("raw", f"{suffix.removeprefix('.').upper()}")
    file.seek(0)
    return Kind("raw", "DNG") if _DNG_VERSION in first_tags(file) else Kind("picture", "TIFF")


def _is_animated_png(file: BinaryIO) -> bool:
    """Whether a chunk `acTL` comes before the picture's data (PNG, 3rd edition, 11.3.6)."""
    file.seek(8)
    for _ in range(1000):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return False
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes (ISO/IEC 13818-1, 2.4.3), or of 192 with a time before each."""
    return any(
        len(head) > first + 4 * size and all(head[first + n * size] == 0x47 for n in range(5))
        for first, size in ((0, 188), (4, 192), (0, 204))
    )

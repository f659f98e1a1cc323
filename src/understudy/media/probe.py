"""Probe a media file: open it, read its facts, and decode its first frame."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import clock, pixel_shape, planes
from understudy.media import colour as colours
from understudy.media.address import open_input
from understudy.media.colour import Tags
from understudy.media.fields import HEIGHTS, LOOKED_AT, Order, order_of
from understudy.media.images import IMAGE_SUFFIXES, read_image
from understudy.media.info import AudioTrack, MediaInfo
from understudy.media.kinds import kind_of, refusal
from understudy.media.pages import Pages, pages_of
from understudy.media.planes import Turn
from understudy.runtime import files
from understudy.types import Image

# Default frames per second of a folder of images.
IMAGE_RATE = Fraction(25)
# How many frames' worth of packets may fail before a film counts as not decodable.
_PATIENCE = 300
# Bytes at a file's start from which its length is estimated, and the error of that.
_PACED = 4 << 20
_ROUGHLY = 3
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# What says nothing of the data.
_SYSTEM = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.ENAMETOOLONG, errno.ESTALE)


@contextmanager
def media_errors(path: Path, doing: str, remedy: str) -> Iterator[None]:
    """Turn what FFmpeg says into a `MediaError`; trouble with the disk stays an OSError."""
    try:
        yield
    except av.error.FFmpegError as error:
        if error.errno in _STORAGE:
            raise OSError(error.errno, error.strerror, str(path)) from error
        reason = error.strerror or type(error).__name__
        raise MediaError(f"{path} cannot be {doing} ({reason}).", remedy) from error


def _check(path: Path) -> None:
    """Raises MediaError unless `path` is a file with something in it that may be read."""
    files.check_ordinary(path)
    # FFmpeg says of most errors of the system that the data are invalid.
    with files.reading_errors(path), open(path, "rb") as file:
        empty = not file.read(1)
    if empty:
        raise MediaError(f"{path} is empty (zero bytes).", "Copy or download it again.")


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its main video stream (cover pictures are not film).

    Raises MediaError.
    """
    _check(path)
    try:
        container = open_input(path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _SYSTEM:
            raise files.unreadable(path, error) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{path} is not a readable video, or its index is cut off ({reason}).",
            "Copy or download it again if it is damaged; otherwise convert it to mp4 first.",
        ) from error
    with container:
        cover = av.stream.Disposition.attached_pic
        films = [s for s in container.streams.video if not s.disposition & cover]
        if not films:
            held = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise MediaError(
                f"{path} contains no pictures, only {held}.", "Choose a file with a video track."
            )
        best = container.streams.best("video")
        yield container, best if isinstance(best, VideoStream) and best in films else films[0]


def _side_data(frame: av.VideoFrame) -> Iterator[SideData]:
    # It is declared as a mapping, but is iterated over by value.
    yield from cast(Iterator[SideData], iter(frame.side_data))


def turn_of(frame: av.VideoFrame) -> Turn:
    """The nearest of the eight upright positions to a frame's display matrix.

    The matrix is nine 32-bit numbers, row-major; a stored point (p, q) is shown at
    (a p + c q, b p + d q) (ISO/IEC 14496-12, 6.2.2).
    """
    found = [data for data in _side_data(frame) if data.type == SideDataType.DISPLAYMATRIX]
    if not found:
        return Turn()
    values = memoryview(bytes(found[0])).cast("i")
    a, b, c, d = values[0], values[1], values[3], values[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts frame2 before frame10."""
    pieces = re.split(r"(\d+)", path.name.casefold())
    key = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p]
    return key, path.name


def image_files(path: Path) -> list[Path]:
    """The images of a sequence in natural order: the file itself, or those in the folder."""
    if not path.is_dir():
        return [path]
    found = (
        p
        for p in path.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() and not p.name.startswith(".")
    )
    return sorted(found, key=natural_key)


def is_images(path: Path) -> bool:
    """Whether this path is read as images and not by FFmpeg: a folder, a picture, pictures in one
    file. What it is says its content, not its name.

    Raises:
        MediaError: it does not exist, or has a format that cannot be read.
    """
    if path.is_dir():
        return True
    kind = kind_of(path)
    if (refused := refusal(str(path), kind)) is not None:
        raise MediaError(*refused)
    if kind.what == "other":
        return path.suffix.lower() in IMAGE_SUFFIXES
    return kind.what == "picture" or (kind.what, kind.name) == ("animation", "WebP")


def is_still(path: Path) -> bool:
    """Whether a file is one picture: no film, no animation, not several pictures in one file.
    Raises MediaError as `is_images`."""
    return not path.is_dir() and is_images(path) and pages_in(path) is None


def check_pages(path: Path) -> None:
    """Raises MediaError when a file contains several pictures and one is needed."""
    if path.is_dir() or not is_images(path):
        return
    if (pages := pages_in(path)) is not None and pages.seconds is None:
        raise MediaError(
            f"{path} contains {len(pages)} pictures, but exactly one is needed.",
            "Save the picture you want as a separate file. As footage of a person, all are used.",
        )


def read_still(path: Path) -> Image:
    """The picture in a file, as `read_image`. Raises MediaError, also for several pictures."""
    check_pages(path)
    if not is_still(path):
        raise MediaError(f"{path} is a film or an animation.", "Name a picture.")
    return read_image(path)


def pages_in(path: Path) -> Pages | None:
    """The pictures of a file that contains several and is not read by FFmpeg; None for others.

    Raises:
        MediaError: it cannot be read.
    """
    kind = kind_of(path)
    if kind.name not in ("TIFF", "WebP"):
        return None
    with files.reading_errors(path):
        return pages_of(path.read_bytes(), kind, str(path))


def probe(path: Path | str, rate: Fraction | None = None) -> MediaInfo:
    """Look at a video, a GIF, an image or a folder of images, and decode its first frame.

    Args:
        rate: frames a second of a folder of images; 25 when not given.

    Raises:
        MediaError: it is missing, empty, no film, without pictures or cannot be decoded.
    """
    path = Path(path)
    if is_images(path):
        return _probe_images(path, rate or IMAGE_RATE)
    with open_video(path) as (container, stream):
        pictures = _frames(path, container, stream)
        frame = next(pictures)
        looked_at = stream.codec_context.height in HEIGHTS or frame.interlaced_frame
        info = _describe(path, container, stream, frame)
        if looked_at and info.rate:
            order = order_of([frame, *islice(pictures, LOOKED_AT - 1)])
            info = _fielded(info, order) if order else info
        jumping = clock.jumps(container)
    return _by_size(info) if jumping else info


def _probe_images(path: Path, rate: Fraction) -> MediaInfo:
    found = image_files(path)
    if not found:
        raise MediaError(
            f"The folder {path} contains no image.",
            f"Put images into it ({', '.join(sorted(IMAGE_SUFFIXES))}) or name another folder.",
        )
    still = not path.is_dir()
    pages = pages_in(path) if still else None
    image = read_image(found[0])
    height, width = image.shape[:2]
    if pages is not None:
        rate = rate if pages.seconds is None else len(pages) / pages.seconds
    count = len(found) if pages is None else len(pages)
    moving = pages is not None and pages.seconds is not None
    tags = Tags(0, colours.FULL)
    return MediaInfo(
        path=path,
        kind="animation" if moving else "images",
        container="images",
        codec=found[0].suffix.lower().lstrip("."),
        width=width,
        height=height,
        turn=Turn(),
        pixel_aspect=Fraction(1),
        rate=None if still and pages is None else rate,
        time_base=Fraction(1, 1000) if moving else 1 / rate,
        start=Fraction(0),
        duration=None if still and pages is None else count / rate,
        frames=count,
        pixel_format="rgb24",
        stored_format="rgb24",
        bit_depth=8,
        tags=tags,
        colour=colours.resolve(tags, "rgb24", width, height),
    )


def _fielded(info: MediaInfo, order: Order) -> MediaInfo:
    """The description of a film whose fields are read as pictures."""
    return replace(
        info,
        fields=order,
        rate=None if info.rate is None else 2 * info.rate,
        frames=None if info.frames is None else 2 * info.frames,
        time_base=info.time_base / 2,
    )


def _frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Pictures from the film's beginning; at least one, else MediaError is raised."""
    reason, found = "it ends before its first frame", False
    try:
        for count, packet in enumerate(container.demux(stream)):
            try:
                for frame in packet.decode():
                    found = True
                    yield frame
            except av.error.FFmpegError as error:
                reason = error.strerror or type(error).__name__
            if count > _PATIENCE and not found:
                break
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
    if found:
        return
    raise MediaError(
        f"No frame of {path} can be decoded ({stream.codec_context.name}: {reason}).",
        "Copy or download it again; if another program plays it, convert it to H.264 first.",
    )


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame
) -> MediaInfo:
    how = turn_of(frame)
    context = stream.codec_context
    stored = frame.format.name
    simple = planes.simple_format(stored)
    if how.transpose:
        simple = planes.on_its_side(simple)
    width, height = frame.width, frame.height
    if how.transpose:
        width, height = height, width
    tags = colours.tags_of(frame).or_else(colours.tags_of(context))
    if simple.startswith("rgb"):
        tags = Tags(0, colours.FULL, tags.primaries, tags.transfer)
    base = stream.time_base if stream.time_base else Fraction(1, 90000)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    rate = Fraction(rate) if rate else None
    duration = _duration(container, stream, base)
    frames = stream.frames or None
    if not frames and duration and rate:
        frames = max(1, round(duration * rate))
    first = stream.start_time if stream.start_time is not None else (frame.pts or 0)
    aspect = pixel_shape.believed(stream.sample_aspect_ratio or context.sample_aspect_ratio)
    form = planes.form_of(simple)
    return MediaInfo(
        path=path,
        kind="animation" if container.format.name in ("gif", "apng") else "video",
        container=container.format.name.split(",")[0],
        codec=context.codec.canonical_name,
        width=width,
        height=height,
        turn=how,
        pixel_aspect=1 / aspect if how.transpose else aspect,
        rate=rate,
        time_base=Fraction(base),
        start=first * Fraction(base),
        duration=duration,
        frames=frames,
        pixel_format=simple,
        stored_format=stored,
        bit_depth=form.bits if form else 8,
        tags=tags,
        colour=colours.resolve(tags, simple, width, height),
        coded_aspect=pixel_shape.believed(context.sample_aspect_ratio),
        stereo="stereo_mode" in stream.metadata
        or any(data.type == SideDataType.STEREO3D for data in _side_data(frame)),
        audio=tuple(
            AudioTrack(
                s.codec_context.codec.canonical_name,
                s.codec_context.sample_rate,
                s.codec_context.channels,
                s.language,
            )
            for s in container.streams.audio
        ),
        subtitles=len(container.streams.subtitles),
    )


def _by_size(info: MediaInfo) -> MediaInfo:
    """The description with a length that its file can have.

    Containers whose clock may jump tell their length by their first and last time stamps, which
    may be a day apart or none. How much of the file its first frames take tells it roughly.
    """
    count = at = 0
    whole = True
    with open_video(info.path) as (container, stream), suppress(av.error.FFmpegError):
        for packet in container.demux():
            at = max(at, packet.pos or 0)
            count += packet.stream.index == stream.index and packet.size > 0
            if at > _PACED:
                whole = False
                break
    if not count or not info.rate:
        return info
    size = info.path.stat().st_size
    frames = count if whole else round(count * Fraction(size, at))
    frames *= 2 if info.fields else 1
    told = info.frames
    if told and frames / _ROUGHLY <= told <= frames * _ROUGHLY and not whole:
        return info
    if whole and told and abs(told - frames) <= 2:
        return info
    return replace(info, frames=frames, duration=frames / info.rate)


def _duration(container: InputContainer, stream: VideoStream, base: Fraction) -> Fraction | None:
    if stream.duration:
        return stream.duration * Fraction(base)
    told = stream.metadata.get("DURATION", "")
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", told):
        return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    if container.duration:
        return Fraction(container.duration, av.time_base)
    return None

"""Write frames to a file: one segment of a film, or a whole film, with exact times."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
from av.container import OutputContainer
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.address import open_output
from understudy.media.encoders import THREADS, encoder_for, pixel_format_for
from understudy.media.info import MediaInfo
from understudy.media.overlay import lay
from understudy.media.probe import media_errors
from understudy.runtime import files
from understudy.settings import EncodeSettings
from understudy.types import Frame, Image, Patch

SEGMENT_SUFFIX = ".nut"
"""Container of segments: any codec, and time stamps in the film's own unit."""

FORMATS = {
    ".nut": "nut",
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
SHAPED = frozenset({"h264", "hevc"})
"""Codecs that say themselves how wide their pixels are."""

_REMEDY = "Run the same command again; if it fails again, choose another encoder or preset."


class SegmentWriter:
    """Writes frames to one file with a separate encoder, so that it starts with a key frame.

    A context manager: the file takes its name when the block ends well and is whole then;
    otherwise nothing is left. The same frames and settings give the same bytes, whatever the
    number of cores (software encoders).

    Args:
        path: .nut for segments to `join`; .mkv, .mp4, .mov, .webm for films without sound.
        info: the film that the frames come from (size, pixel format, colour, rate); see
            `MediaInfo.reshaped` for films made from RGB or grey images.
        settings: encoder, quality, preset.
        time_base: unit of the written times in seconds; the film's own when not given.
        mark: makes of each picture, as it would be encoded, the one that is; it must not change
            what it is given.

    Attributes:
        notes: what differs from the source, in sentences.

    Raises:
        MediaError: the encoder is unknown or cannot write such pictures.
        StorageError: the disk is full or not writable.
    """

    def __init__(
        self,
        path: Path | str,
        info: MediaInfo,
        settings: EncodeSettings,
        time_base: Fraction | None = None,
        mark: Callable[[av.VideoFrame], av.VideoFrame] | None = None,
    ) -> None:
        self._mark = mark
        self.path, self.info, self.settings = Path(path), info, settings
        self.time_base = Fraction(time_base or info.time_base)
        if self.path.suffix.lower() not in FORMATS:
            raise MediaError(
                f"Films cannot be written as {self.path.suffix or 'a file without suffix'}.",
                f"Use a name that ends in {', '.join(sorted(FORMATS))}.",
            )
        self.encoder, self._options = encoder_for(settings)
        self.pixel_format, note = pixel_format_for(
            self.encoder, info.pixel_format, info.width, info.height
        )
        self.notes: list[str] = [note] if note else []
        if info.pixel_aspect != 1 and self.encoder.codec not in SHAPED:
            wide, high = info.pixel_aspect.as_integer_ratio()
            self.notes.append(
                f"{self.encoder.codec} cannot store that the film's pixels are {wide}:{high}: set "
                "this in your editing program, or choose libx264 or libx265."
            )
        source = planes.form_of(info.pixel_format)
        self._tags = info.tags
        if source is not None and source.kind != "yuv" and self.pixel_format != "gray":
            rgb = self.pixel_format in ("bgr0", "gbrp", "rgb24")
            self._tags = info.tags if rgb else colours.for_rgb(info.width, info.height)
        elif info.pixel_format.startswith("yuvj"):
            self._tags = info.tags.or_else(colours.Tags(range=colours.FULL))
        self._last: int | None = None
        self._stack = ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def __enter__(self) -> Self:
        with self._stack as stack:
            temporary = stack.enter_context(files.atomic(self.path))
            with media_errors(self.path, "written", _REMEDY):
                self._open(temporary)
            self._stack = stack.pop_all()
        return self

    def _open(self, temporary: Path) -> None:
        if self.encoder.name == "libsvtav1":
            # It prints a page per segment to the terminal; this is the only way to stop it.
            os.environ.setdefault("SVT_LOG", "1")
        container = open_output(
            temporary,
            FORMATS[self.path.suffix.lower()],
            {"fflags": "+bitexact", "avoid_negative_ts": "disabled"},
        )
        self._container = container
        try:
            info = self.info
            rate = info.rate or Fraction(25)
            stream = container.add_stream(
                self.encoder.name,
                rate=rate.limit_denominator(1 << 16),
                options=self._options,
                width=info.width,
                height=info.height,
            )
            assert isinstance(stream, VideoStream)
            context = stream.codec_context
            context.pix_fmt = self.pixel_format
            context.time_base = self.time_base
            stream.time_base = self.time_base
            if info.pixel_aspect != 1:
                context.sample_aspect_ratio = info.pixel_aspect
            colours.put_tags(context, self._tags)
            if not self.encoder.hardware:
                context.thread_count = THREADS
            context.flags |= av.codec.context.Flags.closed_gop
            context.flags |= av.codec.context.Flags.bitexact
            self._stream = stream
            container.start_encoding()
        except ValueError as error:
            container.close()
            raise MediaError(
                f"{self.path.suffix} cannot contain {self.encoder.codec}.",
                "Use a name that ends in .mkv, or choose another encoder.",
            ) from error
        except BaseException:
            container.close()
            raise

    def write(self, frame: Frame, patches: Sequence[Patch] = ()) -> None:
        """Write a frame, with patches laid over its picture as it is stored (see
        `pixel_shape.stored`);
        without any it is passed on as it is."""
        self._encode(lay(frame.picture, patches), frame.time)

    def write_rgb(self, image: Image, time: Fraction) -> None:
        """Write an image: RGB uint8 (h, w, 3), or (h, w) for grey, shown from `time`, seconds."""
        picture = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
        picture.color_range = colours.FULL
        self._encode(picture, time)

    def _encode(self, picture: av.VideoFrame, time: Fraction) -> None:
        if self._stream is None or self._container is None:
            raise ValueError("enter the writer before writing")
        if (picture.width, picture.height) != (self.info.width, self.info.height):
            raise MediaError(
                f"A frame at {float(time):.3f} s is {picture.width}x{picture.height}, but the film "
                f"is {self.info.width}x{self.info.height}.",
                "Resize all frames to one size first.",
            )
        ticks = round(time / self.time_base)
        if self._last is not None and ticks <= self._last:
            raise MediaError(
                f"The frame at {float(time):.3f} s is not after the previous frame.",
                "Write frames in order of time.",
            )
        self._last = ticks
        if self._mark is not None:
            picture = self._mark(picture)
        picture = self._fitted(picture)
        picture.pts, picture.time_base = ticks, self.time_base
        # Else the encoder would repeat the source's choice of key frames.
        picture.pict_type = 0
        with files.storage_errors(self.path), media_errors(self.path, "written", _REMEDY):
            self._container.mux(self._stream.encode(picture))

    def _fitted(self, picture: av.VideoFrame) -> av.VideoFrame:
        name = picture.format.name
        if name == self.pixel_format:
            return picture
        if planes.plain(name) == self.pixel_format:
            return planes.copy(picture, self.pixel_format)
        return planes.convert(picture, self.pixel_format, self._tags)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        container, stream = self._container, self._stream
        self._container = self._stream = None
        try:
            if container is not None and stream is not None:
                if error is None:
                    self._finish(container, stream)
                else:
                    _abandon(container)
        except BaseException as own:
            self._stack.__exit__(type(own), own, own.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def _finish(self, container: OutputContainer, stream: VideoStream) -> None:
        try:
            if self._last is None:
                raise MediaError(f"No frame was written to {self.path}.", "Choose a longer part.")
            with media_errors(self.path, "written", _REMEDY):
                container.mux(stream.encode(None))
        except BaseException:
            _abandon(container)
            raise
        with media_errors(self.path, "written", _REMEDY):
            container.close()


def _abandon(container: OutputContainer) -> None:
    """Close a file that is no longer needed."""
    try:
        container.close()
    except (av.error.FFmpegError, OSError):
        return

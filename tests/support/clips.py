"""Tiny films made on the spot."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from understudy.types import Image

WIDTH, HEIGHT = 64, 48


def painting(index: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A smooth picture that tells its number and which way is up: no two of 32 are alike."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack(
        [60 + 120 * x / width, 50 + 140 * y / height, np.full(x.shape, 40 + 6 * (index % 32))], -1
    )
    image[: height // 4, : width // 4] = (200, 40 + 5 * (index % 32), 40)
    return image.astype(np.uint8)


def number(image: Image) -> int:
    """The index of a `painting`, from its blue."""
    height = image.shape[0]
    return round((float(image[height // 2 :, :, 2].mean()) - 40) / 6)


def make_film(
    path: Path,
    codec: str = "libx264",
    frames: int = 20,
    times: Sequence[Fraction] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    audio: Sequence[tuple[str, str]] = (),
    audio_seconds: Fraction | None = None,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
) -> Path:
    """Write `painting(0)`, `painting(1)`, ... at `times` (25 a second), with sound tracks given
    as (codec, language)."""
    times = times or [Fraction(i, 25) for i in range(frames)]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(video, VideoStream)
        video.width, video.height = size
        video.pix_fmt = pixel_format
        context = video.codec_context
        context.time_base = video.time_base = time_base
        context.colorspace, context.color_range = tags[0], tags[1]
        context.color_primaries, context.color_trc = tags[2], tags[3]
        tracks = []
        for name, language in audio:
            track = container.add_stream(name, rate=48000)
            assert isinstance(track, AudioStream)
            track.codec_context.layout = "mono"
            track.metadata["language"] = language
            tracks.append(track)
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(painting(index, *size), format="rgb24")
            frame = frame.reformat(
                format=pixel_format,
                dst_colorspace=1 if tags[0] == 1 else 5,
                src_color_range=2,
                dst_color_range=tags[1] or 1,
            )
            frame.pts, frame.time_base = round(time / time_base), time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        seconds = audio_seconds or times[-1] + Fraction(1, 25)
        for pitch, track in enumerate(tracks, 1):
            count = int(seconds * 48000)
            wave = np.sin(np.arange(count) * (0.02 * pitch)).astype(np.float32) * 0.3
            sound = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            sound.sample_rate = 48000
            sound.pts = 0
            sound.time_base = Fraction(1, 48000)
            container.mux(track.encode(sound))
            container.mux(track.encode(None))
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the display matrix of an mp4's first track (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    one = 1 << 16
    struct.pack_into(">9i", data, at, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def packets(path: Path, kind: str, number: int = 0) -> list[bytes]:
    """The bytes of every packet of one track."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][number]
        return [bytes(p) for p in container.demux(stream) if p.size]

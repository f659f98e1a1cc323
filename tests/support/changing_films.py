"""Films whose frames change size midway, as broadcasts and calls make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from understudy.types import Image

RATE = 25


def changing_film(
    path: Path,
    picture: Callable[[int, int, int], Image],
    parts: Sequence[tuple[int, int]],
    count: int,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    aspects: Sequence[Fraction] = (),
    spaces: Sequence[int] = (),
) -> Path:
    """Write one stream of parts that were encoded each at its own width and height.

    Args:
        picture: makes the n-th of a width and height.
        parts: width and height of each, `count` frames long.
        aspects, spaces: pixel aspect and matrix (H.273) of each; square and not said if none.
    """
    options = {"crf": "8", "preset": "ultrafast"} if codec == "libx264" else {"qmin": "1"}
    base, number = Fraction(1, RATE), 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = parts[0]
        stream.pix_fmt = pixel_format
        if aspects:
            stream.codec_context.sample_aspect_ratio = aspects[0]
        container.start_encoding()
        for part, (width, height) in enumerate(parts):
            encoder = av.VideoCodecContext.create(codec, "w")
            assert isinstance(encoder, av.VideoCodecContext)
            encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
            encoder.time_base, encoder.framerate = base, Fraction(RATE)
            encoder.options, encoder.bit_rate = options, 4_000_000
            space = spaces[part] if spaces else 2
            encoder.colorspace = space
            if aspects:
                encoder.sample_aspect_ratio = aspects[part]
            frames: list[av.VideoFrame | None] = []
            for _ in range(count):
                frame = av.VideoFrame.from_ndarray(picture(number, width, height), format="rgb24")
                full = pixel_format.startswith("yuvj")
                frame = frame.reformat(
                    format=pixel_format,
                    dst_colorspace=1 if space == 1 else 5,
                    src_color_range=2,
                    dst_color_range=2 if full else 1,
                )
                frame.colorspace = space
                frame.pts, frame.time_base = number, base
                number += 1
                frames.append(frame)
            for each in (*frames, None):
                for packet in encoder.encode(each):
                    packet.stream, packet.time_base = stream, base
                    container.mux(packet)
    return path

"""Films that are marked, encoded anew, muxed again and cut up, as `verify` has to cope with them.

The tests of what `verify` says use these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from understudy.provenance.watermark.frames import Marker
from understudy.types import Image

Parts = dict[str, list[range]]
Frames = Sequence[Image]


def decoded(path: Path) -> list[Image]:
    """All frames."""
    with av.open(str(path)) as reading:
        return [np.asarray(one.to_ndarray(format="rgb24"), np.uint8) for one in reading.decode(0)]


def encoded(
    path: Path,
    frames: Frames,
    crf: int,
    codec: str = "libx264",
    *,
    rate: int = 25,
    preset: str = "fast",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A film of frames; `metadata` goes in with the tags' own names."""
    options = {"movflags": "use_metadata_tags"} if metadata else {}
    with av.open(str(path), "w", options=options) as writing:
        writing.metadata.update(metadata or {})
        stream = writing.add_stream(codec, rate=rate, options={"crf": str(crf), "preset": preset})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))
    return path


def remuxed(path: Path, target: Path) -> Path:
    """The same packets in another file."""
    with av.open(str(path)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream_from_template(reading.streams.video[0])
        for packet in reading.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writing.mux(packet)
    return target


def marked(frames: Frames, number: int, strength: float) -> list[Image]:
    """With the mark of a record, at `strength` dB."""
    height, width = frames[0].shape[:2]
    marker = Marker(width, height, number, strength)
    return [marker.rgb(one) for one in frames]


def scaled(frames: Frames, by: float) -> list[Image]:
    """Each side times `by`, to even pixels."""
    height, width = (2 * round(by * side / 2) for side in frames[0].shape[:2])
    return [
        np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for one in frames
    ]


def cropped(frames: Frames, share: float) -> list[Image]:
    """Without `share` of each side, the middle of it."""
    height, width = frames[0].shape[:2]
    top, left = round(height * share / 4) * 2, round(width * share / 4) * 2
    return [one[top : height - top, left : width - left] for one in frames]


def boxes(data: bytes) -> Parts:
    """Top-level boxes of an MP4 file by type."""
    found: Parts = {}
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.setdefault(data[at + 4 : at + 8].decode(), []).append(range(at, at + size))
        at += size
    return found


def chunks(data: bytes) -> Parts:
    """Chunks of a PNG file by type."""
    found: Parts = {"signature": [range(8)]}
    at = 8
    while at < len(data):
        end = at + int.from_bytes(data[at : at + 4], "big") + 12
        found.setdefault(data[at + 4 : at + 8].decode(), []).append(range(at, end))
        at = end
    return found

"""Make the films of the bundled sample from the synthetic actors.

    python -m tools.make_sample ../shared/data/synthetic src/understudy/sample

The films are small enough to travel inside the package (below 3 MB in all). The scene gets a
sound track, worked out here, so that one can hear that a conversion keeps it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

RATE = 44100
NOTES = (262, 330, 392, 523, 392, 330)
"""Hertz; one a second."""


@dataclass(frozen=True)
class Part:
    """A film of the sample: what it is made from, and at which quality (x264's crf).

    Masks are grey with weights from 0 to 255; H.264 decoders give no grey films, so they become
    colour films of full range.
    """

    name: str
    source: str
    crf: int
    sound: bool = False
    grey: bool = False


PARTS = (
    Part("ada.mp4", "train_ada.mp4", 21),
    Part("chen.mp4", "train_chen.mp4", 21),
    Part("scene.mp4", "test1_chen.mp4", 19, sound=True),
    Part("scene-mask.mp4", "test1_chen_mask.mkv", 24, grey=True),
    Part("truth.mp4", "swapgt_test1_ada_face_on_chen.mp4", 18),
    Part("truth-mask.mp4", "swapgt_test1_ada_face_on_chen_mask.mkv", 24, grey=True),
)


def tune(seconds: Fraction) -> NDArray[np.float32]:
    """A note a second, each struck and dying away: float32 (1, samples), -1..1."""
    times = np.arange(int(RATE * seconds)) / RATE
    pitch = np.array(NOTES)[times.astype(int) % len(NOTES)]
    since = times % 1
    strength = np.exp(-4 * since) * np.minimum(1, 200 * since)
    return np.asarray(0.2 * strength * np.sin(2 * np.pi * pitch * since), np.float32)[None]


def encode(source: Path, target: Path, part: Part) -> None:
    """Encode a film anew, as small as x264 makes it."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        film = reading.streams.video[0]
        stream = writing.add_stream(
            "libx264",
            rate=film.average_rate,
            options={"crf": str(part.crf), "preset": "veryslow", "tune": "animation"},
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = film.width, film.height
        stream.pix_fmt = "yuvj420p" if part.grey else "yuv420p"
        new, old = stream.codec_context, film.codec_context
        new.colorspace = old.colorspace
        new.color_range = ColorRange.JPEG if part.grey else old.color_range
        new.color_primaries, new.color_trc = old.color_primaries, old.color_trc
        new.thread_count = 1
        voice = writing.add_stream("aac", rate=RATE, layout="mono") if part.sound else None
        if voice is not None:
            voice.bit_rate = 40_000
        length = Fraction(0)
        for frame in reading.decode(film):
            if part.grey:
                frame = frame.reformat(format="yuvj420p")
            # Else the encoder would repeat the source's choice of key frames.
            frame.pict_type = 0
            writing.mux(stream.encode(frame))
            assert film.average_rate is not None
            length += 1 / film.average_rate
        writing.mux(stream.encode(None))
        if voice is not None:
            heard = av.AudioFrame.from_ndarray(tune(length), format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = RATE, 0, Fraction(1, RATE)
            writing.mux(voice.encode(heard))
            writing.mux(voice.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder with the synthetic actors")
    parser.add_argument("target", type=Path, help="folder to write to")
    given = parser.parse_args()
    given.target.mkdir(parents=True, exist_ok=True)
    total = 0
    for part in PARTS:
        path = given.target / part.name
        encode(given.source / part.source, path, part)
        total += path.stat().st_size
        print(f"{part.name:<16} {path.stat().st_size / 1000:7.0f} kB")
    print(f"{'in all':<16} {total / 1000:7.0f} kB")


if __name__ == "__main__":
    main()

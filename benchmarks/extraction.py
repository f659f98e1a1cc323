"""How long does extraction take, compared with only decoding?

    python -m benchmarks.extraction

A clip of 512x512 pixels is decoded (frames in the film's own pixel format, then also as RGB) and
extracted into a new project, in turns. Extraction is all that `understudy extract` does: hashing,
decoding, detection, tracking, mesh, identity, crops, index, and loading the networks.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmarks.common import Line, Result, alternate, clip, footage, main
from understudy import Project
from understudy.media.video import VideoReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--turns", type=int, default=5)


def decode(film: Path, rgb: bool = False) -> int:
    """Decode a film and forget it; how many frames it had."""
    with VideoReader(film) as reader:
        return sum(frame.image.shape[2] == 3 if rgb else 1 for frame in reader)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "extraction"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    film = clip(footage("ada"), work / "clip.mp4", options.frames, options.side)

    def extract() -> None:
        place = work / "project"
        shutil.rmtree(place, ignore_errors=True)
        project = Project.create(place)
        project.add("ada", [film], "synthetic")
        project.extract("ada")

    found = alternate(
        {
            "decode": lambda: decode(film),
            "decode_rgb": lambda: decode(film, rgb=True),
            "extract": extract,
        },
        options.turns,
    )
    frames = decode(film)
    shutil.rmtree(work)
    ratio = found.ratio("extract", "decode")
    size = f"{options.side}x{options.side}"
    return Result(
        [
            Line(f"extraction of {size} / decoding alone", f"{ratio:.2f}x", "at most 4x"),
            Line(
                f"extraction of {size} / decoding to RGB",
                f"{found.ratio('extract', 'decode_rgb'):.2f}x",
            ),
            Line("extraction", f"{frames / found.median('extract'):.0f} frames/s"),
            Line("decoding alone", f"{frames / found.median('decode'):.0f} frames/s"),
        ],
        {"frames": frames, "seconds": found.times, "ratio": ratio},
    )


if __name__ == "__main__":
    main("extraction", __doc__, add_arguments, measure)

"""How long does conversion take, compared with only decoding and encoding?

    python -m benchmarks.conversion

A clip of 512x512 pixels is converted with a network that was trained for a few steps only (what
it has learned does not change how long it takes), and decoded and encoded with the same settings,
in turns. Conversion is all that `understudy convert` does, the scan for faces included; rendering
is what is left when the film was scanned before.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from benchmarks.common import (
    Line,
    Missing,
    Result,
    alternate,
    clip,
    footage,
    main,
    studio,
    synthetic,
)
from understudy.demo import SAMPLE
from understudy.media.video import SegmentWriter, VideoReader
from understudy.settings import EncodeSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--loops", type=int, default=3, help="times the clip is repeated")
    parser.add_argument("--side", type=int, default=512, help="of the film, pixels")
    parser.add_argument("--network", default="swift")
    parser.add_argument("--size", type=int, default=128, help="of the network, pixels")
    parser.add_argument("--turns", type=int, default=3)


def scene() -> Path:
    """chen's film."""
    try:
        return synthetic("test1_chen.mp4")
    except Missing:
        return SAMPLE / "scene.mp4"


def encode_again(film: Path, target: Path) -> None:
    """Decode and encode, with nothing in between."""
    with (
        VideoReader(film) as reader,
        SegmentWriter(target, reader.info, EncodeSettings()) as writer,
    ):
        for frame in reader:
            writer.write(frame)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    work = folder / "work" / "conversion"
    shutil.rmtree(work, ignore_errors=True)
    project = studio(folder / "work" / "duo", {name: footage(name) for name in ("ada", "chen")})
    name = f"speed-{options.network}-{options.size}"
    network = {"network": options.network, "size": options.size}
    project.train(("ada", "chen"), name, steps=3, **network)
    work.mkdir(parents=True)
    film = clip(scene(), work / "clip.mp4", options.frames, options.side, options.loops)
    rates: list[float] = []

    def convert(scanned: bool) -> None:
        if not scanned:
            shutil.rmtree(project.cache_folder / "scan", ignore_errors=True)
        report = project.convert(film, "chen", "ada", name, work / "swap.mp4")
        assert report.swapped > report.frames / 2
        rates.append(report.frames_per_second)

    found = alternate(
        {
            "encode": lambda: encode_again(film, work / "again.mp4"),
            "convert": lambda: convert(scanned=False),
            "render": lambda: convert(scanned=True),
        },
        options.turns,
    )
    frames = options.frames * options.loops
    shutil.rmtree(work)
    shutil.rmtree(project.model_folder(name))
    ratio = found.ratio("convert", "encode")
    what = f"conversion of {options.side}x{options.side} with {options.network} {options.size}"
    return Result(
        [
            Line(f"{what} / decoding and encoding", f"{ratio:.2f}x", "at most 3x"),
            Line(
                "of it rendering / decoding and encoding",
                f"{found.ratio('render', 'encode'):.2f}x",
            ),
            Line(
                "conversion, scan included",
                f"{frames / found.median('convert'):.0f} frames/s",
                "25 frames/s or more",
            ),
            Line("rendering", f"{statistics.median(rates[2:]):.0f} frames/s"),
            Line("decoding and encoding", f"{frames / found.median('encode'):.0f} frames/s"),
        ],
        {"frames": frames, "seconds": found.times, "ratio": ratio, "render_rates": rates},
    )


if __name__ == "__main__":
    main("conversion", __doc__, add_arguments, measure)

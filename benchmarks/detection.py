"""Are faces found where there are some, and none where there are none?

    python -m benchmarks.detection

Every real clip is scanned as `extract` and `convert` scan it; counted are every second frame
that shows a face, as in the figures of the detector that it is compared with (YuNet, score 0.6
or more, longest side 640). Pictures are looked at one by one. The clips are not part of the
repository.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common import SHARED, Line, Missing, Result, main, markdown, telling
from understudy import files
from understudy.faces.analyser import FaceAnalyser
from understudy.media.images import read_image
from understudy.scan import scan
from understudy.settings import ScanSettings

YUNET = {
    "r01": 1.0,
    "r02": 1.0,
    "r09": 0.70,
    "r10": 1.0,
    "r11": 1.0,
    "r12": 1.0,
    "r13": 0.0,
    "r14": 0.996,
    "r15": 1.0,
}
"""Share of frames in which the other detector finds a face, by the clip's number."""

EMPTY = frozenset({"r13"})
"""Clips that show no face."""


@dataclass(frozen=True)
class Clip:
    """What was found in a clip.

    Attributes:
        share: of every second frame, with a face; theirs: the other detector's.
        fewest, mean, most: faces in a frame.
    """

    name: str
    frames: int
    share: float
    theirs: float | None
    fewest: int
    mean: float
    most: int

    @property
    def good(self) -> bool:
        """At least as many as theirs to a tenth of a per cent, or none where there are none."""
        if self.name[:3] in EMPTY:
            return self.most == 0
        return self.theirs is None or self.share >= self.theirs - 0.0005


def counted(name: str, counts: list[int]) -> Clip:
    """Sum up the number of faces in each frame of a clip."""
    shown = counts[::2]
    share = sum(count > 0 for count in shown) / len(shown)
    return Clip(
        name,
        len(counts),
        share,
        YUNET.get(name[:3]),
        min(counts),
        statistics.mean(counts),
        max(counts),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED / "real")


def measure(options: argparse.Namespace, folder: Path) -> Result:
    films = sorted((options.data / "clips").glob("*.mp4"))
    if not films:
        raise Missing(f"{options.data / 'clips'} holds no clips")
    settings = ScanSettings()
    clips = []
    with tempfile.TemporaryDirectory() as cache:
        for film in films:
            found = scan(film, Path(cache), settings, telling())
            clips.append(counted(film.stem, [len(found.faces(n)) for n in range(found.frames)]))
    analyser = FaceAnalyser(settings)
    stills = {
        kind: {
            path.name: len(analyser.faces(read_image(path)))
            for path in sorted((options.data / kind).glob("*.*"))
        }
        for kind in ("faces", "noface")
    }
    rows = [
        (
            one.name,
            f"{100 * one.share:.1f} %",
            "" if one.theirs is None else f"{100 * one.theirs:.1f} %",
            f"{one.fewest}, {one.mean:.2f}, {one.most}",
        )
        for one in clips
    ]
    text = markdown(("clip", "frames with a face", "YuNet", "faces: fewest, mean, most"), rows)
    print(text)
    files.write_bytes(folder / "detection-clips.md", text.encode() + b"\n")
    good = sum(one.good for one in clips)
    right = sum(count == 1 for count in stills["faces"].values())
    wrong = sum(stills["noface"].values())
    worse = ", ".join(one.name[:3] for one in clips if not one.good)
    return Result(
        [
            Line(
                "clips in which faces are found at least as often as by YuNet",
                f"{good} of {len(clips)}{f' (not {worse})' if worse else ''}",
                "all",
            ),
            Line("portraits with exactly one face", f"{right} of {len(stills['faces'])}", "all"),
            Line(f"faces in {len(stills['noface'])} pictures without any", str(wrong), "0"),
        ],
        {"clips": [{**asdict(one), "good": one.good} for one in clips], "stills": stills},
    )


if __name__ == "__main__":
    main("detection", __doc__, add_arguments, measure)

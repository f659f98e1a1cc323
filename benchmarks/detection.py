"""Are faces found where there are some, and none where there are none?

    python -m benchmarks.detection

In every second frame of the real clips faces are looked for, as in the figures of the detector
that ours is compared with (YuNet, score 0.6 or more, longest side 640), small faces included.
Beside that stands what a scan with the program's own settings makes of the same frames: faces
that are large enough, have a sound mesh and can be followed. Pictures are looked at one by one.
The clips are not part of the repository.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common import SHARED, Line, Missing, Result, main, markdown, telling
from understudy.faces.analyser import FaceAnalyser
from understudy.media.images import read_image
from understudy.media.video import VideoReader
from understudy.runtime import files
from understudy.settings import ScanSettings
from understudy.tracks.scan import scan

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

EVERY = 2
"""Every so many frames are looked at."""

EMPTY = frozenset({"r13"})
"""Clips that show no face."""


@dataclass(frozen=True)
class Clip:
    """What was found in a clip.

    Attributes:
        found: share of every second frame in which a face is detected.
        theirs: the other detector's, None where it is not known.
        followed: share of these frames in which a scan has a face.
        fewest, mean, most: faces detected in a frame.
    """

    name: str
    frames: int
    found: float
    theirs: float | None
    followed: float
    fewest: int
    mean: float
    most: int

    @property
    def good(self) -> bool:
        """At least as many as theirs to a tenth of a per cent, or none where there are none."""
        if self.name[:3] in EMPTY:
            return self.most == 0
        return self.theirs is None or self.found >= self.theirs - 0.0005


def counted(name: str, found: list[int], followed: list[int]) -> Clip:
    """Sum up the number of faces in each frame looked at: detected, and in the scan."""
    return Clip(
        name=name,
        frames=len(found),
        found=sum(count > 0 for count in found) / len(found),
        theirs=YUNET.get(name[:3]),
        followed=sum(count > 0 for count in followed) / len(found),
        fewest=min(found),
        mean=statistics.mean(found),
        most=max(found),
    )


def look(film: Path, analyser: FaceAnalyser, cache: Path) -> Clip:
    """Detect and follow the faces of a clip."""
    with VideoReader(film) as reader:
        found = {
            frame.index: len(analyser.detect(frame.image))
            for frame in reader
            if frame.index % EVERY == 0
        }
    scanned = scan(film, cache, ScanSettings(), telling())
    followed = [len(scanned.faces(index)) for index in found]
    return counted(film.stem, list(found.values()), followed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED / "real")
    parser.add_argument("--min-face", type=int, default=12, help="smallest face sought, pixels")


def measure(options: argparse.Namespace, folder: Path) -> Result:
    films = sorted((options.data / "clips").glob("*.mp4"))
    if not films:
        raise Missing(f"{options.data / 'clips'} holds no clips")
    analyser = FaceAnalyser(ScanSettings(min_face=options.min_face))
    with tempfile.TemporaryDirectory() as cache:
        clips = [look(film, analyser, Path(cache)) for film in films]
    stills = {
        kind: {
            path.name: len(analyser.detect(read_image(path)))
            for path in sorted((options.data / kind).glob("*.*"))
        }
        for kind in ("faces", "noface")
    }
    rows = [
        (
            one.name,
            f"{100 * one.found:.1f} %",
            "" if one.theirs is None else f"{100 * one.theirs:.1f} %",
            f"{100 * one.followed:.1f} %",
            f"{one.fewest}, {one.mean:.2f}, {one.most}",
        )
        for one in clips
    ]
    text = markdown(("clip", "detected", "YuNet", "followed", "faces: fewest, mean, most"), rows)
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

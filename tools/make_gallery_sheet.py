"""Make the picture of docs/concepts/how-it-works.md that shows what a gallery adds.

    python tools/make_gallery_sheet.py FILM DRAWN DETAILED TRUTH [OUTPUT] [--frames 20 30 ...]

FILM is the untouched film, DRAWN its conversion with `--detail 0`, DETAILED the one with the
default settings, TRUTH the same scene rendered with the other face. All four are equally long and
of one size. Each column is one frame, cut out around the face and enlarged. The cuts leave out the
label in the films' corner, so the captions say what is made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from understudy.faces.analyser import FaceAnalyser
from understudy.media.contact_sheet import Row, cut_square, sheet, write_still
from understudy.media.video import VideoReader
from understudy.settings import ScanSettings
from understudy.types import Image

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "how-it-works" / "gallery.webp"
FRAMES = (20, 40, 90, 100, 110)
SIDE = 236
ROOM = 1.15
"""Side of the cut, in longer sides of the face's box."""

CAPTIONS = (
    "the film: chen",
    "ada, as the network draws her (AI MODIFIED)",
    "ada, with the detail of her own pictures (AI MODIFIED)",
    "the truth: the same scene rendered with ada's face",
)


def frames(path: Path, chosen: list[int]) -> list[Image]:
    """Some frames of a film, RGB uint8 (height, width, 3)."""
    with VideoReader(path) as reader:
        found = {frame.index: frame.image for frame in reader if frame.index in chosen}
    return [found[index] for index in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path, nargs=4, metavar="FILM")
    parser.add_argument("output", type=Path, nargs="?", default=OUTPUT)
    parser.add_argument("--frames", type=int, nargs="+", default=list(FRAMES))
    options = parser.parse_args()
    films = [frames(path, options.frames) for path in options.films]
    analyser = FaceAnalyser(ScanSettings())
    boxes = []
    for index, image in zip(options.frames, films[0], strict=True):
        faces = analyser.faces(image)
        if not faces:
            parser.exit(1, f"There is no face in frame {index}.\n")
        boxes.append(faces[0].box)
    rows = [
        Row(caption, [cut_square(image, box, ROOM) for image, box in zip(film, boxes, strict=True)])
        for caption, film in zip(CAPTIONS, films, strict=True)
    ]
    said = "Computer-made people. The second and third row: faces replaced by understudy."
    write_still(options.output, sheet(rows, SIDE), {"comment": said})
    print(f"{options.output}, {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()

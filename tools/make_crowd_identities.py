"""Make the crowd that a swap's person is looked for in: mean embeddings of synthetic people.

    python tools/make_crowd_identities.py FOLDER [OUTPUT]

FOLDER holds one film for each person (NAME.mp4; NAME_mask.mkv is left out), one face in it. From
each film a few evenly spaced frames are embedded, and their mean is kept under the film's name.
OUTPUT is the file that the package ships when it is not given. The films of the shipped file are
renders of computer-made people, CC0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from understudy.evaluation.gauges.retrieval import SHIPPED, write_crowd
from understudy.faces.analyser import FaceAnalyser
from understudy.media.video import VideoReader
from understudy.settings import ScanSettings
from understudy.types import Floats, Image

FRAMES = 8
"""Evenly spaced frames of each film."""

ABOUT = {
    "source": "renders of computer-made people (MakeHuman meshes), 8 frames each",
    "licence": "CC0-1.0",
    "network": "dlib_face_recognition_resnet_model_v1, aligned by the face mesh",
}


def frames(path: Path, count: int) -> list[Image]:
    """Evenly spaced pictures of a film, RGB uint8 (height, width, 3)."""
    with VideoReader(path) as reader:
        images = [frame.image for frame in reader]
    places = np.linspace(0, len(images) - 1, count + 2)[1:-1]
    return [images[round(float(place))] for place in places]


def mean_embedding(analyser: FaceAnalyser, path: Path) -> Floats | None:
    """Mean embedding (128,) of the largest face of some frames; None where none is found."""
    found: list[Floats] = []
    for image in frames(path, FRAMES):
        faces = analyser.faces(image)
        if faces:
            found.append(analyser.embed(image, faces[0]))
    return np.mean(found, axis=0, dtype=np.float32) if found else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=SHIPPED)
    options = parser.parse_args()
    analyser = FaceAnalyser(ScanSettings())
    people: dict[str, Floats] = {}
    for path in sorted(options.folder.glob("*.mp4")):
        mean = mean_embedding(analyser, path)
        if mean is None:
            print(f"{path.name} left out: no face was found in it")
        else:
            people[path.stem] = mean
    if not people:
        parser.exit(1, f"There is no film with a face in {options.folder}.\n")
    write_crowd(options.output, people, ABOUT)
    print(f"{len(people)} people in {options.output}, {options.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()

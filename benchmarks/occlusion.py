"""What is in front of a face: is it found, and is anything else taken for it?

    python -m benchmarks.occlusion

On synthetic people whom the network has never seen, one thing is laid over each face, so that the
truth is known; some kinds of things it has never seen either. On films of real people with nothing
in front of them, all that is found is wrong; one has a fist before his face. Films are measured
where they are at hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tools.make_base import PROJECT
from tools.mask_network.covered import CROP, Bare, Sample, sample, skin_of
from tools.mask_network.hands import posed_hand
from tools.mask_network.train import MASK, apart, people

from benchmarks.common import SHARED, Line, Result, main, telling
from tools.mask_network import occluders, worn
from understudy.conversion.compositing.occlusion import certain, covers
from understudy.faces.align import core_alignment, transform_points
from understudy.faces.masks import face_mask
from understudy.faces.occlusion import SIDE, look, read, shipped
from understudy.media.images import read_image
from understudy.media.video import VideoReader
from understudy.settings import ScanSettings
from understudy.tracks.scan import scan
from understudy.types import Face, Floats, Frame

CLEAN = ("r01_*.mp4", "r12_*.mp4", "r15_*.mp4")
"""Clips of real people with nothing in front of them; the first of r15 wears glasses."""

FIST, FIST_FROM, FIST_TO = "r11_*.mp4", 16, 40
"""A clip of a real person, and the frames in which a fist hides most of the lower half of his
face."""

CORE_PART = (slice((CROP - SIDE) // 2, (CROP + SIDE) // 2),) * 2
"""Where the core lies in a stored crop's picture."""

Laid = tuple[Floats, Floats, Floats]
Lay = Callable[[Bare, int, np.random.Generator], Laid]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", type=int, default=120, help="synthetic faces of each kind")
    parser.add_argument("--project", type=Path, default=PROJECT)
    parser.add_argument("--mask", type=Path, default=MASK, help="work folder of make_mask")
    parser.add_argument("--network", type=Path, help="another one, for synthetic faces")


def thing(draw: Callable[[np.random.Generator], occluders.Drawing], own: bool = True) -> Lay:
    """Something drawn, held anywhere over the face; skin of the person's own colour or not."""

    def lay(faces: Bare, row: int, random: np.random.Generator) -> Laid:
        skin = faces.skins[row] * random.uniform(0.9, 1.1)
        if not own:
            other = random.uniform(40, 230, 3).astype(np.float32)
            skin = np.asarray(skin_of(other, faces.skins, random), np.float32)
        colour, alpha = occluders.placed(draw(random), skin, CROP, random)
        return colour, alpha, alpha

    return lay


def spectacles(faces: Bare, row: int, random: np.random.Generator) -> Laid:
    return worn.glasses(faces.meshes[row], CROP, random)


def cloth(faces: Bare, row: int, random: np.random.Generator) -> Laid:
    colour, alpha = worn.scarf(faces.meshes[row], CROP, random)
    return colour, alpha, alpha


def photo(stills: Sequence[Path]) -> Lay:
    """A piece of a photo in the shape of a blob."""
    pictures = [read_image(path) for path in stills]

    def lay(faces: Bare, row: int, random: np.random.Generator) -> Laid:
        picture = pictures[random.integers(len(pictures))]
        side = int(min(picture.shape[:2]) * random.uniform(0.3, 1.0))
        y, x = (int(random.integers(0, length - side + 1)) for length in picture.shape[:2])
        part = cv2.resize(
            picture[y : y + side, x : x + side], (CROP, CROP), interpolation=cv2.INTER_AREA
        )
        _, alpha = occluders.placed(occluders.blob(random), np.full(3, 128.0), CROP, random)
        return part.astype(np.float32), alpha, alpha

    return lay


def kinds() -> dict[str, Lay]:
    """What is laid over faces, by name."""
    found: dict[str, Lay] = {
        "hand in own skin": thing(occluders.hand),
        "hand in another skin": thing(occluders.hand, own=False),
        "fingers in own skin": thing(occluders.finger),
        "microphone": thing(occluders.microphone),
        "stick": thing(occluders.stick),
        "blob": thing(occluders.blob),
        "strands of hair": thing(occluders.strands),
        "glasses": spectacles,
        "cloth": cloth,
    }
    found |= {f"{name} (kind unseen)": thing(draw) for name, draw in occluders.UNSEEN.items()}
    stills = sorted((SHARED / "real" / "noface").glob("*"))
    if stills:
        found["piece of a photo (kind unseen)"] = photo(stills)
    found["posed hand in own skin"] = thing(posed_hand)
    return found


def synthetic(
    network: Any, everybody: Sequence[Bare], count: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each kind: overlap with the truth, and the shares found and wrongly taken."""
    for number, (name, lay) in enumerate(kinds().items()):
        random = np.random.default_rng((1, number))
        made: list[tuple[Bare, int, Sample]] = []
        while len(made) < count:
            faces = everybody[len(made) % len(everybody)]
            row = int(random.integers(len(faces)))
            made.append(
                (faces, row, sample(faces, row, [lay(faces, row, random)], random, worn=False))
            )
        likely, _ = look(network, [one.picture for _, _, one in made])
        both = either = true = wrong = clean = 0.0
        for (faces, row, one), chance in zip(made, likely, strict=True):
            face = faces.masks[row][CORE_PART] > 127
            cover = certain(chance, faces.masks[row][CORE_PART].astype(np.float32) / 255)
            found, truth = cover[face] > 0.5, one.laid[face] > 0.5
            both, either = both + (found & truth).sum(), either + (found | truth).sum()
            true, wrong = true + truth.sum(), wrong + (found & ~truth).sum()
            clean += (~truth).sum()
        yield name, {"iou": both / either, "found": both / true, "wrong": wrong / clean}


def bare_faces(network: Any, everybody: Sequence[Bare], count: int) -> float:
    """Share of the face that is lost where nothing is in front of it."""
    random = np.random.default_rng(2)
    lost = []
    for number in range(count):
        faces = everybody[number % len(everybody)]
        row = int(random.integers(len(faces)))
        one = sample(faces, row, [], random, worn=False)
        mask = faces.masks[row][CORE_PART]
        likely = look(network, [one.picture])[0][0]
        cover = certain(likely, mask.astype(np.float32) / 255)
        lost.append(float(cover[mask > 200].mean()))
    return float(np.mean(lost))


def film(path: Path, cache: Path) -> tuple[float, float, float, float]:
    """Of a clean film: share of the faces' area that is lost on average, share of faces of which
    more than a fiftieth is lost, change of the lost area from frame to frame, and
    milliseconds a face."""
    found = scan(path, cache, ScanSettings(), telling())
    lost: list[float] = []
    trail: dict[int, list[tuple[int, Floats]]] = {}
    group: list[tuple[Frame, list[Face]]] = []
    spent = 0.0

    def through() -> None:
        nonlocal spent
        began = time.process_time()
        seen = covers(group)
        spent += time.process_time() - began
        for (frame, faces), fronts in zip(group, seen, strict=True):
            for face, front in zip(faces, fronts, strict=True):
                points = transform_points(core_alignment(face.landmarks, SIDE), face.landmarks)
                inner = face_mask(points, SIDE, 0.0)
                taken = inner * 0 if front is None else front.cover * inner
                lost.append(float(taken.sum() / max(float(inner.sum()), 1)))
                trail.setdefault(face.track, []).append((frame.index, taken))
        group.clear()

    with VideoReader(path) as reader:
        for frame in reader:
            group.append((frame, found.faces(frame.index)))
            if len(group) == 16:
                through()
    through()
    changes = [
        float(np.abs(after - before).mean())
        for one in trail.values()
        for (first, before), (second, after) in pairwise(one)
        if second == first + 1
    ]
    return (
        float(np.mean(lost)),
        float(np.mean(np.array(lost) > 0.02)),
        float(np.mean(changes)),
        1000 * spent / len(lost),
    )


def fist(path: Path, cache: Path) -> tuple[float, float, int, int]:
    """Of a film with a fist before a face: share of the lower half of the inner face that is taken
    for covered while it is there, on average and at least; frames of the whole film in which more
    than a fiftieth of a face is, and frames in all."""
    found = scan(path, cache, ScanSettings(), telling())
    with VideoReader(path) as reader:
        frames = [(frame, found.faces(frame.index)) for frame in reader]
    lower: list[float] = []
    some: set[int] = set()
    for (frame, faces), fronts in zip(frames, covers(frames), strict=True):
        for face, front in zip(faces, fronts, strict=True):
            if front is None:
                continue
            points = transform_points(core_alignment(face.landmarks, SIDE), face.landmarks)
            inner = face_mask(points, SIDE, 0.0)
            if float((front.cover * inner).sum()) > 0.02 * float(inner.sum()):
                some.add(frame.index)
            if FIST_FROM <= frame.index <= FIST_TO:
                rows = np.flatnonzero((inner > 0.5).any(1))
                half = slice((rows[0] + rows[-1]) // 2 + 1, None)
                lower.append(float(front.cover[half][inner[half] > 0.5].mean()))
    return float(np.mean(lower)), min(lower), len(some), len(frames)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    network = shipped() if options.network is None else read(options.network)[0]
    everybody = people(options.project, options.mask)
    aside = [everybody[name] for name in apart(list(everybody))]
    lines: list[Line] = []
    values: dict[str, Any] = {}
    for name, figures in synthetic(network, aside, options.faces):
        values[name] = figures
        lines.append(
            Line(
                name,
                f"{figures['iou']:.2f}; found {100 * figures['found']:.0f} %, "
                f"wrongly {100 * figures['wrong']:.1f} %",
            )
        )
    values["nothing"] = bare_faces(network, aside, 2 * options.faces)
    lines.append(Line("nothing: face lost", f"{100 * values['nothing']:.2f} %", "nought"))
    clips = SHARED / "real"
    films = [path for one in CLEAN for path in sorted((clips / "clips").glob(one))]
    films += sorted((clips / "grid_raw").glob("*.mpg"))
    cache = folder / "work" / "occlusion"
    for path in films:
        lost, many, change, spent = film(path, cache)
        values[path.stem] = {"lost": lost, "many": many, "change": change, "milliseconds": spent}
        lines.append(
            Line(
                f"{path.stem}: face lost",
                f"{100 * lost:.2f} %, more than 2 % in "
                f"{100 * many:.0f} % of faces; {spent:.1f} ms a face",
                "nought",
            )
        )
    for path in sorted((clips / "clips").glob(FIST)):
        mean, least, some, frames = fist(path, cache)
        values[path.stem] = {"lower": mean, "least": least, "frames": some, "of": frames}
        lines.append(
            Line(
                f"{path.stem}: lower half covered by a fist",
                f"{100 * mean:.0f} %, at least {100 * least:.0f} %; "
                f"something found in {some} of {frames} frames",
            )
        )
    return Result(lines, values)


if __name__ == "__main__":
    main("occlusion", __doc__, add_arguments, measure)

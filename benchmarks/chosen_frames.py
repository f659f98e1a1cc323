"""Frame by frame: was the chosen face changed, and nothing else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import untouched
from benchmarks.common import Line
from benchmarks.whereabouts import CLIPS, Place, middle, owner
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.blazeface import overlap
from understudy.faces.masks import face_mask
from understudy.media.contact_sheet import grid, sheet, write_still
from understudy.media.video import VideoReader
from understudy.tracks.matching import mean_identity
from understudy.types import Face, Floats, Frame, Image

BESIDE = 0.25
"""Widths of a face from which two meshes that overlap do not lie on the same place."""

CHANGED = 0.25
"""Share of a face's samples from which the face counts as changed."""

EVERY = 10
"""Frames between two from which a person's identity is measured."""

FLASH = 0.5
"""Seconds: a longer change back and forth is no flash."""

SHOWN = 24
"""Pictures on a sheet, at most."""


@dataclass(frozen=True)
class Clip:
    """A clip as a row of single pictures.

    Attributes:
        path: where it lies.
        people: who is where.
        faces: of every frame, by its index, each with whose it is; None for somebody else's.
        identities: mean embedding of everybody in `people`.
        rate: frames a second.
    """

    path: Path
    people: Mapping[str, tuple[Place, ...]]
    faces: Mapping[int, Sequence[tuple[str | None, Face]]]
    identities: Mapping[str, Floats]
    rate: float

    @classmethod
    def of(cls, path: Path, analyser: FaceAnalyser) -> Clip:
        people = CLIPS[path.name]
        faces: dict[int, list[tuple[str | None, Face]]] = {}
        measured: dict[str, list[Floats]] = {name: [] for name in people}
        with VideoReader(path) as reader:
            rate = float(reader.info.rate or 25)
            for frame in reader:
                image = frame.image
                own = [
                    (owner(people, frame.index, middle(face) / image.shape[1]), face)
                    for face in analyser.faces(image)
                ]
                faces[frame.index] = own
                for name, face in own:
                    if name is not None and (frame.index % EVERY == 0 or not measured[name]):
                        measured[name].append(analyser.embed(image, face))
        identities = {name: mean_identity(np.stack(rows)) for name, rows in measured.items()}
        return cls(path, people, faces, identities, rate)

    @property
    def name(self) -> str:
        return self.path.stem.split("_")[0]


@dataclass(frozen=True)
class Fault:
    """Frames that are not as they should be."""

    found: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)
    flashes: list[int] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    """How one conversion kept to who was chosen.

    Attributes:
        clip, chosen: what was converted, and whose face was to change.
        frames: in the clip; the chosen face was found in `found` of them, changed in `changed`.
        samples: changed outside.
        flashes: runs.
        faults: by frame; `found` are those in which the chosen face was found and not changed.
    """

    clip: str
    chosen: str
    frames: int
    found: int
    changed: int
    samples: int
    flashes: int
    faults: Fault

    def lines(self) -> list[Line]:
        bad = self.faults
        value = (
            f"{self.changed} of {self.found} changed; others {len(bad.others)} frames; "
            f"outside {self.samples} samples; flashes {self.flashes}; beside {len(bad.beside)}"
        )
        lines = [Line(f"{self.clip}, {self.chosen}", value, "all; 0; 0; 0; 0")]
        words = {"found": "found, not changed", "others": "others changed"}
        for name, frames in asdict(bad).items():
            if frames:
                lines.append(Line(f"... {words.get(name, name)}, frames", runs_in_words(frames)))
        return lines


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of every run of numbers that follow one another."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def runs_in_words(numbers: Sequence[int]) -> str:
    """Such as `3, 8-12`."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs(numbers))


def flashes(changed: Sequence[int], there: Sequence[int], longest: int) -> list[tuple[int, int]]:
    """Runs of at most `longest` frames in which a face flashes.

    Args:
        changed: frames in which the face was changed.
        there: frames in which it was found, changed or not.

    Returns:
        First and last frame of runs in which it was not changed though it was changed before and
        after and was there in between; and of runs in which it was, though it was there
        unchanged right before and right after.
    """
    on, seen = runs(changed), set(there)
    off = [(one[1] + 1, two[0] - 1) for one, two in pairwise(on)]
    back = [
        (first, last)
        for first, last in off
        if last - first < longest and not seen.isdisjoint(range(first, last + 1))
    ]
    shown = set(changed)
    forth = [
        (first, last)
        for first, last in on
        if last - first < longest and first - 1 in seen - shown and last + 1 in seen - shown
    ]
    return sorted(back + forth)


def beside(face: Face, alone: Sequence[Face]) -> bool:
    """Whether a face lies elsewhere than the one of the single picture that it overlaps most;
    where it overlaps none, nothing is known."""
    if not alone:
        return False
    over = overlap(np.array(face.box), np.array([other.box for other in alone]))
    nearest = alone[int(over.argmax())]
    way = face.landmarks[:, :2].mean(0) - nearest.landmarks[:, :2].mean(0)
    return bool(over.max() > 0 and np.linalg.norm(way) > BESIDE * (face.box[2] - face.box[0]))


@dataclass
class Looked:
    """What was seen of a conversion until now.

    Attributes:
        chosen: whose faces are to change; None for people without a name.
        pictures: kept for a sheet, by frame.
    """

    clip: Clip
    chosen: set[str | None] | set[str]
    pictures: dict[int, Image]
    there: dict[str | None, list[int]] = field(default_factory=dict)
    changed: dict[str | None, list[int]] = field(default_factory=dict)
    faults: Fault = field(default_factory=Fault)
    found: int = 0
    right: int = 0
    samples: int = 0

    def frame(
        self, frame: Frame, there: Sequence[Face], differ: Sequence[NDArray[np.bool_]]
    ) -> None:
        """Compare one frame.

        Args:
            there: faces that the conversion was to change, where it sees them.
            differ: where each plane of the picture is not what it was.
        """
        index, alone = frame.index, self.clip.faces[frame.index]
        own = [face for who, face in alone if who in self.chosen]
        reach = [untouched.beyond(there, frame, plane.shape) for plane in differ]
        stray = sum(int((plane & out).sum()) for plane, out in zip(differ, reach, strict=True))
        self.samples += stray
        if stray:
            self.faults.outside.append(index)
        for who, face in alone:
            inside = _inner(face, differ[0].shape)
            share = float(differ[0][inside].mean()) if inside.any() else 0.0
            if who in self.chosen:
                self.there.setdefault(who, []).append(index)
                if share >= CHANGED:
                    self.changed.setdefault(who, []).append(index)
            elif share > 0 and (differ[0] & inside & ~_reached(own, frame)).any():
                self.faults.others.append(index)
        seen = [self.there.get(who, [-1])[-1] == index for who in self.chosen]
        done = [self.changed.get(who, [-1])[-1] == index for who in self.chosen]
        self.found += any(seen)
        self.right += any(seen) and seen == done
        if seen != done:
            self.faults.found.append(index)
        if any(beside(face, [other for _, other in alone]) for face in there):
            self.faults.beside.append(index)

    def keep(self, index: int, picture: Image) -> None:
        height, width = picture.shape[:2]
        small = cv2.resize(
            picture, (round(240 * width / height), 240), interpolation=cv2.INTER_AREA
        )
        self.pictures[index] = np.asarray(small, np.uint8)

    def summed(self, words: str) -> Kept:
        longest = round(FLASH * self.clip.rate)
        flashing = [
            run
            for who in self.chosen
            if who is not None
            for run in flashes(self.changed.get(who, []), self.there.get(who, []), longest)
        ]
        self.faults.flashes.extend(i for a, b in flashing for i in range(a, b + 1))
        return Kept(
            self.clip.name,
            words,
            len(self.clip.faces),
            self.found,
            self.right,
            self.samples,
            len(flashing),
            self.faults,
        )

    def draw(self, path: Path, kept: Kept) -> None:
        """A sheet of the faults, and of frames evenly through the clip."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        shown = {name: frames for name, frames in asdict(kept.faults).items() if frames}
        shown["evenly"] = sorted(self.pictures)[:: max(1, len(self.pictures) // SHOWN)]
        for name, frames in shown.items():
            some = sorted(set(frames))[:: max(1, len(set(frames)) // SHOWN)][:SHOWN]
            pictures = [_numbered(self.pictures[i], i) for i in some]
            rows += grid(f"{kept.clip}, {kept.chosen}: {name}", pictures, 6)
        write_still(path, sheet(rows, 240), {})


def _numbered(picture: Image, index: int) -> Image:
    side = max(picture.shape[:2])
    square = np.zeros((side, side, 3), np.uint8)
    square[: picture.shape[0], : picture.shape[1]] = picture
    cv2.putText(square, str(index), (4, side - 8), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 0), 2)
    return square


def _inner(face: Face, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Samples of the first plane within the inner face."""
    height, width = shape[:2]
    return np.asarray(face_mask(face.landmarks, max(shape), 0.0)[:height, :width] > 0.5, np.bool_)


def _reached(faces: Sequence[Face], frame: Frame) -> NDArray[np.bool_]:
    """Samples that belong to one of these faces, as far as a swap may reach."""
    shape = frame.picture.height, frame.picture.width
    return ~untouched.beyond(faces, frame, shape)

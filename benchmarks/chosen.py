"""Does a conversion change the chosen face, in every frame, and nobody else's?

    python -m benchmarks.chosen --project FOLDER --model NAME --comes ada chen
    python -m benchmarks.chosen --sheets FOLDER

Clips of real people, where they are at hand: two side by side, three in hard cuts, crowds that
walk or turn past the camera. Each person is chosen in turn and becomes somebody computer-made; the
tracks file that `understudy tracks` makes is given to the conversion. `alone` in a row: only the
chosen one was known to the program, else everybody in the clip was.

What ought to happen is known from outside of the program's tracks: who stands where from when to
when was written down by eye (`CLIPS`), and every frame is looked at once more by itself, as a
single picture. Frame by frame, in the picture's own planes before label, mark and encoder:

- found: frames in which the chosen face was found in the single picture, and how many of these
  were changed there;
- others: frames in which anybody else's face was changed, be it by a sample;
- outside: samples changed beyond the reach of the faces that were to be changed;
- flashes: runs of at most half a second in which a face that goes on being there changes back, or
  in which one that was there before and after is changed;
- beside: frames in which the swap lies where the single picture's face does not.

Pictures of faults, and of some frames without, are only made when a folder is named with --sheets:
these are real people, who never agreed to be shown so.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import untouched
from benchmarks.common import SHARED, Line, Missing, Result, footage, main, studio, telling
from benchmarks.swap import PEOPLE
from understudy import Project
from understudy.casting import Ask, cast_of, look_for, mean_identities, plan
from understudy.contact import grid, sheet, write_still
from understudy.faces.analyser import FaceAnalyser
from understudy.faces.blazeface import overlap
from understudy.faces.masks import face_mask
from understudy.matching import EVERYBODY, match_tracks, mean_identity
from understudy.media import planes
from understudy.media.lay import lay
from understudy.media.video import VideoReader
from understudy.mending import mend
from understudy.orders import NONE, load_orders, write_orders
from understudy.progress import silent
from understudy.render import swapped
from understudy.scan import scan
from understudy.steadying import Steady
from understudy.types import Face, Floats, Frame, Image

BESIDE = 0.25
"""Widths of a face from which two meshes that overlap do not lie on the same place."""

CHANGED = 0.25
"""Share of a face's samples from which the face counts as changed."""

FLASH = 0.5
"""Seconds: a longer change back and forth is no flash."""

EVERY = 10
"""Frames between two from which a person's identity is measured."""

SHOWN = 24
"""Pictures on a sheet, at most."""


@dataclass(frozen=True)
class Place:
    """Frames `first` to `last`, both included, in which somebody's face has its middle between
    the columns `left` and `right` (shares of the width), and nobody else's has. A face that the
    border cuts may have its middle beyond 0 and 1."""

    first: int
    last: int
    left: float = 0.0
    right: float = 1.0

    def holds(self, index: int, across: float) -> bool:
        left = self.left if self.left > 0 else -np.inf
        right = self.right if self.right < 1 else np.inf
        return self.first <= index <= self.last and left <= across < right


CLIPS: dict[str, dict[str, tuple[Place, ...]]] = {
    "r02_grid_two_people_composite.mp4": {
        "left": (Place(0, 149, 0, 0.5),),
        "right": (Place(0, 149, 0.5, 1),),
    },
    "r12_two_people_headpose_small.mp4": {
        "left": (Place(0, 55, 0, 0.5),),
        "right": (Place(0, 55, 0.5, 1),),
    },
    "r15_grid_three_people_shotcuts.mp4": {
        "first": (Place(0, 74),),
        "second": (Place(75, 149),),
        "third": (Place(150, 224),),
    },
    "r09_cyclists_rotation_metadata.mp4": {
        "glasses": (
            Place(0, 40),
            Place(41, 51, 0.5, 1),
            Place(126, 138, 0.5, 1),
            Place(139, 215),
            Place(216, 218, 0.6, 1),
            Place(264, 285, 0.5, 1),
            Place(286, 334),
            Place(440, 480),
        ),
        "hood": (
            Place(41, 51, 0, 0.5),
            Place(52, 70),
            Place(71, 76, 0.4, 1),
            Place(106, 125),
            Place(126, 138, 0, 0.5),
            Place(216, 218, 0, 0.6),
            Place(219, 230),
            Place(258, 263),
            Place(264, 285, 0, 0.5),
        ),
        "hair": (Place(71, 76, 0, 0.4), Place(77, 105), Place(231, 257)),
    },
    "r14_hikers_small_faces.mp4": {
        "woman": (
            Place(0, 95, 0.28, 0.58),
            Place(96, 109, 0.5, 0.8),
            Place(110, 117, 0.6, 0.87),
            Place(118, 132, 0.62, 1),
        ),
        "sunglasses": (Place(88, 109, 0.8, 1), Place(110, 117, 0.87, 1)),
        "white cap": (Place(340, 402, 0.44, 0.72), Place(403, 460, 0.66, 1)),
        "blue hat": (
            Place(396, 433, 0.28, 0.4),
            Place(434, 460, 0.3, 0.535),
            Place(461, 499, 0.3, 1),
        ),
    },
}
"""Who is where, by eye. People whom the clip shows too small to tell are not in it."""


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", type=Path, help="with a trained model of who comes")
    parser.add_argument("--model", help="of the project")
    parser.add_argument("--comes", nargs="+", default=list(PEOPLE), help="who comes, in turns")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training without --project")
    parser.add_argument("--clips", nargs="+", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--sheets", type=Path, help="folder for pictures of the faults")


def measure(options: argparse.Namespace, folder: Path) -> Result:
    clips = {name: SHARED / "real" / "clips" / name for name in options.clips}
    if absent := [path for path in clips.values() if not path.is_file()]:
        raise Missing(f"{absent[0]} is not there")
    project, model = trained(options, folder)
    work = folder / "work" / "chosen"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    analyser = FaceAnalyser(project.settings.scan)
    kept: list[Kept] = []
    lines: list[Line] = []
    for name, path in clips.items():
        cast = Clip.of(path, analyser)
        conversions = Conversions(project, model, cast, options.comes, work, options.sheets)
        for one in conversions.each():
            kept.append(one)
            lines += one.lines()
            print("\n".join(f"  {line.what}: {line.value}" for line in one.lines()), flush=True)
        if name.startswith("r15"):
            lines.append(conversions.each_their_own())
            print(f"  {lines[-1].what}: {lines[-1].value}", flush=True)
    shutil.rmtree(work)
    return Result(lines, {"kept": [asdict(one) for one in kept]})


def trained(options: argparse.Namespace, folder: Path) -> tuple[Project, str]:
    """The project and its model; made and trained when none was given."""
    if options.project is not None:
        project = Project.open(options.project)
        return project, project.model(options.model)
    project = studio(folder / "work" / "duo", {name: footage(name) for name in PEOPLE})
    project.train(PEOPLE, "chosen", telling(), minutes=options.minutes)
    return project, "chosen"


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


def middle(face: Face) -> float:
    """Column of the middle of a face, pixels."""
    return (face.box[0] + face.box[2]) / 2


def owner(people: Mapping[str, Sequence[Place]], index: int, across: float) -> str | None:
    """Whose face has its middle at `across` (share of the width) in a frame."""
    for name, places in people.items():
        if any(place.holds(index, across) for place in places):
            return name
    return None


@dataclass(frozen=True)
class Conversions:
    """One clip, converted in all ways.

    Attributes:
        comes: who comes, in turns.
        work: folder for tracks files; `sheets` for pictures, if any.
    """

    project: Project
    model: str
    clip: Clip
    comes: Sequence[str]
    work: Path
    sheets: Path | None

    def each(self) -> Iterator[Kept]:
        """Everybody in turn, among known people and alone; then all at once."""
        for number, name in enumerate(self.clip.people):
            comes = self.comes[number % len(self.comes)]
            for words, known in (("", self.clip.identities), (", alone", self._only(name))):
                tracks = self.chosen_tracks({name}, known)
                yield self.compared({name: comes}, tracks, f"{name}{words}")
        yield self.compared({}, None, "everybody")

    def _only(self, name: str) -> dict[str, Floats]:
        return {name: self.clip.identities[name]}

    def chosen_tracks(self, names: set[str], known: Mapping[str, Floats]) -> dict[int, str]:
        """Tracks that are taken for one of `names`, as `convert --replace` decides."""
        own = self.project.settings
        found = mend(scan(self.clip.path, self.project.cache_folder, own.scan, silent()))
        matches = match_tracks(
            found.tracks,
            {**mean_identities(self.project, []), **known},
            names,
            own.convert.same_person,
            together=found.together,
            brief=found.brief,
        )
        return {match.track: match.as_ for match in matches if match.as_ is not None}

    def tracks_file(self, persons: Mapping[int, str]) -> Path:
        """A tracks file in which these persons come in these tracks, and nobody else does."""
        path = self.work / f"{self.clip.name}.tracks.toml"
        path.unlink(missing_ok=True)
        orders = load_orders(self.project.tracks(self.clip.path, {}, path).file)
        track = tuple(
            order.model_copy(update={"person": persons.get(order.number, NONE)})
            for order in orders.track
        )
        write_orders(path, orders.model_copy(update={"track": track}))
        return path

    def compared(
        self, swaps: Mapping[str, str], tracks: Mapping[int, str] | None, words: str
    ) -> Kept:
        """Convert and compare; everybody's face when there are no tracks."""
        chosen = set(swaps) if tracks is not None else {*self.clip.people, None}
        if tracks is not None and not tracks:
            found = [i for i, faces in self.clip.faces.items() if chosen & {o for o, _ in faces}]
            return Kept(
                self.clip.name, words, len(self.clip.faces), len(found), 0, 0, 0, Fault(found)
            )
        persons = None if tracks is None else {n: swaps[who] for n, who in tracks.items()}
        looked = Looked(self.clip, chosen, {})
        for frame, there, differ, picture in self.rendered(persons):
            looked.frame(frame, there, differ)
            if self.sheets is not None:
                looked.keep(frame.index, picture)
        kept = looked.summed(words)
        if self.sheets is not None:
            looked.draw(self.sheets / f"{self.clip.name}-{words.replace(', ', '-')}.png", kept)
        return kept

    def rendered(
        self, persons: Mapping[int, str] | None
    ) -> Iterator[tuple[Frame, list[Face], list[NDArray[np.bool_]], Image]]:
        """Every frame with the faces that are to be changed, where each of its planes differs,
        and the changed picture."""
        own, clip = self.project.settings, self.clip
        ask = Ask(clip.path, {EVERYBODY: self.comes[0]}, self.model, own.convert, own.scan)
        if persons is not None:
            file = self.tracks_file(persons)
            ask = Ask(clip.path, {}, self.model, own.convert, own.scan, tracks=file)
        planned = plan(self.project, ask, silent())
        seen = look_for(self.project, planned, silent())
        cast = cast_of(planned.drawers, seen.matches)
        tracks = {match.track for match in seen.matches if match.chosen}
        steady = Steady(seen.found, own.convert.steady)
        with VideoReader(clip.path) as reader:
            for frame, patches in swapped(reader, steady, cast, own.convert.segment):
                laid = lay(frame.picture, patches)
                pairs = zip(planes.arrays(frame.picture), planes.arrays(laid), strict=True)
                differ = [np.asarray(before != after, np.bool_) for before, after in pairs]
                there = [face for face in steady(frame.index) if face.track in tracks]
                yield frame, there, differ, frame.to_rgb(laid)

    def each_their_own(self) -> Line:
        """One tracks file for three people: the first two become somebody, the third stays."""
        names = list(self.clip.people)
        both = self.chosen_tracks(set(names[:2]), self.clip.identities)
        given = dict(zip(names, self.comes, strict=False))
        alone = {
            name: self._prints({n: given[o] for n, o in both.items() if o == name})
            for name in names[:2]
        }
        together = self._prints({n: given[o] for n, o in both.items()})
        source = self._source()
        right = sum(
            together[i] == (alone[o][i] if (o := self._shows(i)) in alone else source[i])
            and (o not in alone or together[i] != source[i])
            for i in together
        )
        text = f"{right} of {len(together)} frames"
        return Line(f"{self.clip.name}, each gets or keeps their own", text, "all")

    def _shows(self, index: int) -> str | None:
        return owner(self.clip.people, index, 0.5)

    def _prints(self, persons: Mapping[int, str]) -> dict[int, str]:
        return {
            frame.index: hashlib.sha256(picture.tobytes()).hexdigest()
            for frame, _, _, picture in self.rendered(persons)
        }

    def _source(self) -> dict[int, str]:
        with VideoReader(self.clip.path) as reader:
            return {f.index: hashlib.sha256(f.image.tobytes()).hexdigest() for f in reader}


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


if __name__ == "__main__":
    main("chosen", __doc__, add_arguments, measure)

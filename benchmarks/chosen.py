"""Does a conversion change the chosen face, in every frame, and nobody else's?

    python -m benchmarks.chosen --project FOLDER --model NAME --comes ada chen
    python -m benchmarks.chosen --sheets FOLDER

Clips of real people, where they are at hand: two side by side, three in hard cuts, crowds that
walk or turn past the camera. Each person is chosen in turn and becomes somebody computer-made; the
tracks file that `understudy tracks` makes is given to the conversion. `alone` in a row: only the
chosen one was known to the program, else everybody in the clip was.

What ought to happen is known from outside of the program's tracks: who stands where from when to
when was written down by eye (`whereabouts.CLIPS`), and every frame is looked at once more by
itself, as a single picture. Frame by frame, in the picture's own planes before label, mark and
encoder:

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
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.chosen_frames import Clip, Fault, Kept, Looked
from benchmarks.common import SHARED, Line, Missing, Result, footage, main, studio, telling
from benchmarks.swap import PEOPLE
from benchmarks.whereabouts import CLIPS, owner
from understudy import Project
from understudy.conversion.plan import cast_of, look_for, mean_identities, plan
from understudy.conversion.render import swapped
from understudy.conversion.request import ConversionRequest
from understudy.faces.analyser import FaceAnalyser
from understudy.media import planes
from understudy.media.overlay import lay
from understudy.media.video import VideoReader
from understudy.progress import silent
from understudy.tracks.identify import Search, identify
from understudy.tracks.matching import EVERYBODY
from understudy.tracks.smoothing import Steady
from understudy.tracks.tracks_file import NONE, load_orders, write_orders
from understudy.types import Face, Floats, Frame, Image


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
        people = {**mean_identities(self.project, []), **known}
        search = Search(self.project.cache_folder, own.scan, own.convert.same_person)
        found = identify(self.clip.path, people, replace=names, search=search, progress=silent())
        return {match.track: match.as_ for match in found.matches if match.as_ is not None}

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
        request = ConversionRequest(
            film=clip.path,
            swaps={EVERYBODY: self.comes[0]} if persons is None else {},
            model=self.model,
            settings=own.convert,
            scan=own.scan,
            tracks=None if persons is None else self.tracks_file(persons),
        )
        planned = plan(self.project, request, silent())
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


if __name__ == "__main__":
    main("chosen", __doc__, add_arguments, measure)

"""The gauges over the frames of a film."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from understudy.evaluation import metrics
from understudy.evaluation.frame_measures import Embed, Shown
from understudy.evaluation.gauges.blinks import blinks
from understudy.evaluation.gauges.detail import DetailSum
from understudy.evaluation.gauges.footage import FootageSum
from understudy.evaluation.gauges.jumps import SIDE as STEP_SIDE
from understudy.evaluation.gauges.jumps import change, jumps, notable, steady_mesh
from understudy.evaluation.gauges.likeness import likeness
from understudy.evaluation.gauges.perceptual import SIDE as NET_SIDE
from understudy.evaluation.gauges.perceptual import Perceptual
from understudy.evaluation.gauges.regions import regions
from understudy.evaluation.gauges.retrieval import retrieval
from understudy.evaluation.gauges.seen import Apart, Seen, Steps
from understudy.faces.align import alignment, core_alignment, transform_points, warp
from understudy.faces.masks import face_mask
from understudy.faces.openings import eye_opening
from understudy.facesets.faceset import Faceset
from understudy.types import Face, Floats, Image

CLOSELY = 50
"""Frames that are looked at closely, at most, evenly spaced; the rest say nothing new."""


@dataclass(frozen=True)
class Subject:
    """Who should be seen.

    Attributes:
        source, target: names of the source and the target; no target where
            it was everyone.
        people: mean embedding (128,) by name, of everyone among whom the source must be found.
        faceset: of the source, where there is one.
    """

    source: str
    target: str | None
    people: Mapping[str, Floats]
    faceset: Faceset | None


@dataclass(frozen=True)
class Means:
    """The networks that the gauges use.

    Attributes:
        face_at: frame index -> the face that was replaced; also of frames that are not measured.
        embed: image and face -> identity embedding (128,).
        perceptual: None where it is not measured.
    """

    face_at: Callable[[int], Face | None]
    embed: Embed
    perceptual: Perceptual | None = None


@dataclass(frozen=True)
class _Before:
    """The frame before: its track, the face's mask in its crops, and those by film."""

    index: int
    track: int
    mask: Floats
    crops: Mapping[str, Image]


class Watcher:
    """Looks at one frame after another, for `evaluation.frame_measures.walk` to show them to.

    Args:
        closely: every n-th frame is measured closely, see `closely`.
        every: frames from one that is measured to the next.
    """

    def __init__(self, subject: Subject, means: Means, closely: int, every: int = 1) -> None:
        self._subject, self._means = subject, means
        self._closely, self._every = closely, every
        self._footage = FootageSum(subject.faceset) if subject.faceset else None
        self._detail, self._untouched = DetailSum(), DetailSum()
        self._apart: list[list[float]] = []
        self._before: _Before | None = None
        self._seconds: list[float] = []
        self._changes: dict[str, list[float | None]] = {"film": [], "swap": [], "truth": []}
        self._lids: dict[str, list[tuple[float, float]]] = {"swap": [], "truth": []}
        self._embedded: list[tuple[Floats, Floats | None]] = []
        self._frames = 0

    def __call__(self, shown: Shown) -> None:
        """Take a frame in. Raises FacesError or MediaError when a faceset's picture is damaged."""
        if len(self._seconds) % self._closely == 0:
            self._look_closely(shown)
        self._seconds.append(shown.seconds)
        self._follow(shown)
        for name, face in (("swap", shown.swap_face), ("truth", shown.true_face)):
            if face is not None:
                self._lids[name].append((_lids(shown.face), _lids(face)))
        if shown.embedding is not None:
            true: Floats | None = None
            if shown.truth is not None and shown.true_face is not None:
                known = shown.true_face.embedding
                true = self._means.embed(shown.truth, shown.true_face) if known is None else known
            self._embedded.append((shown.embedding, true))

    def result(self, notes: tuple[str, ...] = ()) -> Seen:
        """The figures of all frames. `notes`: what could not be measured, and why."""
        subject, people = self._subject, self._subject.people
        swaps = [swap for swap, _ in self._embedded]
        trues = [true for _, true in self._embedded if true is not None]
        seconds, changes = self._seconds, self._changes
        apart = [metrics.mean([pair[n] for pair in self._apart]) for n in (0, 1)]
        return Seen(
            detail=self._detail.result(),
            untouched=self._untouched.result(),
            footage=self._footage.result() if self._footage else None,
            likeness=likeness(
                swaps,
                [true for _, true in self._embedded],
                people.get(subject.source),
                people.get(subject.target or ""),
            ),
            retrieval=retrieval(swaps, subject.source, people),
            true_retrieval=retrieval(trues, subject.source, people) if trues else None,
            perceptual=None if None in apart else Apart(*(float(one or 0) for one in apart)),
            blinks=blinks(*_apart(self._lids["swap"])),
            true_blinks=blinks(*_apart(self._lids["truth"])),
            steps=Steps(
                film=jumps(changes["film"], seconds),
                swap=jumps(changes["swap"], seconds),
                truth=jumps(changes["truth"], seconds),
                jumps_at=tuple(notable(changes["swap"], changes["film"], seconds)),
            ),
            frames=self._frames,
            notes=notes,
        )

    def _look_closely(self, shown: Shown) -> None:
        self._frames += 1
        if self._footage is not None and shown.swap_face is not None:
            self._footage.add(shown.swap, shown.swap_face)
        if shown.truth is None:
            return
        faces = [face for face in (shown.true_face, shown.face) if face is not None]
        where = regions([face.landmarks for face in faces], shown.film.shape, shown.masks)
        if where is not None:
            self._detail.add(shown.truth, shown.swap, where)
            self._untouched.add(shown.truth, shown.film, where)
        if self._means.perceptual is not None:
            matrix = core_alignment(shown.face.landmarks, NET_SIDE)
            truth, *others = (
                warp(image, matrix, NET_SIDE) for image in (shown.truth, shown.swap, shown.film)
            )
            mask = face_mask(transform_points(matrix, shown.face.landmarks), NET_SIDE)
            self._apart.append(self._means.perceptual.distances(truth, others, mask))

    def _follow(self, shown: Shown) -> None:
        """How far each film is from its frame before. All films lie in the film's alignment, so
        that a swap that slides over the head shows."""
        mesh = steady_mesh(self._means.face_at, shown.index)
        mesh = shown.face.landmarks if mesh is None else mesh
        matrix = alignment(mesh, STEP_SIDE)
        pictures = {"film": shown.film, "swap": shown.swap}
        if shown.truth is not None:
            pictures["truth"] = shown.truth
        crops = {name: warp(image, matrix, STEP_SIDE) for name, image in pictures.items()}
        mask = face_mask(transform_points(matrix, mesh), STEP_SIDE)
        now = _Before(shown.index, shown.face.track, mask, crops)
        before = self._before
        if before is not None and (
            before.track != now.track or before.index + self._every != now.index
        ):
            before = None
        for name, found in self._changes.items():
            if before is None or name not in crops:
                found.append(None)
            else:
                found.append(change(before.crops[name], crops[name], before.mask))
        self._before = now


def closely(frames: int) -> int:
    """The n with which every n-th of this many frames is measured closely."""
    return max(1, -(-frames // CLOSELY))


def _lids(face: Face) -> float:
    return sum(eye_opening(face.landmarks)) / 2


def _apart(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [one for one, _ in pairs], [other for _, other in pairs]

"""Measure a film, its swap and the truth together, frame by frame.

It only measures: `evaluate` decides which face counts and what the figures mean.
Films are matched by time since their first frame, because containers round timestamps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from understudy.errors import MediaError
from understudy.evaluation import metrics
from understudy.faces.align import alignment, transform_points, warp
from understudy.faces.masks import face_mask
from understudy.faces.openings import eye_opening, mouth_opening
from understudy.media.pixel_shape import rgb_of, shown
from understudy.media.video import VideoReader
from understudy.types import Box, Face, Floats, Frame, Image, Pose

STEADY_SIDE = 128
"""Side in pixels of the aligned crops that steadiness is measured on."""

SAME_PLACE = 0.3
"""Smallest overlap (intersection over union) of two boxes that show one face in two films."""


Embed = Callable[[Image, Face], Floats]
Aside = Callable[[Image, Face], float | None]


@dataclass(frozen=True)
class Look:
    """Measures of one face from the mesh: openings as in `metrics`, pose in degrees, and how far
    aside the eyes look, as in `Gaze`; None if not requested or not measurable."""

    mouth: float
    eyes: float
    pose: Pose
    gaze: float | None = None

    @classmethod
    def of(cls, face: Face, gaze: float | None = None) -> Self:
        left, right = eye_opening(face.landmarks)
        return cls(mouth_opening(face.landmarks), (left + right) / 2, face.pose, gaze)


@dataclass(frozen=True)
class Nearness:
    """How near one picture is to the truth, inside the mask."""

    psnr_db: float | None
    ssim: float | None


@dataclass(frozen=True)
class Moment:
    """All measurements of one frame; None where there was nothing to measure.

    Attributes:
        index: of the frame in the film.
        seconds: since the film's first frame.
        source, swap: the face in the film and in the swap.
        landmark_error: of the swap's face against the film's, see `metrics.landmark_error`.
        embedding: identity of the swap's face, where it was measured.
        source_residual, swap_residual: see `metrics.residual`; both through the film's
            alignment, so that a swap that slides over the head shows.
        truth, untouched: of the swap and of the film to the truth.
        box: of the film's face, pixels.
    """

    index: int
    seconds: float
    source: Look | None = None
    swap: Look | None = None
    landmark_error: float | None = None
    embedding: Floats | None = None
    source_residual: float | None = None
    swap_residual: float | None = None
    truth: Nearness | None = None
    untouched: Nearness | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Films:
    """The films that are compared.

    Attributes:
        film, swap: before and after conversion.
        start, end: the part of the film that was converted, seconds, end excluded; the swap
            then begins with the part's first frame.
        truth: what the swap should look like, if known.
        masks: grey films of the face; their union counts. When there are none, the union of
            our own masks of the film's and the truth's face does.
    """

    film: Path
    swap: Path
    truth: Path | None = None
    masks: tuple[Path, ...] = ()
    start: Fraction | None = None
    end: Fraction | None = None


@dataclass(frozen=True)
class Finders:
    """Which face counts in which frame.

    Attributes:
        film: frame index -> the face that was replaced.
        swap, truth: frame index and the film's face -> the same face there.
        embed: image and face -> identity embedding (128,).
        gaze: image and face -> how far aside the eyes look.
    """

    film: Callable[[int], Face | None]
    swap: Callable[[int, Face], Face | None]
    truth: Callable[[int, Face], Face | None]
    embed: Embed
    gaze: Aside = lambda image, face: None


@dataclass(frozen=True)
class Shown:
    """One frame that shows the face, for gauges that look closer.

    Attributes:
        index: of the frame in the film.
        seconds: since the film's first frame.
        film, swap, truth: the pictures, RGB uint8 of equal size; no truth where none is known.
        face, swap_face, true_face: the face in each of them, where it was found.
        masks: float32 (height, width), 0..1, where the face is, when that is known.
        embedding: identity of the swap's face, where it was measured.
    """

    index: int
    seconds: float
    film: Image
    swap: Image
    truth: Image | None
    face: Face
    swap_face: Face | None
    true_face: Face | None
    masks: tuple[Floats, ...]
    embedding: Floats | None


Show = Callable[[Shown], None]


class Follower:
    """Reads a film alongside another: the frame nearest in time, each frame decoded once."""

    def __init__(self, path: Path, leader: Path, slack: Fraction) -> None:
        self.path, self.leader, self.slack = path, leader, slack
        self._reader = VideoReader(path)
        self._frames: Iterator[Frame] = iter(())
        self._now: Frame | None = None
        self._next: Frame | None = None
        self._start = Fraction(0)

    def __enter__(self) -> Self:
        self._frames = iter(self._reader.__enter__())
        self._now = next(self._frames, None)
        self._next = next(self._frames, None)
        if self._now is not None:
            self._start = self._now.time
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.__exit__(kind, error, trace)

    def at(self, elapsed: Fraction) -> Frame:
        """The frame nearest to `elapsed` seconds after the first; `elapsed` never goes back.

        Raises MediaError when none is within the slack.
        """
        goal = self._start + elapsed
        while (
            self._now is not None
            and self._next is not None
            and abs(self._next.time - goal) <= abs(self._now.time - goal)
        ):
            self._now, self._next = self._next, next(self._frames, None)
        if self._now is None or abs(self._now.time - goal) > self.slack:
            raise MediaError(
                f"{self.path} has no frame at {float(elapsed):.3f} s, but {self.leader} has one.",
                "Give complete films of equal length and frame rate.",
            )
        return self._now

    def check_end(self) -> None:
        """Raises MediaError when more than one frame is left."""
        if self._next is not None and next(self._frames, None) is not None:
            raise MediaError(
                f"{self.path} is longer than {self.leader}.",
                "Give complete films of equal length and frame rate.",
            )


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared)


def counterpart(face: Face, others: Sequence[Face]) -> Face | None:
    """The face at the position of `face` in the same frame of another film; None without one."""
    best = max(others, key=lambda other: overlap(face.box, other.box), default=None)
    if best is None or overlap(face.box, best.box) < SAME_PLACE:
        return None
    return best


def grey(frame: Frame, film: Frame) -> Floats:
    """A mask film's frame as float32 (height, width), 0..1, in the shape of the film's `image`.

    Grey files hold plain weights from 0 to 255 and must not be stretched as video levels are. A
    mask that has the film's pixels has their shape too, whether its file can say so or not.
    """
    one, other = ((each.picture.width, each.picture.height) for each in (frame, film))
    if one == other and frame.pixel_aspect != film.pixel_aspect:
        aspect = film.pixel_aspect
        frame = replace(frame, to_rgb=rgb_of(aspect), pixel_aspect=aspect)
    if frame.picture.format.name == "gray":
        plain = np.asarray(frame.picture.to_ndarray(), np.uint8)
        return shown(plain, frame.pixel_aspect).astype(np.float32) / np.float32(255)
    return np.asarray(frame.image[..., 0], np.float32) / np.float32(255)


def mesh_mask(face: Face, shape: tuple[int, ...]) -> Floats:
    """Our own inner-face mask in the frame: float32 (height, width), 0..1."""
    whole = face_mask(face.landmarks[:, :2], max(shape[:2]))
    return whole[: shape[0], : shape[1]]


def _same_size(image: Image | Floats, path: Path, film: Image, leader: Path) -> None:
    if image.shape[:2] != film.shape[:2]:
        sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (image, film)]
        raise MediaError(
            f"{path} is {sizes[0]} pixels, but {leader} is {sizes[1]}.",
            "Give films of equal size.",
        )


@dataclass(frozen=True)
class _Crops:
    track: int
    source: Image
    swap: Image


def _crops(source: Image, swap: Image, face: Face) -> tuple[_Crops, Floats]:
    """Both films' aligned crops around the film's face, and the face's mask in them."""
    matrix = alignment(face.landmarks, STEADY_SIDE)
    points = transform_points(matrix, face.landmarks[:, :2])
    crops = _Crops(face.track, warp(source, matrix, STEADY_SIDE), warp(swap, matrix, STEADY_SIDE))
    return crops, face_mask(points, STEADY_SIDE)


def _truth_mask(
    masks: Sequence[tuple[Path, Floats]],
    films: Films,
    image: Image,
    faces: Sequence[Face | None],
) -> Floats:
    union = np.zeros(image.shape[:2], np.float32)
    for path, mask in masks:
        _same_size(mask, path, image, films.film)
        union = np.maximum(union, mask)
    if not masks:
        for face in faces:
            if face is not None:
                union = np.maximum(union, mesh_mask(face, image.shape))
    return union


def walk(
    films: Films,
    finders: Finders,
    every: int,
    identity_every: int,
    show: Show = lambda shown: None,
) -> Iterator[Moment]:
    """Measure every n-th frame of the films.

    Args:
        identity_every: embed every so many measured frames; faces that carry an embedding
            already cost nothing.
        show: is shown every measured frame with the face in the film.

    Raises:
        MediaError: a file cannot be read, or the films differ in size, length or timing.
    """
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(films.film, films.start, films.end))
        rate = reader.info.rate
        slack = max(Fraction(1, 1000), 1 / (2 * rate)) if rate else Fraction(1, 50)

        def follow(path: Path) -> Follower:
            return stack.enter_context(Follower(path, films.film, slack))

        swap = follow(films.swap)
        truth = follow(films.truth) if films.truth else None
        masks = [follow(path) for path in films.masks] if films.truth else []
        followers = [swap, *([truth] if truth else []), *masks]
        start: Fraction | None = None
        before: _Crops | None = None
        for count, frame in enumerate(reader):
            start = frame.time if start is None else start
            elapsed = frame.time - start
            there = [follower.at(elapsed) for follower in followers]
            if count % every:
                continue
            image, swapped = frame.image, there[0].image
            _same_size(swapped, films.swap, image, films.film)
            face = finders.film(frame.index)
            swap_face = finders.swap(there[0].index, face) if face else None
            embedding = None
            if swap_face is not None:
                embedding = swap_face.embedding
                if embedding is None and (count // every) % identity_every == 0:
                    embedding = finders.embed(swapped, swap_face)
            residuals: tuple[float | None, float | None] = (None, None)
            if face is None:
                before = None
            else:
                crops, inner = _crops(image, swapped, face)
                if before is not None and before.track == crops.track:
                    residuals = (
                        metrics.residual(crops.source, before.source, inner),
                        metrics.residual(crops.swap, before.swap, inner),
                    )
                before = crops
            nearness: list[Nearness | None] = [None, None]
            true, true_face, given = None, None, list[tuple[Path, Floats]]()
            if truth is not None and films.truth is not None:
                true = there[1].image
                _same_size(true, films.truth, image, films.film)
                given = [
                    (mask.path, grey(each, frame))
                    for mask, each in zip(masks, there[2:], strict=True)
                ]
                true_face = finders.truth(there[1].index, face) if face else None
                mask = _truth_mask(given, films, image, (face, true_face))
                nearness = [
                    Nearness(metrics.psnr(each, true, mask), metrics.ssim(each, true, mask))
                    for each in (swapped, image)
                ]
            if face is not None:
                show(
                    Shown(
                        index=frame.index,
                        seconds=float(elapsed),
                        film=image,
                        swap=swapped,
                        truth=true,
                        face=face,
                        swap_face=swap_face,
                        true_face=true_face,
                        masks=tuple(each for _, each in given),
                        embedding=embedding,
                    )
                )
            yield Moment(
                index=frame.index,
                seconds=float(elapsed),
                source=Look.of(face, finders.gaze(image, face)) if face else None,
                swap=Look.of(swap_face, finders.gaze(swapped, swap_face)) if swap_face else None,
                landmark_error=metrics.landmark_error(swap_face.landmarks, face.landmarks)
                if face and swap_face
                else None,
                embedding=embedding,
                source_residual=residuals[0],
                swap_residual=residuals[1],
                truth=nearness[0],
                untouched=nearness[1],
                box=face.box if face else None,
            )
        for follower in followers:
            follower.check_end()

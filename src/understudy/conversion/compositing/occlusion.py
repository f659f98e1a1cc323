"""Occlusion: keep objects in front of a face in front: hands, microphones, hair and glasses.

The network of `faces.occlusion` finds what covers a face in the film. Here this is made steady from
frame to frame, and the swap is made transparent there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from understudy.faces.align import core_alignment, transform_points, warp
from understudy.faces.masks import face_mask
from understudy.faces.occlusion import SIDE, look, shipped, understood
from understudy.types import Face, Floats, Frame, Image, Patch

BARELY, FULLY = 0.3, 0.75
"""Likelihoods from which a pixel is partly, and fully, covered."""

SURE = 0.85
"""A region that is nowhere this likely is noise, not an object."""

ENTRY, ENTRY_ABOVE = 0.3, 2.2
"""Length along the edge of the inner face over which a small thing comes in, at least, in square
roots of what it covers of the face; and for what comes in over its upper part. What lies on the
face like an island is glare or a shadow; so is what hangs on temple or forehead by a narrow neck,
while hair comes in broadly."""

UPPER = 0.35
"""Share of the inner face, measured from the top, that counts as its upper part."""

LARGE = 0.2
"""Share of the inner face from which a thing is not small, and counts however it comes in: a fist
may end within the face, and its edge may be faint."""

REACH = 3
"""Frames before and after that a frame is compared with."""

ALIKE = 6.0
"""Difference in codes between two pictures, smoothed, at which a neighbour counts little."""

COARSE = 32
"""Side in pixels at which covered areas are filled in."""

LITTLE = 0.02
"""Cover that is too small to matter."""


@dataclass(frozen=True)
class Cover:
    """The cover in front of one face in one frame.

    Attributes:
        cover: float32 (SIDE, SIDE), 0..1.
        matrix: float32 (2, 3), pixels of the frame -> pixels of `cover`.
    """

    cover: Floats
    matrix: Floats

    def seen(self, matrix: NDArray[np.floating], size: tuple[int, int]) -> Floats:
        """The cover in another picture of the frame; outside, its edge is repeated.

        Args:
            matrix: (2, 3), pixels of that picture -> pixels of the frame.
            size: its width and height.

        Returns:
            float32 (height, width), 0..1.
        """
        own = np.vstack([self.matrix.astype(np.float64), [0, 0, 1]])
        through = (own @ np.vstack([matrix, [0, 0, 1]]))[:2]
        shrunk = float(np.sqrt(abs(np.linalg.det(through[:, :2]))))
        cover = cv2.GaussianBlur(self.cover, (0, 0), 0.4 * shrunk) if shrunk > 1 else self.cover
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(cover, through, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(drawn, np.float32)

    def before(self, patch: Patch) -> Patch:
        """The patch with less alpha where it is covered."""
        height, width = patch.alpha.shape
        place = np.array([[1.0, 0.0, patch.x], [0.0, 1.0, patch.y]])
        seen = self.seen(place, (width, height))
        return replace(patch, alpha=np.asarray(patch.alpha * (1 - seen), np.float32))

    def away(self, crop: Image, matrix: NDArray[np.floating]) -> Image:
        """A crop in which covered areas are filled with colours of the face around them: to
        measure the face's light by.

        Args:
            crop: RGB uint8 (S, S, 3).
            matrix: (2, 3), pixels of the frame -> pixels of the crop.
        """
        side = crop.shape[0]
        back = np.linalg.inv(np.vstack([matrix.astype(np.float64), [0, 0, 1]]))[:2]
        clear = (1 - self.seen(back, (side, side)))[..., None]
        weighted = np.concatenate([crop * clear, clear], axis=2).astype(np.float32)
        small = cv2.resize(weighted, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        near, far = (cv2.GaussianBlur(small, (0, 0), COARSE * share) for share in (0.06, 0.25))
        spread = near + 0.02 * far
        fill = spread[..., :3] / np.maximum(spread[..., 3:], 1e-4)
        large = cv2.resize(fill, (side, side), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.rint(crop * clear + large * (1 - clear)).clip(0, 255), np.uint8)


@dataclass(frozen=True)
class Glance:
    """The cover of a face from one frame alone.

    Attributes:
        cover: float32 (SIDE, SIDE), 0..1.
        small: float32 (SIDE / 2, SIDE / 2, 3), RGB 0..255: what it was seen in, smoothed.
    """

    cover: Floats
    small: Floats

    @classmethod
    def of(cls, cover: Floats, crop: Image) -> Glance:
        """That of a crop, RGB uint8 (SIDE, SIDE, 3)."""
        half = cv2.resize(crop, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
        return cls(cover, cv2.blur(half, (3, 3)).astype(np.float32))


@dataclass(frozen=True)
class Around:
    """The neighbours of a group of frames, so that its covers do not depend on where it ends.

    Attributes:
        before, after: the frames on either side of the group, `REACH` of them where there are so
            many, with their faces. They are looked at and not drawn; those before need not be
            given when they were seen.
        seen: what was seen so far, by track and index of the frame. `covers` adds to it and
            forgets what is too far back to count: hand the same one on to the next group.
    """

    before: Sequence[tuple[Frame, Sequence[Face]]] = ()
    after: Sequence[tuple[Frame, Sequence[Face]]] = ()
    seen: dict[tuple[int, int], Glance] = field(default_factory=dict)


def covers(
    frames: Sequence[tuple[Frame, Sequence[Face]]],
    device: torch.device | None = None,
    bfloat16: bool = False,
    around: Around | None = None,
) -> list[list[Cover | None]]:
    """The cover of each face of each frame; None if there is none.

    Faces of a track in frames that follow each other steady one another.

    Args:
        around: the neighbouring frames; none when not given.

    Raises:
        WeightsError: the network cannot be read.
    """
    around = around or Around()
    first = frames[0][0].index if frames else 0
    for place in [place for place in around.seen if place[1] < first - REACH]:
        del around.seen[place]
    among = (*frames, *around.before, *around.after)
    work = [(frame, face) for frame, faces in among for face in faces]
    drawn = sum(len(faces) for _, faces in frames)
    matrices = [core_alignment(face.landmarks, SIDE) for _, face in work]
    places = [(face.track, frame.index) for frame, face in work]
    unseen = [number for number, place in enumerate(places) if place not in around.seen]
    glances = _glances([(*work[number], matrices[number]) for number in unseen], device, bfloat16)
    # By face, since two of one picture may both be without a track of their own.
    new = dict(zip(unseen, glances, strict=True))
    around.seen.update({places[number]: glance for number, glance in new.items()})
    steady = [
        steadied(new.get(number, around.seen[place]), _neighbours(place, around.seen))
        for number, place in enumerate(places[:drawn])
    ]
    found = iter(
        Cover(cover, matrix) if float(cover.max()) > LITTLE else None
        for cover, matrix in zip(steady, matrices[:drawn], strict=True)
    )
    return [[next(found) for _ in faces] for _, faces in frames]


def _glances(
    work: Sequence[tuple[Frame, Face, Floats]], device: torch.device | None, bfloat16: bool
) -> list[Glance]:
    """The cover of each face, given with its matrix from the frame to the crop."""
    crops = [warp(frame.image, matrix, SIDE) for frame, _, matrix in work]
    likely, shown = look(shipped(), crops, device, bfloat16)
    result = []
    for (_, face, matrix), crop, covered, visible in zip(work, crops, likely, shown, strict=True):
        inner = face_mask(transform_points(matrix, face.landmarks), SIDE, 0.0)
        sure = understood(covered, visible, inner)
        cover = certain(covered, inner) if sure else np.zeros_like(inner)
        result.append(Glance.of(cover, crop))
    return result


def _neighbours(
    place: tuple[int, int], seen: Mapping[tuple[int, int], Glance]
) -> list[tuple[int, Glance]]:
    """Distance in frames, and the cover there, in the order of the film."""
    track, frame = place
    steps = [step for step in range(-REACH, REACH + 1) if step]
    return [
        (abs(step), seen[track, frame + step]) for step in steps if (track, frame + step) in seen
    ]


def certain(likely: Floats, inner: Floats) -> Floats:
    """Likelihoods made a cover: steep in between, and only of things that lie on the face, are sure
    somewhere on it, and are large or come in from outside of it, as what is held, worn or grown
    does.

    What passes as one is asked again in parts that hang together where more likely than not, so
    that a hand does not speak for a glare that a faint shadow joins to it.

    Args:
        likely: float32 (SIDE, SIDE), 0..1.
        inner: float32 (SIDE, SIDE), 0..1, the inner face by the mesh. Hair and background above
            it are sure, and a doubt on the face may touch them.
    """
    share = np.clip((likely - BARELY) / (FULLY - BARELY), 0, 1)
    cover = np.asarray(share * share * (3 - 2 * share), np.float32)
    on_face = inner > 0.5
    outside = ((cover > 0.5) & ~on_face).astype(np.uint8)
    entry = (cv2.dilate(outside, np.ones((3, 3), np.uint8)) > 0) & on_face
    _, whole = cv2.connectedComponents((cover > 0).astype(np.uint8))
    pieces = _numbered((cover > 0) & on_face)
    cover[on_face] *= _held(pieces, likely, on_face, entry)[pieces[on_face]]
    parts = _parts(cover, on_face)
    cover[on_face] *= _held(parts, likely, on_face, entry)[parts[on_face]]
    cover *= np.isin(whole, np.unique(whole[on_face & (cover > 0)]))
    return cover


def _parts(cover: Floats, on_face: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each pixel the number of the nearest part that is covered by more than half."""
    strong = (cover > 0.5) & on_face
    parts = _numbered(strong)
    if not strong.any():
        return parts
    _, cells = cv2.distanceTransformWithLabels((~strong).astype(np.uint8), cv2.DIST_L2, 5)
    number = np.zeros(int(cells.max()) + 1, np.intp)
    number[cells[strong]] = parts[strong]
    return np.where(cover > 0, number[cells], 0)


def _numbered(where: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each pixel the number of its piece; 0 means none."""
    _, pieces = cv2.connectedComponents(where.astype(np.uint8))
    return np.asarray(pieces, np.intp)


def _held(
    pieces: NDArray[np.intp],
    likely: Floats,
    on_face: NDArray[np.bool_],
    entry: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which of the numbered pieces of the inner face are objects in front of it; 0 means none.

    Args:
        pieces: int (SIDE, SIDE).
        entry: bool (SIDE, SIDE), where the inner face borders on covered pixels next to it.
    """
    count = int(pieces.max()) + 1
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, pieces[on_face], likely[on_face])
    high = np.quantile(np.nonzero(on_face)[0], UPPER) if on_face.any() else 0
    upper = np.bincount(pieces[entry], np.nonzero(entry)[0] < high, count)
    length = np.bincount(pieces[entry], minlength=count)
    area = np.bincount(pieces[on_face], minlength=count)
    large = area >= LARGE * on_face.sum()
    least = np.where(2 * upper > length, ENTRY_ABOVE, ENTRY) * np.sqrt(area)
    kept = (highest >= SURE) & (large | (length >= least))
    kept[0] = False
    return np.asarray(kept)


def steadied(glance: Glance, neighbours: Sequence[tuple[int, Glance]]) -> Floats:
    """A cover, averaged with those of neighbouring frames where the pictures are alike.

    Where nothing moves nothing flickers, and what moves leaves no trail (a bilateral filter over
    time; Tomasi and Manduchi, "Bilateral filtering for gray and color images", 1998).

    Args:
        neighbours: how many frames away, and what was seen there.

    Returns:
        float32 (SIDE, SIDE), 0..1.
    """
    total, weights = glance.cover.copy(), np.ones((SIDE, SIDE), np.float32)
    covered = bool(glance.cover.any())
    for step, other in neighbours:
        if not (covered or other.cover.any()):
            continue
        apart = np.abs(glance.small - other.small).max(2) / np.float32(ALIKE)
        alike = np.exp(np.float32(-0.5) * apart * apart) / np.float32(step)
        weight = cv2.resize(alike, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        total += weight * other.cover
        weights += weight
    return np.asarray(total / weights, np.float32)

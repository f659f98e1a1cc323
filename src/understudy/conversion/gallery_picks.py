"""Which pictures of a gallery are used for which frame of a track.

A picture is chosen by its mesh: the whole face, the eyes with lids and brows, and the mouth each
have pictures of their own. Over a track the choice is a path of least cost (Viterbi, "Error bounds
for convolutional codes", 1967): how badly a picture fits, plus a price for each change. Where it
does change, the old picture fades into the new one. So nothing flickers, and because the whole
track is looked at before anything is drawn, a film that is stopped and resumed comes out the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.faces.masks import EYES_AND_BROWS, LIPS
from understudy.faces.openings import eye_opening
from understudy.faces.triangles import INNER_LIPS
from understudy.models.gallery import Gallery
from understudy.types import Floats

PARTS = {"whole": 5, "eyes": 3, "mouth": 3}
"""Parts that have separate pictures, and how many at a time."""

CHANGE = {"whole": 1.0, "eyes": 0.8, "mouth": 0.6}
"""Price of a change, in medians of how badly pictures fit."""

FADE = {"whole": 3, "eyes": 2, "mouth": 2}
"""Frames before and after a change over which pictures fade into one another; a blink lasts five
frames."""

INNER_WEIGHT = 1.5
"""Of the inner edge of the lips against the outer one: it says how far the mouth is open."""

LID_WEIGHT, LIP_WEIGHT = 5.0, 2.0
"""Of these mesh points against all others for the whole face: bending a mesh moves a mouth, but it
cannot open an eye."""

WHOLE_TOO = 0.3
"""Share of the whole face's misfit that counts for eyes and mouth, too."""

GOOD, BAD = 0.012, 0.03
"""Root mean square distance of the nearest picture's eyes or mouth, in sides of the stored crop:
up to the first the pictures count fully, from the second the drawn face stays."""

LIDS_OFF = 0.05
"""What a picture with eyes open by as much more or less as they are open at all costs, in sides of
the stored crop: the mesh understates lids."""

OPEN_LEVEL = 0.75
"""Quantile of the eyes' opening, over a track or a gallery, at which they count as open."""

LIDS_GOOD, LIDS_BAD = 0.12, 0.3
"""As `GOOD` and `BAD`, for the difference of the openings, as shares of open eyes."""

LIDS_APART = 0.12
"""Difference of the openings at which a picture's eyes count .6."""

SHUT, AWAKE = 0.8, 0.95
"""Share of open eyes at which the mesh calls eyes shut, and from which they surely are not."""

AT_ONCE = 2048
"""Number of frames compared with the gallery at once."""

_EYES = np.concatenate(EYES_AND_BROWS)
_LIDS = np.concatenate(EYES_AND_BROWS[:2])


@dataclass(frozen=True)
class Pick:
    """One picture for one frame.

    Attributes:
        row: of the gallery.
        part: one of `PARTS`.
        weight: 0..1.
        lids: 0..1, how well its lids fit.
    """

    row: int
    part: str
    weight: float
    lids: float = 1.0


@dataclass(frozen=True)
class FramePicks:
    """All pictures for one frame.

    Attributes:
        shares: how far the pictures of eyes and mouth fit, 0..1 each.
        awake: likelihood that the eyes are open, 0..1.
    """

    picks: tuple[Pick, ...]
    shares: tuple[float, float]
    awake: float = 1.0

    @property
    def lids(self) -> float:
        """How well the lids of the pictures for the eyes fit, 0..1."""
        eyes = [pick for pick in self.picks if pick.part == "eyes"]
        total = sum(pick.weight for pick in eyes)
        return sum(pick.weight * pick.lids for pick in eyes) / total if total > 0 else 0.0


def openings(meshes: Floats) -> Floats:
    """How far the eyes are open in meshes of one person: float32 (N,), 1 for open ones, never 0.

    Args:
        meshes: float32 (N, 468, 2 or 3), N > 0.
    """
    found = np.array([np.mean(eye_opening(mesh)) for mesh in meshes], np.float32)
    return found / np.float32(max(float(np.quantile(found, OPEN_LEVEL)), 1e-3))


def _weights() -> dict[str, Floats]:
    whole = np.ones(468, np.float32)
    whole[_LIDS], whole[LIPS] = LID_WEIGHT, LIP_WEIGHT
    eyes, mouth = np.zeros(468, np.float32), np.zeros(468, np.float32)
    eyes[_EYES], mouth[LIPS], mouth[INNER_LIPS] = 1, 1, INNER_WEIGHT
    return {"whole": whole, "eyes": eyes, "mouth": mouth}


def _distances(gallery: Gallery, wanted: Floats, weights: Floats) -> Floats:
    """Weighted root mean square distance of every mesh to every picture's: float32 (T, N)."""
    used = np.flatnonzero(weights)
    factor = weights[used, None]
    own = ((gallery.meshes[:, used, :2] - 0.5) * factor).reshape(len(gallery), -1)
    lengths = np.square(own).sum(1)
    found = np.empty((len(wanted), len(gallery)), np.float32)
    for first in range(0, len(wanted), AT_ONCE):
        some = ((wanted[first : first + AT_ONCE, used] - 0.5) * factor).reshape(-1, own.shape[1])
        squares = np.square(some).sum(1)[:, None] + lengths - 2 * some @ own.T
        found[first : first + AT_ONCE] = np.sqrt(np.maximum(squares, 0) / len(used))
    return found


def _path(costs: NDArray[np.floating], change: float) -> NDArray[np.intp]:
    """The column of least cost in every row, where each change of column costs `change`."""
    count = len(costs)
    total = costs[0].astype(np.float64)
    came = np.empty(costs.shape, np.int32)
    columns = np.arange(costs.shape[1], dtype=np.int32)
    for row in range(1, count):
        best = int(total.argmin())
        stays = total <= total[best] + change
        came[row] = np.where(stays, columns, best)
        total = np.where(stays, total, total[best] + change) + costs[row]
    path = np.empty(count, np.intp)
    path[-1] = int(total.argmin())
    for row in range(count - 1, 0, -1):
        path[row - 1] = came[row, path[row]]
    return path


def _fading(reach: int) -> NDArray[np.float64]:
    """Weights of the frames around a frame; they sum up to 1."""
    at = np.clip((np.arange(2 * reach + 2) - 0.5) / (2 * reach), 0, 1)
    return np.diff(at * at * (3 - 2 * at))


def _faded(path: NDArray[np.intp], reach: int) -> list[dict[int, float]]:
    """For every frame of a path the pictures with their weights, which sum up to 1.

    Changes that follow each other quickly are merged: no weight ever jumps.
    """
    shares = _fading(reach).tolist()
    wide = np.pad(path, reach, mode="edge").tolist()
    found: list[dict[int, float]] = []
    for frame in range(len(path)):
        near = wide[frame : frame + len(shares)]
        if near.count(near[0]) == len(near):
            found.append({near[0]: 1.0})
            continue
        weights: dict[int, float] = {}
        for row, share in zip(near, shares, strict=True):
            weights[row] = weights.get(row, 0.0) + share
        found.append(weights)
    return found


def calm(values: Floats) -> Floats:
    """The median of every value and its neighbours: a change of a single frame is not a blink."""
    wide = np.pad(values, 1, mode="edge")
    return np.asarray(np.median([wide[:-2], wide[1:-1], wide[2:]], axis=0), np.float32)


def choose(gallery: Gallery, wanted: Floats, opened: Floats) -> list[FramePicks]:
    """The pictures for each frame of a track.

    Args:
        wanted: float32 (T, 468, 2), T > 0 neighbouring frames: where the person's mesh is to be, as
            `Gallery.meshes`.
        opened: float32 (T,), the film's eyes, as `openings`.
    """
    weights = _weights()
    distances = {part: _distances(gallery, wanted, weights[part]) for part in PARTS}
    lids = np.abs(opened[:, None] - openings(gallery.meshes[..., :2]))
    costs = {part: own + WHOLE_TOO * distances["whole"] for part, own in distances.items()}
    costs["eyes"] += LIDS_OFF * lids
    merged: list[dict[tuple[int, str], float]] = [{} for _ in range(len(wanted))]
    for part, most in PARTS.items():
        each = min(most, len(gallery))
        own = costs[part] / max(float(np.median(costs[part])), 1e-6)
        for _ in range(each):
            path = _path(own, CHANGE[part])
            own = own.copy()
            own[np.arange(len(path)), path] += 1e3
            for frame, pictures in enumerate(_faded(path, FADE[part])):
                for row, weight in pictures.items():
                    key = row, part
                    merged[frame][key] = merged[frame].get(key, 0.0) + weight / each
    eyes, mouth = (
        np.clip((BAD - distances[part].min(1)) / (BAD - GOOD), 0, 1) for part in ("eyes", "mouth")
    )
    eyes *= np.clip((LIDS_BAD - lids.min(1)) / (LIDS_BAD - LIDS_GOOD), 0, 1)
    fitting = np.exp(-0.5 * np.square(lids / LIDS_APART))
    awake = np.clip((opened - SHUT) / (AWAKE - SHUT), 0, 1)
    return [
        FramePicks(
            tuple(
                Pick(row, part, weight, float(fitting[frame, row]))
                for (row, part), weight in sorted(pictures.items())
            ),
            (float(eyes[frame]), float(mouth[frame])),
            float(awake[frame]),
        )
        for frame, pictures in enumerate(merged)
    ]

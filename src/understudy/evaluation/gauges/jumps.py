"""Does a swap jump from frame to frame?

The aligned face is followed by optical flow (DIS; Kroeger, Timofte, Dai and Van Gool, "Fast optical
flow using dense inverse search", 2016) from a frame to the next one. What the flow cannot
explain is new: light, a blink, noise, or a jump. A steady mean with a large exception is what a
viewer notices, so the largest value over the median is given besides the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from understudy.evaluation.metrics import INSIDE, Mask
from understudy.media.colour import luma
from understudy.types import Face, Floats, Image

SIDE = 256
"""Side in pixels of the aligned crops that are compared."""

SMOOTHING = 2.5
"""Standard deviation in frames by which the mesh is smoothed before it aligns the crops; else
its own trembling would count."""

REACH = 6
"""Frames to either side that the smoothing looks at."""

NOTABLE, OVER_FILM = 2.5, 1.6
"""A jump is reported from this many times the swap's median, and this many times what the
film does at the same moment, each over its own median."""


@dataclass(frozen=True)
class Jumps:
    """Change from frame to frame after optical flow, in grey levels, 0..255.

    Attributes:
        ratio: largest over median: 2 is a lively film, 4 a visible jump.
        at: second of the largest change, of the frame after it.
        pairs: how many pairs of frames were compared.
    """

    mean: float
    median: float
    largest: float
    ratio: float | None
    at: float
    pairs: int


def change(before: Image, after: Image, mask: Mask) -> float | None:
    """Mean absolute difference of luma once optical flow has laid one crop over the other.

    Args:
        before, after: RGB uint8 (S, S, 3), aligned crops of neighbouring frames.
        mask: (S, S), where the face is in `before`.

    Returns:
        Grey levels; None when nothing is inside.
    """
    where = mask if mask.dtype == np.bool_ else mask >= INSIDE
    if not where.any():
        return None
    # OpenCV's type hints do not know the flow that OpenCV has.
    search: Any = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    flow = search.calc(
        *(np.clip(np.rint(luma(each)), 0, 255).astype(np.uint8) for each in (before, after)), None
    )
    rows, columns = np.mgrid[: before.shape[0], : before.shape[1]].astype(np.float32)
    moved = cv2.remap(
        luma(after),
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return float(np.abs(moved - luma(before))[where].mean())


def jumps(changes: Sequence[float | None], seconds: Sequence[float]) -> Jumps | None:
    """The figures of a film; None where nothing could be compared.

    Args:
        changes: from the frame before to each frame; None where there was none.
        seconds: of each frame.
    """
    there = [(value, at) for value, at in zip(changes, seconds, strict=True) if value is not None]
    if not there:
        return None
    values = np.array([value for value, _ in there])
    median, largest = float(np.median(values)), float(values.max())
    return Jumps(
        mean=float(values.mean()),
        median=median,
        largest=largest,
        ratio=largest / median if median > 0 else None,
        at=there[int(values.argmax())][1],
        pairs=len(there),
    )


def notable(
    swap: Sequence[float | None], film: Sequence[float | None], seconds: Sequence[float]
) -> list[float]:
    """Seconds at which the swap jumps and the film does not, the largest jump first.

    Args:
        swap, film: changes as for `jumps`, of the same frames.
    """
    own, other = jumps(swap, seconds), jumps(film, seconds)
    if own is None or other is None or own.median <= 0:
        return []
    found = []
    for ours, theirs, at in zip(swap, film, seconds, strict=True):
        if ours is None or theirs is None:
            continue
        much = ours / own.median
        usual = theirs / other.median if other.median > 0 else 1.0
        if much >= NOTABLE and much >= OVER_FILM * usual:
            found.append((ours, at))
    return [at for _, at in sorted(found, reverse=True)]


def steady_mesh(face_at: Callable[[int], Face | None], index: int) -> Floats | None:
    """A face's mesh smoothed over time, by a Gaussian of `SMOOTHING` frames.

    Args:
        face_at: the face of a frame, None where there is none. Only neighbours of the same
            track count.

    Returns:
        float32 (468, 3), pixels of the frame; None where the frame has no face.
    """
    middle = face_at(index)
    if middle is None:
        return None
    total, weight = np.zeros(middle.landmarks.shape, np.float64), 0.0
    for step in range(-REACH, REACH + 1):
        face = middle if step == 0 else face_at(index + step)
        if face is not None and face.track == middle.track:
            share = float(np.exp(-0.5 * (step / SMOOTHING) ** 2))
            total, weight = total + share * face.landmarks, weight + share
    return np.asarray(total / weight, np.float32)

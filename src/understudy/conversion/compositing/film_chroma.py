"""Limit a swap to the colours that the film has.

A black-and-white film has none, a toned print or sodium light has one hue for every brightness,
two-strip colour has one line of them. A face that is matched to such a film's light still has lips,
eyes and teeth of colours that the film does not contain. So the film's chroma is described as
a curve over luma, plus the spread around that curve along its two main directions. A face
keeps its own chroma within the film's spread, and is moved to the curve beyond it. In
films of ordinary colour nothing is changed.

Brown eyes, skin and lips lie on one line too; that line is the film's, and not only this face's,
where what is around the face lies on it as well.

Pure functions of pictures, pixel on pixel, and of weights that say where both show face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from understudy.types import Float64s, Floats, Image

ROOM = 2.5
"""A face may have this many times the spread of the film's chroma before it is reduced:
another face may well be more colourful. In films of ordinary colour faces have up to twice."""

ROUNDING = 0.5
"""Standard deviation of chroma in code values that encoding alone leaves in a film without any."""

TREMBLE = 2.0
"""Error in code values between luma and chroma, because chroma is stored more coarsely
and grain is luma's: where the curve is steep, that looks like spread."""

COARSE = 64
"""Side in pixels at which chroma is measured: grain is averaged away, lips and eyes remain."""

EDGE = 12.0
"""Difference of luma between neighbours from which a pixel counts little: chroma is blurred over
edges by how films are stored."""

STEP = 8
"""Code values of luma between two points of the curve."""

NEAR, FAR = 8.0, 40.0
"""Code values of luma over which a point of the curve is measured, and over which where the film
has none of that luma."""

AROUND = 1e-3
"""Weight of what is around the face. It decides where the face has nothing of that luma."""

LEAST = 16.0
"""Coarse pixels of face below which nothing is measured."""

_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_TO_RGB = np.linalg.inv(_TO_YCC.astype(np.float64)).astype(np.float32)


@dataclass(frozen=True)
class Relation:
    """The chroma of a film's face.

    Attributes:
        curve: (N, 2), Cb and Cr, in code values about 0, of luma 0, `STEP`, 2 `STEP` and so on.
        axes: (2, 2), the main directions of its spread in columns.
        spread: (2,), standard deviation along each that a face may have, in code values.
    """

    curve: Float64s
    axes: Float64s
    spread: Float64s

    def of(self, luma: Float64s) -> Float64s:
        """The chroma (..., 2) on the curve of luma (...)."""
        places = np.arange(len(self.curve)) * STEP
        return np.stack([np.interp(luma, places, self.curve[:, one]) for one in (0, 1)], -1)


def _measured(image: Image, weights: Floats) -> tuple[Float64s, Float64s, Float64s]:
    """Luma (N,), chroma (N, 2) and weights (N,) of a reduced picture."""
    height, width = weights.shape
    shrunk = min(1.0, COARSE / max(height, width))
    size = max(1, round(width * shrunk)), max(1, round(height * shrunk))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(weights, size, interpolation=cv2.INTER_AREA)
    ycc = cv2.transform(small, _TO_YCC).astype(np.float64)
    steep = cv2.morphologyEx(ycc[..., 0], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    sure = (share / (1 + np.square(steep / EDGE))).astype(np.float64)
    return ycc[..., 0].ravel(), ycc[..., 1:].reshape(-1, 2), sure.ravel()


def _curve(luma: Float64s, chroma: Float64s, weights: Float64s) -> Float64s:
    """Chroma over luma: lines fitted about each point (local linear regression; Cleveland,
    "Robust locally weighted regression", JASA 74(368), 1979, without its robust steps). A mean
    in place of a line would be biased wherever one luma is more frequent than the next."""
    off = luma[None] - np.arange(0, 257, STEP, dtype=np.float64)[:, None]
    near = np.exp(-np.square(off / NEAR) / 2) + 1e-4 * np.exp(-np.square(off / FAR) / 2) + 1e-8
    near *= weights[None]
    count, first = near.sum(1), (near * off).sum(1)
    # A little is added, so that few points give a mean and not any slope.
    second = (near * np.square(off)).sum(1) + (NEAR / 4) ** 2 * count
    plain, sloped = near @ chroma, (near * off) @ chroma
    fitted: Float64s = (second[:, None] * plain - first[:, None] * sloped) / (
        count * second - np.square(first)
    )[:, None]
    return fitted


def relation(original: Image, weights: Floats, around: Image) -> Relation | None:
    """The chroma of the face in a film's picture; None if too little of it is visible.

    Args:
        original: RGB uint8 (h, w, 3), the face and a little of what is around it.
        weights: float32 (h, w), 0..1: where the face shows.
        around: RGB uint8 of any size: more of what is around it.
    """
    luma, chroma, sure = _measured(original, weights)
    if sure.sum() < LEAST:
        return None
    curve = _curve(luma, chroma, sure + AROUND)
    plain = Relation(curve, np.eye(2), np.zeros(2))
    own = chroma - plain.of(luma)
    _, axes = np.linalg.eigh((own * sure[:, None]).T @ own)
    curved = Relation(curve, np.asarray(axes), np.zeros(2))
    spread = _spread(curved, luma, chroma, sure)
    everywhere = _spread(curved, *_measured(around, np.ones(around.shape[:2], np.float32)))
    return replace(curved, spread=np.maximum(spread, np.minimum(everywhere, spread.max())))


def _spread(film: Relation, luma: Float64s, chroma: Float64s, weights: Float64s) -> Float64s:
    """Standard deviation (2,) of chroma about the curve, along the axes, without what is there in
    any film."""
    off = (chroma - film.of(luma)) @ film.axes
    places = np.arange(len(film.curve)) * STEP
    slopes = np.gradient(film.curve, STEP, axis=0) @ film.axes
    steep = np.stack([np.interp(luma, places, slope) for slope in slopes.T], -1)
    more = np.square(off) - np.square(TREMBLE * steep) - ROUNDING**2
    total = max(float(weights.sum()), 1e-9)
    spread: Float64s = np.sqrt(np.maximum((more * weights[:, None]).sum(0) / total, 0))
    return spread


def in_its_colours(face: Image, original: Image, weights: Floats, around: Image) -> Image:
    """`face` without the colours that the film does not have; unchanged if it has them all.

    Args:
        face, original: RGB uint8 (h, w, 3), pixel on pixel: the swap, and the film below it.
        weights: float32 (h, w), 0..1: where both show face.
        around: RGB uint8 of any size: more of the film's picture, see `relation`.
    """
    film = relation(original, weights, around)
    if film is None:
        return face
    luma, chroma, sure = _measured(face, weights)
    own = (chroma - film.of(luma)) @ film.axes
    wide = np.sqrt((np.square(own) * sure[:, None]).sum(0) / max(float(sure.sum()), 1e-9))
    kept = np.minimum(1, ROOM * film.spread / np.maximum(wide, ROUNDING))
    if kept.min() >= 1:
        return face
    ycc = cv2.transform(face.astype(np.float32), _TO_YCC)
    middle = film.of(ycc[..., 0].astype(np.float64)).astype(np.float32)
    less = (film.axes * kept) @ film.axes.T
    ycc[..., 1:] = middle + (ycc[..., 1:] - middle) @ less.astype(np.float32)
    rgb = cv2.transform(ycc, _TO_RGB)
    return np.asarray(np.rint(np.clip(rgb, 0, 255)), np.uint8)

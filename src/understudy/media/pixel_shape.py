"""Pixels that are not square: faces are looked at and drawn in the shape in which they are shown.

DV, HDV, DVD, broadcasts and anamorphic films store pictures that players stretch. Everything that
finds, draws and compares faces works on `Frame.image`, which is stretched as a player stretches
it; what is laid over a film is brought back to the film's own pixels last, so that what is not
covered stays as it is. The longer side of a pixel is kept and the shorter one stretched: no
detail is lost on the way there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np

from understudy.media import planes
from understudy.types import Float64s, Floats, Frame, Image, Patch, shown_size

WIDEST = 4
"""A pixel is at most so many times as wide as high, or as high as wide; what a file says beyond
that is a fault of the file."""


def believed(said: Fraction | None) -> Fraction:
    """Width over height of one pixel by what a file says: 1 where it says nothing that can be."""
    if not said or not Fraction(1, WIDEST) <= said <= WIDEST:
        return Fraction(1)
    return Fraction(said)


def shown(image: Image, pixel_aspect: Fraction) -> Image:
    """A picture (h, w) or (h, w, 3), uint8, in square pixels; itself where they are square."""
    if pixel_aspect == 1:
        return image
    size = shown_size(image.shape[1], image.shape[0], pixel_aspect)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def rgb_of(pixel_aspect: Fraction) -> Callable[[av.VideoFrame], Image]:
    """What makes RGB of square pixels of a picture with such pixels, for `Frame.to_rgb`."""
    if pixel_aspect == 1:
        return planes.to_rgb
    return lambda picture: shown(planes.to_rgb(picture), pixel_aspect)


def stored(frame: Frame, patches: Sequence[Patch]) -> Sequence[Patch]:
    """Patches over `frame.image` as patches over `frame.picture`.

    A stored pixel takes the mean of the square pixels that it covers, weighted by alpha. Its
    alpha is 0 where theirs are.
    """
    if frame.pixel_aspect == 1:
        return patches
    size = frame.picture.width, frame.picture.height
    axis = 1 if frame.pixel_aspect > 1 else 0
    number = 1 - axis
    return [_narrowed(patch, axis, frame.size[number], size[number]) for patch in patches]


def _narrowed(patch: Patch, axis: int, long: int, short: int) -> Patch:
    """A patch over a picture whose side along `axis` becomes `short` instead of `long`."""
    place = patch.x if axis else patch.y
    count = patch.alpha.shape[axis]
    step = Fraction(long, short)
    first, last = place // step, -(-(place + count) // step)
    edges = np.arange(first, last + 1, dtype=np.float64) * float(step) - place
    share = patch.alpha[..., None].astype(np.float64)
    taken = _summed(np.concatenate((patch.image * share, share), axis=2), axis, edges, count)
    weight = taken[..., 3:]
    colour = np.divide(taken[..., :3], weight, out=np.zeros_like(taken[..., :3]), where=weight > 0)
    alpha: Floats = np.clip(weight[..., 0] / float(step), 0, 1).astype(np.float32)
    image: Image = np.rint(np.clip(colour, 0, 255)).astype(np.uint8)
    x, y = (first, patch.y) if axis else (patch.x, first)
    return replace(patch, x=x, y=y, image=image, alpha=alpha)


def _summed(values: Float64s, axis: int, edges: Float64s, count: int) -> Float64s:
    """Sums of `values` between consecutive edges along an axis, parts of pixels in proportion."""
    along = np.moveaxis(values, axis, 0)
    until = np.concatenate((np.zeros_like(along[:1]), np.cumsum(along, axis=0)))
    inside = np.clip(edges, 0, count)
    whole = np.minimum(inside.astype(np.intp), count - 1)
    part = (inside - whole)[:, None, None]
    reached = until[whole] + part * (until[whole + 1] - until[whole])
    return np.moveaxis(np.diff(reached, axis=0), 0, axis)

"""Put a drawn face back into the frame: colour, mask, blend.

Everything here is a pure function of its arguments, so a film's result does not depend on
where it was cut into segments. The frame itself is not touched: the result is a `Patch`, which
the film writer lays over the native picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.conversion.compositing.colour_transfer import match_colour
from understudy.conversion.compositing.film_chroma import in_its_colours
from understudy.conversion.compositing.grain import grained
from understudy.conversion.compositing.multiband import banded
from understudy.conversion.compositing.rim import Rim, rim
from understudy.conversion.compositing.sharpen import sharpened
from understudy.faces.align import transform_points, warp
from understudy.faces.masks import face_mask, reach_mask
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Image, Patch

P = TypeVar("P", np.uint8, np.float32)

EDGE = 1 / 64
"""Share of the crop's side by which a learned mask shrinks, because the outermost pixels of a face
are already mixed with what is behind it."""

PAST = 0.03
"""How far a swap may extend beyond the target's visible face, as a share of the crop's side:
the source's face may be wider."""

Detail = Callable[[Image, Image, tuple[int, int], float], Image]
"""Adds finer detail to a face. It gets the drawn face and the frame below it, both RGB uint8
(h, w, 3) and pixel on pixel; x and y of their upper left pixel in the frame; and how many pixels of
the frame are in one of the network's. It returns the face with detail."""

SAME_SCALE = 1.05
"""Network pixels per frame pixel up to which averaging down gains nothing."""


def _normal(deviations: float) -> float:
    """The normal distribution, cumulative."""
    return (1 + math.erf(deviations / math.sqrt(2))) / 2


def kept_within(hull: Floats, margin: float) -> Floats:
    """`hull` shrunk by `margin` pixels along its edge: float32 (S, S), 0 or 1."""
    inside = (hull > 0.5).astype(np.float32)
    reach = 2 * int(np.ceil(margin)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    kept = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(kept, np.float32)


def near(shown: Floats) -> Floats:
    """A mask (S, S), 0..1, made larger by `PAST` of its side all round."""
    reach = 2 * round(PAST * shown.shape[0]) + 1
    return np.asarray(cv2.dilate(shown, np.ones((reach, reach), np.uint8)), np.float32)


def feathered(mask: Floats, hull: Floats, width: float, margin: float) -> Floats:
    """The alpha of a crop: `mask` within `hull`, both with soft edges.

    The mask's own edge is softened a little, and never beyond itself, because hair or
    background begin there. The hull's is softened inwards only: over a straight edge a Gaussian
    is the normal distribution of the distance to it, so levels of the blurred hull stand for
    distances, and alpha rises from 0 `margin` inside of the edge to 1 `width` further in.

    Args:
        mask: float32 (S, S), 0..1, the network's mask of the face it drew.
        hull: float32 (S, S), 0..1, the largest area of the swap.
        width: of the soft edge in pixels of the crop.
        margin: pixels of the crop that stay 0 along the inside of the hull, so that
            resampling cannot carry anything over its edge.

    Returns:
        float32 (S, S), 0..1.
    """
    kept = kept_within(hull, margin)
    bound, own = hull, mask
    if width > 0.5:
        sigma = (width + margin) / 2
        edge, full = _normal(margin / sigma), _normal(2)
        soft = cv2.GaussianBlur(hull, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        ramp = np.clip((np.asarray(soft, np.float32) - edge) / (full - edge), 0, 1)
        bound = np.minimum(ramp * ramp * (3 - 2 * ramp), hull)
        less = 2 * max(1, round(EDGE * mask.shape[0])) + 1
        smaller = cv2.erode(mask, np.ones((less, less), np.uint8))
        blurred = cv2.GaussianBlur(smaller, (0, 0), width / 4, borderType=cv2.BORDER_REPLICATE)
        own = np.minimum(np.asarray(blurred, np.float32), mask)
    return np.asarray(own * bound * kept, np.float32)


def _resample(
    image: NDArray[np.uint8 | np.float32],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    how: int,
) -> NDArray[np.integer | np.floating]:
    """`image` seen through `matrix` (destination px -> image px), edge pixels repeated."""
    return cv2.warpAffine(
        image, matrix, size, flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )


def _shrink(image: NDArray[P], side: int) -> NDArray[P]:
    """A square picture, reduced by averaging."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), image.dtype)


def _rectangle(
    rows: NDArray[np.intp], columns: NDArray[np.intp], matrix: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 (the last two not included) of the frame's pixels that see these rows and
    columns of the crop."""
    left, right = columns[0] - 1, columns[-1] + 1
    top, bottom = rows[0] - 1, rows[-1] + 1
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    x0, y0 = (int(value) for value in np.floor(seen.min(0)))
    x1, y1 = (int(value) + 1 for value in np.ceil(seen.max(0)))
    return x0, y0, x1, y1


def _around(image: Image, box: tuple[int, int, int, int]) -> Image:
    """The picture in a box, with half of the box's size added on each side."""
    x0, y0, x1, y1 = box
    across, down = (x1 - x0) // 2, (y1 - y0) // 2
    return image[max(0, y0 - down) : y1 + down, max(0, x0 - across) : x1 + across]


def swap_patch(
    image: Image,
    face: Face,
    output: Floats,
    mask: Floats,
    matrix: Floats,
    settings: ConvertSettings,
    crop: Image | None = None,
    *,
    learned: bool = True,
    shown: Floats | None = None,
    seed: int = 0,
    detail: Detail | None = None,
) -> Patch | None:
    """The patch that replaces the face in a frame with the network's face.

    Args:
        image: the frame, RGB uint8 (height, width, 3).
        face: the face in it that is replaced.
        output: float32 (S, S, 3), 0..1: the source's face, RGB, in the core crop.
        mask: float32 (S, S), 0..1: where the network drew face.
        matrix: float32 (2, 3), pixels of the frame -> pixels of the core crop.
        crop: RGB uint8 (S, S, 3), the frame in the core crop where the caller has it already.
        learned: whether the network draws a mask of its face. Then the mask may reach beyond
            the face in the frame (`reach_mask`), as far as the other person's face does;
            otherwise the inner face by the mesh (`face_mask`) bounds it.
        shown: float32 (S, S), 0..1: where the target's face is visible, if known. The
            swap ends `PAST` beyond it, so that hair stays in front, and has a `rim`.
        seed: of the grain; different for every frame.
        detail: adds finer detail to the drawn face.

    Returns:
        The patch, no larger than the face and within the frame; None where the face lies
        outside the frame. Its alpha is 0 outside of that bound, and no more than the face's
        `share`.
    """
    side = output.shape[0]
    height, width = image.shape[:2]
    points = transform_points(matrix, face.landmarks)
    inner = face_mask(points, side, soft=0.0)
    hull = reach_mask(points, side) if learned else inner
    # The crop's own border is an edge too: nothing was drawn beyond it.
    hull[[0, -1]], hull[:, [0, -1]] = 0.0, 0.0
    rows, columns = np.flatnonzero(hull.any(1)), np.flatnonzero(hull.any(0))
    if not rows.size:
        return None

    to_crop = matrix.astype(np.float64)
    scale = float(np.sqrt(abs(np.linalg.det(to_crop[:, :2]))))
    x0, y0, x1, y1 = _rectangle(rows, columns, to_crop)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return None

    if crop is None:
        crop = warp(image, matrix, side)
    shrinks = scale > SAME_SCALE
    feather = settings.feather * float(columns[-1] - columns[0] + 1)
    margin = 2 * scale if shrinks else 1.5
    found: Rim | None = None
    if shown is not None:
        if settings.widen > 0:
            found = rim(output, mask, shown, settings.widen)
            output = found.output
        mask = mask * near(shown)
    alpha = feathered(mask, hull, feather, margin)
    if found is not None:
        alpha = np.maximum(alpha, found.alpha * kept_within(hull, margin))
    swapped: Image = np.rint(np.clip(output, 0, 1) * 255).astype(np.uint8)
    swapped = match_colour(swapped, crop, np.minimum(alpha, inner), settings)

    crisp = None if found is None else found.near
    if shrinks:
        smaller = max(4, round(side / scale))
        swapped, alpha = _shrink(swapped, smaller), _shrink(alpha, smaller)
        crisp = None if crisp is None else _shrink(crisp, smaller)
        to_crop *= smaller / side
        to_crop[:, 2] += (smaller / side - 1) / 2
    to_crop[:, 2] += to_crop[:, :2] @ np.array([x0, y0], np.float64)
    size = (x1 - x0, y1 - y0)
    how = cv2.INTER_LINEAR if shrinks else cv2.INTER_LANCZOS4
    laid = np.asarray(_resample(swapped, to_crop, size, how), np.uint8)
    alpha = np.asarray(_resample(alpha, to_crop, size, cv2.INTER_LINEAR), np.float32)
    under = image[y0:y1, x0:x1]
    if detail is not None:
        laid = detail(laid, under, (x0, y0), 1 / scale)
    if settings.color != "none":
        laid = in_its_colours(laid, under, alpha, _around(image, (x0, y0, x1, y1)))
    if settings.sharpen > 0:
        laid = sharpened(laid, under, alpha, 1 / scale, settings.sharpen)
    if settings.grain > 0:
        laid = grained(laid, under, alpha, settings.grain, seed)
    if settings.blend == "bands":
        laid, alpha = banded(laid, under, alpha)
    elif settings.blend == "auto" and crisp is not None:
        near_edge = _resample(crisp, to_crop, size, cv2.INTER_LINEAR)
        laid, alpha = banded(laid, under, alpha, np.asarray(near_edge, np.float32))
    if face.share < 1:
        alpha = alpha * np.float32(face.share)
    return Patch(x=x0, y=y0, image=laid, alpha=alpha)

"""Face back into frame: colour, mask, blend.

Everything here is a pure function of its arguments, so a film's result does not depend on
where it was cut into segments. The frame itself is not touched: the result is a `Patch`, which
the film writer lays over the native picture.
"""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.errors import SettingsError
from understudy.faces.align import transform_points, warp
from understudy.faces.masks import face_mask, reach_mask
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Image, Patch

P = TypeVar("P", np.uint8, np.float32)

GAIN_LIMIT = 4.0
"""No channel is made brighter or darker than this many times: beyond it the two pictures have
no common light to match, for example in a fade to black."""

EDGE = 1 / 64
"""So much of the crop's side is taken off a learned mask, because the outermost pixels of a face
are already mixed with what is behind it."""

SAME_SCALE = 1.05
"""Up to so many network pixels per frame pixel a face is not worth averaging down."""

MIN_WEIGHT = 16.0
"""Mask pixels below which colours are not matched: a median of fewer is noise."""

BROAD = 0.12
"""Standard deviation of the blur that leaves the light of a face, as a share of its width."""

COARSE = 64
"""Side in pixels at which the light of a face is measured."""

DARK = 0.004
"""Linear light added before pictures are divided by one another, so that black stays black."""

CLONED = 0.02
"""Weight from which a pixel is cloned."""


def _decode_srgb(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB code values 0..1 to linear light 0..1 (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def _encode_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light 0..1 to sRGB code values 0..1 (IEC 61966-2-1)."""
    return np.where(
        light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    )


_CODES = np.arange(256, dtype=np.float64) / 255
_LIGHT = _decode_srgb(_CODES)
_LIGHT_32: Floats = _LIGHT.astype(np.float32)
_CODE = np.rint(255 * _encode_srgb(np.arange(65536) / 65535)).astype(np.uint8)
"""Code values of linear light in 65535ths."""


def weighted_median(values: NDArray[np.uint8], weights: Floats) -> float:
    """The code value, 0..255, with half of the weight on either side.

    A code stands for the interval of half a code around it and is divided in proportion, so
    the median moves smoothly from frame to frame instead of in steps of one code.

    Args:
        values, weights: of one shape; the weights must not all be 0.
    """
    total = np.bincount(values.ravel(), weights.ravel(), 256).cumsum()
    half = total[-1] / 2
    code = int(np.searchsorted(total, half))
    below = total[code - 1] if code else 0.0
    inside = total[code] - below
    return float(np.clip(code - 0.5 + (half - below) / inside, 0, 255)) if inside > 0 else code


def linear_gains(face: Image, original: Image, weights: Floats) -> NDArray[np.float64]:
    """Gain per channel, in linear light, that gives `face` the medians of `original`.

    Args:
        face, original: RGB uint8 (h, w, 3), pixel on pixel.
        weights: float32 (h, w), 0..1: where both show face.

    Returns:
        (3,), within `GAIN_LIMIT`; ones where too little is left to measure.
    """
    if weights.sum() < MIN_WEIGHT:
        return np.ones(3)
    medians = np.array(
        [
            [weighted_median(picture[..., channel], weights) for channel in range(3)]
            for picture in (original, face)
        ]
    )
    wanted, found = _decode_srgb(np.maximum(medians, 0.5) / 255)
    gains: NDArray[np.float64] = np.clip(wanted / found, 1 / GAIN_LIMIT, GAIN_LIMIT)
    return gains


def apply_gains(image: Image, gains: NDArray[np.float64]) -> Image:
    """Multiply each channel of an RGB uint8 image by its gain in linear light."""
    table = np.rint(255 * _encode_srgb(np.minimum(_LIGHT[:, None] * gains, 1.0)))
    return np.asarray(cv2.LUT(image, table.astype(np.uint8).reshape(1, 256, 3)), np.uint8)


def reinhard(face: Image, original: Image, weights: Floats) -> Image:
    """Give `face` the weighted mean and deviation of `original`, per channel of CIE Lab.

    Reinhard et al., "Color Transfer between Images", IEEE CG&A 21(5), 2001; with Lab in place
    of l-alpha-beta. Shapes as in `linear_gains`.
    """
    total = float(weights.sum())
    if total < MIN_WEIGHT:
        return face
    share = (weights / total)[..., None]

    def measured(image: Image) -> tuple[Floats, Floats, Floats]:
        unit = np.asarray(image, np.float32) / np.float32(255)
        lab = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), np.float32)
        mean = (lab * share).sum((0, 1))
        spread = np.sqrt((np.square(lab - mean) * share).sum((0, 1)))
        return lab, mean, spread

    lab, mean, spread = measured(face)
    _, wanted_mean, wanted_spread = measured(original)
    ratio = np.clip(wanted_spread / np.maximum(spread, 0.5), 1 / GAIN_LIMIT, GAIN_LIMIT)
    matched = ((lab - mean) * ratio + wanted_mean).astype(np.float32)
    rgb = cv2.cvtColor(matched, cv2.COLOR_Lab2RGB)
    return np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def lit(face: Image, original: Image, weights: Floats) -> Image:
    """`face` in the light of `original`: gains in linear light that change over the face, as the
    ratio of both pictures blurred.

    What is broad is the original's, light from one side or a shadow; what is fine is the face's
    own. Shapes as in `linear_gains`.
    """
    if weights.sum() < MIN_WEIGHT:
        return face
    columns = np.flatnonzero(weights.any(0))
    height, width = weights.shape
    shrunk = min(1.0, COARSE / max(height, width))
    size = (max(1, round(shrunk * width)), max(1, round(shrunk * height)))
    deviation = BROAD * shrunk * float(columns[-1] - columns[0] + 1)
    share = weights[..., None]

    def broad(light: Floats) -> Floats:
        small = cv2.resize((light + np.float32(DARK)) * share, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(blurred, np.float32)

    light = _LIGHT_32[face]
    gains = broad(_LIGHT_32[original]) / np.maximum(broad(light), np.float32(1e-6))
    gains = np.clip(gains, 1 / GAIN_LIMIT, GAIN_LIMIT)
    light *= cv2.resize(gains, (width, height), interpolation=cv2.INTER_LINEAR)
    steps = np.minimum(light * np.float32(len(_CODE) - 1) + np.float32(0.5), len(_CODE) - 1)
    return np.asarray(_CODE[steps.astype(np.uint16)], np.uint8)


def cloned(face: Image, original: Image, weights: Floats) -> Image:
    """The gradients of `face` on the edge of `original`.

    Perez, Gangnet and Blake, "Poisson image editing", SIGGRAPH 2003. A film made so flickers,
    because all of the face's colour hangs on few pixels at its edge. Shapes as in `linear_gains`.
    """
    inside = np.zeros(weights.shape, np.uint8)
    rings, _ = cv2.findContours(
        (weights > CLONED).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(inside, rings, -1, 255, cv2.FILLED)
    inside[[0, 1, -2, -1]], inside[:, [0, 1, -2, -1]] = 0, 0
    if (inside > 0).sum() < MIN_WEIGHT:
        return face
    x, y, width, height = cv2.boundingRect(inside)
    middle = (x + width // 2, y + height // 2)
    result = cv2.seamlessClone(face, original, inside, middle, cv2.NORMAL_CLONE)
    return np.asarray(result, np.uint8)


def match_colour(face: Image, original: Image, weights: Floats, settings: ConvertSettings) -> Image:
    """`face` in the colours of `original`, the way that the settings say."""
    match settings.color:
        case "linear-gain":
            return apply_gains(face, linear_gains(face, original, weights))
        case "auto" | "light":
            even = apply_gains(face, linear_gains(face, original, weights))
            return lit(even, original, weights)
        case "seamless":
            return cloned(face, original, weights)
        case "reinhard":
            return reinhard(face, original, weights)
        case "none":
            return face
    raise SettingsError(
        f"Unknown colour transfer {settings.color!r}.",
        "Take auto, linear-gain, light, reinhard, seamless or none.",
    )


def _normal(deviations: float) -> float:
    """The normal distribution, cumulative."""
    return (1 + math.erf(deviations / math.sqrt(2))) / 2


def feathered(mask: Floats, hull: Floats, width: float, margin: float) -> Floats:
    """The alpha of a crop: `mask` within `hull`, both with soft edges.

    The mask's own edge is softened a little, and never beyond itself, because hair or
    background begin there. The hull's is softened inwards only: over a straight edge a Gaussian
    is the normal distribution of the distance to it, so levels of the blurred hull stand for
    distances, and alpha rises from 0 `margin` inside of the edge to 1 `width` further in.

    Args:
        mask: float32 (S, S), 0..1, what the network takes for its face.
        hull: float32 (S, S), 0..1, how far the swap may reach.
        width: of the soft edge in pixels of the crop.
        margin: pixels of the crop that stay 0 along the inside of the hull, so that
            resampling cannot carry anything over its edge.

    Returns:
        float32 (S, S), 0..1.
    """
    inside = (hull > 0.5).astype(np.uint8)
    reach = 2 * int(np.ceil(margin)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    kept = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
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
    """A square picture made smaller by averaging."""
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
) -> Patch | None:
    """What to lay over a frame so that its face becomes the network's.

    Args:
        image: the frame, RGB uint8 (height, width, 3).
        face: the face in it that is replaced.
        output: float32 (S, S, 3), 0..1: the other face, RGB, in the core crop.
        mask: float32 (S, S), 0..1: where the network drew face.
        matrix: float32 (2, 3), pixels of the frame -> pixels of the core crop.
        crop: RGB uint8 (S, S, 3), the frame in the core crop where the caller has it already.
        learned: whether the network tells where its face is. Then the mask may reach beyond
            the face in the frame (`reach_mask`), as far as the other person's face does;
            otherwise the inner face by the mesh (`face_mask`) bounds it.

    Returns:
        The patch, no larger than the face and within the frame; None where the face lies
        outside the frame. Its alpha is 0 outside of that bound.
    """
    side = output.shape[0]
    height, width = image.shape[:2]
    points = transform_points(matrix, face.landmarks)
    inner = face_mask(points, side, soft=0.0)
    hull = reach_mask(points, side) if learned else inner
    # The crop's own border is an edge too: what lies beyond it was never drawn.
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
    alpha = feathered(mask, hull, feather, 2 * scale if shrinks else 1.5)
    swapped: Image = np.rint(np.clip(output, 0, 1) * 255).astype(np.uint8)
    swapped = match_colour(swapped, crop, np.minimum(alpha, inner), settings)

    if shrinks:
        smaller = max(4, round(side / scale))
        swapped, alpha = _shrink(swapped, smaller), _shrink(alpha, smaller)
        to_crop *= smaller / side
        to_crop[:, 2] += (smaller / side - 1) / 2
    to_crop[:, 2] += to_crop[:, :2] @ np.array([x0, y0], np.float64)
    size = (x1 - x0, y1 - y0)
    how = cv2.INTER_LINEAR if shrinks else cv2.INTER_CUBIC
    return Patch(
        x=x0,
        y=y0,
        image=np.asarray(_resample(swapped, to_crop, size, how), np.uint8),
        alpha=np.asarray(_resample(alpha, to_crop, size, cv2.INTER_LINEAR), np.float32),
    )

"""Colour transfer: give the swapped face the colours of the target's face.

Pure functions of two pictures, pixel on pixel, and of weights that say where both show face.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.errors import SettingsError
from understudy.settings import ConvertSettings
from understudy.types import Floats, Image

GAIN_LIMIT = 12.0
"""Largest gain and attenuation of a channel: beyond it the two pictures have
no common light to match, for example in a fade to black. Between the darkest skin and the lightest
lie about six in red and twenty in blue."""

MIN_WEIGHT = 16.0
"""Mask pixels below which colours are not matched: a median of fewer is noise."""

BROAD = 0.12
"""Standard deviation of the blur that leaves the light of a face, as a share of its width."""

COARSE = 64
"""Side in pixels at which the light of a face is measured."""

DARK = 0.004
"""Linear light added before one picture is divided by another, so that black stays black."""

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
    """Weighted median code value, 0..255: half of the weight is on either side.

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


def _coarse(weights: Floats) -> tuple[tuple[int, int], float]:
    """Width and height at which the light of a face is measured, and the deviation of its blur."""
    columns = np.flatnonzero(weights.any(0))
    height, width = weights.shape
    shrunk = min(1.0, COARSE / max(height, width))
    size = (max(1, round(shrunk * width)), max(1, round(shrunk * height)))
    return size, BROAD * shrunk * float(columns[-1] - columns[0] + 1)


def lit(face: Image, original: Image, weights: Floats) -> Image:
    """`face` in the light of `original`: gains in linear light that change over the face, as the
    ratio of both pictures blurred.

    What is broad is the original's, light from one side or a shadow; what is fine is the face's
    own. Shapes as in `linear_gains`.
    """
    if weights.sum() < MIN_WEIGHT:
        return face
    height, width = weights.shape
    size, deviation = _coarse(weights)
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


def calmed(face: Image, original: Image, weights: Floats) -> Image:
    """`face` with no more contrast than `original` has, channel by channel.

    Gains keep ratios: what shines on dark skin would glare on light skin, and the noise of a dark
    channel would become spots of colour. Contrast is measured and bounded in code values, about
    the colours of `original` blurred, whose light `face` has already. Shapes as in `linear_gains`.
    """
    if weights.sum() < MIN_WEIGHT:
        return face
    height, width = weights.shape
    size, deviation = _coarse(weights)
    share = cv2.resize(weights, size, interpolation=cv2.INTER_AREA)[..., None]
    small = cv2.resize(original, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = cv2.GaussianBlur(
        np.dstack((small * share, share)), (0, 0), deviation, borderType=cv2.BORDER_CONSTANT
    )
    middle = blurred[..., :3] / np.maximum(blurred[..., 3:], np.float32(1e-3))
    drawn = cv2.resize(face, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    wanted, found = (
        np.sqrt((np.square(picture - middle) * share).sum((0, 1)) / share.sum())
        for picture in (small, drawn)
    )
    kept = np.minimum(1, wanted / np.maximum(found, np.float32(0.5)))
    if kept.min() == 1:
        return face
    around = cv2.resize(middle, (width, height), interpolation=cv2.INTER_LINEAR)
    result = around + (face.astype(np.float32) - around) * kept.astype(np.float32)
    return np.asarray(np.rint(result.clip(0, 255)), np.uint8)


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
    """`face` in the colours of `original`, by the method in the settings."""
    match settings.color:
        case "linear-gain":
            return apply_gains(face, linear_gains(face, original, weights))
        case "auto" | "light":
            even = apply_gains(face, linear_gains(face, original, weights))
            return calmed(lit(even, original, weights), original, weights)
        case "seamless":
            return cloned(face, original, weights)
        case "reinhard":
            return reinhard(face, original, weights)
        case "none":
            return face
    raise SettingsError(
        f"Unknown colour transfer {settings.color!r}.",
        "Use auto, linear-gain, light, reinhard, seamless or none.",
    )

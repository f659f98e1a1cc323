"""Renders made more like film: skin with beards, gloss and shadows; colours, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.mask_network.worn import JAW
from understudy.faces.masks import LIPS
from understudy.types import Floats, Image

GLARE = (70, 63, 105, 46, 53, 300, 293, 334, 276, 283, 127, 356, 109, 338, 151, 50, 280, 4, 152)
"""Points of the mesh about which a face may be washed out: brows, temples, forehead, cheeks, nose,
chin."""

TEMPLE_SIDES = ((70, 63, 105, 46, 53, 127, 103), (300, 293, 334, 276, 283, 356, 332))
"""Those about the brow and the temple at image left, and at image right."""


def blurred(values: Floats, deviation: float) -> Floats:
    """By a Gaussian, deviation in pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation), np.float32)


def varied(picture: Floats, mesh: Floats, random: np.random.Generator) -> Floats:
    """A face perhaps with a beard, freckles, gloss or a shadow on it: all of it is face.

    Args:
        picture: float32 (S, S, 3), 0..255.
        mesh: float32 (468, 2), its pixels.
    """
    side = picture.shape[0]
    shape = (side, side)
    if random.random() < 0.25:
        picture = _bearded(picture, mesh, random)
    if random.random() < 0.1:
        spots = blurred(random.standard_normal(shape).astype(np.float32), 1)
        picture = picture * (1 - random.uniform(0, 0.3) * (spots > 0.45))[..., None]
    if random.random() < 0.4:
        gloss = np.zeros(shape, np.float32)
        for _ in range(random.integers(1, 5)):
            at = tuple(int(v) for v in side * random.normal(0.5, 0.17, 2) * [1, 0.9])
            axes = tuple(int(v) for v in random.integers(2, 22, 2))
            cv2.ellipse(gloss, at, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
        gloss = blurred(gloss, random.uniform(1.5, 7))
        tone = random.uniform(30, 230) * random.normal(1, 0.05, 3)
        picture = np.minimum(picture + gloss[..., None] * tone.astype(np.float32), 255)
    if random.random() < 0.3:
        turn, far = random.uniform(0, 2 * np.pi), random.normal(0, 0.2)
        across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
        bend = random.normal(0, 0.6) * (across * np.sin(turn) - down * np.cos(turn)) ** 2
        shade = (across * np.cos(turn) + down * np.sin(turn) + bend > far).astype(np.float32)
        shade = blurred(shade, random.uniform(0.8, 8)) * np.float32(random.uniform(0.1, 0.75))
        picture = picture * (1 - shade)[..., None]
    return np.asarray(picture, np.float32)


def harsh(picture: Floats, random: np.random.Generator) -> Floats:
    """A picture with parts washed out by light, softly bounded, perhaps all of one side.

    Args:
        picture: float32 (S, S, 3), 0..255.
    """
    side = picture.shape[0]
    if random.random() < 0.5:
        soft = np.zeros((side, side), np.float32)
        for _ in range(random.integers(1, 4)):
            at = tuple(int(v) for v in side * random.normal([0.5, 0.42], 0.15))
            axes = tuple(int(v) for v in random.integers(5, 24, 2))
            cv2.ellipse(soft, at, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
        soft = blurred(soft, random.uniform(4, 10)) * np.float32(random.uniform(0.3, 0.95))
        smooth = blurred(picture, random.uniform(2, 7)) + np.float32(random.uniform(-20, 60))
        picture = picture + soft[..., None] * (smooth - picture)
    if random.random() < 0.3:
        turn, far = random.uniform(0, 2 * np.pi), random.normal(0, 0.3)
        across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
        ramp = np.clip((across * np.cos(turn) + down * np.sin(turn) - far) / 0.6, 0, 1)
        picture = picture * (1 + random.uniform(0.2, 1.6) * ramp[..., None]).astype(np.float32)
    return np.asarray(np.minimum(picture, 255), np.float32)


def washed(
    picture: Floats,
    mask: Image,
    mesh: Floats,
    skin: NDArray[np.floating],
    random: np.random.Generator,
    one_side: bool = False,
) -> Floats:
    """A face on which glare hides brows, temples or cheeks: parts of it, softly bounded, are no
    more than bright skin.

    Args:
        picture: float32 (S, S, 3), 0..255.
        mask: uint8 (S, S), the face as it shows.
        mesh: float32 (468, 2), pixels of the picture.
        skin: RGB, 0..255.
        one_side: whether it is about one brow and temple, and wide.
    """
    side = picture.shape[0]
    places = TEMPLE_SIDES[random.integers(2)] if one_side else GLARE
    for _ in range(random.choice([0, 1, 2, 3], p=[0.4, 0.3, 0.2, 0.1])):
        middle = mesh[random.choice(places)] + random.normal(0, 0.03 * side, 2)
        at = tuple(int(v) for v in middle)
        least, most = (7, 24) if one_side else (4, 20)
        axes = tuple(int(v) for v in random.integers(least, most, 2))
        part = np.zeros((side, side), np.float32)
        cv2.ellipse(part, at, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
        part = blurred(part, random.uniform(2.5, 8))
        part *= np.float32(random.uniform(0.6, 1.0) / max(float(part.max()), 1e-3) / 255) * mask
        bright = np.minimum(skin * random.uniform(0.95, 1.5) + random.uniform(0, 40), 255)
        picture = picture + part[..., None] * (bright.astype(np.float32) - picture)
    return np.asarray(picture, np.float32)


def _bearded(picture: Floats, mesh: Floats, random: np.random.Generator) -> Floats:
    shape = picture.shape[:2]
    points = np.round(16 * mesh[list(JAW)]).astype(np.int32)
    lower = points[:, 1] > 16 * mesh[random.choice([2, 4, 0]), 1]
    grown = np.zeros(shape, np.float32)
    if lower.sum() > 2:
        cv2.fillPoly(grown, [cv2.convexHull(points[lower])], 1.0, cv2.LINE_AA, 4)
    lips = np.round(16 * mesh[LIPS]).astype(np.int32)
    cv2.fillPoly(grown, [cv2.convexHull(lips)], 0.0, cv2.LINE_AA, 4)
    grown = blurred(grown, random.uniform(1.5, 6))
    hair = blurred(random.uniform(0, 1, shape).astype(np.float32), random.uniform(0.3, 1.2))
    hair = np.clip(0.5 + (hair - hair.mean()) / max(float(hair.std()), 1e-3) * 0.35, 0, 1)
    tone = np.array([1.0, 0.85, 0.7]) * random.uniform(5, 110)
    over = (grown * hair * random.uniform(0.3, 1.0))[..., None]
    return np.asarray(picture * (1 - over) + tone.astype(np.float32) * over, np.float32)


def film_like(image: Image, random: np.random.Generator) -> Image:
    """A picture in other colours and light, blurred, noisy and compressed, as films are.

    Args:
        image: RGB uint8 (S, S, 3).
    """
    whole = image.shape[0]
    tone = np.power(np.arange(256) / 255, np.exp(random.normal(0, 0.3)))
    tone = (tone - 0.5) * random.uniform(0.6, 1.4) + 0.5 + random.uniform(-0.15, 0.15)
    table = (tone[:, None] * random.normal(1, 0.08, 3)).astype(np.float32)
    x: Floats = np.asarray(cv2.LUT(image, table[None]), np.float32)
    grey = np.asarray(cv2.transform(x, np.array([[0.299, 0.587, 0.114]], np.float32)))
    much = 0.0 if random.random() < 0.08 else random.uniform(0.4, 1.4)
    x = np.float32(much) * x + np.float32(1 - much) * grey[..., None]
    if random.random() < 0.3:
        turn = random.uniform(0, 2 * np.pi)
        across, down = np.meshgrid(np.linspace(-1, 1, whole), np.linspace(-1, 1, whole))
        ramp = 1 + random.uniform(0, 0.5) * (across * np.cos(turn) + down * np.sin(turn))
        x = x * ramp[..., None].astype(np.float32)
    if random.random() < 0.4:
        x = blurred(x, random.uniform(0.3, 1.6))
    elif random.random() < 0.3:
        x = x + np.float32(random.uniform(0.3, 1.5)) * (x - blurred(x, 1.2))
    if random.random() < 0.25:
        side = int(random.integers(40, 110))
        small = cv2.resize(x, (side, side), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (whole, whole), interpolation=cv2.INTER_CUBIC)
        x = np.asarray(large, np.float32)
    if random.random() < 0.5:
        x = x + np.float32(random.uniform(0, 0.05)) * random.standard_normal(x.shape, np.float32)
    codes = np.asarray((x * 255).clip(0, 255).round(), np.uint8)
    if random.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(20, 90))]
        packed = np.asarray(cv2.imencode(".jpg", codes, quality)[1])
        codes = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return codes

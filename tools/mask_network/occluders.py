"""Things to hold before a face, drawn: hands, microphones, sticks, hair and others.

Nothing here is taken from a picture of anybody. A hand is a union of capsules, seen as a relief
and lit; what it is coloured with comes with the face. Every drawing hangs on the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.types import Floats, Image

SIDE = 192
"""Side of a drawing in pixels."""

NEUTRAL = 128
"""Value in a drawing in skin that leaves the skin's colour as it is."""


@dataclass(frozen=True)
class Drawing:
    """Attributes:
    colour: RGB uint8 (SIDE, SIDE, 3); of skin as multiples of `NEUTRAL`.
    alpha: uint8 (SIDE, SIDE).
    skin: whether it is to be coloured like somebody's skin.
    """

    colour: Image
    alpha: Image
    skin: bool = False


def relief(capsules: Sequence[tuple[float, ...]]) -> Floats:
    """Height in pixels over the picture's plane, below nought where there is none.

    Args:
        capsules: (x, y, x, y, radius, radius, z) in pixels, or with the height of either end.
    """
    height = np.full((SIDE, SIDE), -1.0, np.float32)
    for x0, y0, x1, y1, r0, r1, *heights in capsules:
        most = max(r0, r1) + 1
        left, right = int(max(0, min(x0, x1) - most)), int(min(SIDE, max(x0, x1) + most + 1))
        top, bottom = int(max(0, min(y0, y1) - most)), int(min(SIDE, max(y0, y1) + most + 1))
        if left >= right or top >= bottom:
            continue
        y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
        along = np.array([x1 - x0, y1 - y0], np.float32)
        t = ((x - x0) * along[0] + (y - y0) * along[1]) / max(float(along @ along), 1e-3)
        t = np.clip(t, 0, 1)
        off = (x - x0 - t * along[0]) ** 2 + (y - y0 - t * along[1]) ** 2
        radius = r0 + (r1 - r0) * t
        inside = radius**2 - off
        z = heights[0] + (heights[-1] - heights[0]) * t
        here = np.where(inside > 0, z + np.sqrt(np.maximum(inside, 0)), -1.0)
        part = height[top:bottom, left:right]
        np.maximum(part, here.astype(np.float32), out=part)
    return height


def lit(height: Floats, random: np.random.Generator, gloss: float = 0.0) -> Floats:
    """How bright a relief is, 1 on average, (SIDE, SIDE)."""
    solid = np.maximum(height, 0)
    smooth = cv2.GaussianBlur(solid, (0, 0), random.uniform(1.0, 2.2))
    dx, dy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    length = np.sqrt(dx**2 + dy**2 + 1)
    angle, slope = random.uniform(0, 2 * np.pi), random.uniform(0.2, 1.2)
    light = np.array([np.cos(angle) * slope, np.sin(angle) * slope, 1.0])
    light /= np.linalg.norm(light)
    facing = np.clip((-dx * light[0] - dy * light[1] + light[2]) / length, 0, 1)
    ambient = random.uniform(0.35, 0.75)
    shade = ambient + (1 - ambient) * facing
    hollow = cv2.GaussianBlur(solid, (0, 0), 5) - smooth
    shade *= np.clip(1 - 0.05 * np.maximum(hollow, 0) * random.uniform(0.3, 1.2), 0.4, 1)
    shade += gloss * facing**20
    inside = height > 0
    mean = float(shade[inside].mean()) if inside.any() else 1.0
    return np.asarray(shade / max(mean, 1e-3), np.float32)


def cloud(random: np.random.Generator, cell: int) -> Floats:
    """Smooth noise of unit deviation, (SIDE, SIDE)."""
    few = max(3, SIDE // cell + 2)
    small = random.standard_normal((few, few)).astype(np.float32)
    grown = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown / max(float(grown.std()), 1e-3), np.float32)


def softened(alpha: NDArray[np.bool_]) -> Image:
    soft = cv2.GaussianBlur(alpha.astype(np.float32) * 255, (0, 0), 0.8)
    return np.asarray(soft.round().clip(0, 255), np.uint8)


def codes(values: NDArray[np.floating]) -> Image:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def _hand_bones(random: np.random.Generator) -> tuple[list[tuple[float, ...]], list[Floats]]:
    """Capsules of a hand about the origin, of palm length 1, and where the nails lie:
    (x, y, radius, turn)."""
    bones: list[tuple[float, ...]] = []
    nails: list[Floats] = []
    spread = random.uniform(0.0, 0.16)
    how = random.choice(["open", "fist", "point", "some"], p=[0.5, 0.15, 0.15, 0.2])
    thick = random.uniform(0.85, 1.25)
    lengths = np.array([0.72, 0.85, 0.8, 0.62]) * random.uniform(0.85, 1.2)
    for finger in range(4):
        x, y = -0.33 + 0.22 * finger, -0.45 - 0.05 * np.sin(np.pi * finger / 3)
        bones.append((0.5 * x, 0.45, x, y, 0.24, 0.15 * thick, -0.05))
        straight = {
            "open": random.uniform(0.75, 1.0),
            "fist": random.uniform(0.2, 0.4),
            "point": 1.0 if finger == 0 else random.uniform(0.2, 0.4),
            "some": random.choice([0.3, 1.0]),
        }[str(how)]
        turn = (finger - 1.5) * spread + random.normal(0, 0.05)
        bend = random.normal(0, 0.12)
        radius = (0.115 - 0.008 * abs(finger - 1.2)) * thick
        z = random.uniform(-0.04, 0.04) + (0.1 if straight < 0.5 else 0.0)
        for share in (0.45, 0.3, 0.25):
            length = lengths[finger] * share * straight
            to = (x + np.sin(turn) * length, y - np.cos(turn) * length)
            bones.append((x, y, *to, radius, 0.93 * radius, z))
            (x, y), radius, turn = to, 0.93 * radius, turn + bend
        if straight > 0.5 and random.random() < 0.6:
            nails.append(np.array([x, y, 0.6 * radius, turn], np.float32))
    turn, x, y = random.uniform(0.3, 1.3), 0.36, 0.2
    side = random.choice([-1.0, 1.0])
    for length, radius in ((0.42, 0.15), (0.36, 0.125)):
        to = (x + np.sin(turn) * length, y - np.cos(turn) * length)
        bones.append((side * x, y, side * to[0], to[1], radius * thick, 0.9 * radius * thick, 0.03))
        x, y = to
        turn -= random.uniform(0.0, 0.5)
    arm = random.normal(0, 0.25)
    bones.append((0.0, 0.5, 2.2 * np.sin(arm), 0.5 + 2.2 * np.cos(arm), 0.3, 0.36, -0.08))
    return bones, nails


def hand(random: np.random.Generator) -> Drawing:
    """A hand in one of many poses, with a forearm that may be in a sleeve."""
    bones, nails = _hand_bones(random)
    unit = SIDE * random.uniform(0.27, 0.33)
    middle = np.array([SIDE / 2, SIDE * 0.5])
    narrow = random.uniform(0.45, 1.0) if random.random() < 0.5 else 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return middle[0] + unit * narrow * x, middle[1] + unit * y

    capsules = [
        (*place(x0, y0), *place(x1, y1), unit * r0 * narrow**0.5, unit * r1 * narrow**0.5, unit * z)
        for x0, y0, x1, y1, r0, r1, z in bones
    ]
    height = relief(capsules)
    shade = lit(height, random, random.uniform(0, 0.15))
    colour = np.repeat(shade[..., None], 3, axis=2)
    colour *= 1 + 0.04 * random.uniform(0, 1) * cloud(random, 6)[..., None]
    colour *= 1 + 0.05 * cloud(random, 24)[..., None] * np.array([1.0, 0.6, 0.5])
    nail = np.zeros((SIDE, SIDE), np.float32)
    for x, y, radius, turn in nails:
        at = tuple(round(16 * value) for value in place(float(x), float(y)))
        axes = (round(16 * unit * radius * narrow), round(16 * unit * radius * 1.3))
        cv2.ellipse(nail, at, axes, float(np.degrees(turn)), 0, 360, 1.0, -1, cv2.LINE_AA, 4)
    tint = np.array([1.12, 1.0, 1.02]) * random.uniform(0.95, 1.15)
    colour *= 1 + nail[..., None] * (tint - 1)
    if random.random() < 0.35:
        sleeve = np.arange(SIDE)[:, None] > middle[1] + unit * random.uniform(0.6, 1.0)
        cloth = random.uniform(0.1, 1.6, 3)
        colour = np.where(sleeve[..., None], shade[..., None] * cloth, colour)
    return Drawing(codes(NEUTRAL * colour), softened(height > 0), skin=True)


def finger(random: np.random.Generator) -> Drawing:
    """One or a few fingers that reach in from one side."""
    capsules: list[tuple[float, ...]] = []
    wide, count = SIDE * random.uniform(0.05, 0.09), int(random.integers(1, 5))
    for number in range(count):
        x = SIDE / 2 + (number - (count - 1) / 2) * wide * random.uniform(1.8, 2.4)
        y, turn, radius = SIDE * 1.05, random.normal(0, 0.1), wide
        whole = SIDE * random.uniform(0.55, 0.85)
        for share in (0.5, 0.28, 0.22):
            to = (x + np.sin(turn) * whole * share, y - np.cos(turn) * whole * share)
            capsules.append((x, y, *to, radius, radius * 0.92, random.uniform(-2, 2)))
            (x, y), radius, turn = to, 0.92 * radius, turn + random.normal(0, 0.15)
    height = relief(capsules)
    shade = lit(height, random, random.uniform(0, 0.15))
    colour = shade[..., None] * (1 + 0.05 * cloud(random, 20)[..., None] * np.array([1, 0.6, 0.5]))
    return Drawing(codes(NEUTRAL * colour), softened(height > 0), skin=True)


def paint(random: np.random.Generator) -> Floats:
    """A surface: plain, clouded, striped or chequered; RGB 0..255 (SIDE, SIDE, 3)."""
    one, other = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
    if random.random() < 0.4:
        one, other = np.full(3, one.mean()), np.full(3, other.mean())
    kind = random.integers(0, 4)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    turn, wave = random.uniform(0, np.pi), random.uniform(0.08, 0.9)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    if kind == 0:
        share = 0.5 + 0.1 * cloud(random, 16)
    elif kind == 1:
        share = 0.5 + 0.3 * cloud(random, int(random.integers(3, 50)))
    elif kind == 2:
        share = 0.5 + 0.5 * np.sin(u * wave)
    else:
        share = 0.5 + 0.5 * np.sign(np.sin(u * wave) * np.sin(v * wave))
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(one * share + other * (1 - share), np.float32)


def _solid(
    capsules: Sequence[tuple[float, ...]], surface: Floats, random: np.random.Generator
) -> Drawing:
    height = relief(capsules)
    shade = lit(height, random, random.uniform(0, 0.5))
    return Drawing(codes(surface * shade[..., None]), softened(height > 0))


def microphone(random: np.random.Generator) -> Drawing:
    """A ball or a foam on a handle."""
    ball, body = SIDE * random.uniform(0.09, 0.17), SIDE * random.uniform(0.03, 0.08)
    at, long = SIDE * 0.35, random.uniform(0, 0.12) * SIDE
    x = SIDE / 2
    capsules = [
        (x, at, x, at + long, ball, ball, 4.0),
        (x, at + long, x, SIDE * 1.1, body, 0.8 * body, 0.0),
    ]
    dark = random.uniform(10, 110) if random.random() < 0.7 else random.uniform(0, 255, 3)
    surface = np.broadcast_to(dark, (SIDE, SIDE, 3)).astype(np.float32)
    mesh = np.sign(np.sin(np.arange(SIDE) * random.uniform(0.6, 2.0)))
    surface = surface * (1 + random.uniform(0, 0.4) * (mesh[:, None] * mesh[None])[..., None])
    return _solid(capsules, surface, random)


def stick(random: np.random.Generator) -> Drawing:
    """A pen, a pole, a straw: one to three of them."""
    capsules = []
    for _ in range(random.integers(1, 4)):
        ends = SIDE * (0.5 + random.normal(0, 0.25, 2))
        radius = SIDE * random.uniform(0.008, 0.05)
        top = random.choice([-0.1, random.uniform(0.1, 0.5)]) * SIDE
        capsules.append((ends[0], top, ends[1], 1.1 * SIDE, radius, radius, 0.0))
    return _solid(capsules, paint(random), random)


def blob(random: np.random.Generator) -> Drawing:
    """Any smooth shape with any surface, skin among them: fists and arms look so from near."""
    field = cloud(random, int(random.integers(28, 90)))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    field = field * random.uniform(0.15, 0.6) + 1 - 1.6 * np.hypot(x, y * random.uniform(0.6, 1.8))
    shade = 1 + 0.15 * cloud(random, int(random.integers(20, 80)))[..., None] * random.uniform(0, 1)
    alpha = softened(field > 0.2)
    if random.random() < 0.35:
        return Drawing(codes(NEUTRAL * shade * np.ones(3)), alpha, skin=True)
    return Drawing(codes(paint(random) * shade), alpha)


def strands(random: np.random.Generator) -> Drawing:
    """Hair: tens of curves that hang together."""
    base = random.uniform(0, 1) * np.array([190, 150, 105]) + random.uniform(5, 45)
    if random.random() < 0.15:
        base = random.uniform(20, 235, 3)
    colour = np.repeat(base[None, None], SIDE, 0).repeat(SIDE, 1).astype(np.float32)
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    root, tip = random.uniform(0.2, 0.8, 2) * SIDE, random.uniform(0.2, 0.8, 2) * SIDE
    wide = random.uniform(2, 26)
    sway = random.normal(0, 0.16 * SIDE, 2)
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(random.integers(4, 70)):
        off = random.normal(0, wide)
        line = (1 - t) * np.array([root[0] + off, -8]) + t * np.array(
            [tip[0] + off + random.normal(0, 5), SIDE * random.uniform(0.5, 1.1)]
        )
        line[:, 0] += np.sin(np.pi * t[:, 0]) * sway[0] + np.sin(2 * np.pi * t[:, 0]) * sway[1]
        points = np.round(line * 16).astype(np.int32).reshape(-1, 1, 2)
        width = int(random.integers(1, 4))
        tone = base * random.uniform(0.6, 1.5)
        cv2.polylines(alpha, [points], False, 255, width, cv2.LINE_AA, 4)
        cv2.polylines(colour, [points], False, tone.tolist(), width, cv2.LINE_AA, 4)
    return Drawing(codes(colour), alpha)


def cup(random: np.random.Generator) -> Drawing:
    """A mug from the side, with its handle."""
    wide, high = SIDE * random.uniform(0.16, 0.24), SIDE * random.uniform(0.2, 0.3)
    x = y = SIDE / 2
    y0, x0 = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    taper = random.uniform(0.8, 1.0)
    edge = wide * (1 - (1 - taper) * np.clip((y0 - y + high) / (2 * high), 0, 1))
    body = (np.abs(x0 - x) < edge) & (np.abs(y0 - y) < high)
    rim = ((x0 - x) / wide) ** 2 + ((y0 - y + high) / (0.25 * wide)) ** 2 < 1
    ring = np.hypot(x0 - x - wide, (y0 - y) * 0.8)
    handle = (ring > 0.25 * SIDE * 0.35) & (ring < 0.25 * SIDE * 0.6) & (x0 > x + 0.8 * wide)
    across = np.clip((x0 - x) / wide, -1, 1)
    shade = 0.6 + 0.5 * np.sqrt(np.maximum(1 - (across - random.uniform(-0.5, 0.5)) ** 2, 0))
    colour = paint(random) * shade[..., None]
    colour[rim] *= 0.6
    return Drawing(codes(colour), softened(body | rim | handle))


def twig(random: np.random.Generator) -> Drawing:
    """A branch with leaves."""
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    colour = np.zeros((SIDE, SIDE, 3), np.float32)
    green = np.array([random.uniform(30, 160), random.uniform(70, 190), random.uniform(10, 90)])
    colour += green * 0.5
    bend = random.normal(0, 0.3)
    for share in np.linspace(0, 1, 14):
        x = SIDE * (0.5 + 0.3 * np.sin(bend * share * 3) * share)
        y = SIDE * (1.0 - 0.9 * share)
        tone = (green * random.uniform(0.6, 1.4)).tolist()
        size = (round(SIDE * random.uniform(0.05, 0.1)), round(SIDE * random.uniform(0.02, 0.04)))
        turn = random.uniform(0, 360)
        at = (round(x + size[0] * np.cos(np.radians(turn))), round(y))
        for picture, value in ((alpha, 255), (colour, tone)):
            cv2.ellipse(picture, at, size, turn, 0, 360, value, -1, cv2.LINE_AA)
            cv2.line(picture, (round(x), round(y)), (SIDE // 2, SIDE), value, 2, cv2.LINE_AA)
    return Drawing(codes(colour), alpha)


UNSEEN: dict[str, Callable[[np.random.Generator], Drawing]] = {"cup": cup, "twig": twig}
"""What nothing is ever learned from."""


def placed(
    drawing: Drawing,
    skin: NDArray[np.floating],
    side: int,
    random: np.random.Generator,
    larger: float = 1.0,
) -> tuple[Floats, Floats]:
    """A drawing somewhere over a face: RGB float32 (side, side, 3), 0..255, and alpha 0..1.

    Args:
        skin: RGB 0..255 of who is held before the face.
        side: of the stored crop that shows the face, pixels.
        larger: factor on its size.
    """
    angle = random.uniform(0, 2 * np.pi)
    size = larger * side / SIDE * random.uniform(0.5, 1.7)
    mirror = random.choice([-1.0, 1.0])
    cos, sin = np.cos(angle) * size, np.sin(angle) * size
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    at = side * np.array([0.5, 0.52]) + random.normal(0, 0.17 * side, 2)
    held = SIDE * np.array([0.5, random.uniform(0.25, 0.6)])
    matrix = np.column_stack([turn, at - turn @ held])
    colour = cv2.warpAffine(drawing.colour, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(drawing.alpha, matrix, (side, side))
    rgb = np.asarray(colour, np.float32)
    if drawing.skin:
        rgb *= (skin / NEUTRAL).astype(np.float32)
    return rgb.clip(0, 255), np.asarray(alpha, np.float32) / np.float32(255)

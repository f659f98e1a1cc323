"""Hands to hold before a face, drawn from bones: palm, joints that bend, wrist and forearm.

A hand is posed in space, turned in any way and seen as a relief of rounded bones, so fingers hang
down, curl, point at the camera or lie over each other as those of a real one do. Lengths and the
ranges of joints are roughly those of a grown person's hand. Nothing is taken from a picture of
anybody.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.mask_network.occluders import NEUTRAL, SIDE, Drawing, cloud, codes, lit, relief, softened
from understudy.types import Floats

Vector = NDArray[np.float64]
Bone = tuple[Vector, Vector, float, float]
"""From, to, and the radius at either end, in lengths of the palm."""

FINGERS = ((-0.3, 0.84), (-0.1, 0.94), (0.11, 0.88), (0.3, 0.68))
"""Where a finger leaves the palm, across it, and its length, in lengths of the palm."""

PARTS = (0.46, 0.3, 0.24)
"""Lengths of a finger's bones, of the whole."""

BENT = {
    "flat": ((-0.1, 0.3), (0.0, 0.25), (0.0, 0.15)),
    "easy": ((0.1, 0.9), (0.2, 0.9), (0.1, 0.6)),
    "hook": ((0.0, 0.5), (1.0, 1.8), (0.5, 1.2)),
    "fist": ((1.2, 1.6), (1.4, 1.9), (0.6, 1.2)),
    "right angle": ((1.1, 1.6), (0.0, 0.4), (0.0, 0.3)),
}
"""How far each of a finger's joints bends, in radians."""

FAR = 5.0
"""Height in lengths of the palm that no part of an arm gets below the middle by."""

SHADOW_STEPS = 10


def _turned(axis: Vector, angle: float) -> Vector:
    """Rotation matrix (3, 3) about an axis (Rodrigues' formula)."""
    return np.asarray(cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0], np.float64)


def _chain(
    at: Vector, frame: Vector, bends: list[float], lengths: list[float], radius: float
) -> list[Bone]:
    """Bones one behind the other; each turns `frame` (3, 3) about its own first axis."""
    bones = []
    for bend, length in zip(bends, lengths, strict=True):
        frame = frame @ _turned(np.array([1.0, 0, 0]), bend)
        to = at + frame @ np.array([0, length, 0])
        bones.append((at, to, radius, 0.9 * radius))
        at, radius = to, 0.9 * radius
    return bones


def bones(random: np.random.Generator) -> list[Bone]:
    """A right hand in lengths of its palm: x across it towards the little finger, y towards the
    fingers, z out of its back. Fingers bend towards -z."""
    thick = random.uniform(0.85, 1.2)
    found: list[Bone] = []
    poses = list(BENT)
    whole = poses[random.choice(len(poses), p=[0.2, 0.25, 0.2, 0.2, 0.15])]
    alone = random.random() < 0.3
    spread = random.uniform(0.0, 0.2)
    for number, (across, length) in enumerate(FINGERS):
        pose = poses[random.integers(len(poses))] if alone and random.random() < 0.4 else whole
        bends = [-random.uniform(*limits) for limits in BENT[pose]]
        root = np.array([across, -0.06 * abs(number - 1.2), 0.0])
        found.append((np.array([0.5 * across, -0.95, 0.0]), root, 0.2, 0.14 * thick))
        frame = _turned(np.array([0, 0, 1.0]), -(number - 1.4) * spread + random.normal(0, 0.04))
        lengths = [length * share for share in PARTS]
        found += _chain(root, frame, bends, lengths, (0.12 - 0.008 * abs(number - 1.3)) * thick)
    aside = _turned(np.array([0, 0, 1.0]), random.uniform(0.3, 1.2))
    frame = aside @ _turned(np.array([0, 1.0, 0]), random.uniform(-1.2, 0.4))
    bends = [-random.uniform(0.0, 0.5), -random.uniform(0.0, 0.6), -random.uniform(0.0, 0.8)]
    found += _chain(np.array([-0.22, -0.85, -0.05]), frame, bends, [0.45, 0.34, 0.27], 0.17 * thick)
    found.append((np.array([-0.2, -0.8, -0.05]), np.array([0.2, -0.35, -0.05]), 0.2, 0.2))
    back = _turned(np.array([1.0, 0, 0]), random.normal(0, 0.5))
    back = back @ _turned(np.array([0, 0, 1.0]), random.normal(0, 0.25))
    elbow = np.array([0, -0.95, 0.0]) + back @ np.array([0, -3.0, 0])
    found.append((np.array([0, -0.95, 0.0]), elbow, 0.26 * thick, 0.38 * thick))
    return found


def _shadow(height: Floats, random: np.random.Generator) -> Floats:
    """What a relief throws on itself, 0..1, (SIDE, SIDE)."""
    angle, steep = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1.5)
    dark = np.zeros_like(height)
    for step in range(1, SHADOW_STEPS + 1):
        far = 2.0 * step
        move = np.array([[1, 0, far * np.cos(angle)], [0, 1, far * np.sin(angle)]], np.float32)
        moved = cv2.warpAffine(height, move, (SIDE, SIDE), borderValue=-1.0)
        np.maximum(dark, moved - height - far * steep > 0, out=dark)
    return np.asarray(cv2.GaussianBlur(dark, (0, 0), random.uniform(1.0, 3.0)), np.float32)


def _seen(some: list[Bone], view: Vector, held: Vector, unit: float) -> list[tuple[float, ...]]:
    """Bones as capsules of a relief: turned by `view` (3, 3) about the point `held`, which comes to
    lie in the middle; `unit` is the palm's length in pixels."""
    middle = np.array([SIDE / 2, SIDE / 2, FAR * unit])
    scale = unit * np.array([1.0, -1.0, 1.0])
    capsules: list[tuple[float, ...]] = []
    for one, other, first, last in some:
        a, b = (middle + scale * (view @ (end - held)) for end in (one, other))
        # A bone that points at the camera is little more than its ends.
        ends = ((a, unit * first), (b, unit * last))
        capsules += [(*end[:2], *end[:2], radius, radius, end[2]) for end, radius in ends]
        capsules.append((*a[:2], *b[:2], unit * first, unit * last, a[2], b[2]))
    return capsules


def _sleeve(forearm: Bone, random: np.random.Generator) -> Bone:
    wrist, elbow, _, thick = forearm
    return wrist + random.uniform(0.1, 0.4) * (elbow - wrist), elbow, 1.25 * thick, 1.4 * thick


def posed_hand(random: np.random.Generator) -> Drawing:
    """A hand in some pose, seen from anywhere, with a forearm that may be in a sleeve."""
    view = _turned(random.normal(0, 1, 3), random.uniform(0, np.pi))
    unit = SIDE * random.uniform(0.26, 0.36)
    held = np.array([0.0, random.uniform(-0.6, 0.4), 0.0])
    found = bones(random)
    hand = height = relief(_seen(found, view, held, unit))
    cloth = np.full_like(hand, -1)
    if random.random() < 0.4:
        cloth = relief(_seen([_sleeve(found[-1], random)], view, held, unit))
        height = np.maximum(hand, cloth)
    shade = lit(np.where(height > 0, height - height[height > 0].min() + 1, -1), random, 0.1)
    shade = shade * (1 - random.uniform(0.1, 0.6) * _shadow(height, random))
    colour = np.repeat(shade[..., None], 3, axis=2)
    colour *= 1 + 0.04 * random.uniform(0, 1) * cloud(random, 5)[..., None]
    colour *= 1 + 0.05 * cloud(random, 20)[..., None] * np.array([1.0, 0.6, 0.5])
    if (cloth > 0).any():
        dyed = shade[..., None] * random.uniform(0.1, 1.6, 3)
        colour = np.where((cloth >= hand)[..., None], dyed, colour)
    return Drawing(codes(NEUTRAL * colour), softened(height > 0), skin=True)

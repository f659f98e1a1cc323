"""Things that are worn on a face, drawn where its mesh is: glasses and cloth."""

from __future__ import annotations

import cv2
import numpy as np

from tools.mask_network.occluders import cloud, paint
from understudy.types import Floats

LEFT_EYE, RIGHT_EYE = (33, 133), (362, 263)
TEMPLES = (127, 356)
"""Points of the mesh that glasses hang on."""

JAW = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361)
"""Points of the mesh along the jaw, from ear to ear."""


def glasses(
    points: Floats, side: int, random: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Glasses on a face's mesh (468, 2): RGB, alpha, and of alpha what is frame or dark lens."""
    eyes = np.array([points[list(pair)].mean(0) for pair in (LEFT_EYE, RIGHT_EYE)], np.float64)
    along = eyes[1] - eyes[0]
    apart = max(float(np.hypot(*along)), 4.0)
    down = np.array([-along[1], along[0]]) / apart
    turn = float(np.degrees(np.arctan2(along[1], along[0])))
    wide, high = apart * random.uniform(0.32, 0.44), apart * random.uniform(0.2, 0.4)
    tone = random.uniform(0, 70, 3) if random.random() < 0.6 else random.uniform(0, 255, 3)
    thick = int(random.integers(1, 5))
    colour = np.broadcast_to(tone, (side, side, 3)).astype(np.float32).copy()
    frame, lens = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    centres = [eye + down * apart * random.uniform(0.0, 0.1) for eye in eyes]
    boxed = random.random() < 0.5
    for centre in centres:
        if boxed:
            corners = cv2.boxPoints((centre, (2 * wide, 2 * high), turn))
            shape = np.round(corners * 16).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(frame, [shape], True, 255, thick, cv2.LINE_AA, 4)
            cv2.fillPoly(lens, [shape], 255, cv2.LINE_AA, 4)
        else:
            at = (round(16 * centre[0]), round(16 * centre[1]))
            axes = (round(16 * wide), round(16 * high))
            cv2.ellipse(frame, at, axes, turn, 0, 360, 255, thick, cv2.LINE_AA, 4)
            cv2.ellipse(lens, at, axes, turn, 0, 360, 255, -1, cv2.LINE_AA, 4)
    inner = [centres[0] + along / apart * wide, centres[1] - along / apart * wide]
    outer = [centres[0] - along / apart * wide, centres[1] + along / apart * wide]
    for one, other in ((inner[0], inner[1]), *zip(outer, points[list(TEMPLES)], strict=True)):
        ends = [tuple(int(v) for v in np.round(16 * np.asarray(p))) for p in (one, other)]
        cv2.line(frame, ends[0], ends[1], 255, max(1, thick - 1), cv2.LINE_AA, 4)
    dark = random.random() < 0.3
    strength = random.uniform(0.75, 1.0) if dark else random.uniform(0.0, 0.2)
    tint = random.uniform(0, 60, 3) if dark else random.uniform(120, 255, 3)
    glass = lens.astype(np.float32) / np.float32(255)
    shine = np.clip(0.5 + 0.2 * cv2.resize(cloud(random, 80), (side, side)), 0, 1) * 60
    inside = (glass > 0.5) & (frame < 128)
    colour[inside] = (tint + shine[..., None] * random.uniform(0, 1))[inside]
    rim = frame.astype(np.float32) / np.float32(255)
    alpha = np.maximum(rim, np.float32(strength) * glass)
    return colour.clip(0, 255), alpha, np.maximum(rim, glass * np.float32(dark))


def scarf(points: Floats, side: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Cloth over the face from the nose or the mouth down: RGB and alpha."""
    jaw = points[list(JAW)].astype(np.float64)
    nose, chin = points[random.choice([4, 2, 0, 17])], points[152]
    middle = jaw.mean(0)
    edge = middle + (jaw - middle) * random.uniform(1.05, 1.6)
    keep = edge @ (chin - nose) > (nose @ (chin - nose)) - 0.15 * float(
        (chin - nose) @ (chin - nose)
    )
    shape = np.vstack([edge[keep], nose[None]]) if keep.sum() > 2 else edge
    alpha = np.zeros((side, side), np.uint8)
    hull = cv2.convexHull(np.round(shape * 16).astype(np.int32))
    cv2.fillPoly(alpha, [hull], 255, cv2.LINE_AA, 4)
    folds = 1 + 0.12 * cloud(random, int(random.integers(12, 60)))
    surface = cv2.resize(paint(random) * folds[..., None], (side, side))
    return np.asarray(surface, np.float32).clip(0, 255), np.asarray(alpha, np.float32) / np.float32(
        255
    )

"""Where faces show, for networks that do not say.

Where a swap ends on hair or background it has a rim (`blend_rim`), and that needs to know where the
face that comes was drawn and where the face that goes shows. A network tells of people whom it
knows, if it learns masks at all. For everybody else the network of `faces.occlusion` looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from understudy.faces.occlusion import shown_in
from understudy.types import Floats, Image

FAINT = 0.25
"""How likely a face is to have been drawn somewhere, at least, for its hull to reach there."""


class Shown(NamedTuple):
    """Where faces show in one crop.

    Attributes:
        mask: float32 (S, S), 0..1: where the face that comes was drawn.
        learned: whether that is known; else `mask` says nothing and the mesh bounds it.
        below: float32 (S, S), 0..1: where the face that goes shows; None where nobody knows.
    """

    mask: Floats
    learned: bool
    below: Floats | None


def as_told(masks: Floats, learned: bool, below: Floats | None) -> list[Shown]:
    """What a network tells of its crops; see `Drawer.draw_over`."""
    under = [None] * len(masks) if below is None else list(below)
    return [Shown(mask, learned, one) for mask, one in zip(masks, under, strict=True)]


def looked_at(
    told: Sequence[Shown],
    crops: Sequence[Image],
    outputs: Floats,
    inner: Sequence[Floats],
    device: torch.device,
    bfloat16: bool,
) -> list[Shown]:
    """What was not told, by looking; as told where the picture is not understood.

    Args:
        crops: N of RGB uint8 (S, S, 3), core crops of the film.
        outputs: float32 (N, S, S, 3), RGB 0..1, what was drawn there.
        inner: N of float32 (S, S), 0..1: the inner face by the film's mesh.

    Raises:
        WeightsError: the network cannot be read.
    """
    found = list(told)
    lacking = [number for number, one in enumerate(told) if one.below is None]
    below = shown_in(*_of(lacking, crops, inner), device, bfloat16)
    for number, seen in zip(lacking, below, strict=True):
        found[number] = found[number]._replace(below=seen)
    unmasked = [n for n, one in enumerate(found) if not one.learned and one.below is not None]
    pictures = [np.rint(255 * outputs[number]).astype(np.uint8) for number in range(len(outputs))]
    drawn = shown_in(*_of(unmasked, pictures, inner), device, bfloat16)
    for number, seen in zip(unmasked, drawn, strict=True):
        if seen is None:
            found[number] = told[number]
        else:
            found[number] = found[number]._replace(mask=_whole(seen), learned=True)
    return found


def _whole(mask: Floats) -> Floats:
    """A mask (S, S) with the hull of its largest piece: what is drawn is blurred and seen with
    holes, and faces have none."""
    contours, _ = cv2.findContours(
        (mask > FAINT).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    hull = np.zeros(mask.shape, np.uint8)
    if contours:
        cv2.fillConvexPoly(hull, cv2.convexHull(max(contours, key=cv2.contourArea)), 1)
    return np.maximum(mask, hull.astype(np.float32))


def _of(
    numbers: Sequence[int], pictures: Sequence[Image], inner: Sequence[Floats]
) -> tuple[list[Image], list[Floats]]:
    return [pictures[number] for number in numbers], [inner[number] for number in numbers]

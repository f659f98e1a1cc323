"""Where faces are visible, for networks that draw no masks.

Where a swap ends on hair or background it has a rim (`rim`), and that needs to know where the
source's face was drawn and where the target's face shows. A network shows this for people it
knows, if it learns masks at all. For all others the network of `faces.occlusion` is used.
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
"""Smallest likelihood of a drawn face at which its hull includes a pixel."""


class Shown(NamedTuple):
    """Where faces are visible in one crop.

    Attributes:
        mask: float32 (S, S), 0..1: where the source's face was drawn.
        learned: whether that is known; otherwise `mask` is void and the mesh bounds the face.
        below: float32 (S, S), 0..1: where the target's face shows; None if unknown.
    """

    mask: Floats
    learned: bool
    below: Floats | None


def as_told(masks: Floats, learned: bool, below: Floats | None) -> list[Shown]:
    """What a network says about its crops; see `Drawer.draw_over`."""
    under = [None] * len(masks) if below is None else list(below)
    return [Shown(mask, learned, one) for mask, one in zip(masks, under, strict=True)]


def looked_at(
    masks: Floats,
    learned: bool,
    crops: Sequence[Image],
    outputs: Floats,
    inner: Sequence[Floats],
    device: torch.device,
    bfloat16: bool,
) -> list[Shown]:
    """Detect what a network does not say about its crops; a face that cannot be read stays
    as the network said.

    Args:
        masks, learned: as `as_told` takes them.
        crops: N of RGB uint8 (S, S, 3), core crops of the film.
        outputs: float32 (N, S, S, 3), RGB 0..1, what was drawn there.
        inner: N of float32 (S, S), 0..1: the inner face by the film's mesh.

    Raises:
        WeightsError: the network cannot be read.
    """
    below = shown_in(crops, inner, device, bfloat16)
    if learned:
        return [Shown(mask, True, seen) for mask, seen in zip(masks, below, strict=True)]
    drawn = shown_in(list(np.rint(255 * outputs).astype(np.uint8)), inner, device, bfloat16)
    return [
        Shown(mask, False, None) if own is None or seen is None else Shown(_whole(own), True, seen)
        for mask, own, seen in zip(masks, drawn, below, strict=True)
    ]


def _whole(mask: Floats) -> Floats:
    """A mask (S, S) with the hull of its largest piece: drawn faces are blurred and detected with
    holes, and faces have none."""
    contours, _ = cv2.findContours(
        (mask > FAINT).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    hull = np.zeros(mask.shape, np.uint8)
    if contours:
        cv2.fillConvexPoly(hull, cv2.convexHull(max(contours, key=cv2.contourArea)), 1)
    return np.maximum(mask, hull.astype(np.float32))

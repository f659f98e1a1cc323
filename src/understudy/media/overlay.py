"""Patches laid over a picture in its own planes, so that uncovered pixels do not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import av
import cv2
import numpy as np

from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.planes import Plane
from understudy.types import Floats, Patch


def lay(picture: av.VideoFrame, patches: Sequence[Patch]) -> av.VideoFrame:
    """Lay patches over a picture: `alpha * image + (1 - alpha) * picture`, in order.

    The patch is taken into the picture's own matrix, range and bit depth; the picture itself
    is never converted. A chroma sample takes the alpha-weighted mean colour and the mean alpha
    of the pixels that it covers. Samples whose alpha is 0 keep their value to the bit.

    Args:
        picture: in any format that a reader gives; it is not changed.
        patches: none gives back `picture` itself.

    Returns:
        A new picture with the same format, time and tags.
    """
    form = planes.form_of(picture.format.name)
    if form is None:
        return lay(planes.simplify(picture), patches)
    height, width = picture.height, picture.width
    seen = [cut for patch in patches if (cut := _inside(patch, width, height)) is not None]
    if not seen:
        return picture
    result = planes.copy(picture)
    targets = planes.arrays(result)
    top = float(2**form.bits - 1)
    if form.kind == "rgb":
        for x, y, image, alpha in seen:
            h, w = alpha.shape
            colour = image.astype(np.float32) * np.float32(top / 255)
            _blend(targets[0][y : y + h, x : x + w], colour, alpha[..., None], top)
        return result
    matrix = colours.yuv_from_rgb(colours.colour_of(picture), form.bits)
    for x, y, image, alpha in seen:
        h, w = alpha.shape
        yuv = cast(Floats, cv2.transform(image.astype(np.float32), matrix))
        _blend(targets[0][y : y + h, x : x + w], yuv[..., 0], alpha, top)
        if form.kind == "yuv":
            _blend_chroma(targets[1:], x, y, yuv, alpha, form.shift, (width, height), top)
    return result


def _inside(patch: Patch, width: int, height: int) -> tuple[int, int, Plane, Floats] | None:
    """The part of a patch within the picture that is not fully clear: x, y, image, alpha."""
    x0, y0 = max(0, patch.x), max(0, patch.y)
    x1 = min(width, patch.x + patch.alpha.shape[1])
    y1 = min(height, patch.y + patch.alpha.shape[0])
    if x0 >= x1 or y0 >= y1:
        return None
    rows, columns = slice(y0 - patch.y, y1 - patch.y), slice(x0 - patch.x, x1 - patch.x)
    alpha = np.clip(patch.alpha[rows, columns], 0, 1, dtype=np.float32)
    if not alpha.any():
        return None
    return x0, y0, patch.image[rows, columns], alpha


def _blend(target: Plane, colour: Floats, alpha: Floats, top: float) -> None:
    """target += alpha * (colour - target), rounded; exact where alpha is 0."""
    under = target.astype(np.float32)
    mixed = under + alpha * (colour - under)
    target[...] = np.clip(np.rint(mixed, out=mixed), 0, top, out=mixed)


def _blend_chroma(
    targets: Sequence[Plane],
    x: int,
    y: int,
    yuv: Floats,
    alpha: Floats,
    shift: tuple[int, int],
    size: tuple[int, int],
    top: float,
) -> None:
    across, down = 1 << shift[0], 1 << shift[1]
    h, w = alpha.shape
    left, above = x % across, y % down
    right, below = -(x + w) % across, -(y + h) % down
    # A chroma sample on the picture's odd border covers fewer pixels: those repeat there.
    # Elsewhere the patch just ends within the sample: the rest is clear.
    beyond_x = right if x + w == size[0] else 0
    beyond_y = below if y + h == size[1] else 0
    share = cast(Floats, cv2.merge([alpha, yuv[..., 1] * alpha, yuv[..., 2] * alpha]))
    if beyond_x or beyond_y:
        share = _padded(share, (0, beyond_y, 0, beyond_x), cv2.BORDER_REPLICATE)
    edges = (above, below - beyond_y, left, right - beyond_x)
    if any(edges):
        share = _padded(share, edges, cv2.BORDER_CONSTANT)
    if (across, down) != (1, 1):
        smaller = (share.shape[1] // across, share.shape[0] // down)
        share = cast(Floats, cv2.resize(share, smaller, interpolation=cv2.INTER_AREA))
    rows = slice((y - above) // down, (y - above) // down + share.shape[0])
    columns = slice((x - left) // across, (x - left) // across + share.shape[1])
    keep = 1 - share[..., 0]
    for plane, weighted in zip(targets, (share[..., 1], share[..., 2]), strict=True):
        target = plane[rows, columns]
        mixed = target.astype(np.float32) * keep + weighted
        target[...] = np.clip(np.rint(mixed, out=mixed), 0, top, out=mixed)


def _padded(array: Floats, edges: tuple[int, int, int, int], border: int) -> Floats:
    return cast(Floats, cv2.copyMakeBorder(array, *edges, border, value=0))

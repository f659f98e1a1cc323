"""Frames for the films beside the film: source next to result, and the matte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import av
import numpy as np

from understudy.types import Frame, Patch


def doubled(frame: Frame) -> Frame:
    """The frame twice, side by side, in its own pixel format; the last column of an odd width
    is dropped.

    Planes are copied as they are, so that the left half of a side-by-side film is the source
    and nothing else. Formats that interleave subsampled components go through RGB.
    """
    picture = frame.picture
    width = picture.width - picture.width % 2
    components = picture.format.components
    plain = all(part.width == picture.planes[part.plane].width for part in components)
    if plain:
        wide = av.VideoFrame(2 * width, picture.height, picture.format.name)
        for number, (source, target) in enumerate(zip(picture.planes, wide.planes, strict=True)):
            sample = sum((part.bits + 7) // 8 for part in components if part.plane == number)
            row = target.width // 2 * sample
            old = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)[:, :row]
            new = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)
            new[: source.height, :row] = old[: source.height]
            new[: source.height, row : 2 * row] = old[: source.height]
    else:
        half = frame.image[:, :width]
        wide = av.VideoFrame.from_ndarray(np.hstack([half, half]), format="rgb24")
    wide.color_range = picture.color_range
    wide.colorspace = picture.colorspace
    wide.color_primaries = picture.color_primaries
    wide.color_trc = picture.color_trc
    wide.pts, wide.time_base = picture.pts, picture.time_base
    return Frame(frame.index, frame.time, wide, frame.to_rgb)


def moved(patches: Sequence[Patch], frame: Frame) -> list[Patch]:
    """The patches of `frame` where they belong in the right half of `doubled(frame)`.

    What would reach over into the left half is cut off.
    """
    shift = frame.picture.width - frame.picture.width % 2
    result = []
    for patch in patches:
        cut = max(0, -patch.x)
        result.append(
            replace(
                patch,
                x=patch.x + cut + shift,
                image=patch.image[:, cut:],
                alpha=patch.alpha[:, cut:],
            )
        )
    return result


def matte(frame: Frame, patches: Sequence[Patch]) -> Frame:
    """The alpha of `patches` over `frame` as an 8-bit grey frame, 255 where nothing of the
    source is left."""
    height, width = frame.picture.height, frame.picture.width
    clear = np.ones((height, width), np.float32)
    for patch in patches:
        h, w = patch.alpha.shape
        x0, y0 = max(0, patch.x), max(0, patch.y)
        x1, y1 = min(width, patch.x + w), min(height, patch.y + h)
        if x0 < x1 and y0 < y1:
            inside = patch.alpha[y0 - patch.y : y1 - patch.y, x0 - patch.x : x1 - patch.x]
            clear[y0:y1, x0:x1] *= 1 - inside
    grey = np.rint(255 * (1 - clear)).astype(np.uint8)
    picture = av.VideoFrame.from_ndarray(grey, format="gray")
    picture.pts, picture.time_base = frame.picture.pts, frame.picture.time_base
    return Frame(frame.index, frame.time, picture, frame.to_rgb)

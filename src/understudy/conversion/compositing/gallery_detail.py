"""The detail of a person's own pictures, laid over the face that a network drew.

The drawn face says where everything is, and how it is lit. The pictures, bent to the same shape,
say what brows, lids, lips and skin look like close by. Below a few pixels of the network the result
is the drawn face, above it is the pictures. Before that

- each picture takes on the broad light and colour of the drawn face, so that none of its own light
  comes along and pictures of different light go together;
- the drawn face is moved half way to where the pictures have brows, lids and lips, because the
  mesh and the network err in different ways;
- at each place those pictures count most that agree with the drawn face there.

Everything is worked out on a small grid, the core crop at `GRID` pixels. Only the pictures
themselves and the split are done at the film's own resolution, so that a large face stays crisp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.faces.masks import EYES_AND_BROWS, LIPS
from understudy.types import Floats, Image

GRID = 160
"""Side in pixels of the core crop on which everything but the pictures is worked out."""

CONTROL = 21
"""Control points a side of the field that bends a picture."""

SPREAD = 0.031
"""Reach of a mesh point in that field, standard deviation as a share of the core's side."""

SPLIT, MOUTH_SPLIT = 1.9, 1.0
"""Standard deviation of the split between drawn face and pictures, in pixels of the network: on
skin and eyes, and on the mouth, which the network draws better than any picture shows it."""

BROAD = 0.06
"""Standard deviation of what counts as broad light, as a share of the core's side."""

DARK = 8.0
"""Added to code values before pictures are divided by one another, so that black stays black."""

MOST_GAIN = 6.0
"""A picture is made brighter or darker by no more than this, for each channel."""

SHARPNESS = 0.2
"""How far from the best agreement a picture still counts: smaller is more decided."""

FINE, COARSE, PATCH = 0.7, 3.6, 2.4
"""On the grid, in pixels: the two blurs between which pictures are compared, and the standard
deviation of the places over which they are."""

QUIET = 9.0
"""Squared code values below which a place has nothing to compare by."""

FARTHEST = 3.6
"""Pixels of the grid that the drawn face is moved by, at most; and half way only."""
MOVED = 0.5

LIVELY, MOST_LIVELY = 0.6, 1.6
"""Mixing pictures that do not lie exactly on one another loses detail. So much of the loss is made
up for (0..1), and the detail is made stronger by no more than this."""

CONTRAST = 1.3
"""The pictures bring no more contrast to skin than this many times what the film has on its own."""

SLIGHT = 0.02
"""Share below which a picture is not drawn at all."""


@dataclass(frozen=True)
class Sample:
    """One picture of the person, ready to be bent.

    Attributes:
        image: RGB uint8 (S, S, 3), at about the size at which it will be seen.
        small: the same picture, about the size of the grid.
        mesh: float32 (468, 2), as shares of the side.
        mask: uint8 (M, M), 0..255, where the face shows.
        part: "whole", "eyes" or "mouth": where the picture counts.
        weight: 0..1, how much it counts against others.
    """

    image: Image
    small: Image
    mesh: Floats
    mask: NDArray[np.uint8]
    part: str
    weight: float


@dataclass(frozen=True)
class Place:
    """Where the face lies.

    Attributes:
        matrix: float64 (2, 3), pixels of the patch -> pixels of the grid.
        mesh: float32 (468, 2), pixels of the grid: where the person's points are to be.
        pixel: pixels of the film in one of the network's.
        shares: how far the pictures of eyes and mouth fit, 0..1 each; where they do not, the
            drawn face stays.
    """

    matrix: NDArray[np.float64]
    mesh: Floats
    pixel: float
    shares: tuple[float, float] = (1.0, 1.0)

    @cached_property
    def pulls(self) -> tuple[Floats, Floats]:
        """How strongly each mesh point pulls at each row and column of control points."""
        line = (np.arange(CONTROL, dtype=np.float32)) * (GRID / (CONTROL - 1)) - 0.5
        deviation = SPREAD * GRID
        across, down = (
            np.exp(-np.square(self.mesh[:, axis, None] - line) / (2 * deviation**2)).astype(
                np.float32
            )
            for axis in (0, 1)
        )
        return across, down

    @cached_property
    def regions(self) -> tuple[Floats, Floats]:
        """Eyes with brows, and mouth, on the grid: float32 (GRID, GRID), 0..1, with soft edges."""
        eyes = _region(
            self.mesh, [np.concatenate(EYES_AND_BROWS[n::2]) for n in (0, 1)], 0.02, 0.018
        )
        return eyes, _region(self.mesh, [LIPS], 0.035, 0.022)


def _region(mesh: Floats, parts: Sequence[NDArray[np.integer]], grow: float, soft: float) -> Floats:
    drawn = np.zeros((GRID, GRID), np.uint8)
    for part in parts:
        ring = np.clip(np.rint(mesh[part]), -GRID, 2 * GRID).astype(np.int32)
        cv2.fillConvexPoly(drawn, cv2.convexHull(ring), 255)
    reach = 2 * round(grow * GRID) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    grown = np.asarray(cv2.dilate(drawn, disc), np.float32) / np.float32(255)
    return _blurred(grown, soft * GRID)


def _blurred(values: Floats, deviation: float) -> Floats:
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32
    )


def bent(place: Place, mesh: Floats) -> Floats:
    """Where each pixel of the grid lies in a picture: float32 (GRID, GRID, 2), shares of its side.

    An affine fit of the mesh, and on top of it a smooth field through what that leaves, so that the
    picture goes on beyond the mesh without a fold.

    Args:
        mesh: float32 (468, 2), the picture's, shares of its side.
    """
    flat = np.column_stack([place.mesh, np.ones(len(place.mesh), np.float32)])
    affine = np.linalg.lstsq(flat, mesh, rcond=None)[0].astype(np.float32)
    left = mesh - flat @ affine
    across, down = place.pulls
    weight = down.T @ across + np.float32(0.01)
    field = np.dstack([(down * left[:, axis, None]).T @ across / weight for axis in (0, 1)])
    step = (CONTROL - 1) / GRID
    to_control = np.array([[step, 0, 0.5 * step], [0, step, 0.5 * step]])
    fine = cv2.warpAffine(
        field,
        to_control,
        (GRID, GRID),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    line = np.arange(GRID, dtype=np.float32)
    for axis in (0, 1):
        column = line[:, None] * affine[1, axis] + affine[2, axis]
        fine[..., axis] += line[None] * affine[0, axis] + column
    return np.asarray(fine, np.float32)


def _seen(picture: NDArray[np.uint8], where: Floats, how: int, border: int) -> NDArray[np.uint8]:
    """A picture through a field of shares of its side."""
    at = where * np.float32(picture.shape[0]) - np.float32(0.5)
    x, y = cv2.split(at)
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=border), np.uint8)


def _luma(picture: Floats) -> Floats:
    return np.asarray(cv2.transform(picture, np.array([[0.299, 0.587, 0.114]])), np.float32)


def _relit(picture: Floats, mask: Floats, drawn: Floats) -> Floats:
    """Gains that give a picture the broad light and colour of the drawn face, channel by channel.

    Args:
        picture, drawn: float32 (GRID, GRID, 3), code values.
        mask: float32 (GRID, GRID), 0..1, where the picture shows the face.

    Returns:
        float32 (GRID, GRID, 3).
    """
    quarter = GRID // 4
    weight = mask[..., None] + np.float32(1e-3)
    light = np.dstack([(picture + DARK) * weight, (drawn + DARK) * weight])
    small = cv2.resize(light.astype(np.float32), (quarter, quarter), interpolation=cv2.INTER_AREA)
    broad = cv2.GaussianBlur(small, (0, 0), BROAD * quarter, borderType=cv2.BORDER_REPLICATE)
    gains = np.clip(broad[..., 3:] / broad[..., :3], 1 / MOST_GAIN, MOST_GAIN)
    return np.asarray(cv2.resize(gains, (GRID, GRID), interpolation=cv2.INTER_LINEAR), np.float32)


def _even(picture: Floats) -> NDArray[np.uint8]:
    """Luma without light and with the same contrast everywhere, for optical flow."""
    plane = _blurred(_luma(picture), 0.9)
    middle = _blurred(plane, 7.0)
    spread = np.sqrt(_blurred(np.square(plane - middle), 7.0)) + np.float32(3)
    return np.asarray(np.clip(128 + 40 * (plane - middle) / spread, 0, 255), np.uint8)


def _flow(here: Floats, there: Floats) -> Floats:
    """Where the drawn face (`there`) has what the pictures have `here`: float32 (GRID, GRID, 2),
    offsets in pixels, smooth and bounded."""
    # One of its own each time: it keeps nothing between calls, and threads do not share it.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    start = np.zeros((*here.shape[:2], 2), np.float32)
    found = np.asarray(search.calc(_even(here), _even(there), start), np.float32)
    field = _blurred(found, PATCH)
    far = np.linalg.norm(field, axis=-1, keepdims=True)
    return np.asarray(field * np.minimum(1, FARTHEST / np.maximum(far, 1e-6)), np.float32)


def _moved(picture: NDArray[np.uint8 | np.float32], offsets: Floats) -> Floats:
    height, width = offsets.shape[:2]
    x = offsets[..., 0] + np.arange(width, dtype=np.float32)[None]
    y = offsets[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


@dataclass(frozen=True)
class _Mix:
    """How the pictures go together, all on the grid.

    Attributes:
        fields: where each lies, as `bent` gives it.
        gains: float32 (n, GRID, GRID, 3): light times share, of each.
        shares: float32 (n, GRID, GRID), their sum is 1.
        cover: float32 (GRID, GRID), 0..1: where pictures show the face at all.
        lively: float32 (GRID, GRID), 1 or more: what makes up for detail lost in mixing.
        offsets: float32 (GRID, GRID, 2): how the drawn face is moved.
    """

    fields: Sequence[Floats]
    gains: Sequence[Floats]
    shares: Floats
    cover: Floats
    lively: Floats
    offsets: Floats


def _mix(drawn: Floats, place: Place, samples: Sequence[Sample]) -> _Mix:
    fields = [bent(place, sample.mesh) for sample in samples]
    masks, lights, pictures = [], [], []
    for sample, field in zip(samples, fields, strict=True):
        seen = _seen(sample.small, field, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        mask = _seen(sample.mask, field, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        masks.append(mask.astype(np.float32) / np.float32(255))
        own = seen.astype(np.float32)
        lights.append(_relit(own, masks[-1], drawn))
        pictures.append((own + DARK) * lights[-1] - DARK)
    eyes, mouth = place.regions
    regions = {"whole": np.ones_like(eyes), "eyes": eyes, "mouth": mouth}
    prior = np.stack(
        [
            regions[sample.part] * np.float32(sample.weight) * np.square(np.maximum(mask, 1e-3))
            for sample, mask in zip(samples, masks, strict=True)
        ]
    )

    total = prior.sum(0)
    mean = sum(p[..., None] * one for p, one in zip(prior, pictures, strict=True))
    mean = np.asarray(mean / total[..., None], np.float32)
    cover = (prior * np.stack(masks)).sum(0) / total
    sure = _blurred(cover, 2.4)[..., None]
    together = np.asarray(drawn + sure * (mean - drawn), np.float32)
    offsets = _flow(together, drawn) * sure * np.float32(MOVED)
    guide = _luma(_moved(drawn, offsets))

    wanted = _blurred(guide, FINE) - _blurred(guide, COARSE)
    scale = _blurred(np.square(wanted), PATCH) + np.float32(QUIET)
    lumas = [_luma(one) for one in pictures]
    errors = np.stack(
        [
            _blurred(np.square(_blurred(one, FINE) - _blurred(one, COARSE) - wanted), PATCH) / scale
            for one in lumas
        ]
    )
    # A picture that does not count somewhere must not set the measure there.
    best = np.where(prior > SLIGHT * total, errors, np.inf).min(0)
    shares = np.exp(np.minimum((best - errors) / np.float32(SHARPNESS), 0)) * prior
    shares = (shares / shares.sum(0)).astype(np.float32)

    high = [one - _blurred(one, 1.0) for one in lumas]
    left = np.asarray(sum(s * one for s, one in zip(shares, high, strict=True)), np.float32)
    there = np.asarray(sum(s * one**2 for s, one in zip(shares, high, strict=True)), np.float32)
    ratio = (_blurred(there, 3.6) + 0.5) / (_blurred(np.square(left), 3.6) + 0.5)
    lively = np.clip(ratio, 1, MOST_LIVELY**2) ** (LIVELY / 2)
    cover = np.asarray((shares * np.stack(masks)).sum(0), np.float32)
    gains = [light * share[..., None] for light, share in zip(lights, shares, strict=True)]
    return _Mix(fields, gains, shares, cover, lively.astype(np.float32), offsets)


def _on_patch(
    values: Floats, matrix: NDArray[np.float64], box: tuple[int, int, int, int]
) -> Floats:
    """Values on the grid as seen by the pixels of a box (x0, y0, x1, y1) of the patch."""
    x0, y0, x1, y1 = box
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([x0, y0], np.float64)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(
        values, moved, (x1 - x0, y1 - y0), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)


def _box(
    share: Floats, matrix: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The rectangle of the patch in which a share of the grid is worth drawing."""
    rows, columns = np.flatnonzero(share.max(1) > SLIGHT), np.flatnonzero(share.max(0) > SLIGHT)
    if not rows.size or not columns.size:
        return None
    ends = np.array(
        [(x, y) for x in (columns[0] - 1, columns[-1] + 1) for y in (rows[0] - 1, rows[-1] + 1)],
        np.float64,
    )
    corners = np.linalg.solve(matrix[:, :2], (ends - matrix[:, 2]).T).T
    x0, y0 = (max(0, int(value)) for value in np.floor(corners.min(0)))
    x1, y1 = (int(value) + 1 for value in np.ceil(corners.max(0)))
    x1, y1 = min(x1, shape[1]), min(y1, shape[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _drawn_together(
    mix: _Mix, place: Place, samples: Sequence[Sample], shape: tuple[int, int]
) -> Floats:
    """The pictures, mixed, at the film's own resolution: float32 (h, w, 3), code values."""
    result = np.zeros((*shape, 3), np.float32)
    total = np.zeros(shape, np.float32)
    for number, sample in enumerate(samples):
        box = _box(mix.shares[number], place.matrix, shape)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        field = _on_patch(mix.fields[number], place.matrix, box)
        seen = _seen(sample.image, field, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        gains = _on_patch(mix.gains[number], place.matrix, box)
        result[y0:y1, x0:x1] += (seen + np.float32(DARK)) * gains
        total[y0:y1, x0:x1] += _on_patch(mix.shares[number], place.matrix, box)
    return np.asarray(result / np.maximum(total, 1e-3)[..., None] - np.float32(DARK), np.float32)


def with_detail(
    laid: Image, under: Image, place: Place, samples: Sequence[Sample], strength: float
) -> Image:
    """A drawn face with the detail of the person's own pictures.

    Args:
        laid: RGB uint8 (h, w, 3): the drawn face as it lies over the frame, in the frame's colours.
        under: RGB uint8 (h, w, 3): what it lies over.
        place: where the face lies in them.
        samples: the pictures; at least one of the part "whole".
        strength: 0 leaves the drawn face as it is, 1 takes all of the pictures' detail.

    Returns:
        RGB uint8 (h, w, 3).
    """
    shape = (laid.shape[0], laid.shape[1])
    shrunk = float(np.sqrt(abs(np.linalg.det(place.matrix[:, :2]))))
    fine = laid
    if shrunk < 0.8:
        fine = np.asarray(cv2.GaussianBlur(laid, (0, 0), 0.4 / shrunk), np.uint8)
    to_patch = cv2.invertAffineTransform(place.matrix)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(
        fine, to_patch, (GRID, GRID), flags=how, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    mix = _mix(np.asarray(drawn, np.float32), place, samples)

    whole = (0, 0, shape[1], shape[0])
    turn = np.linalg.inv(place.matrix[:, :2]).astype(np.float32)
    offsets = _on_patch(mix.offsets, place.matrix, whole) @ turn.T
    moved = _moved(laid, offsets)
    pictures = _drawn_together(mix, place, samples, shape)
    cover = _edged(mix.cover)
    cover = np.clip(_on_patch(cover, place.matrix, whole), 0, 1)
    eyes, mouth = (_on_patch(one, place.matrix, whole) for one in place.regions)
    lively = _on_patch(mix.lively, place.matrix, whole)[..., None]

    deviation = max(SPLIT * place.pixel, 1.0)
    result = _split(moved, pictures, cover, lively, deviation)
    if MOUTH_SPLIT < SPLIT and mouth.max() > 0:
        rows, columns = np.flatnonzero(mouth.any(1)), np.flatnonzero(mouth.any(0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        deviation = max(MOUTH_SPLIT * place.pixel, 0.7)
        own = _split(moved[part], pictures[part], cover[part], lively[part], deviation)
        result[part] += mouth[part][..., None] * (own - result[part])
    result = _calmed(result, moved, under, cover * (1 - np.maximum(eyes, mouth)), place.pixel)

    fit = 1 - (1 - place.shares[0]) * eyes
    fit *= 1 - (1 - place.shares[1]) * mouth
    share = (np.float32(strength) * cover * fit)[..., None]
    plain = laid + (cover * np.float32(strength))[..., None] * (moved - laid)
    return np.asarray(np.rint(np.clip(plain + share * (result - moved), 0, 255)), np.uint8)


def _edged(cover: Floats) -> Floats:
    """The cover less its edge, where hair or background of the picture begins."""
    inner = np.clip((cover - 0.5) / 0.4, 0, 1).astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return _blurred(np.asarray(cv2.erode(inner, disc), np.float32), 1.2)


def _split(
    drawn: Floats, pictures: Floats, cover: Floats, lively: Floats, deviation: float
) -> Floats:
    """The drawn face below a spatial frequency, the pictures above it. Blurs look only at where
    pictures cover the face, so that hair beyond its edge does not count as detail."""
    weight = np.maximum(cover, 1e-3)[..., None]
    both = np.dstack([drawn * weight, pictures * weight, weight]).astype(np.float32)
    # OpenCV blurs up to four channels at a time.
    halves = (np.ascontiguousarray(both[..., part]) for part in (slice(0, 4), slice(4, 7)))
    low = np.dstack([_blurred(half, deviation) for half in halves])
    low = low[..., :6] / low[..., 6:]
    return np.asarray(low[..., :3] + lively * (pictures - low[..., 3:]), np.float32)


def _calmed(result: Floats, drawn: Floats, under: Image, skin: Floats, pixel: float) -> Floats:
    """`result` with no more contrast on skin than the film's own skin has, times `CONTRAST`.

    What shines in a picture of dark skin would glare on a light face.
    """
    inside = skin > 0.8
    if np.count_nonzero(inside) < 64:
        return result
    deviation = max(2 * pixel, 1.5)

    def lively(picture: Floats) -> float:
        plane = _luma(picture)
        return float(np.mean(np.abs(plane - _blurred(plane, deviation))[inside]))

    wanted = CONTRAST * max(lively(under.astype(np.float32)), lively(drawn))
    found = lively(result)
    if found <= wanted:
        return result
    less = np.float32(1 - wanted / found) * skin[..., None]
    return np.asarray(result + less * (drawn - result), np.float32)


__all__ = ["GRID", "Place", "Sample", "bent", "with_detail"]

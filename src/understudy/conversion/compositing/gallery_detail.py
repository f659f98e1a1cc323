"""Add the detail of a person's own pictures to the face that a network drew.

The drawn face gives shape and light. The pictures, warped to the same shape,
give the fine look of brows, lids, lips and skin. Below a few pixels of the network the result
is the drawn face, above it is the pictures. Before that

- each picture takes on the broad light and colour of the drawn face, so that none of its own light
  comes along and pictures of different light go together;
- the drawn face is moved most of the way to where the pictures have brows, lids and lips, for the
  mesh and the network err in different ways;
- at each place those pictures count most that agree with the drawn face there.

Everything is worked out on a small grid, the core crop at `GRID` pixels. Only the pictures
themselves are drawn at the film's own resolution, so that a large face stays crisp.

The module is long because bending, light, mixing and split share the grid and its measures, and
none of them is of use without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.conversion.compositing.face_parts import FaceParts
from understudy.conversion.compositing.grain import luma
from understudy.conversion.compositing.shine import below, ceiling, sheen, whitening
from understudy.faces.gaze import EYES
from understudy.types import Floats, Image

GRID = 128
"""Side in pixels of the core crop on which everything but the pictures is computed."""

QUARTER = GRID // 4
"""Side of the smooth parts: the field that warps a picture, and light."""

SPREAD = 0.031
"""Reach of a mesh point in that field, standard deviation as a share of the core's side."""

EVERY = 3
"""Every third mesh point shapes the field; they are dense enough."""

SPLIT, MOUTH_SPLIT = 1.9, 1.0
"""Standard deviation of the split between drawn face and pictures, in pixels of the network: on
skin and eyes, and on the mouth, which the network draws better than any picture shows it."""

BEYOND = 4.0
"""Multiple of `SPLIT` up to which the pictures may replace a drawn face that lacks shape."""

LACKING = 1.2
"""The pictures take so much of its place, less the strength of the drawn face's shapes over
theirs."""

BROAD = 0.06
"""Standard deviation of the blur that defines broad light, as a share of the core's side."""

DARK = np.float32(8)
"""Added to code values before pictures are divided by one another, so that black stays black."""

UNLIKE = 0.25
"""How much the light of a picture may differ from that of the drawn face: standard deviation over
the face of the natural logarithm of the gains, at which the picture counts .6."""

FEW = 0.15
"""Share of the weight of a part's best picture below which another does not count."""

MOST_GAIN = 6.0
"""A picture is made brighter or darker by no more than this, for each channel."""

SHARPNESS = np.float32(0.4)
"""How far from the best agreement a picture still counts: smaller is more selective."""

FINE, COARSE, PATCH = 0.6, 2.9, 1.9
"""On the grid, in pixels: the two blurs between which pictures are compared, and the standard
deviation of the places over which they are."""

QUIET = np.float32(9)
"""Squared code values below which a place has too little detail to compare."""

FARTHEST = 2.9
"""Largest shift of the drawn face, in pixels of the grid."""

MOVED = np.float32(0.65)
"""Share of the way to the pictures that the drawn face is moved."""

LEAST = 0.8
"""Smallest standard deviation of a split, in pixels of the grid."""

LEAST_LIDS = 0.02
"""Smallest weight of the eyes of a picture, so that some eyes always count."""

IRIS = 0.3
"""Reach of the iris and of what moves with it, as a share of the eye's width."""

FARTHEST_LOOK = 0.2
"""Largest shift of an iris, as a share of the eye's width."""

LIVELY, MOST_LIVELY = 0.5, 1.6
"""Mixing pictures that do not match exactly loses detail. This share of the loss is made
up for (0..1), and the detail is made stronger by no more than this."""

CONTRAST = 1.3
"""Largest contrast of skin from pictures, as a multiple of the film's own contrast."""

FAINTEST = np.float32(-20)
"""Exponent of the least weight."""

SLIGHT = np.float32(0.03)
"""Share below which a picture does not count in a place."""

Box = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Sample:
    """One picture of the person, ready to be warped.

    Attributes:
        image: RGB uint8 (S, S, 3), at about the size at which it will be seen.
        small, tiny: the same picture, about the size of the grid and of a quarter of it.
        mesh: float32 (468, 2), as shares of the side.
        mask: uint8 (M, M), 0..255, where the face shows.
        gaze: how far aside the eyes at image left and right look, see `faces.gaze.Gaze`; not a
            number where that is unknown.
        part: "whole", "eyes" or "mouth": where the picture counts.
        weight: 0..1, its weight compared with other pictures.
        lids: 0..1, how well its lids fit; if they do not, its eyes hardly count.
    """

    image: Image
    small: Image
    tiny: Image
    mesh: Floats
    mask: NDArray[np.uint8]
    gaze: tuple[float, float]
    part: str
    weight: float
    lids: float = 1.0


@dataclass(frozen=True)
class Place:
    """Where the face lies.

    Attributes:
        matrix: float64 (2, 3), pixels of the patch -> pixels of the grid.
        mesh: float32 (468, 2), pixels of the grid: the wanted positions of the person's points.
        pixel: pixels of the film in one of the network's.
        shares: how far the pictures of eyes and mouth fit, 0..1 each; where they do not, the
            drawn face stays.
        gaze: how far aside the eyes of the film's face look, as `Sample.gaze`.
        awake: how sure it is that they are open, 0..1.
        lids: how well the pictures' lids fit, 0..1; where they do not, the drawn face's stay.
    """

    matrix: NDArray[np.float64]
    mesh: Floats
    pixel: float
    shares: tuple[float, float] = (1.0, 1.0)
    gaze: tuple[float, float] = (float("nan"), float("nan"))
    awake: float = 1.0
    lids: float = 1.0

    @property
    def pixel_on_grid(self) -> float:
        """Pixels of the grid in one of the network's, or of the film's where these are larger."""
        return max(self.pixel, 1.0) * float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    @cached_property
    def pulls(self) -> tuple[Floats, Floats]:
        """Weight of each mesh point at each column and row of a quarter of the grid."""
        line = np.arange(QUARTER, dtype=np.float32) * np.float32(4) + np.float32(1.5)
        deviation = np.float32(SPREAD * GRID)
        apart = (self.mesh[::EVERY, :, None] - line) / deviation
        # Bounded, because numbers near the least that there are make arithmetic very slow.
        pulls = np.exp(np.maximum(np.square(apart) * np.float32(-0.5), FAINTEST))
        return np.ascontiguousarray(pulls[:, 0]), np.ascontiguousarray(pulls[:, 1])

    @cached_property
    def weight(self) -> Floats:
        """The sum of all weights: float32 (QUARTER, QUARTER)."""
        across, down = self.pulls
        return np.asarray(down.T @ across + np.float32(0.01), np.float32)

    @cached_property
    def flat(self) -> tuple[Floats, Floats]:
        """The mesh with a column of ones, float32 (468, 3), and the matrix to fit affine maps."""
        flat = np.column_stack([self.mesh, np.ones(len(self.mesh), np.float32)])
        return flat, np.linalg.pinv(flat.astype(np.float64)).astype(np.float32)

    @cached_property
    def parts(self) -> FaceParts:
        """The parts of the person's face on the grid."""
        return FaceParts(self.mesh, GRID)

    @property
    def regions(self) -> tuple[Floats, Floats]:
        """Eyes with brows, and mouth, on the grid: float32 (GRID, GRID), 0..1, with soft edges."""
        return self.parts.regions

    @property
    def openings(self) -> tuple[Floats, Floats]:
        """The areas inside the lids of both eyes, on the grid: float32 (GRID, GRID), 0..1."""
        return self.parts.eyes


def _blurred(values: Floats, deviation: float) -> Floats:
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32
    )


@dataclass(frozen=True)
class Field:
    """Positions of the grid's pixels in a picture, as shares of its side.

    Attributes:
        affine: float32 (3, 2): x, y and 1, pixels of the grid -> shares.
        rest: float32 (QUARTER + 2, QUARTER + 2, 2): what is to be added, at every fourth pixel of
            the grid and once beyond its edge.
        eyes: float32 (GRID, GRID, 2): what is to be added inside of the eyes, so that they look
            where the film's do.
    """

    affine: Floats
    rest: Floats
    eyes: Floats | None = None

    def coarse(self) -> Floats:
        """At every fourth pixel: float32 (QUARTER, QUARTER, 2)."""
        line = np.arange(QUARTER, dtype=np.float32) * np.float32(4) + np.float32(1.5)
        return self._straight(line, line) + self.rest[1:-1, 1:-1]

    def fine(self) -> Floats:
        """On the grid: float32 (GRID, GRID, 2)."""
        line = np.arange(GRID, dtype=np.float32)
        return self._straight(line, line) + self._rest()

    def on_patch(self, matrix: NDArray[np.float64], box: Box) -> Floats:
        """As seen by the pixels of a box of the patch, (h, w, 2). Only the small rest is enlarged,
        so that nothing is lost to rounding.

        Args:
            matrix: float64 (2, 3), pixels of the patch -> pixels of the grid.
        """
        step, size, first = _steps(matrix, box)
        moved = np.column_stack([matrix[:, :2] * step, matrix @ np.array([*first, 1.0])])
        whole = np.vstack([moved, [0, 0, 1]]).T @ self.affine.astype(np.float64)
        columns, rows = (np.arange(length, dtype=np.float64) for length in size)
        straight = columns[None, :, None] * whole[0] + (rows[:, None, None] * whole[1] + whole[2])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        rest = cv2.warpAffine(self._rest(), moved, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return _enlarged(np.asarray(straight + rest, np.float32), step, box)

    def _straight(self, x: Floats, y: Floats) -> Floats:
        a = self.affine
        return np.asarray(x[None, :, None] * a[0] + (y[:, None, None] * a[1] + a[2]), np.float32)

    def _rest(self) -> Floats:
        # Cubic, because the field is smooth.
        side = GRID + 8
        wide = cv2.resize(self.rest, (side, side), interpolation=cv2.INTER_CUBIC)
        rest = np.ascontiguousarray(wide[4:-4, 4:-4], np.float32)
        return rest if self.eyes is None else rest + self.eyes


def bent(place: Place, meshes: Sequence[Floats]) -> list[Field]:
    """How pictures are warped so that their meshes match the wanted meshes.

    An affine fit of the mesh, and on top of it a smooth field through what that leaves, so that the
    picture continues beyond the mesh without a fold.

    Args:
        meshes: float32 (468, 2) each, the pictures', shares of their sides.
    """
    flat, fit = place.flat
    every = np.concatenate(meshes, axis=1)
    affine = fit @ every
    left = (every - flat @ affine)[::EVERY]
    across, down = place.pulls
    # Many small products in place of one: a large one would be spread over threads, which wait for
    # one another where the machine is busy.
    rest = np.matmul(left.T[:, None] * np.ascontiguousarray(down.T), across)
    wide = np.pad(rest / place.weight, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return [
        Field(affine[:, n : n + 2], np.ascontiguousarray(np.moveaxis(wide[n : n + 2], 0, -1)))
        for n in range(0, len(wide), 2)
    ]


def _seen(picture: NDArray[np.uint8], where: Floats, how: int, border: int) -> NDArray[np.uint8]:
    """A picture resampled through a field of shares of its side."""
    x, y = cv2.split(where * np.float32(picture.shape[0]) - np.float32(0.5))
    return np.asarray(cv2.remap(picture, x, y, how, borderMode=border), np.uint8)


def _broad(picture: NDArray[np.uint8] | Floats, mask: Floats) -> Floats:
    """The broad light of a picture where the mask is: float32 (QUARTER, QUARTER, 3) and more than
    0, times the mask's own blur.

    Args:
        picture: (h, w, 3), code values.
        mask: float32 (QUARTER, QUARTER), 0..1.
    """
    small = cv2.resize(picture, (QUARTER, QUARTER), interpolation=cv2.INTER_AREA)
    light = (np.asarray(small, np.float32) + DARK) * (mask[..., None] + np.float32(1e-3))
    return _blurred(light, BROAD * QUARTER)


def _even(picture: Floats) -> NDArray[np.uint8]:
    """Luma without light and with the same contrast everywhere, for optical flow."""
    plane = _blurred(luma(picture), 0.9)
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


def looking(place: Place, field: Field, gaze: tuple[float, float]) -> Field:
    """The field with irises moved to where the film's eyes look.

    Inside of the lids the picture is moved along the eye, most at the iris and not at all at the
    corners; lids and lashes stay where they are.

    Args:
        gaze: of the picture.
    """
    moved: Floats | None = None
    for ends, inside, own, films in zip(EYES, place.openings, gaze, place.gaze, strict=True):
        way = (films - own) * place.awake
        rows, columns = (np.flatnonzero(inside.max(axis) > 0.01) for axis in (1, 0))
        if not np.isfinite(way) or not rows.size:
            continue
        way = float(np.clip(way, -FARTHEST_LOOK, FARTHEST_LOOK))
        left, right = place.mesh[list(ends)]
        across = right - left
        # About the middle of the iris's way.
        middle = (left + right) / 2 + across * np.float32((films + own) / 2)
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        x = np.arange(columns[0], columns[-1] + 1, dtype=np.float32) - middle[0]
        y = np.arange(rows[0], rows[-1] + 1, dtype=np.float32) - middle[1]
        apart = np.hypot(x[None], y[:, None]) / max(IRIS * float(np.hypot(*across)), 1e-3)
        near = np.clip(1.5 - apart, 0, 1)
        share = inside[box] * (near * near * (3 - 2 * near)).astype(np.float32)
        if moved is None:
            moved = np.zeros((GRID, GRID, 2), np.float32)
        moved[box] -= share[..., None] * ((np.float32(way) * across) @ field.affine[:2])
    return replace(field, eyes=moved)


@dataclass(frozen=True)
class _Mix:
    """How the pictures are mixed, all on the grid.

    Attributes:
        fields: position of each, as `bent` gives it.
        gains: float32 (GRID, GRID, 3): light times share, of each.
        cover: float32 (GRID, GRID), 0..1: where pictures show the face at all.
        lively: float32 (GRID, GRID), 1 or more: gain that restores detail lost in mixing.
        drawn: float32 (GRID, GRID, 3), code values: the drawn face, moved, and with shapes of the
            pictures where it lacks any, for example an eye that was not learned.
        pictures: the same of all pictures together.
        images: at the size at which they will be seen, one for each field.
    """

    fields: Sequence[Field]
    gains: Sequence[Floats]
    cover: Floats
    lively: Floats
    drawn: Floats
    pictures: Floats
    images: Sequence[Image]


@dataclass(frozen=True)
class _Bent:
    """A picture on the grid.

    Attributes:
        box: the part of the grid in which it counts; all else is of that part.
        light: float32 (h, w, 3): gains that give it the broad light of the drawn face.
        picture: float32 (h, w, 3), in that light, code values; luma (h, w) too.
        mask: float32 (h, w), 0..1.
        prior: float32 (h, w): how much it counts whatever it shows.
    """

    box: Box
    light: Floats
    picture: Floats
    luma: Floats
    mask: Floats
    prior: Floats


def _lights(
    drawn: Floats, samples: Sequence[Sample], fields: Sequence[Field]
) -> tuple[list[Floats], list[float]]:
    """Gains that give pictures the broad light of the drawn face, float32 (QUARTER, QUARTER, 3)
    each, and how much the pictures count after that: those in another light count less, those that
    hardly count are left out, and the rest of each part make up its weight."""
    gains, weights = [], []
    for sample, field in zip(samples, fields, strict=True):
        where = field.coarse()
        seen = _seen(sample.tiny, where, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        shown = _seen(sample.mask, where, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        mask = shown.astype(np.float32) * np.float32(1 / 255)
        gain = np.clip(_broad(drawn, mask) / _broad(seen, mask), 1 / MOST_GAIN, MOST_GAIN)
        gains.append(gain)
        inside = mask > 0.5
        apart = np.log(gain[inside]) if inside.any() else np.zeros((1, 3), np.float32)
        unlike = float(np.sqrt(np.mean(np.var(apart, axis=0))))
        weights.append(sample.weight * float(np.exp(-0.5 * (unlike / UNLIKE) ** 2)))
    kept = [0.0] * len(samples)
    for part in {sample.part for sample in samples}:
        own = [n for n, sample in enumerate(samples) if sample.part == part]
        most = max(weights[n] for n in own)
        for n in own:
            kept[n] = max(0.0, weights[n] - FEW * most)
        total = sum(kept[n] for n in own)
        for n in own:
            kept[n] /= max(total, 1e-9)
    return gains, kept


def _bend(sample: Sample, field: Field, weight: float, gains: Floats, place: Place) -> _Bent | None:
    """A picture on the grid; None where it counts nowhere.

    Args:
        weight: how much it counts.
        gains: float32 (QUARTER, QUARTER, 3), its light.
    """
    eyes, mouth = place.regions
    region = {"eyes": eyes, "mouth": mouth}.get(sample.part)
    box: Box = slice(0, GRID), slice(0, GRID)
    if region is not None:
        rows, columns = (np.flatnonzero(region.max(axis) > SLIGHT) for axis in (1, 0))
        if not rows.size or not columns.size:
            return None
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    where = np.ascontiguousarray(field.fine()[box])
    seen = _seen(sample.small, where, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    shown = _seen(sample.mask, where, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    mask = shown.astype(np.float32) * np.float32(1 / 255)
    large = cv2.resize(gains, (GRID, GRID), interpolation=cv2.INTER_LINEAR)
    light = np.asarray(large, np.float32)[box]
    prior = np.square(np.maximum(mask, np.float32(1e-3))) * np.float32(weight)
    prior *= 1 - np.float32(1 - max(sample.lids, LEAST_LIDS)) * eyes[box]
    if region is not None:
        prior *= region[box]
    picture = (seen + DARK) * light - DARK
    return _Bent(box, light, picture, luma(picture), mask, prior)


def _mix(drawn: Floats, place: Place, samples: Sequence[Sample]) -> _Mix:
    fields, images, every = [], [], []
    bends = [
        looking(place, field, sample.gaze)
        for sample, field in zip(samples, bent(place, [one.mesh for one in samples]), strict=True)
    ]
    for sample, field, gain, weight in zip(
        samples, bends, *_lights(drawn, samples, bends), strict=True
    ):
        if weight <= 0:
            continue
        if (one := _bend(sample, field, weight, gain, place)) is not None:
            fields.append(field)
            images.append(sample.image)
            every.append(one)

    total = np.zeros((GRID, GRID), np.float32)
    mean, cover = np.zeros_like(drawn), np.zeros_like(total)
    for one in every:
        total[one.box] += one.prior
        mean[one.box] += one.prior[..., None] * one.picture
        cover[one.box] += one.prior * one.mask
    sure = _blurred(cover / total, PATCH)[..., None]
    together = drawn + sure * (mean / total[..., None] - drawn)
    offsets = _flow(together, drawn) * (sure * MOVED)
    moved = _moved(drawn, offsets)
    lacking = _lacking(moved, together, place.pixel_on_grid)
    # Inside of the eyes the pictures say where they look, as far as they fit there.
    for inside in place.openings:
        lacking = np.maximum(lacking, np.float32(place.shares[0] * place.lids) * inside)
    guide = luma(moved + lacking[..., None] * (together - moved))

    wanted = _blurred(guide, FINE) - _blurred(guide, COARSE)
    scale = _blurred(np.square(wanted), PATCH) + QUIET
    errors = np.full((len(every), GRID, GRID), np.inf, np.float32)
    for error, one in zip(errors, every, strict=True):
        own = _blurred(one.luma, FINE) - _blurred(one.luma, COARSE)
        there = _blurred(np.square(own - wanted[one.box]), PATCH) / scale[one.box]
        # A picture that hardly counts somewhere must not set the measure there.
        error[one.box] = np.where(one.prior > SLIGHT * total[one.box], there, np.inf)
    best = errors.min(0)
    shares = np.exp(np.maximum((best - errors) / SHARPNESS, FAINTEST))
    for share, one in zip(shares, every, strict=True):
        share[one.box] *= one.prior
    shares /= shares.sum(0)
    shares[shares < SLIGHT] = 0
    shares /= np.maximum(shares.sum(0), np.float32(1e-6))

    left, there, cover = np.zeros_like(total), np.zeros_like(total), np.zeros_like(total)
    mixed, gains = np.zeros_like(drawn), []
    for share, one in zip(shares, every, strict=True):
        part = share[one.box]
        high = one.luma - _blurred(one.luma, 0.8)
        left[one.box] += part * high
        there[one.box] += part * np.square(high)
        cover[one.box] += part * one.mask
        mixed[one.box] += part[..., None] * one.picture
        gain = np.zeros_like(drawn)
        gain[one.box] = part[..., None] * one.light
        gains.append(gain)
    half = np.float32(0.5)
    lost = (_blurred(there, COARSE) + half) / (_blurred(np.square(left), COARSE) + half)
    lively = np.clip(lost, 1, MOST_LIVELY**2) ** np.float32(LIVELY / 2)
    shapes = (lacking * cover)[..., None] * _between(mixed - moved, place.pixel_on_grid)
    return _Mix(fields, gains, cover, lively, moved + shapes, mixed, images)


def _between(values: Floats, pixel: float) -> Floats:
    """The band between detail and light; `pixel` is the network's, on the grid."""
    return _blurred(values, SPLIT * pixel) - _blurred(values, BEYOND * SPLIT * pixel)


def _lacking(drawn: Floats, pictures: Floats, pixel: float) -> Floats:
    """Where the drawn face has less shape than the pictures: float32 (GRID, GRID), 0..1."""
    wide = BEYOND * SPLIT * pixel
    own, theirs = (
        _blurred(np.square(_between(luma(one), pixel)), wide) for one in (drawn, pictures)
    )
    strength = np.sqrt((own + 1) / (theirs + 1))
    return np.asarray(np.clip(LACKING - strength, 0, 1), np.float32)


def _on_patch(values: Floats, matrix: NDArray[np.float64], box: Box) -> Floats:
    """Values on the grid as seen by the pixels of a box of the patch.

    The grid's turn is undone at about its own size; a plain enlargement, which is quick and rounds
    nothing, does the rest.
    """
    step, size, first = _steps(matrix, box)
    moved = np.column_stack([matrix[:, :2] * step, matrix @ np.array([*first, 1.0])])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(values, moved, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return _enlarged(np.asarray(seen, np.float32), step, box)


def _steps(
    matrix: NDArray[np.float64], box: Box
) -> tuple[int, tuple[int, int], tuple[float, float]]:
    """How many pixels of the patch go into one of the grid, at least 1; how many such steps a box
    of the patch is wide and high, with one more all round; and where in the patch the middle of
    the first lies."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    step = max(1, int(1 / max(scale, 1e-3)))
    height, width = (part.stop - part.start for part in box)
    middle = (step - 1) / 2 - step
    size = -(-width // step) + 2, -(-height // step) + 2
    return step, size, (box[1].start + middle, box[0].start + middle)


def _enlarged(values: Floats, step: int, box: Box) -> Floats:
    """Values at the `_steps` of a box of the patch, at all of its pixels."""
    if step > 1:
        size = values.shape[1] * step, values.shape[0] * step
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)
    height, width = (part.stop - part.start for part in box)
    return values[step : step + height, step : step + width]


def _box(gain: Floats, matrix: NDArray[np.float64], shape: tuple[int, int]) -> Box | None:
    """The rectangle of the patch in which a picture counts."""
    counts = gain[..., 0] > 0
    rows, columns = np.flatnonzero(counts.any(1)), np.flatnonzero(counts.any(0))
    if not rows.size or not columns.size:
        return None
    ends = np.array(
        [(x, y) for x in (columns[0] - 1, columns[-1] + 1) for y in (rows[0] - 1, rows[-1] + 1)],
        np.float64,
    )
    corners = np.linalg.solve(matrix[:, :2], (ends - matrix[:, 2]).T).T
    low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, shape[::-1])
    if (low >= high).any():
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _drawn_together(mix: _Mix, place: Place, shape: tuple[int, int]) -> Floats:
    """The pictures, mixed, at the film's own resolution: float32 (h, w, 3), code values."""
    result = np.full((*shape, 3), -DARK, np.float32)
    for image, field, gain in zip(mix.images, mix.fields, mix.gains, strict=True):
        box = _box(gain, place.matrix, shape)
        if box is None:
            continue
        seen = _seen(
            image,
            field.on_patch(place.matrix, box),
            cv2.INTER_CUBIC,
            cv2.BORDER_REPLICATE,
        )
        result[box] += (seen + DARK) * _on_patch(gain, place.matrix, box)
    return result


def with_detail(
    laid: Image, under: Image, place: Place, samples: Sequence[Sample], strength: float
) -> Image:
    """Add the detail of the person's own pictures to a drawn face.

    Args:
        laid: RGB uint8 (h, w, 3): the drawn face as it lies over the frame, in the frame's colours.
        under: RGB uint8 (h, w, 3): the frame below it.
        place: position of the face in them.
        samples: the pictures; at least one of the part "whole".
        strength: 0 leaves the drawn face as it is, 1 takes all of the pictures' detail.

    Returns:
        RGB uint8 (h, w, 3).
    """
    shape = (laid.shape[0], laid.shape[1])
    drawn_there, under_there = (_on_grid(patch, place) for patch in (laid, under))
    mix = _mix(drawn_there, place, samples)
    film, openings = luma(under_there), (*place.openings, place.parts.mouth)
    # Where no picture fits, the drawn face stays, its whites too.
    shares = (place.shares[0], place.shares[0], place.shares[1])
    fitting = [np.float32(share) * one for share, one in zip(shares, openings, strict=True)]
    mix = _whitened(mix, film, fitting)
    detail = _calmed(mix, drawn_there, under_there, place)
    coarse = _coarse(mix, detail, place)
    skin = np.asarray(_edged(mix.cover) * (1 - np.maximum.reduce(openings)), np.float32)
    both = np.asarray(coarse + detail[..., None] * mix.pictures, np.float32)
    high = ceiling(luma(both), film, _peaks(under, place), skin)
    shine = sheen(both, under_there, skin)
    share = np.float32(strength) * _edged(mix.cover)
    for region, fits in zip(place.regions, place.shares, strict=True):
        share *= 1 - np.float32(1 - fits) * region
    # Beyond the grid nothing is known, so its edge must not be repeated there.
    share[[0, -1]] = share[:, [0, -1]] = 0

    whole: Box = slice(0, shape[0]), slice(0, shape[1])
    coarse, detail, share, high, shine = (
        _on_patch(values, place.matrix, whole) for values in (coarse, detail, share, high, shine)
    )
    result = below(coarse + detail[..., None] * _drawn_together(mix, place, shape), high) * shine
    drawn = laid.astype(np.float32)
    drawn += np.clip(share, 0, 1)[..., None] * (result - drawn)
    return np.asarray(np.rint(np.clip(drawn, 0, 255)), np.uint8)


def _on_grid(patch: Image, place: Place) -> Floats:
    """A patch sampled on the grid: float32 (GRID, GRID, 3), code values."""
    shrunk = float(np.sqrt(abs(np.linalg.det(place.matrix[:, :2]))))
    if shrunk < 0.8:
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.4 / shrunk), np.uint8)
    seen = cv2.warpAffine(
        patch, place.matrix, (GRID, GRID), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)


def _peaks(under: Image, place: Place) -> Floats:
    """The luma of the film's brightest pixel in each of the grid, float32 (GRID, GRID)."""
    reach = 2 * (_steps(place.matrix, (slice(0, 1), slice(0, 1)))[0] // 2) + 1
    brightest = cv2.dilate(under, np.ones((reach, reach), np.uint8))
    return luma(_on_grid(np.asarray(brightest, np.uint8), place))


def _skin(mix: _Mix, place: Place) -> Floats:
    """Where pictures show the face, without eyes and mouth: float32 (GRID, GRID), 0..1."""
    return np.asarray(mix.cover * (1 - np.maximum(*place.regions)), np.float32)


def _whitened(mix: _Mix, film: Floats, openings: Sequence[Floats]) -> _Mix:
    """The mix with eyes and teeth as bright as the film's own, `film` being its luma."""
    drawn, pictures = (
        whitening(luma(picture), film, openings)[..., None] for picture in (mix.drawn, mix.pictures)
    )
    return replace(
        mix,
        drawn=(mix.drawn + DARK) * drawn - DARK,
        pictures=(mix.pictures + DARK) * pictures - DARK,
        gains=[gain * pictures for gain in mix.gains],
    )


def _calmed(mix: _Mix, drawn: Floats, under: Floats, place: Place) -> Floats:
    """Strength of the pictures' detail: float32 (GRID, GRID).

    As strong as `mix.lively` says, but on skin with no more contrast than the film's own skin has,
    times `CONTRAST`: what shines in a picture of dark skin would glare on a light face.
    """
    skin = _skin(mix, place)
    inside = skin > 0.8
    if np.count_nonzero(inside) < 64:
        return mix.lively
    deviation = max(2 * place.pixel_on_grid, 1.0)
    # Of the drawn face as it is: `mix.drawn` may have shapes of the very pictures.
    theirs, *own = (
        float(np.mean(np.abs(plane - _blurred(plane, deviation))[inside]))
        for plane in (luma(mix.pictures) * mix.lively, luma(under), luma(drawn))
    )
    most = CONTRAST * max(own)
    if theirs <= most:
        return mix.lively
    return np.asarray(mix.lively * (1 - np.float32(1 - most / theirs) * skin), np.float32)


def _coarse(mix: _Mix, detail: Floats, place: Place) -> Floats:
    """What is left when the pictures' detail is taken from the result, all below the split: float32
    (GRID, GRID, 3). Blurs look only at where pictures cover the face, so that hair beyond its edge
    does not count as detail."""
    weight = np.maximum(_edged(mix.cover), np.float32(1e-3))[..., None]
    apart = (mix.drawn - detail[..., None] * mix.pictures) * weight
    both = np.dstack([apart, weight])
    skin, mouth = (
        _blurred(both, max(split * place.pixel_on_grid, LEAST)) for split in (SPLIT, MOUTH_SPLIT)
    )
    skin, mouth = (values[..., :3] / values[..., 3:] for values in (skin, mouth))
    return np.asarray(skin + place.regions[1][..., None] * (mouth - skin), np.float32)


def _edged(cover: Floats) -> Floats:
    """The cover without its edge, where hair or background of the picture begins."""
    inner = np.clip((cover - np.float32(0.5)) / np.float32(0.4), 0, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return _blurred(np.asarray(cv2.erode(inner, disc), np.float32), 1.0)


__all__ = ["GRID", "Place", "Sample", "bent", "with_detail"]

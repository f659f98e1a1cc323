"""Faces with something in front of them, and the truth: made from renders and drawings.

A render comes with an exact mask of the face as it shows, hair in front left out. Where the mesh
sees face and the mask sees none there is hair; what is laid over it by `occluders` is known anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.mask_network import occluders
from tools.mask_network.film_look import blurred, film_like, harsh, varied, washed
from tools.mask_network.hands import posed_hand
from tools.mask_network.occluders import NEUTRAL, Drawing
from tools.mask_network.worn import glasses, scarf
from understudy.faces.align import BROWS, CORE, warp
from understudy.faces.masks import face_mask
from understudy.faces.occlusion import SIDE
from understudy.facesets.faceset import Faceset
from understudy.media.video import VideoReader
from understudy.runtime import parquet
from understudy.types import Floats, Image

CROP = round(SIDE / CORE)
"""Side of the stored crop's pictures."""

FACE, HAIR, BESIDE, ABOVE = 0, 1, 2, 3
"""What a pixel of a bare face is: the face as it shows, hair in front of it, something beside it,
or something above the brows that may be hair or background."""

DRAWN: dict[str, tuple[Callable[[np.random.Generator], Drawing], float]] = {
    "hand": (occluders.hand, 0.12),
    "posed hand": (posed_hand, 0.26),
    "fingers": (occluders.finger, 0.14),
    "microphone": (occluders.microphone, 0.1),
    "stick": (occluders.stick, 0.08),
    "blob": (occluders.blob, 0.2),
    "strands": (occluders.strands, 0.1),
}
"""What is learned from, and how often it comes."""

WELL_INSIDE = 11
"""Pixels by which the mesh's inner face is made smaller before what it lacks counts as hair."""

BESIDE_WEIGHT = 0.15


@dataclass(frozen=True)
class Bare:
    """Faces of one person as they were rendered.

    Attributes:
        pictures: uint8 (N, CROP, CROP, 3) RGB.
        masks: uint8 (N, CROP, CROP): the face as it shows.
        kinds: uint8 (N, CROP, CROP): FACE, HAIR, BESIDE, ABOVE.
        meshes: float32 (N, 468, 2), pixels of the pictures.
        skins: float32 (N, 3): mean RGB of the face.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    kinds: NDArray[np.uint8]
    meshes: Floats
    skins: Floats

    def __len__(self) -> int:
        return len(self.pictures)


def bare(faces: Faceset, film: Path, mask: Path) -> Bare:
    """The faces of a faceset that was extracted from `film`, with the masks in `mask`."""
    numbers = np.asarray(faces.table["frame"].to_numpy())
    scale = CROP / np.asarray(faces.table["size"].to_numpy(), np.float64)[:, None, None]
    matrices = parquet.unvectors(faces.table["matrix"]).reshape(-1, 2, 3) * scale
    matrices[:, :, 2] += (scale[:, 0] - 1) / 2
    meshes = ((faces.landmarks + 0.5) * scale - 0.5).astype(np.float32)
    cut: dict[str, NDArray[np.uint8]] = {}
    for name, path in (("pictures", film), ("masks", mask)):
        with VideoReader(path) as reader:
            frames = {frame.index: frame.image for frame in reader}
        pairs = zip(numbers, matrices.astype(np.float32), strict=True)
        cut[name] = np.stack([warp(frames[int(n)], matrix, CROP) for n, matrix in pairs])
    return labelled(cut["pictures"], cut["masks"][..., 0], meshes)


def labelled(pictures: NDArray[np.uint8], masks: NDArray[np.uint8], meshes: Floats) -> Bare:
    """What the pixels of pictures (N, CROP, CROP, 3) are, given their masks and meshes."""
    kinds = np.stack([_kinds(*one) for one in zip(masks, meshes, strict=True)])
    skins = [
        picture[mask > 200].mean(0) if (mask > 200).any() else picture.mean((0, 1))
        for picture, mask in zip(pictures, masks, strict=True)
    ]
    return Bare(pictures, masks, kinds, meshes, np.asarray(skins, np.float32))


def _kinds(mask: NDArray[np.uint8], mesh: Floats) -> Image:
    y, x = np.mgrid[:CROP, :CROP]
    brows, chin = mesh[list(BROWS)].mean(0), mesh[152]
    above = (x - brows[0]) * (brows - chin)[0] + (y - brows[1]) * (brows - chin)[1] > 0
    kinds = np.where(above, ABOVE, BESIDE)
    face = (face_mask(mesh, CROP, 0.0) > 0.5).astype(np.uint8)
    inner = np.asarray(cv2.erode(face, np.ones((WELL_INSIDE, WELL_INSIDE), np.uint8)))
    kinds[(inner > 0) & (mask < 80)] = HAIR
    kinds[mask > 127] = FACE
    return kinds.astype(np.uint8)


@dataclass(frozen=True)
class Sample:
    """Attributes:
    picture: uint8 (SIDE, SIDE, 3) RGB.
    covered: float32 (SIDE, SIDE), 0..1: something is in front, hair included.
    weight: float32 (SIDE, SIDE): how much it matters there.
    shown: float32 (SIDE, SIDE), 0..1: the face as it shows.
    laid: float32 (SIDE, SIDE), 0..1: what was laid over the picture.
    """

    picture: Image
    covered: Floats
    weight: Floats
    shown: Floats
    laid: Floats


def skin_of(own: Floats, others: Floats, random: np.random.Generator) -> NDArray[np.floating]:
    """The colour of a hand: mostly the person's own, in other light."""
    base = own if random.random() < 0.7 else others[random.integers(len(others))]
    light = random.uniform(0.85, 1.2) if random.random() < 0.6 else random.uniform(0.4, 1.5)
    tinted: NDArray[np.floating] = base * light * random.normal(1, 0.06, 3)
    return tinted


def lay(
    picture: Floats,
    laid: Floats,
    colour: Floats,
    alpha: Floats,
    truth: Floats,
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    """`colour` over `picture`, with a shadow, perhaps out of focus or moving; and `laid`, what
    has been laid over it in all. float32; pictures 0..255."""
    if random.random() < 0.4:
        blur = random.uniform(0.4, 2.2)
        colour, alpha, truth = (blurred(one, blur) for one in (colour, alpha, truth))
    if random.random() < 0.25:
        turn, long = random.uniform(0, np.pi), random.integers(3, 10)
        line = np.zeros((2 * long + 1, 2 * long + 1), np.float32)
        ends = np.round(long * np.array([[np.cos(turn), np.sin(turn)]]) * [[1], [-1]] + long)
        first, last = (tuple(int(v) for v in end) for end in ends)
        cv2.line(line, first, last, 1.0)
        line /= line.sum()
        colour, alpha, truth = (
            np.asarray(cv2.filter2D(one, -1, line), np.float32) for one in (colour, alpha, truth)
        )
    if random.random() < 0.5:
        move = np.array([[1, 0, random.normal(0, 4)], [0, 1, random.normal(3, 4)]], np.float32)
        moved = np.asarray(cv2.warpAffine(alpha, move, (CROP, CROP)), np.float32)
        shadow = blurred(moved, random.uniform(2, 7)) * np.float32(random.uniform(0, 0.5))
        picture = picture * (1 - shadow[..., None])
    over = alpha[..., None]
    return picture * (1 - over) + colour * over, np.maximum(laid, truth)


def jitter(random: np.random.Generator) -> Floats:
    """From the core to the stored crop, a little turned, zoomed, shifted, perhaps mirrored."""
    angle, zoom = np.radians(random.uniform(-10, 10)), random.uniform(0.9, 1.1)
    mirror = random.choice([-1.0, 1.0])
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    middle = (CROP - 1) / 2 + random.uniform(-0.05, 0.05, 2) * SIDE
    return np.column_stack([turn, middle - turn @ np.full(2, (SIDE - 1) / 2)]).astype(np.float32)


STRAIGHT: Floats = np.array([[1, 0, (CROP - SIDE) / 2], [0, 1, (CROP - SIDE) / 2]], np.float32)
"""From the core to the stored crop."""


def sample(
    faces: Bare,
    row: int,
    laid_on: Sequence[tuple[Floats, Floats, Floats]],
    random: np.random.Generator,
    matrix: Floats = STRAIGHT,
    worn: bool = True,
    hard: int = 0,
) -> Sample:
    """One face, with things before it.

    Args:
        laid_on: RGB, alpha and truth of what is laid over the stored crop, in order.
        matrix: core to stored crop.
        worn: whether it is to look like film, see `film_like`.
        hard: 1 for harsh light, 2 for light that hides features, too, 3 for more of it.
    """
    picture, laid = faces.pictures[row].astype(np.float32), np.zeros((CROP, CROP), np.float32)
    if worn:
        picture = varied(picture, faces.meshes[row], random)
    if hard > 1:
        picture = washed(picture, faces.masks[row], faces.meshes[row], faces.skins[row], random)
    if hard > 2:
        picture = washed(
            picture, faces.masks[row], faces.meshes[row], faces.skins[row], random, one_side=True
        )
    if hard:
        picture = harsh(picture, random)
    for colour, alpha, truth in laid_on:
        picture, laid = lay(picture, laid, colour, alpha, truth, random)

    def see(values: NDArray[np.floating | np.integer], how: int) -> Floats:
        flags = how | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(
            values, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(seen, np.float32)

    kinds = see(faces.kinds[row], cv2.INTER_NEAREST)
    over = see(laid, cv2.INTER_LINEAR)
    shown = see(faces.masks[row], cv2.INTER_LINEAR) / 255 * (1 - over)
    seen = see(picture, cv2.INTER_LINEAR)
    weight = np.where(kinds <= HAIR, 1.0, np.where(kinds == BESIDE, BESIDE_WEIGHT, 0.0))
    weight = np.where(over > 0.02, 1.0, weight).astype(np.float32)
    covered = np.maximum(over, kinds == HAIR).astype(np.float32)
    image = np.asarray(seen.clip(0, 255).round(), np.uint8)
    return Sample(
        film_like(image, random) if worn else image,
        covered,
        weight,
        np.asarray(shown, np.float32),
        over,
    )


@dataclass(frozen=True)
class Things:
    """What is laid over faces: drawings by kind."""

    drawings: dict[str, list[Drawing]]

    @classmethod
    def drawn(cls, count: int, random: np.random.Generator) -> Things:
        """So many drawings of each kind that is learned from."""
        made = {kind: [draw(random) for _ in range(count)] for kind, (draw, _) in DRAWN.items()}
        return cls(made)

    def over(
        self, faces: Bare, row: int, everybody: Sequence[Bare], random: np.random.Generator
    ) -> list[tuple[Floats, Floats, Floats]]:
        """What to lay over a face: nothing, or one thing or two."""
        laid = []
        if random.random() < 0.18:
            laid.append(glasses(faces.meshes[row], CROP, random))
        if random.random() < 0.06:
            colour, alpha = scarf(faces.meshes[row], CROP, random)
            laid.append((colour, alpha, alpha))
        for _ in range(random.choice([0, 1, 2], p=[0.3, 0.55, 0.15])):
            if random.random() < 0.13:
                laid.append(self._patch(everybody, random))
                continue
            shares = np.array([share for _, share in DRAWN.values()])
            kind = random.choice(list(DRAWN), p=shares / shares.sum())
            drawing = self.drawings[kind][random.integers(len(self.drawings[kind]))]
            other = everybody[int(random.integers(len(everybody)))]
            skin = skin_of(faces.skins[row], other.skins, random)
            colour, alpha = occluders.placed(drawing, skin, CROP, random)
            laid.append((colour, alpha, alpha))
        return laid

    def near(
        self, faces: Bare, row: int, random: np.random.Generator
    ) -> tuple[Floats, Floats, Floats]:
        """A hand that is hard to see: large, in the person's own skin, and flatly lit."""
        kinds = ["hand", "posed hand", "fingers", "blob"]
        shapes = self.drawings[random.choice(kinds, p=[0.15, 0.45, 0.15, 0.25])]
        shape = shapes[random.integers(len(shapes))]
        relief = random.uniform(0.25, 1.0)
        codes = NEUTRAL + relief * (shape.colour.astype(np.float32) - NEUTRAL)
        if not shape.skin:
            codes = np.full_like(codes, NEUTRAL)
        flat = Drawing(np.asarray(codes.round(), np.uint8), shape.alpha, skin=True)
        skin = faces.skins[row] * random.uniform(0.85, 1.15) * random.normal(1, 0.03, 3)
        colour, alpha = occluders.placed(flat, skin, CROP, random, larger=random.uniform(1.0, 1.6))
        return colour, alpha, alpha

    def _patch(
        self, everybody: Sequence[Bare], random: np.random.Generator
    ) -> tuple[Floats, Floats, Floats]:
        """A piece of some other picture, in a shape of a blob or a hand."""
        other = everybody[int(random.integers(len(everybody)))]
        picture = other.pictures[random.integers(len(other))].astype(np.float32)
        angle = random.uniform(0, 360)
        turn = cv2.getRotationMatrix2D((CROP / 2, CROP / 2), angle, random.uniform(0.8, 2.0))
        turned = cv2.warpAffine(picture, turn, (CROP, CROP), borderMode=cv2.BORDER_REFLECT)
        colour = np.asarray(turned, np.float32)
        shapes = self.drawings[random.choice(["blob", "hand"])]
        shape = shapes[random.integers(len(shapes))]
        _, alpha = occluders.placed(shape, np.full(3, 128.0), CROP, random)
        return colour, alpha, alpha

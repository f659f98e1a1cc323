"""Choose the pictures of a person's gallery.

Held-out faces stay out of the gallery too, so that they can still be used to evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from understudy.errors import FacesError
from understudy.faces.align import CORE
from understudy.faces.gaze import Gaze
from understudy.faces.masks import EYES_AND_BROWS, LIPS
from understudy.faces.weights import store as weights
from understudy.facesets.faceset import IMAGES_NAME, Faceset
from understudy.facesets.split import Indices
from understudy.media.images import decode_image, encode_image
from understudy.models.gallery import (
    MASK_SIDE,
    POINTS,
    Gallery,
    is_made_from,
    path_of,
    write,
)
from understudy.progress import Progress
from understudy.runtime import parquet
from understudy.types import Floats

COUNT = 200
"""Number of pictures in a gallery, if there are enough."""

LOOKED_AT = 450
"""Largest number of pictures decoded for the choice."""

SIDE = 192
"""Side in pixels at which they are compared."""

SHADES = 10
"""Side in squares of the picture with which the light of faces is compared."""

LID_WEIGHT, LIP_WEIGHT, LIGHT_WEIGHT = 5.0, 2.0, 0.7
"""Weights of lids, lips and light when pictures are compared."""

ANOTHER = 0.6
"""Embedding distance from the person's median above which a track shows another person."""

SHARP = 0.5
"""Share of the sharpness of the person's crisp pictures (upper quartile) below which one is left
out, as long as half of them are left."""


def gallery_of(
    faceset: Faceset, rows: Indices | None = None, tell: Callable[[], None] | None = None
) -> Gallery:
    """Create a gallery from a faceset.

    Args:
        rows: permitted rows; all when None.
        tell: called after each picture.

    Raises:
        FacesError: the faceset has no usable face, or a picture cannot be read.
        MediaError: a picture is damaged.
    """
    rows = np.arange(len(faceset)) if rows is None else rows
    if not len(rows):
        raise FacesError(
            f"The faceset in {faceset.folder} has no face suitable for a gallery.",
            "Add more footage of the person and run `understudy extract` again.",
        )
    meshes = _meshes(faceset)
    mean = np.asarray(meshes[rows, :, :2].mean(0), np.float32)
    usable = rows[_own(faceset)[rows]]
    usable = usable[_sharp(faceset, usable)]
    shape = _shape(meshes[usable], mean)
    if len(usable) > LOOKED_AT:
        some = _farthest(shape, LOOKED_AT)
        usable, shape = usable[some], shape[some]
    seen = faceset.load(SIDE, core=False, rows=usable.tolist(), tell=tell)
    chosen = _farthest(np.concatenate([shape, _light(seen.images, seen.masks)], 1), COUNT)
    masks = np.stack(
        [
            cv2.resize(mask, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA)
            for mask in seen.masks[chosen]
        ]
    )
    kept = usable[chosen]
    names = faceset.names
    pictures = tuple(_bytes(faceset, names[row]) for row in kept)
    gazes = _gazes(pictures, meshes[kept])
    return Gallery(pictures, meshes[kept], np.asarray(masks, np.uint8), gazes, mean)


def _gazes(pictures: Sequence[bytes], meshes: Floats) -> Floats:
    """How far aside the eyes look in each picture: float32 (N, 2), see `Gallery.gazes`."""
    gaze = Gaze(weights.path("iris_landmark.tflite"))
    found = np.full((len(pictures), 2), np.nan, np.float32)
    for row, (picture, mesh) in enumerate(zip(pictures, meshes, strict=True)):
        image = decode_image(picture)
        both = gaze.both(image, mesh * np.float32(image.shape[0]) - np.float32(0.5))
        if both is not None:
            found[row] = both
    return found


def make_galleries(
    folder: Path, facesets: Mapping[str, Faceset], held_out: float, progress: Progress
) -> None:
    """Ensure that a model has a gallery of each of these people, made from exactly these faces.

    Args:
        folder: of the model.
        facesets: by person.
        held_out: share of each kept out of training and out of the gallery.

    Raises:
        FacesError, MediaError: as `gallery_of`.
        StorageError: the disk is full or failed.
    """
    for person, faceset in facesets.items():
        path = path_of(folder, person)
        made_from = f"{faceset.fingerprint} {held_out:g} {COUNT}"
        if is_made_from(path, made_from):
            continue
        rows = faceset.split(held_out)[0]
        with progress.task(f"gallery of {person}", "pictures", min(LOOKED_AT, len(rows))) as task:
            write(path, gallery_of(faceset, rows, task.step), made_from)


def _bytes(faceset: Faceset, name: str) -> bytes:
    """A picture as stored; others are converted to WebP, which is much smaller.

    Raises FacesError when it cannot be read.
    """
    path = faceset.folder / IMAGES_NAME / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FacesError(
            f"{path} cannot be read ({error}).", "Run the same command again."
        ) from error
    return data if name.endswith(".webp") else encode_image(decode_image(data, name), ".webp")


def _meshes(faceset: Faceset) -> Floats:
    """float32 (N, 468, 3), shares of the pictures' sides."""
    sides = np.asarray(faceset.table["size"].to_numpy(), np.float32)[:, None]
    matrices = parquet.unvectors(faceset.table["matrix"]).reshape(-1, 2, 3)
    scale = np.sqrt(np.abs(np.linalg.det(matrices[..., :2].astype(np.float64))))[:, None]
    meshes = np.empty((len(faceset), POINTS, 3), np.float32)
    meshes[..., :2] = faceset.shapes
    meshes[..., 2] = faceset.meshes[..., 2] * scale / sides
    return meshes


def _own(faceset: Faceset) -> NDArray[np.bool_]:
    """Which faces show the person, as far as measured: (N,). A track is judged by
    the mean of its measurements."""
    vectors, present = parquet.optional_vectors(faceset.table["embedding"].combine_chunks())
    own = np.ones(len(faceset), np.bool_)
    if not present.any():
        return own
    middle = np.median(vectors[present], axis=0)
    keys = list(zip(faceset.sources, faceset.table["track"].to_pylist(), strict=True))
    tracks: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(keys):
        tracks.setdefault(key, []).append(row)
    for members in tracks.values():
        measured = [row for row in members if present[row]]
        if measured and np.linalg.norm(vectors[measured].mean(0) - middle) > ANOTHER:
            own[members] = False
    return own if own.any() else np.ones(len(faceset), np.bool_)


def _sharp(faceset: Faceset, rows: Indices) -> NDArray[np.bool_]:
    """The rows that are not blurred."""
    values = np.asarray(faceset.table["sharpness"].to_numpy(), np.float32)[rows]
    if not len(values):
        return np.ones(0, np.bool_)
    limit = min(SHARP * float(np.quantile(values, 0.75)), float(np.median(values)))
    return np.asarray(values >= limit, np.bool_)


def _shape(meshes: Floats, mean: Floats) -> Floats:
    """Features of shape for comparing pictures: (N, 936), length about 1."""
    weights = np.ones((POINTS, 1), np.float32)
    for lids in EYES_AND_BROWS[:2]:
        weights[lids] = LID_WEIGHT
    weights[LIPS] = LIP_WEIGHT
    return _unit(((meshes[..., :2] - mean) * weights).reshape(len(meshes), -1))


def _light(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Floats:
    """Features of light for comparing pictures: (N, 3 * SHADES ** 2)."""
    edge = round((1 - CORE) / 2 * images.shape[1])
    inner = slice(edge, images.shape[1] - edge)
    found = []
    for image, mask in zip(images[:, inner, inner], masks[:, inner, inner], strict=True):
        share = mask.astype(np.float32)[..., None] / 255
        small = cv2.resize(
            np.dstack([image * share, share]), (SHADES, SHADES), interpolation=cv2.INTER_AREA
        )
        found.append((small[..., :3] / (small[..., 3:] + 0.1)).ravel())
    return LIGHT_WEIGHT * _unit(np.stack(found))


def _unit(rows: NDArray[np.floating]) -> Floats:
    """Rows without their mean, in units of their median length."""
    apart = rows - rows.mean(0)
    return np.asarray(
        apart / max(float(np.median(np.linalg.norm(apart, axis=1))), 1e-6), np.float32
    )


def _farthest(rows: Floats, count: int) -> NDArray[np.intp]:
    """The row nearest to the mean, then again and again the one farthest from all chosen (Gonzalez,
    "Clustering to minimize the maximum intercluster distance", 1985), in ascending order."""
    count = min(count, len(rows))
    chosen = [int(np.linalg.norm(rows - rows.mean(0), axis=1).argmin())]
    nearest = np.linalg.norm(rows - rows[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[chosen[-1]], axis=1))
    return np.array(sorted(chosen), np.intp)

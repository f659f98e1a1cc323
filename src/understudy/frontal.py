"""A photo of a person out of their own footage, for what needs one: the best frontal face."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy import metrics
from understudy.data import records
from understudy.data.faceset import IMAGES_NAME, Faceset
from understudy.data.scans import LANDMARKS
from understudy.errors import FacesError
from understudy.media.images import read_image
from understudy.media.video import VideoReader
from understudy.person import Person
from understudy.types import Floats, Image

FRONTAL, CALM = 0.1, 0.25
"""Of a faceset's faces the share that is turned least; of these the share with eyes open and the
mouth closed. Among them the sharpest is taken."""

ROOM = 1.0
"""Of the face's width: what is left around it, so that a detector finds it."""


def best_row(faceset: Faceset) -> int:
    """The row of a sharp face that looks into the camera, eyes open and mouth closed, as nearly
    as there is one.

    Raises:
        FacesError: the faceset is empty.
    """
    if not len(faceset):
        raise FacesError(
            f"There are no faces in {faceset.folder}.",
            "Extract them first, or give a photo with --face.",
        )
    table = faceset.table
    turn = np.hypot(table["yaw"].to_numpy(), table["pitch"].to_numpy())
    frontal = np.argsort(turn, kind="stable")[: _share(FRONTAL, len(faceset))]
    meshes = records.unvectors(table["landmarks"]).reshape(-1, LANDMARKS, 3)[frontal]
    eyes = _rank([min(metrics.eye_opening(mesh)) for mesh in meshes])
    mouth = _rank([-metrics.mouth_opening(mesh) for mesh in meshes])
    calm = frontal[np.argsort(-(eyes + mouth), kind="stable")[: _share(CALM, len(frontal))]]
    return int(calm[np.argmax(table["sharpness"].to_numpy()[calm])])


def _share(part: float, count: int) -> int:
    return max(1, round(part * count))


def _rank(values: Sequence[float]) -> NDArray[np.int64]:
    """Place of every value in ascending order, from 0."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def best_photo(person: Person) -> Image:
    """The person's best frontal face with room around it, RGB uint8: cut out of the film it was
    found in, or the faceset's own picture where that film is gone.

    Raises:
        FacesError: there are no faces.
        MediaError: the film or the picture cannot be read.
    """
    faceset = Faceset.open(person.faces_folder)
    number = best_row(faceset)
    row = faceset.table.slice(number, 1)
    (source,) = row["source"].to_pylist()
    film = next(
        (person.footage_folder / one.file for one in person.index() if one.sha256 == source), None
    )
    if film is None or not film.is_file():
        return read_image(faceset.folder / IMAGES_NAME / faceset.names[number])
    parts = (row[f"time_{part}"].to_pylist()[0] for part in ("numerator", "denominator"))
    return _around(_frame(film, Fraction(*parts)), records.unvectors(row["box"])[0])


def _frame(film: Path, time: Fraction) -> Image:
    """The first frame at or after `time` (seconds). Raises MediaError."""
    with VideoReader(film, time) as reader:
        return next(iter(reader)).image


def _around(image: Image, box: Floats) -> Image:
    """What of a picture lies in or around `box` (x0, y0, x1, y1), pixels."""
    room = ROOM * (box[2] - box[0])
    low = np.maximum(0, np.floor(box[:2] - room)).astype(int)
    high = np.ceil(box[2:] + room).astype(int)
    return np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])

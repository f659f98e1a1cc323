"""Held-out faces as conversion would draw them, for the preview sheets of a training.

A sheet of the network's output shows its progress. A film looks different:
matter: there colours are matched, edges are soft, and the detail of the person's own pictures is
laid over the face. So the stored pictures of a few held-out faces are taken as the frames of a film
and converted.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from understudy.conversion.detailer import Galleries
from understudy.conversion.swapper import Trained
from understudy.faces.align import CORE
from understudy.facesets.faceset import Faceset
from understudy.facesets.split import Indices
from understudy.media.overlay import lay
from understudy.models.base import SwapModel
from understudy.models.gallery import path_of, read
from understudy.settings import ConvertSettings
from understudy.training.preview_sheet import Finished
from understudy.types import Face, Floats, Frame, Image, Pose

SIDE = 256
"""Side of the stored pictures when used as frames, pixels."""


@dataclass(frozen=True)
class _Footage:
    """One person's pictures, RGB uint8 (SIDE, SIDE, 3), the faces in them, and the person's mean
    mesh as `Gallery.mean`."""

    pictures: Sequence[Image]
    faces: Sequence[Face]
    mean: Floats


class Rehearsal:
    """Draws swaps of held-out faces as conversion does.

    Args:
        folder: of the model, where the galleries are.
        facesets: of everyone who is shown.
        rows: for each of them the faces to show.
        settings: how faces are laid over frames.
        device: where to compute.

    Raises:
        FacesError, MediaError: a picture cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        facesets: Mapping[str, Faceset],
        rows: Mapping[str, Indices],
        settings: ConvertSettings,
        device: torch.device,
    ) -> None:
        # Another network finds objects in front of a face; here it is not needed.
        self.settings = settings.model_copy(update={"occlusion": False})
        self.folder, self.device = folder, device
        self._footage = {
            person: _footage(facesets[person], chosen) for person, chosen in rows.items()
        }

    @property
    def people(self) -> list[str]:
        """Whose faces are drawn over."""
        return list(self._footage)

    def shown(self, person: str) -> list[tuple[Image, Floats]]:
        """Someone's pictures as core crops, as `draw` gives them, with the faces' meshes in them:
        float32 (468, 3), pixels."""
        footage, edge = self._footage[person], round((1 - CORE) / 2 * SIDE)
        inner = slice(edge, SIDE - edge)
        return [
            (picture[inner, inner], face.landmarks - np.array([edge, edge, 0], np.float32))
            for picture, face in zip(footage.pictures, footage.faces, strict=True)
        ]

    def draw(self, model: SwapModel, others: Mapping[str, Sequence[str]]) -> dict[str, Finished]:
        """The swaps, by target; empty if no possible source has a gallery.

        Args:
            model: stays as it is.
            others: possible sources for each person; the first one with a gallery is used.

        Raises:
            CheckpointError: a gallery is damaged.
        """
        if self.settings.detail <= 0:
            return {}
        comes = {
            goes: name
            for goes, names in others.items()
            if (name := next((n for n in names if path_of(self.folder, n).exists()), None))
        }
        if not comes:
            return {}
        own = {name: read(path_of(self.folder, name)) for name in set(comes.values())}
        galleries = Galleries(own, {goes: self._footage[goes].mean for goes in comes})
        # Drawing changes how a network lies in memory, and a training must not notice.
        artist = Trained(
            self.folder.name, copy.deepcopy(model), self.settings, self.device, galleries
        )
        return {
            goes: Finished(name, self._drawn(artist, goes, name)) for goes, name in comes.items()
        }

    def _drawn(self, artist: Trained, goes: str, comes: str) -> list[Image]:
        drawer, footage = artist.drawer(goes, comes), self._footage[goes]
        edge = round((1 - CORE) / 2 * SIDE)
        found = []
        for picture, face in zip(footage.pictures, footage.faces, strict=True):
            frame = _frame(picture)
            (patches,) = drawer.patches([(frame, [face])])
            image = lay(frame.picture, patches).to_ndarray(format="rgb24")
            found.append(np.asarray(image[edge : SIDE - edge, edge : SIDE - edge], np.uint8))
        return found


def _frame(picture: Image) -> Frame:
    native = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return Frame(0, Fraction(0), native, lambda _: picture)


def _footage(faceset: Faceset, rows: Indices) -> _Footage:
    arrays = faceset.load(SIDE, core=False, rows=rows.tolist())
    faces = []
    for number, points in enumerate(arrays.landmarks):
        flat = np.column_stack([points, np.zeros(len(points), np.float32)])
        low, high = points.min(0), points.max(0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        faces.append(Face(box, flat, 1.0, Pose(0, 0, 0), number))
    pictures = [np.ascontiguousarray(image) for image in arrays.images]
    return _Footage(pictures, faces, faceset.mean_mesh)

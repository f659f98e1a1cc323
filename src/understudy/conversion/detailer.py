"""Apply a person's gallery to the faces of a film.

gallery + the tracks' meshes -> which pictures, frame by frame -> detail over the drawn face
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from understudy.conversion.compositing.gallery_detail import (
    GRID,
    QUARTER,
    Place,
    Sample,
    with_detail,
)
from understudy.conversion.gallery_picks import FramePicks, calm, choose, openings
from understudy.faces.align import CORE, alignment, core_alignment, transform_points
from understudy.faces.gaze import Gaze
from understudy.faces.weights import store
from understudy.models.gallery import Gallery
from understudy.types import Face, Floats, Image


@dataclass(frozen=True)
class Galleries:
    """The galleries that an artist draws with.

    Attributes:
        own: of the sources, by name.
        shapes: mean meshes of the targets, as `Gallery.mean`, by name, where they are known.
    """

    own: Mapping[str, Gallery] = field(default_factory=dict)
    shapes: Mapping[str, Floats] = field(default_factory=dict)

    def detailer(self, replace: str, with_: str, strength: float) -> Detailer | None:
        """The detailer that adds detail of `with_` to faces of `replace`; None if there is none."""
        gallery = self.own.get(with_)
        if gallery is None or strength <= 0:
            return None
        return Detailer(gallery, self.shapes.get(replace), strength)

    def facts(self) -> dict[str, str]:
        """Entries for a record: SHA-256 by name."""
        return {name: gallery.sha256 for name, gallery in sorted(self.own.items())}


NO_GALLERIES = Galleries()

KNOWN = 60
"""Frames of a track at which its mean mesh gets half weight."""


class Detailed:
    """Something that draws a face and may have a gallery to take detail from.

    Attributes:
        detailer: adds that detail to the drawn face; or None.
    """

    detailer: Detailer | None = None


def share_mesh(landmarks: Floats) -> Floats:
    """A face's mesh as `Gallery.meshes` has it, without depth: float32 (468, 2)."""
    return transform_points(alignment(landmarks, 1), landmarks) + np.float32(0.5)


class Detailer:
    """Adds the detail of the source's pictures to faces drawn over the target's.

    Args:
        gallery: of the source.
        replaced: float32 (468, 2), the mean mesh of the target, as `Gallery.mean`; None
            where it is not known. Then it is estimated from the film.
        strength: 0..1, how much of the detail is added.
    """

    def __init__(self, gallery: Gallery, replaced: Floats | None, strength: float) -> None:
        self.gallery, self.strength = gallery, strength
        self._replaced = replaced
        self._apart: dict[int, Floats] = {}
        self._picks: dict[tuple[int, int], FramePicks] = {}

    @cached_property
    def _gaze(self) -> Gaze:
        return Gaze(store.path("iris_landmark.tflite"))

    def follow(self, faces: Iterable[tuple[int, Face]], tracks: Collection[int]) -> None:
        """Choose the pictures for some tracks of a film.

        Args:
            faces: all faces of the film with the index of their frame, in order.
            tracks: those of the target.
        """
        frames: dict[int, list[int]] = {track: [] for track in tracks}
        meshes: dict[int, list[Floats]] = {track: [] for track in tracks}
        for index, face in faces:
            if face.track in meshes:
                frames[face.track].append(index)
                meshes[face.track].append(share_mesh(face.landmarks))
        for track, found in meshes.items():
            if not found:
                continue
            own = np.stack(found)
            self._apart[track] = self._difference(own)
            chosen = choose(self.gallery, own + self._apart[track], calm(openings(own)))
            for index, picks in zip(frames[track], chosen, strict=True):
                self._picks[index, track] = picks

    def picks(self, index: int, track: int) -> FramePicks | None:
        """The pictures for the face of a followed track in a frame."""
        return self._picks.get((index, track))

    @property
    def used(self) -> Mapping[tuple[int, int], FramePicks]:
        """All chosen pictures, by frame and track."""
        return self._picks

    def _difference(self, meshes: Floats) -> Floats:
        """The difference of the two people's shapes: float32 (468, 2), to be added to the film's.

        Args:
            meshes: float32 (T, 468, 2), of the film.
        """
        if self._replaced is not None:
            return np.asarray(self.gallery.mean - self._replaced, np.float32)
        # A short track shows expression and pose rather than shape: weight it by its length.
        share = len(meshes) / (len(meshes) + KNOWN)
        return np.asarray(share * (self.gallery.mean - meshes.mean(0)), np.float32)

    def wanted(self, face: Face, index: int) -> tuple[FramePicks, Floats]:
        """The pictures for a face in the frame of that index, and where the person's mesh is to be:
        float32 (468, 2), pixels of the core crop at `GRID`."""
        mesh = share_mesh(face.landmarks)
        picks = self.picks(index, face.track)
        if picks is None:
            apart = self._difference(mesh[None])
            (picks,) = choose(self.gallery, (mesh + apart)[None], np.ones(1, np.float32))
        else:
            apart = self._apart[face.track]
        core = (mesh + apart - (1 - CORE) / 2) / CORE * GRID - 0.5
        return picks, np.asarray(core, np.float32)

    def lay(
        self,
        laid: Image,
        under: Image,
        corner: tuple[int, int],
        face: Face,
        about: tuple[int, float],
    ) -> Image:
        """The drawn face with detail.

        Args:
            laid, under: RGB uint8 (h, w, 3): the drawn face in the frame's colours, and the frame
                below it.
            corner: x and y of their upper left pixel in the frame.
            face: that is drawn over.
            about: index of the frame, and pixels of the frame in one of the network's.
        """
        index, pixel = about
        if self.strength <= 0:
            return laid
        picks, core = self.wanted(face, index)
        to_grid = core_alignment(face.landmarks, GRID).astype(np.float64)
        to_grid[:, 2] += to_grid[:, :2] @ np.array(corner, np.float64)
        gaze = self._gaze.both(under, face.landmarks[:, :2] - np.array(corner, np.float32))
        place = Place(
            to_grid,
            core,
            pixel,
            picks.shares,
            gaze or (float("nan"), float("nan")),
            picks.awake,
            picks.lids,
        )
        side = GRID / CORE / float(np.sqrt(abs(np.linalg.det(to_grid[:, :2]))))
        samples = [
            Sample(
                self.gallery.near(pick.row, 0.9 * side),
                self.gallery.near(pick.row, 0.9 * GRID / CORE),
                self.gallery.near(pick.row, 0.9 * QUARTER / CORE),
                self.gallery.meshes[pick.row, :, :2],
                self.gallery.masks[pick.row],
                (float(self.gallery.gazes[pick.row, 0]), float(self.gallery.gazes[pick.row, 1])),
                pick.part,
                pick.weight,
                pick.lids,
            )
            for pick in picks.picks
        ]
        return with_detail(laid, under, place, samples, self.strength)

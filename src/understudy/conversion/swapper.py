"""Draw swaps: run networks on the faces of a film, frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from understudy.conversion.compositing.composite import Detail, near, swap_patch
from understudy.conversion.compositing.grain import seed_of
from understudy.conversion.compositing.occlusion import Around, Cover, covers
from understudy.conversion.compositing.visibility import as_told, looked_at
from understudy.conversion.detailer import NO_GALLERIES, Detailed, Detailer, Galleries
from understudy.faces.align import core_alignment, transform_points, warp
from understudy.faces.masks import face_mask
from understudy.models.base import SwapModel
from understudy.models.hashing import weights_hash
from understudy.runtime.devices import bfloat16_pays
from understudy.settings import ConvertSettings
from understudy.types import Face, Floats, Frame, Image, Patch

BATCH = 16
"""Largest number of faces in one batch of the network."""


class Draws(Protocol):
    """Something that can draw a person's face over the faces in a film."""

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        """For every frame what to lay over it, given the faces in it to replace, and what the
        frames lie among."""


class Artist(Protocol):
    """Something that can draw sources: for example a trained network."""

    @property
    def people(self) -> Sequence[str]:
        """People who can be the source."""

    def facts(self) -> dict[str, Any]:
        """Entry for a record, as JSON: equal exactly when it draws the same."""

    def drawer(self, replace: str, with_: str) -> Draws:
        """What draws `with_` over faces of `replace` (a name, or any other word when it is
        anyone). Raises SettingsError when it cannot draw `with_`."""

    def with_settings(self, settings: ConvertSettings) -> Artist:
        """The same artist with other settings for blending."""


class Cast:
    """All sources drawn in a film, each over the faces of its targets.

    Args:
        by_track: the drawer for the faces of a track, by its number; faces of other tracks
            stay as they are. Several tracks may have the same drawer.
    """

    def __init__(self, by_track: Mapping[int, Draws]) -> None:
        self._by_track = by_track
        self._drawers = list({id(one): one for one in by_track.values()}.values())

    def replaces(self, face: Face) -> bool:
        """Whether a face is replaced."""
        return face.track in self._by_track

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        """For every frame what to lay over it, given all faces in it, and what the frames lie
        among."""
        result: list[list[Patch]] = [[] for _ in frames]
        frames = [(frame, self._in_turn(faces)) for frame, faces in frames]
        around = around or Around()
        for drawer in self._drawers:
            own = self._faces_for(drawer, frames)
            if any(faces for _, faces in own):
                before, after = (
                    self._faces_for(drawer, near) for near in (around.before, around.after)
                )
                among = Around(before, after, around.seen)
                for laid, patches in zip(result, drawer.patches(own, among), strict=True):
                    laid += patches
        return result

    def _in_turn(self, faces: Sequence[Face]) -> list[Face]:
        """The faces with the alpha that they are laid with as their share: where two people show
        in one face and both are replaced, one is laid over the other, and each must come out with
        the share of the person below."""
        if all(face.share == 1 for face in faces):
            return list(faces)
        turns = {
            n: (self._drawers.index(self._by_track[face.track]), n)
            for n, face in enumerate(faces)
            if self.replaces(face)
        }

        def alpha(number: int) -> float:
            face = faces[number]
            over = sum(
                faces[n].share
                for n, turn in turns.items()
                if turn > turns[number] and faces[n].box == face.box
            )
            return min(face.share / max(1 - over, 1e-6), 1.0)

        return [
            replace(face, share=alpha(n)) if n in turns and face.share < 1 else face
            for n, face in enumerate(faces)
        ]

    def _faces_for(
        self, drawer: Draws, frames: Sequence[tuple[Frame, Sequence[Face]]]
    ) -> list[tuple[Frame, list[Face]]]:
        return [
            (frame, [face for face in faces if self._by_track.get(face.track) is drawer])
            for frame, faces in frames
        ]


class Trained:
    """A trained network as an artist.

    Args:
        name: of the model.
        network: its weights are used as they are; it is moved to `device`.
        galleries: pictures of its people, for detail that it cannot draw.
    """

    def __init__(
        self,
        name: str,
        network: SwapModel,
        settings: ConvertSettings,
        device: torch.device,
        galleries: Galleries = NO_GALLERIES,
    ) -> None:
        self.name, self.network, self.settings, self.device = name, network, settings, device
        self.galleries = galleries

    @property
    def people(self) -> Sequence[str]:
        return self.network.people

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "network": self.network.network,
            "size": self.network.size,
            "people": list(self.network.people),
            "weights_sha256": weights_hash(self.network),
            "device": self.device.type,
            "bfloat16": bfloat16_pays(self.device),
            "galleries": self.galleries.facts(),
        }

    def drawer(self, replace: str, with_: str) -> Swapper:
        self.network.check_swaps()
        swapper = Swapper(
            self.network, with_, self.settings, self.device, bfloat16_pays(self.device), replace
        )
        swapper.detailer = self.galleries.detailer(replace, with_, self.settings.detail)
        return swapper

    def with_settings(self, settings: ConvertSettings) -> Trained:
        return Trained(self.name, self.network, settings, self.device, self.galleries)


class Drawer(Detailed, ABC):
    """Draws a face from crops of a film's faces, in batches.

    Attributes:
        size: side of its crops in pixels.
        learned: whether it draws a mask of its face.
        settings: how the face is blended into the frame.
        device, bfloat16: where and how to detect objects in front of faces.
        looks: whether to detect where faces show when it draws no mask; its crops are core crops.
    """

    size: int
    learned: bool
    settings: ConvertSettings
    device: torch.device = torch.device("cpu")
    bfloat16: bool = False
    looks: bool = False

    @abstractmethod
    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        """The person with the expression of each crop.

        Args:
            crops: N of RGB uint8 (S, S, 3), as `alignment` cuts them, S = `size`.

        Returns:
            float32 (N, S, S, 3) RGB and float32 (N, S, S) mask, both 0..1.
        """

    def draw_over(self, crops: Sequence[Image]) -> tuple[Floats, Floats, Floats | None]:
        """As `draw`, with a mask that is not bounded by the face in the crop.

        Returns:
            Also float32 (N, S, S), 0..1: where the network sees the target's face; None where
            it does not know that face.
        """
        return (*self.draw(crops), None)

    def draw_faces(
        self, crops: Sequence[Image], about: Sequence[tuple[int, Face]]
    ) -> tuple[Floats, Floats, Floats | None]:
        """As `draw_over`, for drawers that need more than the crops.

        Args:
            about: for each crop the index of its frame, and the face in it.
        """
        return self.draw_over(crops)

    def alignment(self, landmarks: Floats) -> Floats:
        """The matrix from the frame to the crop: the core crop, see `faces.align`."""
        return core_alignment(landmarks, self.size)

    def patches(
        self, frames: Sequence[tuple[Frame, Sequence[Face]]], around: Around | None = None
    ) -> list[list[Patch]]:
        """For every frame what to lay over it, given the faces in it to replace, and what the
        frames lie among."""
        work = [
            (number, frame, face, self.alignment(face.landmarks))
            for number, (frame, faces) in enumerate(frames)
            for face in faces
        ]
        fronts: list[Cover | None] = [None] * len(work)
        if self.settings.occlusion:
            fronts = [*chain.from_iterable(covers(frames, self.device, self.bfloat16, around))]
        result: list[list[Patch]] = [[] for _ in frames]
        for first in range(0, len(work), BATCH):
            batch = work[first : first + BATCH]
            crops = [warp(frame.image, matrix, self.size) for _, frame, _, matrix in batch]
            about = [(frame.index, face) for _, frame, face, _ in batch]
            outputs, masks, below = self.draw_faces(crops, about)
            if below is None and self.looks and self.settings.occlusion:
                inner = [
                    face_mask(transform_points(matrix, face.landmarks), self.size, 0.0)
                    for _, _, face, matrix in batch
                ]
                how = self.device, self.bfloat16
                shown = looked_at(masks, self.learned, crops, outputs, inner, *how)
            else:
                shown = as_told(masks, self.learned, below)
            drawn = zip(crops, outputs, shown, strict=True)
            for (number, frame, face, matrix), front, (crop, output, seen) in zip(
                batch, fronts[first : first + BATCH], drawn, strict=True
            ):
                patch = swap_patch(
                    frame.image,
                    face,
                    output,
                    seen.mask,
                    matrix,
                    self.settings,
                    crop if front is None else front.away(crop, matrix),
                    learned=seen.learned,
                    shown=seen.below,
                    seed=seed_of(frame.index, face.track),
                    detail=detail_of(self.detailer, face, frame.index),
                )
                if patch is not None:
                    result[number].append(patch if front is None else front.before(patch))
        return result


def detail_of(detailer: Detailer | None, face: Face, frame: int) -> Detail | None:
    """The function that adds detail to one face in the frame of that index."""
    if detailer is None:
        return None

    def lay(laid: Image, under: Image, corner: tuple[int, int], pixel: float) -> Image:
        return detailer.lay(laid, under, corner, face, (frame, pixel))

    return lay


class Swapper(Drawer):
    """One person's decoder, ready to draw over faces.

    The swap ends near where the target's face shows, so that its hair stays in front.

    Args:
        model: its weights are used as they are; it is moved to `device` and set to evaluate.
        person: the source, whose decoder draws. Raises SettingsError when the model has none.
        device: where to compute.
        bfloat16: whether the network runs in bfloat16.
        replaced: the target, if it is one person that the model knows. Then
            the model itself draws where that person's face shows.
    """

    looks = True

    def __init__(
        self,
        model: SwapModel,
        person: str,
        settings: ConvertSettings,
        device: torch.device,
        bfloat16: bool,
        replaced: str | None = None,
    ) -> None:
        model.decoder(person)
        known = replaced in model.people and model.learns_mask
        self.replaced = replaced if known else None
        self.model = model.to(device).eval()
        nn.Module.to(self.model, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.person = person
        self.size, self.learned = model.size, model.learns_mask
        self.settings = settings
        self.device = device
        self.bfloat16 = bfloat16

    def draw(self, crops: Sequence[Image]) -> tuple[Floats, Floats]:
        rgb, alpha, shown = self.draw_over(crops)
        if shown is not None:
            alpha = np.stack([mask * near(face) for mask, face in zip(alpha, shown, strict=True)])
        return rgb, alpha

    def draw_over(self, crops: Sequence[Image]) -> tuple[Floats, Floats, Floats | None]:
        pixels = torch.from_numpy(np.stack(crops)).to(self.device)
        images = pixels.permute(0, 3, 1, 2).float().div(255)
        images = images.contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16),
        ):
            latent = self.model.encode(images)
            output, mask = self.model.decode(latent, self.person)
            own = self.model.decode(latent, self.replaced)[1] if self.replaced else None
        rgb = output.float().clamp(0, 1).permute(0, 2, 3, 1).contiguous().cpu().numpy()

        def plane(mask: Tensor) -> Floats:
            found: Floats = mask[:, 0].float().clamp(0, 1).contiguous().cpu().numpy()
            return found

        return rgb, plane(mask), None if own is None else plane(own)

"""Frames through the network and into segments: decoding, drawing and encoding side by side."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import numpy as np
import torch
from torch import Tensor, nn

from understudy import canvas
from understudy.composite import near, swap_patch
from understudy.compute import bfloat16_pays, few_threads
from understudy.faces.align import core_alignment, warp
from understudy.in_front import Cover, covers
from understudy.media.video import MediaInfo, SegmentWriter
from understudy.models import SwapModel
from understudy.pipeline import ahead
from understudy.progress import Task
from understudy.segments import Finished, Segments
from understudy.settings import ConvertSettings, EncodeSettings
from understudy.types import Face, Floats, Frame, Image, Patch

BATCH = 16
"""Faces that go through the network together, at most."""

GROUP_FRAMES = 16
"""Frames whose faces are gathered before the network runs, at most."""

GROUP_BYTES = 192 << 20
"""Pictures that a group may hold, roughly; large frames make smaller groups."""

RENDER_AHEAD = 8
"""Finished frames that may wait for the encoder."""

FILM, SIDE, MATTE = "film", "side", "matte"
"""Names of the outputs of a segment: the film, source and result side by side, the alpha."""

MATTE_ENCODE = EncodeSettings(codec="ffv1")

BYTES_PER_PIXEL = 6
"""Of a frame: its native planes and its RGB picture."""


class Draws(Protocol):
    """Whatever can draw somebody's face over the faces in a film."""

    def patches(self, frames: Sequence[tuple[Frame, Sequence[Face]]]) -> list[list[Patch]]:
        """For every frame what to lay over it, given the faces in it to replace."""


class Artist(Protocol):
    """Whatever can stand in for people: a trained network, for one."""

    @property
    def people(self) -> Sequence[str]:
        """Who can come."""

    def facts(self) -> dict[str, Any]:
        """What a record says of it, as JSON: equal exactly when it draws the same."""

    def drawer(self, replace: str, with_: str) -> Draws:
        """What draws `with_` over faces of `replace` (a name, or any other word when it is
        anybody). Raises SettingsError when it cannot draw `with_`."""

    def with_settings(self, settings: ConvertSettings) -> Artist:
        """The same artist, who lays faces over frames in another way."""


class Cast:
    """Everybody who is drawn in a film, each over faces of their own.

    Args:
        by_track: who draws over the faces of a track, by its number; faces of other tracks
            stay as they are. Several tracks may have the same drawer.
    """

    def __init__(self, by_track: Mapping[int, Draws]) -> None:
        self._by_track = by_track
        self._drawers = list({id(one): one for one in by_track.values()}.values())

    def patches(self, frames: Sequence[tuple[Frame, Sequence[Face]]]) -> list[list[Patch]]:
        """For every frame what to lay over it, given all faces in it."""
        result: list[list[Patch]] = [[] for _ in frames]
        for drawer in self._drawers:
            own = [
                (frame, [face for face in faces if self._by_track.get(face.track) is drawer])
                for frame, faces in frames
            ]
            if any(faces for _, faces in own):
                for laid, patches in zip(result, drawer.patches(own), strict=True):
                    laid += patches
        return result


class Trained:
    """A trained network as an artist.

    Args:
        name: of the model.
        network: its weights are used as they are; it is moved to `device`.
    """

    def __init__(
        self, name: str, network: SwapModel, settings: ConvertSettings, device: torch.device
    ) -> None:
        self.name, self.network, self.settings, self.device = name, network, settings, device

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
        }

    def drawer(self, replace: str, with_: str) -> Swapper:
        self.network.check_swaps()
        return Swapper(
            self.network, with_, self.settings, self.device, bfloat16_pays(self.device), replace
        )

    def with_settings(self, settings: ConvertSettings) -> Trained:
        return Trained(self.name, self.network, settings, self.device)


def weights_hash(model: SwapModel) -> str:
    """Hex SHA-256 over the names and values of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Drawer(ABC):
    """Draws a face from crops of a film's faces, in batches.

    Attributes:
        size: side of its crops in pixels.
        learned: whether it tells where its face is.
        settings: how the face is laid over the frame.
        device, bfloat16: where and how to look for what is in front of faces.
    """

    size: int
    learned: bool
    settings: ConvertSettings
    device: torch.device = torch.device("cpu")
    bfloat16: bool = False

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
            Also float32 (N, S, S), 0..1: where the network sees the face that goes; None where
            it does not know that face.
        """
        return (*self.draw(crops), None)

    def alignment(self, landmarks: Floats) -> Floats:
        """The matrix from the frame to the crop: the core crop, see `faces.align`."""
        return core_alignment(landmarks, self.size)

    def patches(self, frames: Sequence[tuple[Frame, Sequence[Face]]]) -> list[list[Patch]]:
        """For every frame what to lay over it, given the faces in it to replace."""
        work = [
            (number, frame, face, self.alignment(face.landmarks))
            for number, (frame, faces) in enumerate(frames)
            for face in faces
        ]
        fronts: list[Cover | None] = [None] * len(work)
        if self.settings.occlusion:
            fronts = [*chain.from_iterable(covers(frames, self.device, self.bfloat16))]
        result: list[list[Patch]] = [[] for _ in frames]
        for first in range(0, len(work), BATCH):
            batch = work[first : first + BATCH]
            crops = [warp(frame.image, matrix, self.size) for _, frame, _, matrix in batch]
            outputs, masks, shown = self.draw_over(crops)
            visible = [None] * len(batch) if shown is None else list(shown)
            drawn = zip(crops, outputs, masks, visible, strict=True)
            for (number, frame, face, matrix), front, (crop, output, mask, seen) in zip(
                batch, fronts[first : first + BATCH], drawn, strict=True
            ):
                patch = swap_patch(
                    frame.image,
                    face,
                    output,
                    mask,
                    matrix,
                    self.settings,
                    crop if front is None else front.away(crop, matrix),
                    learned=self.learned,
                    shown=seen,
                    seed=frame.index,
                )
                if patch is not None:
                    result[number].append(patch if front is None else front.before(patch))
        return result


class Swapper(Drawer):
    """One person's decoder, ready to draw over faces.

    Args:
        model: its weights are used as they are; it is moved to `device` and set to evaluate.
        person: whose decoder draws. Raises SettingsError when the model has none.
        device: where to compute.
        bfloat16: whether the network runs in bfloat16.
        replaced: whose faces are drawn over, if that is one person whom the model knows. Then
            the swap ends near where that person's face shows, so that their hair stays in
            front of it.
    """

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


def swapped(
    frames: Iterable[Frame],
    faces: Callable[[int], Sequence[Face]],
    drawer: Draws,
    segment: int,
) -> Iterator[tuple[Frame, list[Patch]]]:
    """Every frame, in order, with its patches.

    Groups begin anew after every `segment` frames, so that what comes out of the network for
    one segment does not depend on where the reading began.

    Args:
        faces: what `drawer` is given to draw over, by frame index.
    """
    group: list[tuple[Frame, Sequence[Face]]] = []
    limit = GROUP_FRAMES
    for number, frame in enumerate(frames):
        if not group:
            pixels = frame.picture.width * frame.picture.height
            limit = max(1, min(GROUP_FRAMES, GROUP_BYTES // (pixels * BYTES_PER_PIXEL)))
        group.append((frame, faces(frame.index)))
        if len(group) == limit or (number + 1) % segment == 0:
            yield from _through(group, drawer)
            group = []
    yield from _through(group, drawer)


def _through(
    group: Sequence[tuple[Frame, Sequence[Face]]], drawer: Draws
) -> Iterator[tuple[Frame, list[Patch]]]:
    patches = drawer.patches(group)
    for (frame, _), laid in zip(group, patches, strict=True):
        yield frame, laid


@dataclass(frozen=True)
class Laid:
    """What goes over and into the pictures of a film besides faces.

    Attributes:
        label: what is laid over the frame shown at a time (seconds); None for nothing.
        marks: by output, what makes a marked picture of a finished one.
    """

    label: Callable[[Fraction], Sequence[Patch]] | None = None
    marks: Mapping[str, Callable[[av.VideoFrame], av.VideoFrame]] = field(default_factory=dict)


PLAIN = Laid()


class _Writers:
    """The writers of one segment's outputs; a context manager, as each of them is."""

    def __init__(
        self, paths: dict[str, Path], info: MediaInfo, encode: EncodeSettings, laid: Laid
    ) -> None:
        forms = {
            FILM: (info, encode),
            SIDE: (replace(info, width=2 * canvas.even(info.width)), encode),
            MATTE: (info.reshaped(info.width, info.height, grey=True), MATTE_ENCODE),
        }
        self._label = laid.label
        self._writers = {
            name: SegmentWriter(path, *forms[name], mark=laid.marks.get(name))
            for name, path in paths.items()
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            for writer in self._writers.values():
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame, patches: Sequence[Patch]) -> None:
        shown = [*patches, *(self._label(frame.time) if self._label else ())]
        self._writers[FILM].write(frame, shown)
        if side := self._writers.get(SIDE):
            side.write(canvas.doubled(frame), canvas.moved(shown, frame))
        if matte := self._writers.get(MATTE):
            matte.write_rgb(canvas.matte(frame, patches), frame.time)


def write_segments(
    frames: Iterable[Frame],
    faces: Callable[[int], Sequence[Face]],
    drawer: Draws,
    length: int,
    segments: Segments,
    info: MediaInfo,
    encode: EncodeSettings,
    task: Task,
    laid: Laid = PLAIN,
) -> None:
    """Render what is missing in `segments`.

    Args:
        frames: from where the finished segments end to the end of the part.
        faces: what `drawer` is given to draw over, by frame index.
        length: frames in a segment.
        info: of the film.
        task: is told of every frame.
        laid: label and mark.

    Raises:
        MediaError: the film cannot be read or the outputs cannot be written.
        StorageError: the disk is full. Finished segments are kept then, as after any other
            error or interruption.
    """
    stream = swapped(frames, faces, drawer, length)
    with few_threads(), ahead(stream, RENDER_AHEAD) as rendered:
        following = next(rendered, None)
        while following is not None:
            count = changed = 0
            with _Writers(segments.new_files(), info, encode, laid) as writers:
                for frame, patches in islice(chain([following], rendered), length):
                    writers.write(frame, patches)
                    count += 1
                    changed += bool(patches)
                    task.step()
            following = next(rendered, None)
            after: Fraction | None = following[0].time if following else None
            segments.finish(Finished(count, changed, after))

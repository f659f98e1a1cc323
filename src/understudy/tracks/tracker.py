"""Follow faces through a film: detect now and then, in between run the mesh where the face was.

Everything the tracker knows is plain data (`state`), so that a scan can stop after any frame and
go on later exactly as if it had never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from understudy.faces.analyser import covered
from understudy.faces.blazeface import Detection, overlap
from understudy.settings import ScanSettings
from understudy.tracks.shots import Shots
from understudy.types import Face, Floats, Frame, Image, Pose

GAP = Fraction(3, 10)
"""Seconds for which a lost face keeps its number."""

SEARCH_EVERY = 3
"""Frames between two searches while a face is lost or none is in view."""

THOROUGH_EVERY = 5
"""So many times `detect_every` frames lie between two thorough searches while a face is followed;
while none is, they are `detect_every` frames apart."""

MOVED = 0.25
"""Least overlap of one face's boxes in two neighbouring frames."""

REFOUND = 0.15
"""Least overlap of a lost face's box and of the box of a face found within the gap."""

GROWN = 1.5
"""Largest ratio of one face's sizes in two neighbouring frames."""

TURNED = 0.2
"""Share of the mesh that is left when it is laid over the same face a frame before, from which it
is not that face any more: real heads, in the fastest of pans, were seen to reach 0.14, meshes that
slid off a face at the border of the picture 0.28."""

STRANGER = 0.75
"""Embedding distance from which a face that is found where one was lost is another person's."""

FAST = 0.1
"""Shares of its width that a face moves in a frame from which the mesh, which looks where the face
was, lags behind it: then it looks again from where it came to lie."""

SETTLED = 0.05
"""Largest shift of a correct mesh when it is measured again, as a share of its width."""

LOOKS = 4
"""Most further looks of a mesh at a face that moves fast."""

FIRST = 3
"""The first embeddings of a track are measured `SOON` frames apart."""

SOON = 5

STEADILY = 20
"""Frames between two embeddings of a track after that: who it shows may change without a cut."""

PATIENCE = 2
"""So many times as long a good view is waited for; then a poor one is measured."""

LATELY = 3
"""Embeddings that count in whom a track shows now."""


class Analyses(Protocol):
    """What a tracker needs of a `FaceAnalyser`."""

    def detect(self, image: Image, thorough: bool = True) -> list[Detection]: ...
    def mesh(self, image: Image, start: Detection | Face) -> Face | None: ...
    def embed(self, image: Image, face: Face) -> Floats: ...
    def identify(self, chips: Image) -> Floats: ...


@dataclass
class _Live:
    """A face being followed. `index` and `time` are those of the frame it was last seen in, `mean`
    is whom it showed lately."""

    face: Face
    first: int
    index: int
    time: Fraction
    embeddings: int = 0
    embedded: int = 0
    mean: Floats | None = None


class Tracker:
    """Fed every frame of a film in order, says which faces it holds.

    Args:
        analyser: finds and measures faces, see `FaceAnalyser`.
        settings: how often to look for new faces.

    Attributes:
        shot: number of the shot that the last frame belongs to, from 0.
    """

    def __init__(self, analyser: Analyses, settings: ScanSettings) -> None:
        self.shot = 0
        self._analyser = analyser
        self._settings = settings
        self._shots = Shots()
        self._live: list[_Live] = []
        self._next = 0
        self._previous: int | None = None
        self._searched: int | None = None
        self._searched_well: int | None = None
        self._fast = False

    def update(self, frame: Frame) -> list[Face]:
        """The faces of the next frame, oldest track first, numbered; some with embedding."""
        image = frame.image
        if self._shots.update(image):
            self.shot += 1
            self._live = []
            self._searched = self._searched_well = None
        if self._follow(image, frame) or self._must_search(frame):
            self._search(image, frame)
        self._live = [live for live in self._live if frame.time - live.time <= GAP]
        faces = []
        for live in self._live:
            if live.index == frame.index:
                if self.wants_embedding(live.face, frame):
                    self._embed(live, image)
                faces.append(live.face)
        self._previous = frame.index
        return faces

    def _follow(self, image: Image, frame: Frame) -> bool:
        """Run the mesh where each face was; of two that end up on one face the older stays.

        Returns whether a face was lost.
        """
        kept: list[Face] = []
        merged: set[int] = set()
        lost = self._fast = False
        for live in self._live:
            if live.index != self._previous:
                continue
            face = self._settle(image, live.face)
            if face is None or not _same(live.face, face):
                lost = True
                continue
            if covered(face, kept):
                merged.add(live.face.track)
                continue
            kept.append(face)
            live.face = replace(face, track=live.face.track)
            live.index, live.time = frame.index, frame.time
        self._live = [live for live in self._live if live.face.track not in merged]
        return lost

    def _settle(self, image: Image, before: Face) -> Face | None:
        """The face in the next frame; None when there is none or the mesh finds no rest on it."""
        face = self._analyser.mesh(image, before)
        if face is None or _step(before, face) < FAST:
            return face
        self._fast = True
        for _ in range(LOOKS):
            again = self._analyser.mesh(image, face)
            if again is None or _step(face, again) < SETTLED:
                return again
            face = again
        return None

    def back(self, frame: Frame, face: Face) -> Face | None:
        """The same face in the frame before the one in which it was `face`, with its number; None
        where it is not. What the tracker knows stays as it is."""
        fast = self._fast
        found = self._settle(frame.image, face)
        self._fast = fast
        if found is None or not _same(face, found):
            return None
        return replace(found, track=face.track)

    def _must_search(self, frame: Frame) -> bool:
        if self._searched is None:
            return True
        every = self._settings.detect_every
        lost = any(live.index != frame.index for live in self._live)
        if self._fast or lost or not self._live:
            every = min(every, SEARCH_EVERY)
        return frame.index - self._searched >= every

    def _search(self, image: Image, frame: Frame) -> None:
        """Detect, and start or take up a track for every face that no live track covers."""
        well = self._searched_well
        followed = any(live.index == frame.index for live in self._live)
        every = self._settings.detect_every * (THOROUGH_EVERY if followed else 1)
        thorough = well is None or frame.index - well >= every
        self._searched = frame.index
        if thorough:
            self._searched_well = frame.index
        seen = [live.face for live in self._live if live.index == frame.index]
        for detection in self._analyser.detect(image, thorough):
            if _inside(detection, seen):
                continue
            face = self._analyser.mesh(image, detection)
            if face is None or covered(face, seen) or self._slid(face, frame):
                continue
            live = self._take_up(face, image, frame)
            if live is None:
                live = _Live(replace(face, track=self._next), frame.index, frame.index, frame.time)
                self._next += 1
                self._live.append(live)
            seen.append(live.face)

    def _slid(self, face: Face, frame: Frame) -> bool:
        """Whether `face` is one that was lost in this frame, with a mesh that slid off it."""
        return any(
            live.index == self._previous != frame.index
            and _plausible(live.face, face, REFOUND, GROWN * GROWN)
            and turned(live.face, face) > TURNED
            for live in self._live
        )

    def _take_up(self, face: Face, image: Image, frame: Frame) -> _Live | None:
        """The lost track that `face` continues, if there is one."""
        nearest: tuple[float, _Live] | None = None
        for live in self._live:
            if live.index == frame.index or frame.time - live.time > GAP:
                continue
            if not _plausible(live.face, face, REFOUND, GROWN * GROWN):
                continue
            near = _overlap(live.face, face)
            if nearest is None or near > nearest[0]:
                nearest = near, live
        if nearest is None:
            return None
        live = nearest[1]
        embedding = None
        if live.mean is not None:
            embedding = self._analyser.embed(image, face)
            if float(np.linalg.norm(embedding - live.mean)) > STRANGER:
                return None
        live.face = replace(face, track=live.face.track)
        live.index, live.time = frame.index, frame.time
        if embedding is not None:
            _learn(live, embedding)
        return live

    def wants_embedding(self, face: Face, frame: Frame) -> bool:
        """Whether the identity of this face, of the last frame, is worth measuring.

        The first good views of a track are, then one now and then, for as long as it lasts; when
        no view is good for long, a poor one is. What a track is then taken for is found out when
        all of it is known, see `division`.
        """
        live = next((live for live in self._live if live.face.track == face.track), None)
        if live is None or live.face.embedding is not None:
            return False
        if live.embeddings == 0:
            return frame.index - live.first >= 2 * SOON or good_view(face, frame.image)
        since = frame.index - live.embedded
        if since < (SOON if live.embeddings < FIRST else STEADILY):
            return False
        return since >= PATIENCE * STEADILY or good_view(face, frame.image)

    def _embed(self, live: _Live, image: Image) -> None:
        _learn(live, self._analyser.embed(image, live.face))

    def identify(self, chips: Image) -> Floats:
        """Identity embeddings, float32 (N, 128), of faces cut out earlier, see `face_chips`."""
        return self._analyser.identify(chips)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on after the last frame, as plain JSON values."""
        return {
            "shot": self.shot,
            "next": self._next,
            "previous": self._previous,
            "searched": self._searched,
            "searched_well": self._searched_well,
            "fast": self._fast,
            "shots": self._shots.state(),
            "live": [_pack(live) for live in self._live],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; what this tracker knew until now is forgotten."""
        self.shot = int(state["shot"])
        self._next = int(state["next"])
        self._previous = state["previous"]
        self._searched = state["searched"]
        self._searched_well = state["searched_well"]
        self._fast = bool(state["fast"])
        self._shots.restore(state["shots"])
        self._live = [_unpack(values) for values in state["live"]]


def good_view(face: Face, image: Image) -> bool:
    """Whether a face is seen well enough to tell who it is: towards the camera and wholly in the
    picture."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box
    return (
        abs(face.pose.yaw) < 35
        and abs(face.pose.pitch) < 25
        and face.score > 0.9
        and min(x0, y0) >= 0
        and x1 < width
        and y1 < height
    )


def _learn(live: _Live, embedding: Floats) -> None:
    """Take in what was measured of a face in the frame that it was last seen in."""
    live.face = replace(live.face, embedding=embedding)
    live.embeddings += 1
    if live.mean is None:
        live.mean = embedding
    else:
        # The mean follows, so that a face that was lost is held against whom it showed last.
        weight = np.float32(1 / min(live.embeddings, LATELY))
        live.mean = live.mean + weight * (embedding - live.mean)
    live.embedded = live.index


def _overlap(a: Face, b: Face) -> float:
    return float(overlap(np.array(a.box), np.array([b.box]))[0])


def _step(before: Face, after: Face) -> float:
    """How far the mesh moved, in widths of the face."""
    way = after.landmarks[:, :2].mean(0) - before.landmarks[:, :2].mean(0)
    return float(np.linalg.norm(way)) / max(before.box[2] - before.box[0], 1.0)


def turned(before: Face, after: Face) -> float:
    """How unlike two meshes are whatever their size, place and turn in the picture: what is left
    when one is laid over the other (Procrustes), as a share of its extent, 0..1."""
    one, two = (np.asarray(face.landmarks[:, :2], np.float64) for face in (before, after))
    a, b = ((points - points.mean(0)) @ np.array([1, 1j]) for points in (one, two))
    left = b - a * (np.vdot(a, b) / max(float(np.vdot(a, a).real), 1e-12))
    return float(np.linalg.norm(left) / max(float(np.linalg.norm(b)), 1e-12))


def _plausible(before: Face, after: Face, near: float, grown: float) -> bool:
    """Whether one face can have moved and grown like this."""
    sizes = [max(f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in (before, after)]
    return max(sizes) <= grown * min(sizes) and _overlap(before, after) >= near


def _same(one: Face, other: Face) -> bool:
    """Whether two faces in neighbouring frames can be the same."""
    return _plausible(one, other, MOVED, GROWN) and turned(one, other) <= TURNED


def _inside(detection: Detection, faces: list[Face]) -> bool:
    """Whether the detection's centre is on a face that is already tracked."""
    x = (detection.box[0] + detection.box[2]) / 2
    y = (detection.box[1] + detection.box[3]) / 2
    return any(f.box[0] <= x <= f.box[2] and f.box[1] <= y <= f.box[3] for f in faces)


def _pack(live: _Live) -> dict[str, Any]:
    face = live.face
    return {
        "track": face.track,
        "box": list(face.box),
        "landmarks": face.landmarks.ravel().tolist(),
        "score": face.score,
        "pose": [face.pose.yaw, face.pose.pitch, face.pose.roll],
        "first": live.first,
        "index": live.index,
        "time": str(live.time),
        "embeddings": live.embeddings,
        "embedded": live.embedded,
        "mean": None if live.mean is None else live.mean.tolist(),
    }


def _unpack(values: dict[str, Any]) -> _Live:
    x0, y0, x1, y1 = values["box"]
    face = Face(
        box=(x0, y0, x1, y1),
        landmarks=np.array(values["landmarks"], np.float32).reshape(-1, 3),
        score=values["score"],
        pose=Pose(*values["pose"]),
        track=values["track"],
    )
    mean = values["mean"]
    return _Live(
        face=face,
        first=values["first"],
        index=values["index"],
        time=Fraction(values["time"]),
        embeddings=values["embeddings"],
        embedded=values["embedded"],
        mean=None if mean is None else np.array(mean, np.float32),
    )

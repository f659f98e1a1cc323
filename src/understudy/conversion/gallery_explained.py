"""What a gallery contains, what a film uses of it, and what the film needs but it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.conversion.gallery_picks import PARTS, FramePicks
from understudy.faces.align import CORE
from understudy.faces.openings import eye_opening, mouth_opening
from understudy.faces.pose import reference
from understudy.media.contact_sheet import Row, sheet
from understudy.models.gallery import Gallery
from understudy.types import Float64s, Floats, Image

DOWN = 10
"""Pictures below one another on a chart."""

SMALL = 64
"""Side of each of them, pixels."""

SHUT, OPEN = 0.75, 0.3
"""Eyes are shut below so much of how far the person's eyes are open mostly, because the mesh keeps
lids apart that are not; a mouth is open from this height over its width."""

FITS = 0.5
"""Share of eyes or mouth below which they are reported as taken from the drawn face."""

NEAR = 12.0
"""Degrees within which two head poses count as equal."""

FEW = 3
"""Pictures turned alike, at least, for the film's eyes and mouth to be compared with them."""


@dataclass(frozen=True)
class Traits:
    """Measures of pictures or frames; all (N,).

    Attributes:
        yaw, pitch: degrees; yaw above 0 is turned to image right, pitch above 0 looks up.
        eyes: height over width of the eye that is less open, as seen.
        mouth: likewise of the inner mouth.
    """

    yaw: Float64s
    pitch: Float64s
    eyes: Float64s
    mouth: Float64s


def traits_of(meshes: Floats, poses: Floats | None = None) -> Traits:
    """Measure meshes, float32 (N, 468, 3), N > 0.

    Args:
        poses: others of the same shape that tell how the head is turned.
    """
    turns = [reference().pose(mesh) for mesh in (meshes if poses is None else poses)]
    flat = meshes.copy()
    flat[..., 2] = 0
    return Traits(
        np.array([turn.yaw for turn in turns]),
        np.array([turn.pitch for turn in turns]),
        np.array([min(eye_opening(mesh)) for mesh in flat]),
        np.array([mouth_opening(mesh) for mesh in flat]),
    )


def told(gallery: Gallery) -> dict[str, Any]:
    """Contents of a gallery, as JSON."""
    found = traits_of(gallery.meshes)
    return {
        "sha256": gallery.sha256,
        "pictures": len(gallery),
        "yaw": [float(found.yaw.min()), float(found.yaw.max())],
        "pitch": [float(found.pitch.min()), float(found.pitch.max())],
        "eyes_shut": int((found.eyes < SHUT * np.median(found.eyes)).sum()),
        "mouth_open": int((found.mouth > OPEN).sum()),
    }


def chart(person: str, gallery: Gallery) -> Image:
    """All pictures of a gallery, from left to right as the head turns, those that look up above
    those that look down; RGB uint8."""
    found = traits_of(gallery.meshes)
    order = np.argsort(found.yaw, kind="stable")
    columns = [
        part[np.argsort(-found.pitch[part], kind="stable")]
        for part in np.split(order, range(DOWN, len(order), DOWN))
    ]
    turns = [f"{round(float(found.yaw[part].mean())):+d}" for part in columns]
    words = f"gallery of {person}: {len(gallery)} pictures; above: mean yaw of the column, degrees"
    rows = []
    for place in range(min(DOWN, len(order))):
        line = [gallery.near(int(part[place]), SMALL) for part in columns if place < len(part)]
        rows.append(Row("" if place else words, line, () if place else turns))
    return sheet(rows, SMALL)


@dataclass(frozen=True)
class Lack:
    """Something that a film needs and a gallery lacks.

    Attributes:
        what: in words: "no picture with closed eyes".
        frames: how many fall back to the drawn face because of it.
        first: time of the first of them, seconds.
    """

    what: str
    frames: int
    first: float

    def sentence(self, film: str) -> str:
        """The full sentence."""
        frames = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        verb = "falls" if self.frames == 1 else "fall"
        return (
            f"{self.what}: {frames} of {film} {verb} back to the drawn face "
            f"(first at {self.first:.1f} s)"
        )


@dataclass(frozen=True)
class Played:
    """The target's faces in a film; T of them, in order.

    Attributes:
        times: seconds.
        picks: the pictures for each.
        wanted: float32 (T, 468, 3): where the person's mesh is to be, scaled alike in all axes.
        poses: float32 (T, 468, 3): the film's meshes.
    """

    times: Sequence[Fraction]
    picks: Sequence[FramePicks]
    wanted: Floats
    poses: Floats


def lacks(gallery: Gallery, played: Played) -> list[Lack]:
    """What is missing, the most frequent first."""
    own = traits_of(gallery.meshes)
    film = traits_of(played.wanted, played.poses)
    found: dict[str, list[float]] = {}
    for place, picks in enumerate(played.picks):
        for part, share in zip(("eyes", "mouth"), picks.shares, strict=True):
            if share < FITS:
                what = _lacking(part, own, film, place)
                found.setdefault(what, []).append(float(played.times[place]))
    some = [Lack(what, len(times), times[0]) for what, times in found.items()]
    return sorted(some, key=lambda lack: -lack.frames)


def _lacking(part: str, own: Traits, film: Traits, place: int) -> str:
    """Why no picture's eyes or mouth fit a frame."""
    yaw, pitch = film.yaw[place], film.pitch[place]
    near = (np.abs(own.yaw - yaw) < NEAR) & (np.abs(own.pitch - pitch) < NEAR)
    if near.sum() < FEW:
        aside = abs(yaw) >= abs(pitch)
        sides = ("left", "right") if aside else ("down", "up")
        turn = yaw if aside else pitch
        side = sides[int(turn > 0)]
        where = f"to image {side}" if aside else side
        return f"no picture with the head turned {round(abs(turn) / 5) * 5} degrees {where}"
    values, value = (own.eyes, film.eyes) if part == "eyes" else (own.mouth, film.mouth)
    for words, least in (
        ("no picture with closed {}", value[place] - values),
        ("no picture with {} open as wide", values - value[place]),
    ):
        if (least < 0).all():
            return words.format(part)
        if (least[near] < 0).all():
            return f"{words.format(part)} at this head pose"
    return f"no picture with {part} of this shape at this head pose"


def leading(gallery: Gallery, played: Played) -> list[dict[str, int]]:
    """For each frame the row of the picture that counts most, by part; of those that count alike
    the one whose mesh is nearest."""
    found = []
    for picks, wanted in zip(played.picks, played.wanted, strict=True):
        rows = {}
        for part in PARTS:
            some = [pick for pick in picks.picks if pick.part == part]
            most = max(pick.weight for pick in some)
            rows[part] = min(
                (pick.row for pick in some if pick.weight > most - 1e-3),
                key=lambda row: float(np.square(gallery.meshes[row] - wanted)[:, :2].sum()),
            )
        found.append(rows)
    return found


def used(times: Sequence[Fraction], leads: Sequence[Mapping[str, int]]) -> list[dict[str, Any]]:
    """Which pictures are used, as JSON: of each in how many frames it leads in a part, and from
    when on.

    Args:
        times: of the frames, seconds.
        leads: of each frame, see `leading`.
    """
    counts: Counter[tuple[int, str]] = Counter()
    first: dict[tuple[int, str], float] = {}
    for time, rows in zip(times, leads, strict=True):
        for part, row in rows.items():
            counts[row, part] += 1
            first.setdefault((row, part), float(time))
    return [
        {"picture": row, "part": part, "frames": frames, "first_seconds": first[row, part]}
        for (row, part), frames in counts.most_common()
    ]


def parts_sheet(gallery: Gallery, moments: Mapping[str, tuple[Image, Mapping[str, int]]]) -> Image:
    """Moments of a film above the pictures that lead there, RGB uint8.

    Args:
        moments: the film's face as a stored crop, RGB uint8 (S, S, 3), and the rows of the pictures
            by part, by the words over it.
    """
    faces = [image for image, _ in moments.values()]
    rows = [Row("the film", faces, list(moments))]
    for part in PARTS:
        pictures = [gallery.near(leads[part], faces[0].shape[0]) for _, leads in moments.values()]
        words = "the whole face" if part == "whole" else part
        rows.append(Row(f"picture with the largest weight for {words}", pictures))
    return sheet(rows)


def wanted_mesh(core: Floats, film: Floats, grid: int) -> Floats:
    """Where a person's mesh is to be, with the depth of the film's: float32 (468, 3).

    Args:
        core: float32 (468, 2), pixels of the core crop of `grid` pixels.
        film: float32 (468, 3), the film's mesh in the scale of a stored crop of side 1.
    """
    shares: NDArray[np.floating] = (core + 0.5) / grid * CORE + (1 - CORE) / 2
    return np.column_stack([shares, film[:, 2]]).astype(np.float32)

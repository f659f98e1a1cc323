"""Preview of a film with different settings: one picture to compare by eye.

    understudy convert FILM --replace B --with A --preview

    renders/FILM-A-for-B-preview.png      a row for each variant, below the options for it
    renders/FILM-A-for-B-preview.json     its inputs and settings

From left to right moments of the film in which a face is replaced, from top to bottom the film
itself, the settings as they are, every colour transfer, a softer and a harder edge, an edge that
keeps within what was drawn, another blend, a sharpened face, no noise, a face that is drawn over
what is in front of it, and less of the detail of the person's own pictures, where there are any.
How steady a face is cannot be seen in stills, so that is not among them; and what is in front of it
is found in each moment by itself, where a conversion compares neighbouring frames too.

The sheet shows generated faces: it is labelled, watermarked and sealed like films.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np

from understudy.conversion.detailer import Detailed
from understudy.conversion.finish_still import PICTURES, labelled, publish, with_headroom
from understudy.conversion.outputs import Target, check, choose, stem_of
from understudy.conversion.plan import (
    Plan,
    Seen,
    cast_of,
    drawers_of,
    look_for,
    plan,
    record_of,
)
from understudy.conversion.render import FILM
from understudy.conversion.request import ConversionRequest, in_name
from understudy.conversion.swapper import Cast
from understudy.errors import FacesError, MediaError
from understudy.media.contact_sheet import PAPER, Row, cut_square, sheet
from understudy.media.overlay import lay
from understudy.media.pixel_shape import stored
from understudy.progress import Progress
from understudy.provenance.seal import Origin, record_number
from understudy.runtime import files
from understudy.runtime.devices import few_threads
from understudy.settings import ConvertSettings
from understudy.tracks.frames import frames_at
from understudy.tracks.matching import Match
from understudy.tracks.smoothing import Steady
from understudy.types import Box, Face, Frame, Image
from understudy.workspace import Workspace

COLUMNS = 5
"""Usual number of moments on a sheet."""

MOST = 10
"""Largest number of moments on a sheet: one for each target if there are many."""

SIDE = 224
"""Side of each picture, pixels."""

ROOM = 1.5
"""Side of the cut-out of a frame, in sides of the face: the swap's edges must be visible."""

PREVIEW = "preview"

SEEN = ("color", "feather", "widen", "blend", "sharpen", "grain", "occlusion", "detail")
"""Settings that can be seen in a still."""

SHARPER = 0.5
"""Strength of sharpening in its row."""

DETAILS = {0.0: "no gallery detail", 0.5: "half gallery detail", 1.0: "full gallery detail"}
"""Amounts of detail, and the words for them."""


@dataclass(frozen=True)
class Option:
    """A row: its options as words, and the settings they give."""

    words: str
    settings: ConvertSettings


@dataclass(frozen=True)
class Moment:
    """A column: a frame, the target in it, and where the face is, pixels of the frame."""

    index: int
    goes: str
    box: Box


@dataclass(frozen=True)
class PreviewReport:
    """Result of a preview.

    Attributes:
        output: the picture.
        record: JSON file with its inputs and settings.
        rows: the words above each row.
        times: of the frames shown, seconds, in order.
        matches: the person recognised in every track of the film.
        notes: what the user should know.
    """

    output: Path
    record: Path
    rows: tuple[str, ...]
    times: tuple[Fraction, ...]
    matches: tuple[Match, ...]
    notes: tuple[str, ...]


def preview(project: Workspace, request: ConversionRequest, progress: Progress) -> PreviewReport:
    """Draw a few frames of a film in all the ways there are, as one picture.

    Args:
        request: as for `convert.convert`, but its `output` is a picture.

    Raises:
        MediaError: the film cannot be read, or `output` has not the suffix of a picture.
        UnknownPerson, UnknownModel, ProjectError, ConsentError, CheckpointError, SettingsError,
        FacesError, TrustError, ContentError, StorageError: as `convert.convert`.
    """
    planned = plan(project, request, progress)
    target = _target(project, request.film, planned.swaps, request.output)
    with files.storage_errors(project.renders_folder):
        project.renders_folder.mkdir(exist_ok=True)
    seen = look_for(project, planned, progress)
    rows, times = _rows(planned, seen, progress)
    settings, trust = request.settings, project.settings.trust
    page = sheet(rows, SIDE)
    if settings.label != "none":
        page = with_headroom(page)
    told = {
        "rows": [row.caption for row in rows],
        "times": [str(time) for time in times],
    }
    record = {**record_of(project, planned, seen), PREVIEW: told}
    key = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:32]
    target = choose(target, key, given=request.output is not None)
    origin = Origin(
        number=record_number(key),
        source=request.film,
        source_sha256=seen.found.sha256,
        model_sha256=record["model"].get("weights_sha256"),
        consents=seen.consents,
        label=settings.label,
        reason=planned.reason,
        strength=trust.strength,
    )
    picture = av.VideoFrame.from_ndarray(page, format="rgb24")
    image, said = labelled(Frame(0, Fraction(0), picture, lambda _: page), [], [], settings)
    record |= {"key": key}
    notes = publish(
        project,
        target,
        {FILM: image},
        origin,
        record=record,
        notes=[*seen.notes, *said],
    )
    return PreviewReport(
        output=target.film,
        record=target.record,
        rows=tuple(row.caption for row in rows),
        times=times,
        matches=seen.matches,
        notes=tuple(notes),
    )


def _target(
    project: Workspace, film: Path, swaps: Mapping[str, str], output: Path | None
) -> Target:
    """The picture to write. Raises MediaError when it cannot be what its name says."""
    name = f"{stem_of(project.renders_folder, film, in_name(swaps))}-{PREVIEW}.png"
    path = (output or project.renders_folder / name).absolute()
    if path.suffix.lower() not in PICTURES:
        raise MediaError(
            f"A preview is a picture and cannot be written as {path.name}.",
            f"Use a name for --output that ends in {', '.join(PICTURES)}.",
        )
    target = Target({FILM: path})
    check(target, film)
    return target


def options(settings: ConvertSettings, pictured: bool = False) -> tuple[Option, ...]:
    """The rows below the film's: `settings` themselves, then each other way.

    Args:
        pictured: whether there are pictures of the source, to take detail from.
    """
    now = f"--color {settings.color} --feather {settings.feather:g}  ({_standing(settings)})"
    found = [Option(now, settings)]
    for color in get_args(ConvertSettings.model_fields["color"].annotation):
        if color not in ("auto", settings.color):
            found.append(_other(settings, "color", color))
    softer = min(round(2 * settings.feather, 3) or ConvertSettings().feather, 0.5)
    harder = round(settings.feather / 2, 3)
    for feather, what in ((softer, "softer edge"), (harder, "harder edge")):
        if feather != settings.feather:
            found.append(_other(settings, "feather", feather, what))
    widen = 0.0 if settings.widen else ConvertSettings().widen
    what = "within the network's mask" if settings.widen else "extended to the face's edge"
    found.append(_other(settings, "widen", widen, what))
    for blend in ("feather", "bands"):
        if blend != settings.blend:
            found.append(_other(settings, "blend", blend))
    sharpen = 0.0 if settings.sharpen else SHARPER
    found.append(_other(settings, "sharpen", sharpen, "soft" if settings.sharpen else "sharper"))
    grain = 0.0 if settings.grain else ConvertSettings().grain
    found.append(_other(settings, "grain", grain, "no noise" if settings.grain else "noise"))
    what = "covers objects in front" if settings.occlusion else "behind objects in front"
    found.append(_other(settings, "occlusion", not settings.occlusion, what))
    if pictured:
        found += [
            _other(settings, "detail", detail, what)
            for detail, what in DETAILS.items()
            if detail != settings.detail
        ]
    return tuple(found)


def _other(settings: ConvertSettings, name: str, value: str | float, what: str = "") -> Option:
    """`settings` with one of them changed, and the option that changes it."""
    if isinstance(value, bool):
        words = f"--{name}" if value else f"--no-{name}"
    else:
        words = f"--{name} {value}" if isinstance(value, str) else f"--{name} {value:g}"
    note = f"  ({what})" if what else ""
    return Option(f"{words}{note}", settings.model_copy(update={name: value}))


def _standing(settings: ConvertSettings) -> str:
    """The current value of the first option, in words."""
    usual = ConvertSettings()
    same = all(getattr(settings, name) == getattr(usual, name) for name in SEEN)
    return "the default" if same else "set now"


def _rows(planned: Plan, seen: Seen, progress: Progress) -> tuple[list[Row], tuple[Fraction, ...]]:
    """The rows of the sheet, and the times of the frames in them.

    Raises:
        FacesError: no target is visible in the part asked for.
        MediaError: the film cannot be read.
    """
    request = planned.request
    pictured = any(
        isinstance(drawer, Detailed) and drawer.detailer is not None
        for drawer in planned.drawers.values()
    )
    ways = options(request.settings, pictured)
    casts = [
        cast_of(
            drawers_of(planned.artist.with_settings(way.settings), planned.swaps),
            seen.matches,
            seen.found,
        )
        for way in ways
    ]
    moments = {moment.index: moment for moment in _moments(planned, seen)}
    if not moments:
        raise FacesError(
            f"No target is visible in this part of {request.film.name}.",
            "Choose another part with --start and --end, or leave them out.",
        )
    faces = Steady(seen.found, request.settings.steady)
    columns: list[list[Image]] = []
    times, heads = [], []
    several = len(set(planned.swaps.values())) > 1
    with (
        few_threads(),
        progress.task(f"preview of {request.film.name}", "frames", len(moments)) as task,
    ):
        for frame in frames_at(request.film, seen.found, moments):
            moment = moments[frame.index]
            shown = [frame.image, *(_drawn(frame, faces(frame.index), cast) for cast in casts)]
            columns.append([_tile(image, moment.box) for image in shown])
            times.append(frame.time)
            who = f", {planned.swaps[moment.goes]}" if several else ""
            heads.append(f"{float(frame.time):.2f} s{who}")
            task.step()
    if not columns:
        raise MediaError(f"{request.film} could not be read again.", "Run the same command again.")
    blank = [np.full((SIDE, SIDE, 3), PAPER, np.uint8)] * (COLUMNS - len(columns))
    lines = [list(line) for line in zip(*columns, strict=True)]
    alike = f"  (the same as {_standing(request.settings)})"
    rows = [Row("the film", [*lines[0], *blank], heads)]
    for way, line in zip(ways, lines[1:], strict=True):
        same = way is not ways[0] and np.array_equal(line, lines[1])
        rows.append(Row(f"{way.words}{alike if same else ''}", [*line, *blank]))
    return rows, tuple(times)


def _moments(planned: Plan, seen: Seen) -> list[Moment]:
    """Evenly spread frames in which a target's face was detected; each target has as
    many of them, and the face is the largest of theirs."""
    request = planned.request
    goes = {match.track: match.as_ for match in seen.matches if match.as_ is not None}
    found: dict[str, list[Moment]] = {}
    for index, time in zip(seen.found.indices, seen.found.times, strict=True):
        if (request.start or 0) <= time and (request.end is None or time < request.end):
            largest: dict[str, Face] = {}
            for face in seen.found.faces(index):
                who = goes.get(face.track)
                if who is not None and face.score > 0 and face.share == 1:
                    other = largest.get(who)
                    largest[who] = face if other is None or _size(face) > _size(other) else other
            for who, face in largest.items():
                found.setdefault(who, []).append(Moment(index, who, face.box))
    chosen: dict[int, Moment] = {}
    longest = sorted(found, key=lambda who: (-len(found[who]), who))[:MOST]
    for number, who in enumerate(longest):
        count = max(1, len(range(number, COLUMNS, len(longest))))
        free = [moment for moment in found[who] if moment.index not in chosen]
        places = np.linspace(0, len(free), 2 * count + 1)[1::2].astype(int) if free else ()
        chosen |= {free[place].index: free[place] for place in places}
    return list(chosen.values())


def _size(face: Face) -> float:
    return (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])


def _drawn(frame: Frame, faces: Sequence[Face], cast: Cast) -> Image:
    """The frame with all swaps drawn, as in a conversion; RGB."""
    (patches,) = cast.patches([(frame, faces)])
    return replace(frame, picture=lay(frame.picture, stored(frame, patches))).image


def _tile(image: Image, box: Box) -> Image:
    cut = cut_square(image, box, ROOM)
    how = cv2.INTER_AREA if len(cut) > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=how), np.uint8)

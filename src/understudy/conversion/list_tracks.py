"""List the tracks of a film, for the user to check and correct.

    understudy tracks FILM
    understudy tracks FILM --replace ben --with ada

    renders/FILM.tracks.toml     the source for each track; `convert --tracks` uses it
    renders/FILM.tracks.png      pictures of each track

The user's changes in a tracks file are kept when the file is written again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.conversion.outputs import check_part
from understudy.conversion.plan import mean_identities
from understudy.conversion.request import ConversionRequest, check_swaps
from understudy.errors import FacesError, MediaError, SettingsError
from understudy.media.contact_sheet import PAPER, TILE, Row, cut_square, sheet, write_still
from understudy.progress import Progress
from understudy.runtime import files
from understudy.runtime.filenames import decodable, safe_stem
from understudy.tracks.frames import frames_at
from understudy.tracks.identify import Search, identify
from understudy.tracks.matching import CLOSE, Match, named
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.tracks_file import (
    AUTO,
    NONE,
    Orders,
    TrackOrder,
    load_orders,
    tracks_key,
    write_orders,
)
from understudy.types import Box, Image, Track
from understudy.workspace import Workspace

ENDING = ".tracks.toml"

SHOWN = 6
"""Pictures of each track."""

ROWS = 150
"""Largest number of tracks on the sheet: those seen longest."""

ROOM = 1.5
"""Side of a picture, in sides of the face."""


@dataclass(frozen=True)
class Listed:
    """A track as shown to the user.

    Attributes:
        order: its lines in the tracks file.
        match: the person recognised in it.
    """

    order: TrackOrder
    match: Match

    def __str__(self) -> str:
        order = self.order
        known = "" if order.distance is None else f" (distance {order.distance:.2f})"
        return (
            f"track {order.number}: {order.shows}, {order.sure}{known}; {order.start:.2f} to "
            f"{order.end:.2f} s, {order.frames} frames, {order.width} px wide, person = "
            f'"{order.person}"'
        )


@dataclass(frozen=True)
class TracksReport:
    """Result of `list_tracks`.

    Attributes:
        file, sheet: the TOML file and the picture.
        shots: in the film.
        tracks: every track, in order of its number.
        kept: how many choices of an earlier file were kept.
        notes: parts of the film that could not be read, full sentences.
    """

    file: Path
    sheet: Path
    shots: int
    tracks: tuple[Listed, ...]
    kept: int
    notes: tuple[str, ...] = ()


def list_tracks(
    project: Workspace,
    request: ConversionRequest,
    progress: Progress,
) -> TracksReport:
    """Find the tracks of a film and write them down.

    Args:
        request: its swaps are written into the file. None: every track is "auto", which leaves it
            to `convert`. `output` is the TOML file; FILM.tracks.toml in the renders folder when
            None.

    Raises:
        UnknownPerson, ProjectError: no such person, or a target has no faceset.
        SettingsError: `output` is not a .toml file, or exists and is not a file of these tracks.
        MediaError: the film cannot be read.
        FacesError: the film shows no face.
        StorageError: a file cannot be written.
    """
    film, swaps, settings = request.film, request.swaps, request.scan
    start, end, same_person = request.start, request.end, request.settings.same_person
    check_part(start, end)
    if swaps:
        check_swaps(swaps)
        for comes in swaps.values():
            project.person(comes)
    identities = mean_identities(project, named(swaps))
    folder = project.renders_folder
    file = request.output or folder / f"{files.fitting(safe_stem(film), ENDING, folder)}{ENDING}"
    if file.suffix.lower() != ".toml":
        raise SettingsError(f"A tracks file must end in .toml: {file}", "Change --output.")
    search = Search(project.cache_folder, settings, same_person, start=start, end=end)
    seen = identify(film, identities, replace=swaps, search=search, progress=progress)
    found = seen.scan
    if not found.tracks:
        raise FacesError(
            f"No face was found in {film.name}.",
            "Choose a film or a part of it with a face; lower `min_face` if faces are small.",
        )
    orders = Orders(
        film=decodable(film.name),
        sha256=found.sha256,
        found=tracks_key(found.sha256, settings, start, end),
        start="" if start is None else str(start),
        end="" if end is None else str(end),
        scan=settings,
        track=tuple(
            _order(found, track, match, swaps, same_person)
            for track, match in zip(found.tracks, seen.matches, strict=True)
        ),
    )
    orders, kept = _with_earlier(file, orders)
    listed = tuple(map(Listed, orders.track, seen.matches))
    picture = file.with_suffix(".png")
    write_still(picture, draw(film, found, listed, progress), {})
    write_orders(file, orders)
    return TracksReport(file, picture, max(found.shots) + 1, listed, kept, tuple(found.damage))


def _with_earlier(file: Path, orders: Orders) -> tuple[Orders, int]:
    """Copy the choices of an earlier file to the new one; returns how many there were."""
    if not file.exists():
        return orders, 0
    earlier = load_orders(file)
    if (earlier.sha256, earlier.found) != (orders.sha256, orders.found):
        raise SettingsError(
            f"{file} exists and lists other tracks ({earlier.film}, or found with other settings).",
            "Move the file, or choose another name with --output.",
        )
    own = {order.number: order for order in earlier.track}
    kept = 0
    tracks = []
    for order in orders.track:
        old = own.get(order.number)
        if old is not None and (old.part or old.person != AUTO):
            kept += old.part != order.part or old.person != order.person
            order = order.model_copy(update={"person": old.person, "part": old.part})
        tracks.append(order)
    return orders.model_copy(update={"track": tuple(tracks)}), kept


def _order(
    found: MendedScan, track: Track, match: Match, swaps: Mapping[str, str], same_person: float
) -> TrackOrder:
    shows, sure = in_words(match, same_person)
    comes = AUTO if not swaps else NONE if match.as_ is None else swaps[match.as_]
    first, last = found.place(track.first), found.place(track.last)
    assert first is not None
    assert last is not None
    step = found.times[last] - found.times[last - 1] if last else Fraction(0)
    after = found.times[last + 1] if last + 1 < found.frames else found.times[last] + step
    middle = found.faces(_spread(found, track, 1)[0])
    width = next(f.box[2] - f.box[0] for f in middle if f.track == track.number)
    return TrackOrder(
        number=track.number,
        person=comes,
        shows=shows,
        sure=sure,
        distance=None if match.distance is None else round(match.distance, 3),
        shot=track.shot,
        start=round(float(found.times[first]), 3),
        end=round(float(after), 3),
        frames=track.faces,
        width=round(width),
    )


def in_words(match: Match, same_person: float) -> tuple[str, str]:
    """The person that a track seems to show, and how certain that is."""
    if match.person is None or match.distance is None:
        who, sure = "someone", "not measured" if match.distance is None else "not recognised"
    elif match.distance > same_person:
        who, sure = "nobody known", f"nearest {match.person}"
    elif match.doubt == "close":
        who, sure = f"{match.person} or {match.second}", "uncertain"
    elif match.doubt == "taken":
        who, sure = f"like {match.person}", "uncertain: this person is elsewhere in the picture"
    elif match.doubt == "unlike":
        who, sure = f"like {match.person}", "uncertain: other tracks are much more similar"
    else:
        sure = "sure" if same_person - match.distance > 2 * CLOSE else "likely"
        who = match.person
    return who, f"{sure}, brief" if match.doubt == "brief" else sure


def _spread(found: MendedScan, track: Track, count: int) -> list[int]:
    """At most `count` frames, evenly over a track, in which its face was detected."""
    places = [found.place(track.first), found.place(track.last)]
    first, last = (place for place in places if place is not None)
    steps = np.linspace(first, last, 2 * count + 1)[1::2].round().astype(int)
    return sorted({_seen(found, track, int(place)) for place in steps})


def _seen(found: MendedScan, track: Track, place: int) -> int:
    """The frame nearest to a place in which the track's face was found."""
    first, last = found.place(track.first), found.place(track.last)
    assert first is not None
    assert last is not None
    for away in range(last - first + 1):
        for near in (place - away, place + away):
            if first <= near <= last and any(
                face.track == track.number and face.score > 0 and face.share == 1
                for face in found.faces(found.indices[near])
            ):
                return found.indices[near]
    return track.first


def draw(film: Path, found: MendedScan, listed: Sequence[Listed], progress: Progress) -> Image:
    """A sheet with a line for each track: its description, and pictures of its face.

    Raises:
        MediaError: the film cannot be read.
    """
    longest = sorted(listed, key=lambda one: -one.order.frames)[:ROWS]
    shown = {one.order.number for one in longest}
    tracks = {track.number: track for track in found.tracks if track.number in shown}
    wanted: dict[int, list[tuple[int, Box]]] = {}
    for number, track in tracks.items():
        for index in _spread(found, track, SHOWN):
            box = next(f.box for f in found.faces(index) if f.track == number)
            wanted.setdefault(index, []).append((number, box))
    pictures: dict[int, list[Image]] = {number: [] for number in tracks}
    with progress.task(f"pictures of {film.name}", "frames", len(wanted)) as task:
        for frame in frames_at(film, found, wanted):
            for number, box in wanted[frame.index]:
                pictures[number].append(cut_square(frame.image, box, ROOM))
            task.step()
    if not any(pictures.values()):
        raise MediaError(f"{film} could not be read a second time.", "Run the same command again.")
    blank = np.full((TILE, TILE, 3), PAPER, np.uint8)
    rows = [
        Row(str(one), [*own, *[blank] * (SHOWN - len(own))])
        for one in listed
        if (own := pictures.get(one.order.number)) is not None
    ]
    return sheet(rows)

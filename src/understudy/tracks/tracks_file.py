"""A tracks file: the source for each track of a film, editable by the user.

    schema_version = 1
    film = "film.mp4"            # and its SHA-256, and how the tracks were found
    [[track]]
    number = 3
    person = "ada"               # the source; "none": stays; "auto": as --replace says
    [[track.part]]               # another choice for a part of the track, if needed
    start = 2.0
    end = 3.5
    person = "none"

A track that is not listed is "auto".
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from understudy.errors import SettingsError
from understudy.runtime import files
from understudy.settings import ScanSettings, Settings, parse
from understudy.tracks.matching import ORDERED, Match
from understudy.tracks.repair import MENDING
from understudy.tracks.repaired_scan import MendedScan, Stretch
from understudy.tracks.scan import scan_key
from understudy.types import Track

AUTO, NONE = "auto", "none"

LARGEST = 16 << 20
"""Bytes of a tracks file, at most."""

_HEAD = """\
# The source for each track of the film. The picture next to this file shows the tracks.
# Change the text after `person`: the name of the source, "none" to leave the face as it is, or
# "auto" to follow `--replace`. The other lines are for information only. For a part of a track,
# add these lines below it, with times in seconds of the film:
#
#     [[track.part]]
#     start = 2.0
#     end = 3.5
#     person = "none"
#
# Then: understudy convert FILM --tracks THIS_FILE
"""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PartOrder(Settings):
    """An order for a part of a track, in seconds of the film, `end` excluded."""

    start: Seconds
    end: Seconds
    person: str


class TrackOrder(Settings):
    """An order for a track; what follows `person` is for reading only."""

    number: Annotated[int, Field(ge=0)]
    person: str = AUTO
    shows: str = ""
    sure: str = ""
    distance: float | None = None
    shot: int = 0
    start: Seconds = 0.0
    end: Seconds = 0.0
    frames: int = 0
    width: int = 0
    part: tuple[PartOrder, ...] = ()

    @property
    def people(self) -> tuple[str, ...]:
        """Every word after `person`."""
        return (self.person, *(part.person for part in self.part))


class Orders(Settings):
    """A tracks file.

    Attributes:
        film, sha256: the film that the tracks are of.
        found: how the tracks were found, see `tracks_key`; their numbers mean nothing else.
        start, end: part of the film that was looked through, seconds; empty when all of it.
    """

    schema_version: Literal[1] = 1
    film: str
    sha256: str
    found: str
    start: str = ""
    end: str = ""
    scan: ScanSettings = ScanSettings()
    track: tuple[TrackOrder, ...] = ()

    @property
    def part(self) -> tuple[Fraction | None, Fraction | None]:
        """From when to when the film was looked through."""
        start, end = (Fraction(side) if side else None for side in (self.start, self.end))
        return start, end

    @property
    def swaps(self) -> dict[str, str]:
        """The sources, by the text that names their tracks."""
        names = {name for order in self.track for name in order.people}
        return {f"{ORDERED}{name}": name for name in sorted(names - {AUTO, NONE})}

    def joined(self, swaps: Mapping[str, str], path: Path) -> dict[str, str]:
        """`swaps` and the sources named in the file. Raises SettingsError when there are none."""
        if not swaps and not self.swaps:
            raise SettingsError(
                f"{path} names no source for any track.",
                'Write a name after `person`, or keep "auto" and give --replace and --with.',
            )
        return {**swaps, **self.swaps}


def tracks_key(
    sha256: str, settings: ScanSettings, start: Fraction | None, end: Fraction | None
) -> str:
    """Equal exactly when the same numbers mean the same tracks."""
    facts = [scan_key(sha256, settings, start, end), MENDING]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Wanted:
    """The film that a tracks file must belong to, and the possible sources.

    Attributes:
        film, sha256: the film that is converted.
        settings: that its faces are looked for with.
        people: who may be named.
        start, end: part of it that is converted.
    """

    film: str
    sha256: str
    settings: ScanSettings
    people: Collection[str]
    start: Fraction | None = None
    end: Fraction | None = None


def load_orders(path: Path) -> Orders:
    """Read a tracks file by itself. Raises SettingsError."""
    try:
        if path.stat().st_size > LARGEST:
            raise SettingsError(
                f"{path} is too large for a tracks file.", "Give a file of `understudy tracks`."
            )
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"{path} cannot be read as a tracks file ({error}).",
            "Correct that line, or create the file again with `understudy tracks`.",
        ) from error
    orders = parse(Orders, values, str(path))
    try:
        _ = orders.part
    except (ValueError, ZeroDivisionError) as error:
        raise SettingsError(
            f"`start` or `end` in {path} is not a valid time ({error}).",
            "Create the file again with `understudy tracks`.",
        ) from error
    return orders


def read_orders(path: Path, wanted: Wanted) -> Orders:
    """Read a tracks file and check all that can be checked without looking at the film.

    Raises:
        SettingsError: it cannot be read, is of another film or way of finding tracks, names
            unknown people, or its orders overlap.
    """
    orders = load_orders(path)
    if orders.sha256 != wanted.sha256:
        raise SettingsError(
            f"{path} lists the tracks of another film ({orders.film}, with other contents), not "
            f"of {wanted.film}.",
            f"Create one for this film: understudy tracks {wanted.film}",
        )
    if orders.found != tracks_key(wanted.sha256, wanted.settings, *orders.part):
        raise SettingsError(
            f"The tracks in {path} were found with other settings or by another version; their "
            "numbers now mean other faces.",
            "Use the same settings for finding faces, or run `understudy tracks` again.",
        )
    start, end = orders.part
    before = start is not None and (wanted.start is None or wanted.start < start)
    beyond = end is not None and (wanted.end is None or wanted.end > end)
    if before or beyond:
        raise SettingsError(
            f"{path} lists only the tracks of a part of {wanted.film}, but a longer part is "
            "to be converted.",
            "Use the same --start and --end, or list the tracks of the whole film.",
        )
    _check_people(path, orders, wanted.people)
    _check_overlaps(path, orders)
    return orders


def _check_people(path: Path, orders: Orders, people: Collection[str]) -> None:
    for order in orders.track:
        for name in order.people:
            if name in people or name in (AUTO, NONE):
                continue
            known = [*sorted(people), NONE, AUTO]
            near = difflib.get_close_matches(name, known, n=1)
            raise SettingsError(
                f"{path} names the source `{name}` for track {order.number}, who does not exist.",
                f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}.",
            )


def _check_overlaps(path: Path, orders: Orders) -> None:
    seen: set[int] = set()
    for order in orders.track:
        if order.number in seen:
            raise SettingsError(
                f"{path} has two entries for track {order.number}.", "Keep only one of them."
            )
        seen.add(order.number)
        parts = sorted(order.part, key=lambda part: part.start)
        for part in parts:
            if part.start >= part.end:
                raise SettingsError(
                    f"A part of track {order.number} in {path} ends at {part.end:g} s, before it "
                    f"starts at {part.start:g} s.",
                    "Correct `start` or `end`.",
                )
        for one, two in pairwise(parts):
            if two.start < one.end:
                raise SettingsError(
                    f"Two parts of track {order.number} in {path} overlap between {two.start:g} "
                    f"and {min(one.end, two.end):g} s.",
                    "End one where the other starts.",
                )


def obey(
    orders: Orders, path: Path, found: MendedScan, matches: Sequence[Match]
) -> tuple[MendedScan, list[Match]]:
    """The tracks, cut where an order is for a part of one, and who is replaced in each.

    Args:
        matches: of the tracks of `found`, for those that are "auto".

    Raises:
        SettingsError: no track has that number, or it is not visible in a part.
    """
    known = {track.number: track for track in found.tracks}
    by_number = {match.track: match for match in matches}
    tracks, fresh = list(found.tracks), max(known, default=-1) + 1
    cuts: dict[int, tuple[Stretch, ...]] = {}
    for order in orders.track:
        if (track := known.get(order.number)) is None:
            raise SettingsError(
                f"{path} has an entry for track {order.number}, which {orders.film} does not have "
                f"({len(known)} tracks).",
                "Correct the number, or run `understudy tracks` again.",
            )
        auto = by_number[order.number]
        by_number[order.number] = _ordered(auto, order.person)
        stretches = []
        for part in order.part:
            first, last = _frames(found, part, track, path)
            stretches.append(Stretch(first, last, fresh))
            tracks.append(replace(track, number=fresh, first=first, last=last))
            own = replace(auto, track=fresh, first=first, last=last)
            by_number[fresh] = _ordered(own, part.person)
            fresh += 1
        if stretches:
            cuts[order.number] = tuple(stretches)
    return replace(found, mended=tuple(tracks), cuts=cuts), [by_number[t.number] for t in tracks]


def _ordered(match: Match, person: str) -> Match:
    if person == AUTO:
        return match
    return replace(match, as_=None if person == NONE else f"{ORDERED}{person}", doubt=None)


def _frames(found: MendedScan, part: PartOrder, track: Track, path: Path) -> tuple[int, int]:
    """First and last frame of a part."""
    # The decimal that was written, not the binary number nearest to it.
    start, end = Fraction(str(part.start)), Fraction(str(part.end))
    inside = [
        index
        for index, time in zip(found.indices, found.times, strict=True)
        if track.first <= index <= track.last and start <= time < end
    ]
    if not inside:
        raise SettingsError(
            f"Track {track.number} in {path} is not visible between {part.start:g} and "
            f"{part.end:g} s.",
            "Correct `start` and `end`; they are times in seconds of the film.",
        )
    return inside[0], inside[-1]


def write_orders(path: Path, orders: Orders) -> None:
    """Write a tracks file that `load_orders` reads. Raises StorageError."""
    lines = [_HEAD, *_fields(orders, ("track", "scan"))]
    lines += ["", "[scan]", *_fields(orders.scan, ())]
    for order in orders.track:
        lines += ["", "[[track]]", *_fields(order, ("part",))]
        for part in order.part:
            lines += ["[[track.part]]", *_fields(part, ())]
    files.write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8", "replace"))


def _fields(one: Settings, without: Sequence[str]) -> list[str]:
    values: Mapping[str, object] = one.model_dump(mode="json", exclude=set(without))
    # JSON's strings and numbers are TOML's, but for the character 0x7f.
    return [
        f"{name} = {json.dumps(value, ensure_ascii=False).replace(chr(127), chr(92) + 'u007f')}"
        for name, value in values.items()
        if value is not None
    ]

"""What a film contains besides pictures and sound: what a copy keeps of it, and what it says of the
rest.

Titles, dates, chapters and time code are kept. The place where a film was made is kept only when
that is asked for, because it tells where people live; so is nothing else that a camera writes about
itself and its owner. A note lists everything that is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from understudy.media import planes
from understudy.media.info import MediaInfo
from understudy.media.probe import open_video

if TYPE_CHECKING:
    from av.container.core import Chapter

KEPT = frozenset(
    {
        "title",
        "artist",
        "album",
        "album_artist",
        "author",
        "composer",
        "copyright",
        "creation_time",
        "date",
        "description",
        "episode_id",
        "episode_sort",
        "genre",
        "network",
        "publisher",
        "season_number",
        "show",
        "synopsis",
        "track",
        "year",
    }
)
"""Tags of a film that a copy keeps, where its container can."""

_PLACE = re.compile(r"location|gps|place|coordinates|xyz$", re.IGNORECASE)
_OF_THE_FILE = frozenset(
    {
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "duration",
        "handler_name",
        "comment",
        "aigc",
    }
)
"""Tags that are about the file and not the film, or that a made film says again."""

_NAMED = 6
"""Tags that a sentence names at most."""

_CODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")


@dataclass(frozen=True)
class Extras:
    """The parts kept of a film.

    Attributes:
        tags: of the container.
        chapters: on the film's own clock, in order.
        timecode: of its first frame; None where it has none.
        notes: sentences about what is not kept.
    """

    tags: Mapping[str, str]
    chapters: tuple[Chapter, ...]
    timecode: str | None
    notes: tuple[str, ...]


def extras_of(film: Path, info: MediaInfo, *, place: bool) -> Extras:
    """What a film carries. Raises MediaError when it cannot be opened.

    Args:
        place: whether to keep where it was made.
    """
    if info.kind == "images":
        return Extras({}, (), None, ())
    with open_video(film) as (container, stream):
        told = dict(container.metadata)
        tags = {key: value for key, value in told.items() if key.lower() in KEPT}
        places = {key: value for key, value in told.items() if _PLACE.search(key)}
        if place:
            tags |= places
        others = sorted(
            key
            for key in told
            if key not in tags and key not in places and key.lower() not in _OF_THE_FILE
        )
        notes = []
        if places and not place:
            notes.append("The GPS location stored in the film was removed; --place keeps it.")
        if others:
            named = ", ".join(others[:_NAMED]) + ", ..." * (len(others) > _NAMED)
            notes.append(f"Metadata not copied from the film: {named}.")
        notes += _tracks(container, stream)
        timecode = _timecode(container, stream)
        chapters = tuple(sorted(container.chapters(), key=lambda each: each["start"]))
    if info.stereo:
        notes.append(
            "The film is marked as stereo 3-D; its pictures are written unchanged, without this "
            "mark."
        )
    if planes.transparent(info.stored_format):
        notes.append("The film has transparent parts; they are shown on white.")
    return Extras(tags, chapters, timecode, tuple(notes))


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    found = (stream.metadata.get("timecode"), container.metadata.get("timecode"))
    others = (each.metadata.get("timecode") for each in container.streams if each.type == "data")
    return next((code for code in (*found, *others) if code), None)


def _tracks(container: InputContainer, stream: VideoStream) -> list[str]:
    """Sentences on tracks that are not kept; those that hold chapters and time code are."""
    cover = av.stream.Disposition.attached_pic
    films = [s for s in container.streams.video if not s.disposition & cover]
    pictures = len(container.streams.video) - len(films)
    chaptered = bool(container.chapters())
    data = [
        s
        for s in container.streams
        if s.type == "data"
        and "timecode" not in s.metadata
        and not (chaptered and s.metadata.get("handler_name") in ("SubtitleHandler", "Text"))
    ]
    attached = [s for s in container.streams if s.type == "attachment"]
    notes = []
    if len(films) > 1:
        each = ", ".join(
            f"{s.codec_context.width}x{s.codec_context.height}" for s in films if s is not stream
        )
        notes.append(
            f"The film has {len(films)} video tracks; this is track {stream.index + 1}, "
            f"{stream.codec_context.width}x{stream.codec_context.height}, and the others "
            f"({each}) were skipped."
        )
    for count, what in (
        (pictures, "cover picture"),
        (len(data), "data track"),
        (len(attached), "attached file"),
    ):
        if count:
            several = what.replace("track", "tracks") if count > 1 else what
            several += "s" if count > 1 and "track" not in what else ""
            notes.append(f"{count} {several} {'was' if count == 1 else 'were'} left out.")
    return notes


def cut_chapters(chapters: tuple[Chapter, ...], start: Fraction, end: Fraction) -> list[Chapter]:
    """The chapters of a part of the film, in seconds from the start of that part."""
    kept: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"] or Fraction(1)
        first, last = (max(chapter[side] * base, start) for side in ("start", "end"))
        last = min(last, end)
        if first < last:
            kept.append(
                {
                    "id": len(kept),
                    "start": round((first - start) * 1000),
                    "end": round((last - start) * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {
                        key: value for key, value in chapter["metadata"].items() if key == "title"
                    },
                }
            )
    return kept


def later(timecode: str, frames: int, rate: Fraction) -> str | None:
    """The time code so many frames later; None if it is not valid.

    SMPTE ST 12-1: a code with a semicolon drops two numbers at 30 frames a second, four at 60, at
    the beginning of each minute but every tenth.
    """
    match = _CODE.fullmatch(timecode)
    nominal = round(rate)
    if match is None or nominal < 1:
        return None
    hours, minutes, seconds, number = (int(match[n]) for n in (1, 2, 3, 5))
    dropped = nominal // 15 if match[4] != ":" and nominal % 30 == 0 else 0
    whole = 60 * hours + minutes
    count = (60 * whole + seconds) * nominal + number - dropped * (whole - whole // 10) + frames
    ten = 600 * nominal - 9 * dropped
    tens, rest = divmod(count, ten)
    if dropped:
        minute = 60 * nominal - dropped
        skipped = 0 if rest < 60 * nominal else 1 + (rest - 60 * nominal) // minute
        count += dropped * (9 * tens + skipped)
    total, number = divmod(count, nominal)
    hours, minutes, seconds = total // 3600 % 24, total // 60 % 60, total % 60
    return f"{hours:02}:{minutes:02}:{seconds:02}{match[4]}{number:02}"


def doubled(timecode: str) -> str:
    """The time code of a film at twice the rate at the same moment."""
    match = _CODE.fullmatch(timecode)
    assert match is not None
    return f"{timecode[: match.start(5)]}{2 * int(match[5]):02}"

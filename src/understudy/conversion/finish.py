"""From matched tracks to a finished film: render, watermark, join, seal.

    segments -> joined film -> watermark read back (or applied more strongly) -> sealed film

Segments already have the invisible watermark and the visible label, because both are drawn into the
pictures before they are encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av

from understudy.conversion.outputs import Target
from understudy.conversion.render import FILM, MATTE, MATTE_ENCODE, SIDE, Laid, lead, write_segments
from understudy.conversion.segments import Segments
from understudy.conversion.swapper import Cast
from understudy.media import side_by_side
from understudy.media.video import MediaInfo, VideoReader, join
from understudy.progress import Progress
from understudy.provenance import aigc, records
from understudy.provenance.credentials import credentials
from understudy.provenance.credentials.certificates import anchors
from understudy.provenance.inspect import Look, look
from understudy.provenance.label.label import Ground, Label, Seen
from understudy.provenance.seal import Origin, Sealed, facts_of, seal, sealed_file, together
from understudy.provenance.watermark.frames import Marker
from understudy.provenance.watermark.limits import STRONGER, TRIES, unmarkable
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.settings import ConvertSettings, EncodeSettings, TrustSettings
from understudy.tracks.scan_store import Scan
from understudy.tracks.smoothing import Steady

SEEN = (FILM, SIDE)
"""Outputs that show the face and get watermark and label."""


def marking(what: str = "Face replaced") -> dict[str, str]:
    """Container tags that say what the film is; every output carries them."""
    return {"comment": f"{what} with understudy {version('understudy')}; ai-generated"}


@dataclass(frozen=True)
class Work:
    """A film to produce.

    Attributes:
        folder: of its segments.
        film, info: what it is made from.
        found: the scan; `cast` names the source for each of its tracks.
        start, end: part of the film in seconds, end excluded.
        target: all output paths.
        origin: facts for the records.
    """

    folder: Path
    film: Path
    info: MediaInfo
    found: Scan
    cast: Cast
    start: Fraction | None
    end: Fraction | None
    target: Target
    origin: Origin
    settings: ConvertSettings
    encode: EncodeSettings
    trust: TrustSettings

    @cached_property
    def times(self) -> list[Fraction]:
        """Times of its frames; the scan may extend beyond this part of the film."""
        return [time for time in self.found.times if self._wanted(time)]

    def _wanted(self, time: Fraction) -> bool:
        after = self.start is None or time >= self.start
        return after and (self.end is None or time < self.end)

    @property
    def label(self) -> Label | None:
        """The visible label; None for no label."""
        if self.settings.label == "none":
            return None
        times = self.times
        faces = [
            Seen(row.time, face.box, self.cast.replaces(face))
            for row in self.found
            if self._wanted(row.time)
            for face in row.faces
        ]
        ground = Ground(
            *self.info.shown,
            start=times[0] if times else Fraction(0),
            end=times[-1] if times else None,
            faces=faces,
        )
        return Label(self.settings.label, ground)

    @property
    def unmarked(self) -> str | None:
        """Why the film cannot get a watermark; None if it can."""
        return unmarkable(self.target.film, self.info.width, self.info.height)

    def laid(self, label: Label | None, strength: float) -> Laid:
        """Label and watermark of this strength."""
        marks: dict[str, Callable[[av.VideoFrame], av.VideoFrame]] = {}
        if self.unmarked is None:
            height, number = self.info.height, self.origin.number
            widths = {FILM: self.info.width, SIDE: 2 * side_by_side.even(self.info.width)}
            marks = {
                name: Marker(widths[name], height, number, strength)
                for name in self.target.outputs
                if name in widths
            }
        return Laid(None if label is None else label.patches, marks)


@dataclass(frozen=True)
class Finished:
    """What `finish` did: frames in the film, frames changed, frames rendered in this run, and
    sentences for the user."""

    frames: int
    swapped: int
    rendered: int
    notes: tuple[str, ...]


def finish(
    work: Work, record: Mapping[str, Any], notes: Sequence[str], progress: Progress
) -> Finished:
    """Finish a film, from the point where it was stopped.

    Args:
        record: contents of the JSON file next to the film, except what is measured here.
        notes: earlier notes.

    Raises:
        MediaError, StorageError, TrustError, ContentError: see `render.write_segments` and
            `provenance.seal.seal`. Finished segments are kept.
        KeyboardInterrupt: likewise.
    """
    label = work.label
    told = list(notes)
    if label is not None and not label.large_enough:
        told.append("The film is too small for a label of the size that some laws require.")
    rendered = 0
    strength = work.origin.strength
    for attempt in range(TRIES):
        folder = work.folder if attempt == 0 else work.folder / f"stronger-{attempt}"
        segments = Segments(folder, list(work.target.outputs))
        segments.clear_leftovers()
        had = segments.frames
        _render(work, segments, work.laid(label, strength), progress)
        rendered += segments.frames - had
        joined, of_sound = _joined(work, segments, folder)
        what, frames = f"read back {work.target.film.name}", segments.frames * len(joined)
        with progress.task(what, "frames", frames) as task:
            seen = {name: look(path, step=task.step) for name, path in joined.items()}
        found = all(one.carries(work.origin.number) for one in seen.values())
        if found or work.unmarked is not None or attempt == TRIES - 1:
            break
        strength -= STRONGER
        progress.note(
            "The invisible watermark could not be read back from the finished film; applying it "
            f"again more strongly ({strength:g} dB)."
        )
    told += of_sound
    told += _publish(work, segments, joined, seen, record=record, told=told)
    return Finished(segments.frames, segments.swapped, rendered, tuple(told))


def _render(work: Work, segments: Segments, laid: Laid, progress: Progress) -> None:
    """Render the missing segments."""
    if segments.complete:
        return
    found, film, frames = work.found, work.film, len(work.times)
    if segments.frames:
        progress.note(f"Continuing after {segments.frames} of {frames} frames.")
    with (
        progress.task(f"convert {film.name}", "frames", frames) as task,
        VideoReader(film, lead(work.times, segments.next) or work.start, work.end) as reader,
    ):
        task.done = segments.frames
        try:
            length = work.settings.segment
            write_segments(
                reader,
                Steady(found, work.settings.steady),
                work.cast,
                length=length,
                segments=segments,
                info=work.info,
                encode=work.encode,
                task=task,
                laid=laid,
                first=segments.next,
            )
            for sentence in reader.damage:
                task.note(sentence)
        except KeyboardInterrupt:
            task.note(
                f"Stopped. {segments.frames} of {frames} frames are finished and kept; run "
                "the same command again to continue."
            )
            raise


def _joined(
    work: Work, segments: Segments, folder: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """All outputs that show the face, joined in `folder`, by name; and notes about the
    film's sound."""
    joined, told = {}, []
    for name in SEEN:
        if name in work.target.outputs:
            joined[name] = folder / f"joined-{name}{work.target.outputs[name].suffix}"
            of_sound = _join(work, segments, name, joined[name])
            told += of_sound if name == FILM else []
    return joined, tuple(told)


def _join(work: Work, segments: Segments, name: str, path: Path) -> list[str]:
    """Join one output from its segments; not sealed yet."""
    matte = name == MATTE
    tag = aigc.text(records.number_text(work.origin.number), work.origin.source_sha256)
    return join(
        segments.files(name),
        path,
        source=None if matte else work.film,
        start=work.start,
        end=work.end,
        settings=MATTE_ENCODE if matte else work.encode,
        metadata={**marking(), aigc.KEY: tag},
    )


def _publish(
    work: Work,
    segments: Segments,
    joined: Mapping[str, Path],
    seen: Mapping[str, Look],
    record: Mapping[str, Any],
    told: Sequence[str],
) -> list[str]:
    """Seal every output, the film last, and write the record next to it; returns new notes.

    The record is written before the film, so that an existing film always has one.
    """
    origin = work.origin
    sealed: dict[str, Sealed] = {}
    outputs = work.target.outputs
    for name in (*(one for one in outputs if one != FILM), FILM):
        path = outputs[name]
        unsigned = joined.get(name)
        if unsigned is None:
            unsigned = joined[FILM].with_name(f"{name}{path.suffix}")
            _join(work, segments, name, unsigned)
        with sealed_file(path) as temporary:
            sealed[name] = seal(
                unsigned,
                temporary,
                path.name,
                origin,
                settings=work.trust,
                marked=name in SEEN and work.unmarked is None,
                unmarked=work.unmarked if name in SEEN else None,
                matte=name == MATTE,
                seen=seen.get(name),
            )
            if name == FILM:
                new = together({outputs[one].name: sealed[one] for one in outputs})
                files.write_json(
                    work.target.record,
                    {
                        **record,
                        "number": records.number_text(origin.number),
                        "frames": segments.frames,
                        "swapped": segments.swapped,
                        "outputs": {
                            one: {"file": outputs[one].name, **facts_of(sealed[one])}
                            for one in outputs
                        },
                        "notes": [*told, *new],
                    },
                )
    return new


def source_notes(film: Path) -> list[str]:
    """Notes about the credentials of a film before it is changed.

    Broken ones are reported and not refused, because any cut by another program breaks them; the
    output records that they were broken.

    Raises:
        TrustError: it cannot be read.
    """
    found = credentials.check_source(film, anchors(Home.from_environment()))
    if found.state in ("tampered", "damaged"):
        because = f" ({found.reasons[0].rstrip('.')})" if found.reasons else ""
        return [f"{film.name} was changed after it was signed{because}. The output records this."]
    return []

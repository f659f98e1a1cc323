"""Finished segments to one film, packet by packet, with the sound of the source."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from understudy.errors import MediaError
from understudy.media import colour as colours
from understudy.media.address import open_input, open_output
from understudy.media.clock import STEADY
from understudy.media.encoders import encoder_for
from understudy.media.extras import Extras, cut_chapters, doubled, extras_of, later
from understudy.media.info import MediaInfo
from understudy.media.probe import media_errors, probe
from understudy.media.sound import add_tracks, sound_packets
from understudy.media.writer import FORMATS
from understudy.runtime import files
from understudy.settings import EncodeSettings

_CONTAINERS = {suffix: name for suffix, name in FORMATS.items() if name != "nut"}
_REMEDY = "Choose another container (.mkv, .mp4) or encoder; finished segments are kept."


@dataclass(frozen=True)
class _Timing:
    """When the frames of all segments are decoded and shown.

    Attributes:
        shown: in decoding order, seconds.
        decoded: in decoding order, seconds, growing, never after `shown`.
        ends: time at which the frame shown at a time is over.
    """

    shown: list[Fraction]
    decoded: list[Fraction]
    ends: dict[Fraction, Fraction]


def check_destination(destination: Path | str, settings: EncodeSettings) -> None:
    """Say before any work whether `join` can write this file with this encoder.

    Raises:
        MediaError: the suffix is unknown, or its container cannot store the encoder's output.
    """
    destination = Path(destination)
    container = _CONTAINERS.get(destination.suffix.lower())
    if container is None:
        raise MediaError(
            f"Films cannot be written as {destination.suffix or 'a file without a suffix'}.",
            f"Use a name that ends in {', '.join(sorted(_CONTAINERS))}.",
        )
    encoder, _ = encoder_for(settings)
    held = {
        "webm": {"vp9", "av1"},
        "mp4": {"h264", "hevc", "av1", "vp9"},
        "mov": {"h264", "hevc"},
    }
    if container in held and encoder.codec not in held[container]:
        other = "libvpx-vp9 or libsvtav1" if container == "webm" else "libx264"
        raise MediaError(
            f"{destination.suffix} cannot contain {encoder.codec} from {encoder.name}.",
            f"Use a name that ends in .mkv, or choose {other}.",
        )


def join(
    segments: Sequence[Path],
    destination: Path | str,
    source: Path | str | None,
    start: Fraction | None,
    end: Fraction | None,
    settings: EncodeSettings,
    *,
    keep_sound: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> list[str]:
    """Put segments of `SegmentWriter` together, with the sound of `source`.

    Pictures keep their times exactly (to a millisecond in .mkv and .webm), moved so that the
    first is at 0; sound moves with them. Joining the same segments again gives the same bytes.

    Args:
        segments: in order, all written with the same settings.
        destination: .mp4, .m4v, .mov, .mkv or .webm; gets its name when it is complete.
        source: film that the frames come from; None for no sound and no more checks.
        start, end: the part of `source` that was read, seconds.
        metadata: tags of the film, for example a comment.

    Returns:
        Notes: sentences on what the user should know.

    Raises:
        MediaError: a segment is damaged or unlike the others, or the container cannot hold them.
        StorageError: the disk is full or not writable.
    """
    destination = Path(destination)
    check_destination(destination, settings)
    if not segments:
        raise MediaError("There is no segment to join.", "Choose a longer part of the film.")
    notes: list[str] = []
    info = probe(source) if source is not None else None
    extras = extras_of(info.path, info, place=settings.place) if info is not None else None
    timing = _timing(segments, info, end)
    name = _CONTAINERS[destination.suffix.lower()]
    with ExitStack() as stack:
        temporary = stack.enter_context(files.atomic(destination))
        stack.enter_context(media_errors(destination, "written", _REMEDY))
        first = stack.enter_context(_opened(segments[0]))
        template = first.streams.video[0]
        options = {"fflags": "+bitexact"}
        assert template.time_base
        if name in ("mp4", "mov"):
            flags = "+faststart" + ("+use_metadata_tags" if metadata else "")
            # Else the offset between sound and pictures is rounded to a millisecond.
            options |= {"movflags": flags, "movie_timescale": str(template.time_base.denominator)}
        container = stack.enter_context(open_output(temporary, name, options))
        own = {key.lower() for key in metadata or {}}
        kept = {} if extras is None else extras.tags
        container.metadata.update({k: v for k, v in kept.items() if k.lower() not in own})
        container.metadata.update(metadata or {})
        video = container.add_stream_from_template(template, opaque=True)
        video.time_base = template.time_base
        if info is not None:
            _dress(video, template, info)
        if extras is not None and info is not None:
            _carry(container, video, extras, info, timing, notes)
        # Matroska keeps no decoding times, but would move everything to make them positive.
        floor = Fraction(0) if name in ("matroska", "webm") else None
        sources = [_pictures(segments, timing, template, video, floor)]
        if info is not None and info.audio and keep_sound and source is not None:
            sound = stack.enter_context(open_input(source))
            tracks = add_tracks(container, sound, notes)
            origin = info.start + min(timing.shown)
            last = max(timing.ends.values()) + info.start
            packets = sound_packets(
                sound,
                tracks,
                origin,
                None if start is None or start <= 0 else origin,
                None if end is None else last,
                notes,
            )
            sources.append(packets)
        container.start_encoding()
        for _, packet in heapq.merge(*sources, key=lambda item: item[0]):
            container.mux_one(packet)
    if info is not None:
        _further_notes(info, name, timing, keep_sound, notes)
    notes += () if extras is None else extras.notes
    return notes


def _further_notes(
    info: MediaInfo, container: str, timing: _Timing, keep_sound: bool, notes: list[str]
) -> None:
    exact = all((time * 1000).denominator == 1 for time in timing.shown)
    if container in ("matroska", "webm") and not exact:
        notes.append("Matroska and WebM store times in milliseconds; frame times were rounded.")
    if info.fields and info.rate:
        notes.append(
            f"{info.path.name} is interlaced; each of its fields became one picture, "
            f"{float(info.rate):.5g} per second."
        )
    if info.subtitles:
        notes.append(f"{info.subtitles} subtitle tracks of {info.path.name} were left out.")
    if not keep_sound and info.audio:
        notes.append("The sound was left out.")


def _carry(
    container: OutputContainer,
    video: VideoStream,
    extras: Extras,
    info: MediaInfo,
    timing: _Timing,
    notes: list[str],
) -> None:
    """Chapters and time code, as they are for the part of the film that is written."""
    first = min(timing.shown)
    begin = first + info.start if info.container in STEADY else first
    length = max(timing.ends.values()) - first
    chapters = cut_chapters(extras.chapters, begin, begin + length)
    if chapters:
        container.set_chapters(chapters)
    if extras.timecode is None:
        return
    code = None
    if info.rate:
        coded = info.rate / 2 if info.fields else info.rate
        code = later(extras.timecode, int(first * coded + Fraction(1, 4)), coded)
        # Two pictures of a film of fields have one number of the source: numbers count in pairs.
        code = doubled(code) if code is not None and info.fields else code
    if code is None or container.format.name == "webm":
        notes.append(f"The film's time code ({extras.timecode} at the start) was left out.")
    else:
        video.metadata["timecode"] = code


def _dress(video: VideoStream, template: VideoStream, info: MediaInfo) -> None:
    """Colour tags and pixel shape that the segments' container does not keep."""
    context = video.codec_context
    own = colours.tags_of(template.codec_context)
    colours.put_tags(context, own.or_else(info.tags) if own.space != 0 else own)
    if info.rate:
        context.framerate = info.rate.limit_denominator(1 << 16)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    try:
        container = open_input(path, "nut")
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(
            f"The segment {path} is missing or damaged ({error}).",
            "Delete it and run the same command again; the segment is then written again.",
        ) from error
    with container:
        if not container.streams.video:
            raise MediaError(
                f"The segment {path} contains no pictures.",
                "Delete it and run the same command again; the segment is then written again.",
            )
        yield container


def _packets(container: InputContainer) -> Iterator[Packet[VideoStream]]:
    for packet in container.demux(container.streams.video[0]):
        if packet.size:
            yield packet


def _timing(segments: Sequence[Path], info: MediaInfo | None, end: Fraction | None) -> _Timing:
    """Read the times of all packets.

    Every segment restarts its decoding times, and with a variable rate they may overlap: they
    are made again. The n-th packet is decoded when the n-th picture in order of time is shown,
    less the smallest delay by which none is shown before it is decoded.
    """
    shown: list[Fraction] = []
    header: bytes | None = None
    for path in segments:
        newest = max(shown, default=None)
        with _opened(path) as container:
            extradata = container.streams.video[0].codec_context.extradata or b""
            if header is not None and extradata != header:
                raise MediaError(
                    f"The segment {path} was written with other settings than the first.",
                    "Delete the segments and run the same command again.",
                )
            header = extradata
            times = [
                packet.pts * Fraction(packet.time_base)
                for packet in _packets(container)
                if packet.pts is not None
            ]
        if not times or (newest is not None and min(times) <= newest):
            raise MediaError(
                f"The segment {path} is empty or does not start after the previous one.",
                "Delete the segments and run the same command again.",
            )
        shown += times
    ordered = sorted(shown)
    delay = max(early - late for early, late in zip(ordered, shown, strict=True))
    decoded = [time - delay for time in ordered]
    ends = dict(itertools.pairwise(ordered))
    last = ordered[-1]
    usual = last - ordered[-2] if len(ordered) > 1 else Fraction(1, 25)
    if len(ordered) == 1 and info is not None and info.rate:
        usual = 1 / info.rate
    over = last + usual
    steady = info is not None and info.container in STEADY
    if steady and end is None and info and info.duration is not None and info.duration > last:
        over = info.duration
    ends[last] = over
    return _Timing(shown, decoded, ends)


def _pictures(
    segments: Sequence[Path],
    timing: _Timing,
    template: VideoStream,
    target: VideoStream,
    floor: Fraction | None,
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    origin = min(timing.shown)
    base = Fraction(template.time_base or 1)
    number = 0
    for path in segments:
        with _opened(path) as container:
            for packet in _packets(container):
                shown, decoded = timing.shown[number], timing.decoded[number]
                late = decoded - origin if floor is None else max(floor, decoded - origin)
                packet.time_base = base
                packet.pts = round((shown - origin) / base)
                packet.dts = round(late / base)
                packet.duration = round((timing.ends[shown] - shown) / base)
                packet.stream = target
                number += 1
                yield late, packet

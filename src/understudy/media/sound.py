"""Sound on its way from the source to the finished film: copied where it can be, else encoded
again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from understudy.media.clock import Clock, jumps

_BIT_RATE = 96_000
"""Per channel of sound that is encoded again."""

HEARD = Fraction(1, 50)
"""Seconds of extra or missing sound from which a note is shown."""

# FFmpeg lists these for QuickTime and MPEG-4, but then refuses them.
_REFUSED = {"mov": {"flac", "opus", "truehd"}, "mp4": {"truehd"}}
_ENCODERS = {"webm": "libopus", "matroska": "libopus"}
# QuickTime numbers its languages; these have another code in FFmpeg's list of them.
_QUICKTIME_CODES = {
    "bod": "tib",
    "cym": "wel",
    "cze": "ces",
    "deu": "ger",
    "ell": "gre",
    "eus": "baq",
    "fre": "fra",
    "hye": "arm",
    "isl": "ice",
    "kat": "geo",
    "mkd": "mac",
    "msa": "may",
    "mya": "bur",
    "nld": "dut",
    "rum": "ron",
    "slo": "slk",
    "sqi": "alb",
    "swe": "sve",
    "zho": "chi",
}


@dataclass
class Track:
    """One sound track of the input and its output track.

    Attributes:
        copied: whether its packets are passed on as they are.
        last: decoding time of the last of them, in its own unit.
        mended: how many had a time that did not grow.
    """

    source: AudioStream
    target: AudioStream
    copied: bool
    last: int | None = None
    mended: int = 0


def add_tracks(container: OutputContainer, source: InputContainer, notes: list[str]) -> list[Track]:
    """Add an output track for every input track, in order; note the tracks encoded again."""
    tracks = []
    for number, stream in enumerate(source.streams.audio, 1):
        codec = stream.codec_context.codec.canonical_name
        refused = _REFUSED.get(container.format.name, set())
        copied = codec in container.supported_codecs and codec not in refused
        if copied:
            target = container.add_stream_from_template(stream, opaque=True)
        else:
            name = _ENCODERS.get(container.format.name, "aac")
            rate = 48000 if name == "libopus" else stream.codec_context.sample_rate
            added = container.add_stream(name, rate=rate)
            assert isinstance(added, AudioStream)
            target = added
            target.codec_context.layout = stream.codec_context.layout
            target.codec_context.bit_rate = _BIT_RATE * max(1, stream.codec_context.channels)
            target.codec_context.time_base = Fraction(1, rate)
            notes.append(
                f"Sound track {number} ({codec}) does not fit into {container.format.name} and "
                f"was encoded again as {target.codec_context.codec.canonical_name}."
            )
        for key in ("language", "title"):
            if key in stream.metadata:
                value = stream.metadata[key]
                if key == "language" and container.format.name == "mov":
                    value = _QUICKTIME_CODES.get(value, value)
                target.metadata[key] = value
        target.disposition = stream.disposition
        tracks.append(Track(stream, target, copied))
    return tracks


def sound_packets(
    source: InputContainer,
    tracks: list[Track],
    origin: Fraction,
    start: Fraction | None,
    end: Fraction | None,
    notes: list[str],
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Packets for the output with the time of each, seconds in the output.

    Args:
        origin: time stamp in the source that is the output's 0, seconds.
        start, end: part to keep, time stamps of the source in seconds: the packets that begin
            at or after `start` and before `end`, so that sound is in step to one packet.
    """
    by_index = {track.source.index: track for track in tracks}
    seams = {index: _Seams() for index in by_index}
    lost = 0
    packets = _timed(source, tracks, start)
    while True:
        try:
            coming = next(packets, None)
        except av.error.FFmpegError as error:
            notes.append(f"The sound ends early ({error.strerror}).")
            break
        if coming is None:
            break
        packet, part = coming
        if packet.size == 0 or packet.dts is None or packet.stream.index not in by_index:
            continue
        track = by_index[packet.stream.index]
        time = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        if seams[packet.stream.index].twice(packet, time, part):
            continue
        if (start is not None and time < start) or (end is not None and time >= end):
            continue
        if track.copied:
            yield _moved(packet, track, origin)
            continue
        try:
            for frame in track.source.codec_context.decode(packet):
                yield from _encoded(track, frame, origin)
        except av.error.InvalidDataError:
            lost += 1
    for track in tracks:
        if not track.copied:
            yield from _encoded(track, None, origin)
    if lost:
        notes.append(f"{lost} damaged sound packets were skipped.")
    for number, (track, seam) in enumerate(zip(tracks, seams.values(), strict=True), 1):
        notes += seam.told(number)
        if track.mended:
            notes.append(
                f"Sound track {number}: {track.mended} time stamps did not grow and were moved to "
                "the next tick."
            )


@dataclass
class _Seams:
    """What a sound track has too much or too little of where parts of its file meet, seconds."""

    part: int = 0
    end: Fraction | None = None
    lacking: Fraction = Fraction(0)
    left_out: Fraction = Fraction(0)

    def twice(self, packet: Packet[Any], time: Fraction, part: int) -> bool:
        """Whether a packet lies over the end of the part before, and has to be left out."""
        length = (packet.duration or 0) * Fraction(packet.time_base)
        if part != self.part and self.end is not None:
            if time < self.end - length / 2:
                self.left_out += length
                return True
            self.lacking += max(Fraction(0), time - self.end)
        self.part = part
        self.end = time + length
        return False

    def told(self, number: int) -> list[str]:
        found = [
            f"Sound track {number}: {float(length):.2f} s {what} where parts of the file meet."
            for length, what in (
                (self.lacking, "of sound are missing"),
                (self.left_out, "of extra sound were left out"),
            )
            if length >= HEARD
        ]
        return found


def _timed(
    source: InputContainer, tracks: list[Track], start: Fraction | None
) -> Iterator[tuple[Packet[Any], int]]:
    """The packets of the tracks, and maybe others, with the parts of the file that they are in."""
    if jumps(source):
        yield from Clock(source).packets()
        return
    if start is not None:
        _near(source, start)
    for packet in source.demux([track.source for track in tracks]):
        yield packet, 0


def _near(source: InputContainer, start: Fraction) -> None:
    """Go to a second before `start`, or stay at the beginning where that cannot be done."""
    offset = int((start - 1) * av.time_base)
    if offset > (source.start_time or 0):
        # A file that does not seek is read from its beginning.
        with contextlib.suppress(av.error.FFmpegError):
            source.seek(offset, backward=True)


def _moved(packet: Packet[Any], track: Track, origin: Fraction) -> tuple[Fraction, Packet[Any]]:
    base = Fraction(packet.time_base)
    shift = round(origin / base)
    assert packet.dts is not None
    packet.dts -= shift
    if packet.pts is not None:
        packet.pts -= shift
    if track.last is not None and packet.dts <= track.last:
        # A container refuses times that do not grow; by a tick nothing is out of step.
        packet.dts = track.last + 1
        packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
        track.mended += 1
    track.last = packet.dts
    packet.stream = track.target
    return packet.dts * base, packet


def _encoded(
    track: Track, frame: av.AudioFrame | None, origin: Fraction
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    if frame is not None and frame.pts is not None and frame.time_base:
        frame.pts -= round(origin / frame.time_base)
    for packet in track.target.encode(frame):
        if packet.dts is not None:
            yield packet.dts * Fraction(packet.time_base), packet

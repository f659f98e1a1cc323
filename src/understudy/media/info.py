"""Facts about a film that are known before it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from understudy.media import colour as colours
from understudy.media.colour import Colour, Tags
from understudy.media.fields import Order
from understudy.media.planes import Turn
from understudy.types import shown_size


@dataclass(frozen=True)
class AudioTrack:
    """One sound track: codec name, samples a second, channels, ISO 639 language or None."""

    codec: str
    rate: int
    channels: int
    language: str | None


@dataclass(frozen=True)
class MediaInfo:
    """What `probe` found.

    Attributes:
        path: the file, or the folder of an image sequence.
        kind: "video", "images" (one image or a folder of them) or "animation" (GIF).
        container: short name of the container; "images" for images.
        codec: of the pictures.
        width, height: upright, in pixels as they are stored; `shown` in square ones.
        turn: how stored pictures become upright.
        pixel_aspect: width over height of one upright pixel; 1 when square or unknown.
        coded_aspect: the same as the codec alone says it of the first stored picture; a container
            may say otherwise, and has the last word.
        fields: how the film is interlaced, "" when it is not. What is said of its frames and
            times is then of fields, which are read as pictures of their own.
        rate: frames a second on average; None for a single image.
        time_base: the unit of the file's time stamps, seconds.
        start: time stamp of the first frame, seconds; `Frame.time` counts from here.
        duration: of the pictures, seconds; None when the file does not say.
        frames: how many, as far as the file says or its duration tells; None when unknown.
        pixel_format: of the upright pictures as `Frame.picture` has them.
        stored_format: as the decoder gives them.
        bit_depth: of one sample.
        tags: colour tags of the file; colour: what they mean.
        stereo: whether its pictures hold those of two eyes, as its first frame says.
        audio: the sound tracks.
        subtitles: number of subtitle tracks.
    """

    path: Path
    kind: Literal["video", "images", "animation"]
    container: str
    codec: str
    width: int
    height: int
    turn: Turn
    pixel_aspect: Fraction
    rate: Fraction | None
    time_base: Fraction
    start: Fraction
    duration: Fraction | None
    frames: int | None
    pixel_format: str
    stored_format: str
    bit_depth: int
    tags: Tags
    colour: Colour
    coded_aspect: Fraction = Fraction(1)
    fields: Order = ""
    stereo: bool = False
    audio: tuple[AudioTrack, ...] = ()
    subtitles: int = 0

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which stored pictures are turned: 0, 90, 180 or 270."""
        return self.turn.clockwise

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of `Frame.image`."""
        return shown_size(self.width, self.height, self.pixel_aspect)

    def reshaped(self, width: int, height: int, grey: bool = False) -> MediaInfo:
        """The description of a film with the same times made from RGB (or grey) images of this
        size, for `SegmentWriter.write_rgb`."""
        name = "gray" if grey else "rgb24"
        tags = Tags(range=colours.FULL) if grey else Tags(0, colours.FULL)
        return replace(
            self,
            width=width,
            height=height,
            turn=Turn(),
            pixel_aspect=Fraction(1),
            pixel_format=name,
            stored_format=name,
            bit_depth=8,
            tags=tags,
            colour=colours.resolve(tags, name, width, height),
        )

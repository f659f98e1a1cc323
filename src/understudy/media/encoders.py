"""The available video encoders, and what the settings mean for each of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
from av.video.codeccontext import VideoCodecContext

from understudy.errors import MediaError
from understudy.media import planes
from understudy.settings import EncodeSettings

THREADS = 4
"""Fixed, because what several encoders write depends on their number of threads."""

# The presets of x264, and what takes about as long with SVT-AV1, VP9, NVENC, QSV and AMF.
_PRESETS = {
    "ultrafast": ("10", "8", "p1", "veryfast", "speed"),
    "superfast": ("10", "7", "p1", "veryfast", "speed"),
    "veryfast": ("10", "6", "p2", "veryfast", "speed"),
    "faster": ("9", "5", "p2", "faster", "speed"),
    "fast": ("8", "4", "p3", "fast", "speed"),
    "medium": ("7", "3", "p4", "medium", "balanced"),
    "slow": ("5", "2", "p5", "slow", "quality"),
    "slower": ("4", "1", "p6", "slower", "quality"),
    "veryslow": ("3", "1", "p7", "veryslow", "quality"),
    "placebo": ("1", "0", "p7", "veryslow", "quality"),
}
_X26X = {name: name for name in _PRESETS}
_SVT, _VPX, _NVENC, _QSV, _AMF = (
    {name: values[column] for name, values in _PRESETS.items()} for column in range(5)
)
_NONE = dict.fromkeys(_PRESETS, "")


@dataclass(frozen=True)
class Encoder:
    """One encoder.

    Attributes:
        name: as FFmpeg calls it.
        codec: what it makes.
        worst: largest of its quality numbers, of which 0 is the best.
        presets: name in the settings -> name here.
        numbers: preset numbers that it takes as they are.
        options: quality and preset -> its options.
        hardware: whether a device must be there to open it.
        lossless: whether quality has no meaning.
    """

    name: str
    codec: str
    worst: int
    presets: dict[str, str]
    options: Callable[[int, str], dict[str, str]]
    numbers: range = range(0)
    hardware: bool = False
    lossless: bool = False


def _x264(crf: int, preset: str) -> dict[str, str]:
    return {"crf": str(crf), "preset": preset, "x264-params": "open-gop=0"}


def _x265(crf: int, preset: str) -> dict[str, str]:
    params = f"log-level=error:open-gop=0:pools={THREADS}:frame-threads=2"
    return {"crf": str(crf), "preset": preset, "x265-params": params}


def _svt(crf: int, preset: str) -> dict[str, str]:
    return {"crf": str(crf), "preset": preset, "svtav1-params": f"lp={THREADS}"}


def _vpx(crf: int, preset: str) -> dict[str, str]:
    # Row threads make what libvpx writes depend on timing; tiles do not.
    return {
        "crf": str(crf),
        "b": "0",
        "deadline": "good",
        "cpu-used": preset,
        "row-mt": "0",
        "tile-columns": "2",
    }


def _nvenc(crf: int, preset: str) -> dict[str, str]:
    return {"rc": "vbr", "cq": str(crf), "b": "0", "preset": preset, "forced-idr": "1"}


def _qsv(crf: int, preset: str) -> dict[str, str]:
    return {"global_quality": str(max(1, crf)), "preset": preset}


def _amf(crf: int, preset: str) -> dict[str, str]:
    q = str(crf)
    return {"rc": "cqp", "qp_i": q, "qp_p": q, "qp_b": q, "quality": preset}


def _videotoolbox(crf: int, preset: str) -> dict[str, str]:
    # Its quality runs from 1 to 100, larger is better; FFmpeg wants it times FF_QP2LAMBDA.
    quality = max(1, 100 - 2 * crf)
    return {"flags": "+qscale", "global_quality": str(quality * 118)}


def _ffv1(crf: int, preset: str) -> dict[str, str]:
    return {"level": "3", "slices": "4", "slicecrc": "1"}


def _hardware(
    suffix: str, presets: dict[str, str], options: Callable[[int, str], dict[str, str]]
) -> list[Encoder]:
    return [
        Encoder(f"{codec}_{suffix}", codec, 51, presets, options, hardware=True)
        for codec in ("h264", "hevc", "av1")
    ]


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("libx264", "h264", 51, _X26X, _x264),
        Encoder("libx265", "hevc", 51, _X26X, _x265),
        Encoder("libsvtav1", "av1", 63, _SVT, _svt, range(14)),
        Encoder("libvpx-vp9", "vp9", 63, _VPX, _vpx, range(9)),
        Encoder("ffv1", "ffv1", 63, _NONE, _ffv1, lossless=True),
        *_hardware("nvenc", _NVENC, _nvenc),
        *_hardware("qsv", _QSV, _qsv),
        *_hardware("amf", _AMF, _amf),
        *_hardware("videotoolbox", _NONE, _videotoolbox),
    )
}


def _built_in(name: str) -> bool:
    try:
        return av.Codec(name, "w").is_encoder
    except av.codec.codec.UnknownCodecError:
        return False


def _opens(name: str) -> bool:
    """Whether a hardware encoder finds its device."""
    try:
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = 256, 256
        formats = [f.name for f in context.codec.video_formats or []]
        context.pix_fmt = "yuv420p" if "yuv420p" in formats else "nv12"
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.open()
    except (av.error.FFmpegError, OSError, ValueError):
        return False
    return True


def available_encoders() -> list[str]:
    """The video encoders that work here; hardware ones only when they really open."""
    return [
        name
        for name, encoder in ENCODERS.items()
        if _built_in(name) and (not encoder.hardware or _opens(name))
    ]


def encoder_for(settings: EncodeSettings) -> tuple[Encoder, dict[str, str]]:
    """The encoder that the settings name, with its options.

    Raises:
        MediaError: it is unknown or does not work here, or it lacks this quality or preset
            own; the message names near ones.
    """
    encoder = ENCODERS.get(settings.codec)
    if encoder is None or not _built_in(encoder.name):
        usable = [name for name in ENCODERS if _built_in(name) and not ENCODERS[name].hardware]
        same = [name for name in usable if ENCODERS[name].codec == settings.codec.lower()]
        near = same or difflib.get_close_matches(settings.codec, usable, n=2, cutoff=0.4)
        remedy = (
            f"Did you mean {' or '.join(near)}?" if near else f"Use one of {', '.join(usable)}."
        )
        raise MediaError(f"The video encoder {settings.codec} is not available.", remedy)
    if encoder.hardware and not _opens(encoder.name):
        raise MediaError(
            f"The hardware encoder {encoder.name} finds no device on this machine.",
            "Use libx264, or an encoder that `understudy doctor` lists.",
        )
    if not encoder.lossless and settings.crf > encoder.worst:
        raise MediaError(
            f"{encoder.name} has no quality crf {settings.crf}.",
            f"Choose 0 (best) to {encoder.worst}.",
        )
    preset = encoder.presets.get(settings.preset)
    if preset is None and settings.preset.isdecimal() and int(settings.preset) in encoder.numbers:
        preset = settings.preset
    if preset is None:
        near = difflib.get_close_matches(settings.preset, list(encoder.presets), n=1)
        known = ", ".join(encoder.presets)
        numbers = f" or {encoder.numbers[0]} to {encoder.numbers[-1]}" if encoder.numbers else ""
        raise MediaError(
            f"{encoder.name} has no preset {settings.preset!r}.",
            f"Did you mean {near[0]}?" if near else f"Use {known}{numbers}.",
        )
    return encoder, encoder.options(settings.crf, preset)


def pixel_format_for(
    encoder: Encoder, source: str, width: int, height: int
) -> tuple[str, str | None]:
    """The pixel format to encode pictures of format `source` in, and a note if it differs.

    The source's own where the encoder has it; else the nearest that keeps depth and chroma, if
    there is one. RGB becomes 4:2:0 except in lossless encoders. Chroma of an odd size becomes
    4:4:4 where the encoder needs even sizes.
    """
    offered = [f.name for f in av.Codec(encoder.name, "w").video_formats or []]
    wanted = planes.plain(source)
    form = planes.form_of(wanted)
    if form is None:
        return pixel_format_for(encoder, planes.simple_format(source), width, height)
    if form.kind == "rgb" and encoder.lossless:
        for name in ("bgr0", "gbrp", "rgb24"):
            if name in offered and form.bits == 8:
                return name, None
    if form.kind == "rgb" or (form.kind == "grey" and not encoder.lossless):
        wanted = "yuv420p" if form.bits == 8 or form.kind == "rgb" else f"yuv420p{form.bits}le"
        form = planes.form_of(wanted)
        assert form is not None
    note = None
    odd = (form.shift[0] and width % 2) or (form.shift[1] and height % 2)
    if odd and encoder.codec in ("h264", "hevc"):
        wanted = wanted.replace("420", "444").replace("422", "444").replace("440", "444")
        form = planes.form_of(wanted)
        assert form is not None
        note = (
            f"{width}x{height} is odd, so {encoder.name} writes full chroma (4:4:4) to keep the "
            "size; some players cannot show it."
        )
    if wanted in offered:
        return wanted, note
    goal = form

    def loss(name: str) -> tuple[int, int, int, int]:
        have = planes.form_of(name)
        assert have is not None
        chroma = [have.shift[i] - goal.shift[i] for i in (0, 1)]
        lost = sum(max(0, c) for c in chroma)
        return max(0, goal.bits - have.bits), lost, have.bits - goal.bits, -sum(chroma)

    usable = [n for n in offered if (f := planes.form_of(n)) and f.kind == "yuv" and "j" not in n]
    if "nv12" in offered and not usable:
        usable = ["nv12"]
        nearest = "nv12"
    else:
        nearest = min(usable, key=loss)
    if note is None and nearest != "nv12":
        note = f"{encoder.name} does not write {source}; the film is written as {nearest}."
    return nearest, note

"""What does the invisible mark survive, what does it cost, and is it ever seen where it is not?

    python -m benchmarks.watermark

Clips are marked, changed as films are changed on their way, and read. "720p" clips are enlarged
from 640x360 and get a little noise, so that they are not smoother than a camera's. Then unmarked
frames are read one by one (`--unmarked 10000` takes an hour on one core). Cost is processor time.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.common import SHARED, Line, Missing, Result, main
from understudy.trust.mark_reading import Reader
from understudy.trust.watermark import STRENGTH, Embedder

Frames = list[NDArray[np.uint8]]
Change = Callable[[Frames], Frames]
ID = 0xDEADBEEF

CLIPS: dict[str, tuple[str, tuple[int, int, int, int] | None, tuple[int, int] | None]] = {
    "hikers 720p": ("real/clips/r14_hikers_small_faces.mp4", (0, 60, 640, 360), (1280, 720)),
    "man 720p": ("real/clips/r11_asl_man_hand_occlusion.mp4", (0, 60, 640, 360), (1280, 720)),
    "cyclists 512x512": (
        "real/clips/r09_cyclists_rotation_metadata.mp4",
        (0, 64, 480, 480),
        (512, 512),
    ),
    "man 640x480": ("real/clips/r11_asl_man_hand_occlusion.mp4", None, None),
    "speakers 360x288": ("real/clips/r15_grid_three_people_shotcuts.mp4", None, None),
    "ada 256x256": ("synthetic/test1_ada.mp4", None, None),
    "chen 256x256": ("synthetic/train_chen.mp4", None, None),
}
"""File, region (left, top, width, height) and size of each clip."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--frames", type=int, default=48, help="of each clip")
    parser.add_argument("--strength", type=float, default=STRENGTH, help="PSNR, dB")
    parser.add_argument("--unmarked", type=int, default=10_000, help="frames without a mark")


def decoded(path: Path, step: int = 1) -> Iterator[NDArray[np.uint8]]:
    """Every so many luma planes, full range. Raises Missing."""
    if not path.is_file():
        raise Missing(f"{path} is not there")
    with av.open(str(path)) as reading:
        for number, frame in enumerate(reading.decode(video=0)):
            if number % step == 0:
                yield frame.to_ndarray(format="gray").astype(np.uint8, copy=False)


def load(name: str, frames: int) -> Frames:
    """A clip, every third frame."""
    file, region, size = CLIPS[name]
    noise = np.random.default_rng(1)
    clip: Frames = []
    for luma in decoded(SHARED / file, 3):
        if region:
            x, y, width, height = region
            luma = luma[y : y + height, x : x + width]
        if size:
            larger = cv2.resize(luma, size, interpolation=cv2.INTER_CUBIC)
            luma = _codes(larger + noise.normal(0, 1, larger.shape))
        clip.append(luma)
        if len(clip) == frames:
            break
    return clip


def coded(clip: Frames, crf: int = 23, codec: str = "libx264") -> Frames:
    """Encoded and decoded, luma only."""
    height, width = (side & ~1 for side in clip[0].shape)
    file = io.BytesIO()
    options = {"crf": str(crf), "preset": "medium"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none"
    with av.open(file, "w", format="mp4") as writing:
        stream = writing.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for luma in clip:
            picture = av.VideoFrame(width, height, "yuv420p")
            first, *chroma = (_rows(plane) for plane in picture.planes)
            first[...] = luma[:height, :width]
            for plane in chroma:
                plane[...] = 128
            writing.mux(stream.encode(picture))
        writing.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as reading:
        return [_rows(frame.planes[0]).copy() for frame in reading.decode(video=0)]


def scaled(clip: Frames, by: float) -> Frames:
    height, width = (round(side * by) & ~1 for side in clip[0].shape)
    how = cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC
    return [_codes(cv2.resize(luma, (width, height), interpolation=how)) for luma in clip]


def cropped(clip: Frames, share: float) -> Frames:
    """The middle, a little off, without this share of the width and the height."""
    height, width = clip[0].shape
    top, left = round(height * share / 2) + 1, round(width * share / 2) + 3
    high, wide = (round(side * (1 - share)) & ~1 for side in (height, width))
    return [luma[top : top + high, left : left + wide] for luma in clip]


def turned(clip: Frames, degrees: float) -> Frames:
    height, width = clip[0].shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return [_codes(cv2.warpAffine(luma, turn, (width, height))) for luma in clip]


def spoilt(clip: Frames) -> Frames:
    """Blurred with sigma 1, and noise of sigma 4 added."""
    noise = np.random.default_rng(2)
    blurred = [cv2.GaussianBlur(luma, (0, 0), 1).astype(np.float64) for luma in clip]
    return [_codes(luma + noise.normal(0, 4, luma.shape)) for luma in blurred]


CHANGES: dict[str, Change] = {
    "none": lambda clip: clip,
    "crf 18": lambda clip: coded(clip, 18),
    "crf 23": coded,
    "crf 28": lambda clip: coded(clip, 28),
    "crf 32": lambda clip: coded(clip, 32),
    "H.265 crf 28": lambda clip: coded(clip, 28, "libx265"),
    "crf 23, then 28": lambda clip: coded(coded(clip), 28),
    "0.5x, crf 23": lambda clip: coded(scaled(clip, 0.5)),
    "0.5x, crf 28": lambda clip: coded(scaled(clip, 0.5), 28),
    "crop 10 %, crf 23": lambda clip: coded(cropped(clip, 0.1)),
    "crop 10 %, scaled back, crf 23": lambda clip: coded(scaled(cropped(clip, 0.1), 1 / 0.9)),
    "contrast x1.2 + 20, crf 23": lambda clip: coded([_codes(1.2 * c + 20.0) for c in clip]),
    "blur, noise, crf 23": lambda clip: coded(spoilt(clip)),
    "mirrored, crf 23": lambda clip: coded([luma[:, ::-1] for luma in clip]),
    "turned by 1 degree, crf 23": lambda clip: coded(turned(clip, 1.0)),
    "10 frames, crf 23": lambda clip: coded(clip[:10]),
}


def measure(options: argparse.Namespace, folder: Path) -> Result:
    lines: list[Line] = []
    values: dict[str, Any] = {}
    for name in options.clips:
        plain = load(name, options.frames)
        height, width = plain[0].shape
        embedder = Embedder(width, height, ID, options.strength)
        began = time.process_time()
        marked = [embedder.mark(luma, full=True) for luma in plain]
        cost = (time.process_time() - began) / len(plain) * 1000
        quality = float(np.mean([_psnr(*pair) for pair in zip(plain, marked, strict=True)]))
        lines.append(Line(f"{name}: PSNR", f"{quality:.1f} dB", "46 dB or more"))
        lines.append(Line(f"{name}: cost", f"{cost:.1f} ms a frame", "under 15 ms at 720p"))
        values[name] = {"psnr": quality, "milliseconds": cost}
        for change, apply in CHANGES.items():
            reader = Reader()
            for luma in apply(marked):
                reader.add(luma)
            began = time.process_time()
            found = reader.read()
            took = time.process_time() - began
            right = found.record_id == ID
            said = "yes" if right else "no" if found.record_id is None else "WRONG ID"
            figures = f"{said} (likeness {found.likeness:.2f}, z {found.z:.1f}, {took:.1f} s)"
            lines.append(Line(f"{name}: {change}", figures, "yes"))
            print(f"  {lines[-1].what}: {figures}", flush=True)
            values[name][change] = {"right": right, "likeness": found.likeness, "seconds": took}
    false, looked, nearest = unmarked(options.unmarked)
    lines.append(Line(f"ids in {looked} unmarked frames", str(false), "0"))
    lines.append(Line("likeness of the nearest", f"{nearest:.3f}"))
    return Result(lines, {**values, "unmarked": looked, "false": false, "nearest": nearest})


def unmarked(count: int) -> tuple[int, int, float]:
    """False ids, frames looked at and the highest likeness, frames of all films in turn."""
    films = [path for path in sorted(SHARED.rglob("*.mp4")) if "mask" not in path.name]
    if count and not films:
        raise Missing(f"no films under {SHARED}")
    frames = [decoded(path, 2) for path in films]
    false, looked, nearest = 0, 0, 0.0
    while frames and looked < count:
        for source in list(frames):
            luma = next(source, None)
            if luma is None:
                frames.remove(source)
            elif looked < count:
                reader = Reader()
                reader.add(luma)
                found = reader.read()
                looked += 1
                false += found.record_id is not None
                nearest = max(nearest, found.likeness)
    return false, looked, nearest


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def _codes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    """A view on an 8-bit plane."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


if __name__ == "__main__":
    main("watermark", __doc__, add_arguments, measure)

"""What does the invisible mark survive, what does it cost, and is it ever seen where it is not?

    python -m benchmarks.watermark                                  all of it
    python -m benchmarks.watermark --sizes 256x256 --unmarked 0     one table
    python -m benchmarks.watermark --sizes --unmarked 10000         unmarked frames alone

Clips are marked, changed as films are changed on their way, and read. "720p" clips are enlarged
from 640x360 and get a little noise, so that they are not smoother than a camera's. Then unmarked
films are read, frame by frame and 48 frames at a time, as they are and encoded again. What was read
stands in `watermark-unmarked.jsonl` of the output folder: a run that was broken off goes on there,
unless the reader's source has changed since. Cost is processor time.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
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
from understudy.provenance.watermark import reading as mark_reading
from understudy.provenance.watermark.reading import THRESHOLD, Reader
from understudy.provenance.watermark.watermark import STRENGTH, Embedder

Frames = list[NDArray[np.uint8]]
Change = Callable[[Frames], Frames]
ID = 0xDEADBEEF
READER = Path(mark_reading.__file__).parent

MAN = "real/clips/r11_asl_man_hand_occlusion.mp4"
HIKERS = "real/clips/r14_hikers_small_faces.mp4"
CYCLISTS = "real/clips/r09_cyclists_rotation_metadata.mp4"
CLIPS: dict[str, tuple[str, tuple[int, int, int, int] | None, tuple[int, int] | None]] = {
    "hikers 1280x720": (HIKERS, (0, 60, 640, 360), (1280, 720)),
    "man 1280x720": (MAN, (0, 60, 640, 360), (1280, 720)),
    "cyclists 512x512": (CYCLISTS, (0, 64, 480, 480), (512, 512)),
    "man 512x512": (MAN, (80, 0, 480, 480), (512, 512)),
    "speakers 360x288": ("real/clips/r15_grid_three_people_shotcuts.mp4", None, None),
    "ada 256x256": ("synthetic/test1_ada.mp4", None, None),
    "ben 256x256": ("synthetic/train_ben.mp4", None, None),
    "chen 256x256": ("synthetic/test1_chen.mp4", None, None),
}
"""File, region (left, top, width, height) and size of each clip."""
SIZES = list(dict.fromkeys(name.split()[1] for name in CLIPS))

RANGE = 48
"""Unmarked frames that are read together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", nargs="*", default=SIZES, choices=SIZES, help="of the clips")
    parser.add_argument("--frames", type=int, default=96, help="of each clip")
    parser.add_argument("--strength", type=float, default=STRENGTH, help="PSNR, dB")
    parser.add_argument("--unmarked", type=int, default=10_000, help="frames without a mark")


def decoded(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The luma planes, full range. Raises Missing."""
    if not path.is_file():
        raise Missing(f"{path} is not there")
    with av.open(str(path)) as reading:
        for frame in reading.decode(video=0):
            yield frame.to_ndarray(format="gray").astype(np.uint8, copy=False)


def load(name: str, frames: int) -> Frames:
    """The beginning of a clip."""
    file, region, size = CLIPS[name]
    noise = np.random.default_rng(1)
    clip: Frames = []
    for luma in decoded(SHARED / file):
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
    for size in options.sizes:
        clips = {name: load(name, options.frames) for name in CLIPS if name.endswith(size)}
        found = {name: outlived(clip, options.strength) for name, clip in clips.items()}
        values.update(found)
        lines += summed(size, list(found.values()))
        for line in lines[-len(CHANGES) - 3 :]:
            print(f"  {line.what}: {line.value}", flush=True)
    if options.unmarked:
        read = list(unmarked(options.unmarked, folder / "watermark-unmarked.jsonl"))
        for what in ("frame", "range"):
            of_kind = [one for one in read if one["what"] == what]
            false = sum(one["id"] is not None for one in of_kind)
            nearest = max(one["score"] for one in of_kind)
            each = f"{len(of_kind)} unmarked {what}s"
            lines.append(Line(f"ids in {each}", str(false), "0"))
            lines.append(
                Line(f"highest score of {each}", f"{nearest:.1f}", f"threshold {THRESHOLD:g}")
            )
            values[what] = {"read": len(of_kind), "false": false, "highest": nearest}
    return Result(lines, values)


def outlived(plain: Frames, strength: float) -> dict[str, Any]:
    """What becomes of the mark on a clip: figures by change, its cost and PSNR."""
    height, width = plain[0].shape
    embedder = Embedder(width, height, ID, strength)
    began = time.process_time()
    marked = [embedder.mark(luma, full=True) for luma in plain]
    values: dict[str, Any] = {
        "embedding": (time.process_time() - began) / len(plain) * 1000,
        "psnr": float(np.mean([_psnr(*pair) for pair in zip(plain, marked, strict=True)])),
        "changes": {},
    }
    for change, apply in CHANGES.items():
        reader = Reader()
        changed = apply(marked)
        began = time.process_time()
        for luma in changed:
            reader.add(luma)
        added = time.process_time()
        found = reader.read()
        values["changes"][change] = {
            "right": found.record_id == ID,
            "wrong": found.record_id not in (ID, None),
            "score": found.score,
            "likeness": found.likeness,
            "z": found.z,
            "adding": (added - began) / len(changed) * 1000,
            "reading": time.process_time() - added,
        }
    return values


def summed(size: str, found: list[dict[str, Any]]) -> list[Line]:
    """The table of the clips of one size."""
    psnr = min(one["psnr"] for one in found)
    cost = max(one["embedding"] for one in found)
    first = [one["changes"]["none"] for one in found]
    adding, reading = (max(one[key] for one in first) for key in ("adding", "reading"))
    lines = [
        Line(f"{size}: PSNR", f"{psnr:.1f} dB", "46 dB or more"),
        Line(f"{size}: marking", f"{cost:.1f} ms a frame", "under 15 ms at 720p"),
        Line(f"{size}: reading", f"{adding:.1f} ms a frame and {reading:.2f} s"),
    ]
    for change in CHANGES:
        of_change = [one["changes"][change] for one in found]
        right = sum(one["right"] for one in of_change)
        scores = ", ".join(f"{one['score']:.0f}" for one in of_change)
        wrong = ", WRONG ID" if any(one["wrong"] for one in of_change) else ""
        figures = f"{right} of {len(found)} (scores {scores}){wrong}"
        lines.append(Line(f"{size}: {change}", figures, "all"))
    return lines


def unmarked(count: int, state: Path) -> Iterator[dict[str, Any]]:
    """Readings of unmarked films, at least `count` of single frames where there are as many.

    Half of the frames are those of the files, half were encoded once more; ranges of `RANGE`
    frames, one after the other, cover both. Readings that stand in `state` are not made again.
    """
    films = [path for path in sorted(SHARED.rglob("*.mp4")) if "mask" not in path.name]
    if not films:
        raise Missing(f"no films under {SHARED}")
    every = max(1.0, 2 * sum(_length(path) for path in films) / count)
    source = b"".join(path.read_bytes() for path in sorted(READER.glob("*.py")))
    version = hashlib.sha256(source).hexdigest()[:16]
    known: dict[str, dict[str, Any]] = {}
    if state.is_file():
        entries = (json.loads(line) for line in state.read_text(encoding="utf-8").splitlines())
        known = {one["key"]: one for one in entries if one["reader"] == version}
    with state.open("a", encoding="utf-8") as log:
        for path in films:
            clip = list(decoded(path))
            for crf in (None, 28):
                singles = [int(n) for n in np.arange(0, len(clip), every)]
                wanted = [("frame", n, 1) for n in singles]
                wanted += [("range", n, RANGE) for n in range(0, len(clip), RANGE)]
                keys = [f"{path.name} {crf} {what} {first}" for what, first, _ in wanted]
                if crf and not all(key in known for key in keys):
                    clip = coded(clip, crf)
                for key, (what, first, frames) in zip(keys, wanted, strict=True):
                    if key not in known:
                        reader = Reader()
                        for luma in clip[first : first + frames]:
                            reader.add(luma)
                        found = reader.read()
                        known[key] = {
                            "key": key,
                            "reader": version,
                            "what": what,
                            "id": found.record_id,
                            "score": round(found.score, 2),
                        }
                        log.write(json.dumps(known[key]) + "\n")
                        log.flush()
                    yield known[key]


def _length(path: Path) -> int:
    with av.open(str(path)) as reading:
        return reading.streams.video[0].frames


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

"""Aligned pictures of every face of a film, made while the film is decoded.

    cache/crops/NAME/<key>/chunk-000000.parquet    one row per face: the encoded picture and what
                                                   was measured on it

They wait here, whole chunks or nothing, until it is known whose faces they are; then those of
the person become files of the faceset and the rest is forgotten.

A face is stored as large as its film shows it, within limits (`stored_side`), so the sizes are
mixed: every row says its own.

Pictures are WebP at quality 95 by the quickest method of libwebp: on one core a 256 px crop takes
1.9 ms and 10 kB at 44 dB. The quickest PNG that compresses takes 2.5 ms and 65 kB.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
import pyarrow as pa

from understudy.faces.align import CORE, FACE, TOP, alignment, shown_side, warp_quickly
from understudy.media import colour as colours
from understudy.media import planes
from understudy.media.images import encode_image, webp_of_planes
from understudy.media.video import VideoReader
from understudy.progress import Progress
from understudy.runtime import parquet
from understudy.settings import ExtractSettings
from understudy.tracks.scan_store import CHUNK, Scan, chunk_file
from understudy.types import Face, Floats, Frame, Image

SCHEMA_VERSION = 3
WORKERS = 2
WAITING = 8
"""Faces that may wait for a worker; each holds on to its frame."""

LEAST_SIDE = 256
STEP = 32
"""Stored pictures have at least this side, and sides that are multiples of the other; pixels."""

FINER = 1.25
"""Pixels of a stored picture to one of the film, along a line. A picture that was turned and moved
between pixels needs a few more of them to keep the detail of the film; with 1.5 it would be half
as large again for half a decibel. docs/research/benchmarks.md has the figures."""

SUFFIXES = {"webp": ".webp", "png": ".png"}

CROPS = pa.schema(
    [
        ("frame", pa.int32()),
        ("track", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("size", pa.int32()),
        ("sharpness", pa.float32()),
        ("matrix", parquet.vector_type(6)),
        ("image", pa.binary()),
    ]
)

_SHARPNESS_SIZE = 128
_FILM = planes.Form("yuv", 8, (1, 1))
_GREY = np.rint((np.arange(256) - 16) * (255 / 219)).clip(0, 255).astype(np.uint8)
"""Grey value of each luma of limited range."""


@dataclass(frozen=True)
class Crop:
    """One aligned face: where it is from and its encoded picture.

    Attributes:
        width, height: of the frame in pixels.
        size: side of the picture in pixels.
        matrix: float32 (2, 3), frame pixels to crop pixels.
        sharpness: see `sharpness`.
        image: the file's bytes.
    """

    frame: int
    track: int
    width: int
    height: int
    size: int
    sharpness: float
    matrix: Floats
    image: bytes


def _oval(size: int) -> Image:
    """uint8 (size, size): 1 inside the oval that an inner face fills in an aligned crop."""
    grid = (np.arange(size) - (size - 1) / 2) / (size / 2 * CORE)
    middle = 2 * (TOP + FACE / 2) - 1
    across, down = grid[None] / (0.8 * FACE), (grid[:, None] - middle) / (0.95 * FACE)
    return np.asarray(across**2 + down**2 <= 1, dtype=np.uint8)


_OVAL = _oval(_SHARPNESS_SIZE)


def sharpness(crop: Image) -> float:
    """How sharp an aligned face is: 0 flat, 0.01 soft, 0.03 and more crisp.

    The variance of the Laplacian (Pech-Pacheco et al., 2000) inside the face, at a fixed size of
    128 px and over the variance of the grey values there, so that neither light and contrast nor
    the face's size in the film change it except by what was truly lost.

    Args:
        crop: aligned, RGB uint8 (S, S, 3), or its grey values uint8 (S, S).
    """
    grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SHARPNESS_SIZE, _SHARPNESS_SIZE), interpolation=cv2.INTER_AREA)
    _, edges = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S), mask=_OVAL)
    _, levels = cv2.meanStdDev(small, mask=_OVAL)
    return float(edges[0, 0] ** 2 / (16 * (levels[0, 0] ** 2 + 1)))


def _cut_planes(picture: av.VideoFrame, matrix: Floats, size: int) -> list[Image]:
    """The aligned Y, Cb and Cr of an 8-bit 4:2:0 picture: (size, size), then half of it."""
    luma, *chroma = planes.arrays(picture)
    # Chroma samples lie in the middle of four pixels, in the frame and in the crop.
    turn = matrix[:, :2].astype(np.float64)
    middle = np.array([0.5, 0.5])
    shift = (matrix[:, 2] + middle - turn @ middle) / 2 - middle + turn @ middle
    halved = np.column_stack([turn, shift]).astype(np.float32)
    return [
        warp_quickly(luma, matrix, size),
        *(warp_quickly(plane, halved, size // 2) for plane in chroma),
    ]


def stored_side(landmarks: Floats, largest: int) -> int:
    """The side at which a face is stored, in pixels: large enough for the detail that its film
    shows, and no larger. A multiple of `STEP`, from `LEAST_SIDE` to `largest`.

    Args:
        landmarks: float32 (468, 2 or more), pixels of the frame.
        largest: side of a stored picture at most, in pixels; `LEAST_SIDE` or more.
    """
    # A least step more would only be the rounding of float32.
    wanted = math.ceil(FINER * shown_side(landmarks) / STEP - 1e-3) * STEP
    return min(max(wanted, LEAST_SIDE), largest)


def make_crop(frame: Frame, face: Face, size: int, suffix: str) -> Crop:
    """Cut the aligned picture of `face` out of `frame` and encode it.

    Films of square pixels in 8-bit 4:2:0 are cut in their own planes, which WebP takes as they are
    when they are BT.601 of limited range; that takes three quarters of the time of the way
    through RGB.

    Args:
        size: side of the picture, margin included, in pixels; even.
        suffix: ".webp" or ".png".
    """
    picture = frame.picture
    matrix = alignment(face.landmarks, size)
    encoded = None
    square = frame.pixel_aspect == 1
    if square and planes.form_of(picture.format.name) == _FILM:
        cut = _cut_planes(picture, matrix, size)
        colour = colours.colour_of(picture)
        if suffix == ".webp" and colour.matrix == "bt601" and not colour.full:
            encoded = webp_of_planes(cut)
        shown = _GREY[cut[0]] if encoded else planes.rgb_of_8_bit(cut, colour)
    else:
        shown = warp_quickly(frame.image, matrix, size)
    return Crop(
        frame=frame.index,
        track=face.track,
        width=frame.size[0],
        height=frame.size[1],
        size=size,
        sharpness=sharpness(shown),
        matrix=matrix,
        image=encoded or encode_image(shown, suffix),
    )


def crops_key(scan_key: str, settings: ExtractSettings) -> str:
    """Name of the folder of a film's crops: equal exactly when they are."""
    facts = {
        "schema_version": SCHEMA_VERSION,
        "scan": scan_key,
        "size": settings.size,
        "every": settings.every,
        "format": settings.format,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def write_crops(folder: Path, chunk: int, crops: Sequence[Crop]) -> None:
    """Write the crops of one chunk of a scan. Raises StorageError."""
    columns: list[Any] = [
        pa.array([getattr(crop, kind.name) for crop in crops], kind.type)
        for kind in list(CROPS)[:6]
    ]
    matrices = np.zeros((len(crops), 6), np.float32)
    for row, crop in enumerate(crops):
        matrices[row] = crop.matrix.reshape(-1)
    columns += [
        parquet.vectors(matrices),
        pa.array([crop.image for crop in crops], pa.binary()),
    ]
    table = pa.Table.from_arrays(columns, schema=CROPS)
    parquet.write(chunk_file(folder, chunk), table, {"schema_version": SCHEMA_VERSION})


@dataclass
class CropMaker(AbstractContextManager["CropMaker"]):
    """Makes crops in a few threads while the scan passes frames to it.

    Pixel work releases Python's lock, so the scan continues meanwhile. At most `WAITING` faces
    wait, so memory does not grow.

    Attributes:
        folder: the chunks go here.
        settings: largest size, format and which frames.
    """

    folder: Path
    settings: ExtractSettings
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS))
    _jobs: list[Future[Crop]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Have crops made of the faces of a frame, when its turn is due.

        Raises what went wrong with an earlier one.
        """
        if frame.index % self.settings.every:
            return
        suffix = SUFFIXES[self.settings.format]
        for face in faces:
            if len(self._jobs) >= WAITING:
                self._jobs[-WAITING].result()
            size = stored_side(face.landmarks, self.settings.size)
            self._jobs.append(self._pool.submit(make_crop, frame, face, size, suffix))

    def commit(self, chunk: int) -> Callable[[], None]:
        """What stores all that was added since the last commit as chunk `chunk`, in whatever
        thread; it raises StorageError, or what went wrong with a crop."""
        jobs, self._jobs = self._jobs, []

        def keep() -> None:
            write_crops(self.folder, chunk, [job.result() for job in jobs])

        return keep


def _agree(faces: Any, crops: Any, every: int) -> bool:
    """Whether there is one crop for each face that is due, in the same order."""
    due = np.asarray(faces["frame"].to_numpy()) % every == 0
    faces = faces.filter(pa.array(due))
    return all(faces[name].equals(crops[name]) for name in ("frame", "track"))


def crop_missing(
    film: Path, scan: Scan, folder: Path, settings: ExtractSettings, progress: Progress
) -> None:
    """See to it that `folder` holds the crops of every chunk of `scan`, decoding where needed.

    Raises:
        MediaError: the film cannot be decoded.
        StorageError: the disk said no. Chunks finished until then are kept.
    """
    missing = []
    for chunk in range(scan.chunks):
        try:
            crops = parquet.read(chunk_file(folder, chunk))
        except parquet.DamagedTable:
            missing.append(chunk)
        else:
            if not _agree(scan.table(chunk), crops, settings.every):
                missing.append(chunk)
    if not missing:
        return
    with (
        progress.task(f"crop {film.name}", "frames", len(missing) * CHUNK) as task,
        CropMaker(folder, settings) as maker,
    ):
        while missing:
            # Chunks that follow each other are decoded in one go.
            run = [missing.pop(0)]
            while missing and missing[0] == run[-1] + 1:
                run.append(missing.pop(0))
            beyond = (run[-1] + 1) * CHUNK
            end = scan.times[beyond] if beyond < scan.frames else None
            with VideoReader(film, scan.times[run[0] * CHUNK], end) as reader:
                for frame in reader:
                    maker.add(frame, scan.faces(frame.index))
                    place = scan.place(frame.index)
                    last = place is not None and place + 1 in (
                        (place // CHUNK + 1) * CHUNK,
                        scan.frames,
                    )
                    if place is not None and last:
                        maker.commit(place // CHUNK)()
                        task.step(place % CHUNK + 1)

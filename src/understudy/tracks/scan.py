"""Look through a film once: who is where in every frame.

    film -> decode -> shots, detection, tracking, mesh, identity -> cache/scan/<key>/

`extract` and `convert` share the result. It is stored in chunks of 250 frames; a scan that was
stopped or killed continues after its last chunk and gives the same result, to the bit, because the
tracker's state is stored with each chunk. Memory does not grow with the film's length.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from understudy.errors import MediaError, ProjectError
from understudy.media.film_light import check_light
from understudy.media.video import VideoReader
from understudy.progress import Progress
from understudy.runtime import files, parquet
from understudy.runtime.prefetch import ahead
from understudy.runtime.project_cache import ProjectCache
from understudy.settings import ScanSettings
from understudy.tracks.scan_store import (
    CHUNK,
    SCHEMA_VERSION,
    FrameRow,
    Scan,
    chunk_file,
    frame_rows,
    write_chunk,
    write_frames,
    write_tracks,
)
from understudy.types import Face, Floats, Frame, Image

if TYPE_CHECKING:
    from understudy.faces.analyser import FaceAnalyser
    from understudy.tracks.backtrack import Waiting
    from understudy.tracks.face_changes import Late

__all__ = ["Observer", "Scan", "film_hash", "scan", "scan_key", "trackers"]

FRAMES_AHEAD = 8
TRACKING = 5
"""Goes up when the same film and settings come to give other faces or tracks; only then are the
scans of earlier versions made anew."""

STEP = 25
"""Frames between two progress events."""


class FollowsFaces(Protocol):
    """What a scan needs of a tracker, see `tracker`."""

    @property
    def shot(self) -> int: ...
    def update(self, frame: Frame) -> list[Face]: ...
    def back(self, frame: Frame, face: Face) -> Face | None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...
    def identify(self, chips: Image) -> Floats: ...


class Observer(Protocol):
    """Someone who wants to see the frames while they are decoded anyway."""

    def add(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Called for every frame in order; the first frame of a chunk may be repeated."""

    def commit(self, chunk: int) -> Callable[[], None]:
        """Called after the last frame of chunk `chunk`; gives what keeps all that was added to
        it. That is called once, in another thread, before the chunk itself is stored."""


def film_hash(film: Path, cache_folder: Path) -> str:
    """Hex SHA-256 of the film's bytes, remembered as long as size and time of change stay.

    Raises:
        MediaError: it cannot be read.
        StorageError: the cache cannot be written.
    """
    files.check_ordinary(film)
    with files.reading_errors(film):
        stat = film.stat()
    path = str(film.absolute())
    facts = {"path": path, "bytes": stat.st_size, "changed_ns": stat.st_mtime_ns}
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    note = ProjectCache(cache_folder).hashes / f"{name}.json"
    try:
        known = files.read_json(note)
    except ProjectError:
        known = None
    if isinstance(known, dict) and {**known, "sha256": None} == {**facts, "sha256": None}:
        return str(known["sha256"])
    with files.reading_errors(film):
        digest = files.sha256(film)
    files.write_json(note, {**facts, "sha256": digest})
    return digest


def scan_key(
    sha256: str,
    settings: ScanSettings,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> str:
    """Name of a scan's folder: equal exactly when the result is equal."""
    facts = {
        "schema_version": SCHEMA_VERSION,
        "tracking": TRACKING,
        "film": sha256,
        "settings": settings.model_dump(mode="json"),
        "part": [None if time is None else str(time) for time in (start, end)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def trackers(settings: ScanSettings) -> Callable[[], FollowsFaces]:
    """Makes trackers that share one set of face networks, loaded when the first is made."""
    shared: list[FaceAnalyser] = []

    def make() -> FollowsFaces:
        # The networks take seconds to import; what was scanned before needs none of them.
        from understudy.faces.analyser import FaceAnalyser
        from understudy.tracks.tracker import Tracker

        if not shared:
            shared.append(FaceAnalyser(settings))
        return Tracker(shared[0], settings)

    return make


@dataclass(frozen=True)
class _Done:
    """Frames of the whole chunks so far, and the tracker's state after them."""

    rows: list[FrameRow]
    chunks: int
    tracker: dict[str, Any] | None


def _finished_chunks(folder: Path) -> _Done:
    """Read all complete chunks from the start; delete what follows them."""
    rows: list[FrameRow] = []
    chunks, tracker = 0, None
    while (path := chunk_file(folder, chunks)).exists():
        try:
            notes = parquet.read_notes(path)
            parquet.read(path)
            new = frame_rows(notes)
        except parquet.DamagedTable:
            break
        if notes["schema_version"] != SCHEMA_VERSION or len(new) != CHUNK:
            break
        rows += new
        chunks, tracker = chunks + 1, notes["tracker"]
    for path in folder.glob("*.parquet"):
        if path.name.startswith(".") or path.name >= chunk_file(folder, chunks).name:
            path.unlink()
    return _Done(rows, chunks, tracker)


def _decoded(reader: VideoReader, after: FrameRow | None) -> Iterator[Frame]:
    """Frames of a reader, or those after `after`, already turned to RGB."""
    for frame in reader:
        if after is None or frame.index > after.index:
            frame.image  # noqa: B018 - converted here, in the reading thread
            yield frame


def scan(
    film: Path,
    cache_folder: Path,
    settings: ScanSettings,
    progress: Progress,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    make_tracker: Callable[[], FollowsFaces] | None = None,
    observer: Observer | None = None,
) -> Scan:
    """Detect and track the faces of a film; immediate if it was scanned before.

    Args:
        film: a film or a picture.
        cache_folder: of the project; the scan is stored in its `scan/<key>/`.
        start, end: seconds; start is included, end is not. None is the film's own.
        make_tracker: gives a tracker at its beginning; for callers that scan many films with
            one set of networks.
        observer: sees every frame that is decoded now. Not called for what was scanned before.

    Raises:
        MediaError: the film cannot be decoded, or no frame lies in the part.
        WeightsError: a face model is not available.
        ProjectLocked: another process scans the same film.
        StorageError: the disk said no. Chunks finished until then are kept.
    """
    sha256 = film_hash(film, cache_folder)
    folder = ProjectCache(cache_folder).scans / scan_key(sha256, settings, start, end)
    if (known := _open(folder)) is not None:
        return known
    make_tracker = make_tracker or trackers(settings)
    with files.only_writer(folder / ".writer.lock", f"the scan of {film.name}"):
        if (known := _open(folder)) is not None:
            return known
        with files.storage_errors(folder):
            (folder / "meta.json").unlink(missing_ok=True)
            done = _finished_chunks(folder)
        after = done.rows[-1].time if done.rows else start
        with VideoReader(film, after, end) as reader:
            check_light(reader.info)
            every = settings.detect_every
            rows = _look_through(reader, folder, done, make_tracker(), progress, observer, every)
            damage = list(reader.damage)
            size = reader.info.shown
        if not rows:
            raise MediaError(
                f"{film} has no frame between {float(start or 0):g} s and "
                f"{'its end' if end is None else f'{float(end):g} s'}.",
                "Choose another part of the film.",
            )
        _finish(film, folder, sha256, settings, rows, damage, size)
    return Scan.open(folder)


def _open(folder: Path) -> Scan | None:
    """The finished scan in `folder`; None when it is missing or incomplete."""
    try:
        return Scan.open(folder)
    except ProjectError:
        return None


def _look_through(
    reader: VideoReader,
    folder: Path,
    done: _Done,
    tracker: FollowsFaces,
    progress: Progress,
    observer: Observer | None,
    every: int,
) -> list[FrameRow]:
    """Scan the missing part, chunk by chunk; returns all frames without their faces.

    Args:
        every: frames between two searches for new faces.
    """
    # Torch and the networks take seconds to import; what was scanned before needs none of it.
    from understudy.runtime.devices import few_threads
    from understudy.tracks.backtrack import Entrances
    from understudy.tracks.face_changes import Changes
    from understudy.tracks.tracker import THOROUGH_EVERY

    if done.tracker is not None:
        tracker.restore(done.tracker)
    entrances = Entrances(tracker, THOROUGH_EVERY * every)
    changes = Changes(tracker)
    late: list[Late] = []
    rows = list(done.rows)
    chunk = done.chunks
    after = rows[-1] if rows else None
    held: list[FrameRow] = []
    storing: Future[None] | None = None

    def finish() -> None:
        nonlocal chunk, held, storing, late
        late += changes.rest()
        if storing is not None:
            storing.result()
        keep = None if observer is None else observer.commit(chunk)
        whole = _with_late(held, late)
        storing = writer.submit(_store, folder, chunk, whole, tracker.state(), keep)
        rows.extend(FrameRow(row.index, row.time, row.shot, ()) for row in held)
        held, late = [], []
        chunk += 1

    def hold(ready: Iterable[Waiting]) -> None:
        for row in ready:
            held.append(FrameRow(row.frame.index, row.frame.time, row.shot, row.faces))
            if observer is not None:
                observer.add(row.frame, row.faces)

    total = reader.frames
    name = f"scan {reader.path.name}"
    with progress.task(name, "frames", None if total is None else total + len(rows)) as task:
        task.done = len(rows)
        with (
            few_threads(1),
            ThreadPoolExecutor(1, "understudy-chunks") as writer,
            ahead(_decoded(reader, after), FRAMES_AHEAD) as frames,
        ):
            for frame in frames:
                faces = tracker.update(frame)
                late += changes.add(frame, faces)
                hold(entrances.add(frame, tracker.shot, faces))
                # Nothing waits from one chunk to the next, so that a scan can go on in between.
                if len(held) + len(entrances) == CHUNK:
                    hold(entrances.rest())
                    finish()
                if (len(rows) + len(held) + len(entrances)) % STEP == 0:
                    task.step(STEP)
            hold(entrances.rest())
            if held:
                finish()
            if storing is not None:
                storing.result()
    return rows


def _with_late(rows: Sequence[FrameRow], late: Sequence[Late]) -> list[FrameRow]:
    """The rows with what was measured of their faces after they had been found."""
    known = {(one.index, one.track): one.embedding for one in late}
    frames = {one.index for one in late}
    return [
        replace(
            row,
            faces=[
                replace(face, embedding=known.get((row.index, face.track), face.embedding))
                for face in row.faces
            ],
        )
        if row.index in frames
        else row
        for row in rows
    ]


def _store(
    folder: Path,
    number: int,
    rows: Sequence[FrameRow],
    tracker: dict[str, Any],
    keep: Callable[[], None] | None,
) -> None:
    """Put a chunk on disk, what an observer made of it first."""
    if keep is not None:
        keep()
    write_chunk(folder, number, rows, tracker)


def _finish(
    film: Path,
    folder: Path,
    sha256: str,
    settings: ScanSettings,
    rows: Sequence[FrameRow],
    damage: Sequence[str],
    size: tuple[int, int],
) -> None:
    """Write what sums up the chunks, then the marker that says that all is there."""
    chunks = [chunk_file(folder, number) for number in range(-(-len(rows) // CHUNK))]
    write_frames(folder, rows)
    write_tracks(folder, (parquet.read(path) for path in chunks))
    length = rows[-1].time - rows[0].time
    names = [path.name for path in chunks] + ["frames.parquet", "tracks.parquet"]
    files.write_json(
        folder / "meta.json",
        {
            "schema_version": SCHEMA_VERSION,
            "tool": f"understudy {version('understudy')}",
            "film": film.name,
            "sha256": sha256,
            "settings": settings.model_dump(mode="json"),
            "frames": len(rows),
            "fps": float((len(rows) - 1) / length) if length > 0 else None,
            "damage": list(damage),
            "size": list(size),
            "files": {name: (folder / name).stat().st_size for name in names},
        },
    )

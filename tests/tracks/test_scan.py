from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.painted_people import Act, ColourTracker, embedding, film, paint
from understudy.errors import MediaError, ProjectLocked
from understudy.media.images import write_image
from understudy.progress import Event, Progress, silent
from understudy.runtime import files
from understudy.runtime.parquet import DamagedTable
from understudy.settings import ScanSettings
from understudy.tracks import scan_store
from understudy.tracks.scan import Scan, film_hash, scan

FRAMES = 61
SETTINGS = ScanSettings()
ACTS = [Act("red", 0, FRAMES, 60), Act("blue", 10, 30, 130), Act("blue", 34, 50, 130)]


class Interruption(Exception):
    pass


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "clip.mp4", FRAMES, ACTS)


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "understudy.tracks.scan_store",
        "understudy.tracks.scan",
        "understudy.facesets.crops",
    ):
        monkeypatch.setattr(f"{module}.CHUNK", 8)
    monkeypatch.setattr("understudy.tracks.scan.STEP", 1)


def contents(result: Scan) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(result.folder.glob("*.[pj]*"))}


def plain(clip: Path, cache: Path) -> Scan:
    return scan(clip, cache, SETTINGS, silent(), make_tracker=ColourTracker)


def test_finds_every_frame_face_and_track(clip: Path, tmp_path: Path) -> None:
    result = plain(clip, tmp_path)
    assert result.frames == FRAMES
    assert result.indices == list(range(FRAMES))
    assert result.times == [Fraction(n, 25) for n in range(FRAMES)]
    assert [len(result.faces(n)) for n in (0, 9, 10, 29, 30, 33, 34, 49, 50)] == [
        *(1, 1, 2, 2, 1, 1, 2, 2, 1)
    ]
    assert result.faces(-1) == []
    assert result.faces(FRAMES) == []
    assert [(t.number, t.first, t.last, t.faces) for t in result.tracks] == [
        (0, 0, FRAMES - 1, FRAMES),
        (1, 10, 29, 20),
        (2, 34, 49, 16),
    ]
    for track, who in zip(result.tracks, ("red", "blue", "blue"), strict=True):
        assert track.embedding is not None
        assert np.abs(track.embedding - embedding(who)).max() < 0.02


def test_stored_faces_are_those_of_the_tracker(clip: Path, tmp_path: Path) -> None:
    seen = []

    class Watching(ColourTracker):
        def update(self, frame):  # type: ignore[no-untyped-def]
            seen.append(super().update(frame))
            return seen[-1]

    result = scan(clip, tmp_path, SETTINGS, silent(), make_tracker=Watching)
    assert len(seen) == FRAMES
    for row, faces in zip(result, seen, strict=True):
        assert result.faces(row.index) is not None
        for stored, face in zip(row.faces, faces, strict=True):
            assert stored.box == face.box
            assert stored.pose == face.pose
            assert stored.score == face.score
            assert stored.track == face.track
            assert (stored.landmarks == face.landmarks).all()
            if face.embedding is not None:
                assert stored.embedding is not None
                assert (stored.embedding == face.embedding).all()


@pytest.mark.slow
def test_interrupted_anywhere_it_ends_up_the_same(clip: Path, tmp_path: Path) -> None:
    whole = contents(plain(clip, tmp_path / "whole"))
    rng = random.Random(1)
    for attempt in range(6):
        cache = tmp_path / f"cut{attempt}"
        for _ in range(3):
            stop = rng.randrange(1, FRAMES)

            def listener(event: Event, stop: int = stop) -> None:
                if event.kind == "step" and event.done >= stop:
                    raise Interruption

            try:
                scan(clip, cache, SETTINGS, Progress(listener), make_tracker=ColourTracker)
            except Interruption:
                continue
        tracker = ColourTracker()
        result = scan(clip, cache, SETTINGS, silent(), make_tracker=lambda: tracker)  # noqa: B023
        decoded = tracker.seen
        assert decoded == list(range(FRAMES - len(decoded), FRAMES))
        assert contents(result) == whole


def test_interrupting_keeps_finished_chunks(clip: Path, tmp_path: Path) -> None:
    def listener(event: Event) -> None:
        if event.done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(clip, tmp_path, SETTINGS, Progress(listener), make_tracker=ColourTracker)
    tracker = ColourTracker()
    scan(clip, tmp_path, SETTINGS, silent(), make_tracker=lambda: tracker)
    assert tracker.seen == list(range(24, FRAMES))


def test_second_call_decodes_nothing(clip: Path, tmp_path: Path) -> None:
    first = plain(clip, tmp_path)

    def forbidden() -> ColourTracker:
        raise AssertionError("looked again")

    again = scan(clip, tmp_path, SETTINGS, silent(), make_tracker=forbidden)
    assert again.meta == first.meta
    other = SETTINGS.model_copy(update={"detect_every": 3})
    with pytest.raises(AssertionError, match="looked again"):
        scan(clip, tmp_path, other, silent(), make_tracker=forbidden)


@pytest.mark.parametrize("harm", ["cut", "flip", "gone", "empty"])
def test_damaged_chunk_is_made_anew(clip: Path, tmp_path: Path, harm: str) -> None:
    result = plain(clip, tmp_path)
    whole = contents(result)
    path = scan_store.chunk_file(result.folder, 3)
    data = bytearray(path.read_bytes())
    if harm == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 16
        path.write_bytes(data)
        with pytest.raises(DamagedTable):
            Scan.open(result.folder).faces(3 * 8)
    assert contents(plain(clip, tmp_path)) == whole


def test_part_of_a_film(clip: Path, tmp_path: Path) -> None:
    start, end = Fraction(10, 25), Fraction(31, 25)
    result = scan(clip, tmp_path, SETTINGS, silent(), start, end, make_tracker=ColourTracker)
    assert result.indices == list(range(10, 31))
    assert result.times[0] == start
    assert result.faces(9) == []
    assert len(result.faces(10)) == 2
    with pytest.raises(MediaError, match="no frame between"):
        scan(clip, tmp_path, SETTINGS, silent(), Fraction(90), make_tracker=ColourTracker)


def test_picture_is_a_film_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    write_image(path, paint([Act("green", 0, 1, 90)], 0))
    result = scan(path, tmp_path, SETTINGS, silent(), make_tracker=ColourTracker)
    assert result.frames == 1
    assert len(result.faces(0)) == 1
    assert result.tracks[0].faces == 1


def test_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    first = film_hash(path, tmp_path)
    assert first == files.sha256(path)
    note = next((tmp_path / "hashes").iterdir())
    files.write_json(note, {**files.read_json(note), "sha256": "f" * 64})
    assert film_hash(path, tmp_path) == "f" * 64
    path.write_bytes(b"three")
    assert film_hash(path, tmp_path) == files.sha256(path)
    note.write_bytes(b"not json")
    assert film_hash(path, tmp_path) == files.sha256(path)


def test_one_writer(clip: Path, tmp_path: Path) -> None:
    folder = plain(clip, tmp_path).folder
    (folder / "meta.json").unlink()
    with files.only_writer(folder / ".writer.lock", "it"), pytest.raises(ProjectLocked):
        plain(clip, tmp_path)


KILLED = """
import sys, time
from pathlib import Path
import understudy.tracks.scan_store, understudy.tracks.scan, understudy.facesets.crops
for module in (understudy.tracks.scan_store, understudy.tracks.scan, understudy.facesets.crops):
    module.CHUNK = 8
sys.path.insert(0, sys.argv[3])
from tests.support.painted_people import ColourTracker
from understudy.media.images import write_image
from understudy.progress import silent
from understudy.settings import ScanSettings

class Slow(ColourTracker):
    def update(self, frame):
        time.sleep(0.01)
        return super().update(frame)

print("ready", flush=True)
understudy.tracks.scan.scan(
    Path(sys.argv[1]), Path(sys.argv[2]), ScanSettings(), silent(), make_tracker=Slow
)
print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_up_the_same(clip: Path, tmp_path: Path) -> None:
    whole = contents(plain(clip, tmp_path / "whole"))
    cache = tmp_path / "killed"
    rng = random.Random(2)
    here = str(Path(__file__).parents[2])
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(clip), str(cache), here],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.5))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert contents(plain(clip, cache)) == whole

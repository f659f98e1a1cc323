from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.painted_people import COLOURS, Act, ColourTracker, film, paint
from understudy.errors import FacesError, MediaError, ProjectLocked, StorageError, WeightsError
from understudy.facesets.extract import ExtractReport, extract
from understudy.facesets.faceset import INDEX, Faceset
from understudy.media.images import read_image, write_image
from understudy.progress import Event, Progress, silent
from understudy.runtime import files
from understudy.runtime.project_cache import ProjectCache
from understudy.settings import ExtractSettings, ScanSettings
from understudy.tracks.scan import scan

FRAMES = 45
ACTS = [Act("red", 0, FRAMES, 60), Act("blue", 10, 30, 130)]


@dataclass(frozen=True)
class Home:
    """As much of a project as an extraction asks for."""

    folder: Path

    @property
    def cache_folder(self) -> Path:
        return self.folder / "cache"

    @property
    def cache(self) -> ProjectCache:
        return ProjectCache(self.cache_folder)

    @property
    def faces_folder(self) -> Path:
        return self.folder / "faces"

    @property
    def footage(self) -> list[Path]:
        return sorted((self.folder / "footage").iterdir())

    def person(self, name: str) -> Home:
        return self


class Interruption(Exception):
    pass


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    film(folder / "a.mp4", FRAMES, ACTS)
    film(folder / "b.mp4", 20, [Act("green", 0, 20, 50), Act("red", 2, 18, 120)])
    film(folder / "empty.mp4", 12, [])
    return folder


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "understudy.tracks.scan_store",
        "understudy.tracks.scan",
        "understudy.facesets.crops",
    ):
        monkeypatch.setattr(f"{module}.CHUNK", 8)
    monkeypatch.setattr("understudy.tracks.scan.STEP", 1)


def home(folder: Path, *footage: Path) -> Home:
    (folder / "footage").mkdir(parents=True)
    for path in footage:
        shutil.copy2(path, folder / "footage")
    return Home(folder)


def run(place: Home, progress: Progress | None = None, **settings: Any) -> ExtractReport:
    return extract(
        place,  # type: ignore[arg-type]
        "red",
        ExtractSettings(**settings),
        ScanSettings(),
        progress or silent(),
        make_tracker=ColourTracker,
    )


def contents(place: Home) -> dict[str, bytes]:
    return {
        str(path.relative_to(place.faces_folder)): path.read_bytes()
        for path in sorted(place.faces_folder.rglob("*"))
        if path.is_file()
    }


def test_faces_of_the_one_who_is_seen_most(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4", clips / "b.mp4")
    report = run(place)
    faces = Faceset.open(place.faces_folder)
    assert report.faces == report.added == len(faces) == FRAMES + 16
    assert [(s.name, s.frames, s.faces) for s in report.sources] == [
        ("a.mp4", FRAMES, FRAMES),
        ("b.mp4", 20, 16),
    ]
    assert [(o.tracks, o.faces, o.shots) for o in report.others] == [
        (1, 20, (("a.mp4", 0),)),
        (1, 20, (("b.mp4", 0),)),
    ]
    assert sum("skipped" in note for note in report.notes) == 2
    red = np.array(COLOURS["red"])
    for name in faces.names:
        image = read_image(place.faces_folder / "images" / name)
        assert image.shape == (256, 256, 3)
        brightest = image[96:160, 96:160].reshape(-1, 3).astype(int)
        middle = brightest[brightest[:, 0] > 150]
        assert np.abs(middle.mean(0) - red).max() < 25
    assert not list((place.cache_folder / "crops").iterdir())


def test_index_columns(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    faces = Faceset.open(place.faces_folder)
    table = faces.table
    assert table.schema.names == INDEX.names
    assert table.schema.types == INDEX.types
    assert faces.notes["schema_version"] == 1
    rows = table.to_pylist()
    assert [row["frame"] for row in rows] == list(range(FRAMES))
    assert {row["source"] for row in rows} == {files.sha256(place.footage[0])}
    assert {row["source_name"] for row in rows} == {"a.mp4"}
    assert {(row["width"], row["height"], row["size"]) for row in rows} == {(192, 192, 256)}
    for row in rows:
        assert row["time_numerator"] * 25 == row["frame"] * row["time_denominator"]
        points = np.array(row["landmarks"], np.float32).reshape(468, 3)
        x0, y0, x1, y1 = row["box"]
        assert (x0, y0) == pytest.approx(tuple(points[:, :2].min(0)))
        assert (x1, y1) == pytest.approx(tuple(points[:, :2].max(0)))
        assert row["sharpness"] > 0
        # By the tracker, and where chunks of the scan begin and end.
        measured = row["frame"] % 3 == 0 or row["frame"] % 8 in (0, 7) or row["frame"] == FRAMES - 1
        assert measured or row["embedding"] is None
        assert row["embedding"] is not None or row["frame"] % 3 != 0
        assert (place.faces_folder / "images" / row["image"]).stat().st_size == row["bytes"]
    moved = faces.landmarks
    assert moved.shape == (FRAMES, 468, 2)
    assert ((moved > 0) & (moved < 255)).mean() > 0.95


def test_again_does_nothing(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    first = run(place)
    before = contents(place)
    notes = []
    again = run(place, Progress(lambda event: notes.append(event.text)))
    assert again.unchanged
    assert not first.unchanged
    assert (again.faces, again.added, again.removed) == (FRAMES, 0, 0)
    assert notes == ["The faces of red are up to date."]
    assert contents(place) == before


def test_only_the_difference_is_done(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    before = contents(place)
    shutil.copy2(clips / "b.mp4", place.folder / "footage")
    tasks = set()
    report = run(place, Progress(lambda event: tasks.add(event.task)))
    assert tasks - {""} == {"scan b.mp4"}
    # In b.mp4 alone green is seen more; the faces that are there say that it is about red.
    assert (report.faces, report.added, report.removed) == (FRAMES + 16, 16, 0)
    both = home(tmp_path / "both", clips / "a.mp4", clips / "b.mp4")
    run(both)
    assert contents(place) == contents(both)
    (place.folder / "footage" / "b.mp4").unlink()
    report = run(place)
    assert (report.faces, report.added, report.removed) == (FRAMES, 0, 16)
    assert contents(place) == before


def test_deleted_pictures_stay_out(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    faces = Faceset.open(place.faces_folder)
    for name in faces.names[3:6]:
        (place.faces_folder / "images" / name).unlink()
    opened = Faceset.open(place.faces_folder)
    assert len(opened) == FRAMES - 3
    assert set(opened.missing) == set(faces.names[3:6])
    assert opened.fingerprint != faces.fingerprint
    report = run(place)
    assert report.unchanged
    assert (report.faces, report.deleted) == (FRAMES - 3, 3)
    shutil.copy2(clips / "b.mp4", place.folder / "footage")
    assert (run(place).faces, run(place).deleted) == (FRAMES + 13, 3)
    report = run(place, size=288)
    assert (report.faces, report.deleted) == (FRAMES + 13, 3)
    assert 3 not in Faceset.open(place.faces_folder).table["frame"].to_pylist()[:10]


def test_cut_picture_is_made_anew(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    before = contents(place)
    name = Faceset.open(place.faces_folder).names[7]
    path = place.faces_folder / "images" / name
    path.write_bytes(path.read_bytes()[:100])
    assert Faceset.open(place.faces_folder).damaged == (name,)
    assert run(place).faces == FRAMES
    assert contents(place) == before


@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_damaged_index_is_made_anew(clips: Path, tmp_path: Path, harm: str) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    before = contents(place)
    path = place.faces_folder / "faces.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes({"cut": data[:1000], "flip": data, "empty": b""}[harm]))
    report = run(place)
    assert any("damaged" in note for note in report.notes)
    assert contents(place) == before


@pytest.mark.slow
def test_interrupted_anywhere_it_ends_up_the_same(clips: Path, tmp_path: Path) -> None:
    plain = home(tmp_path / "plain", clips / "a.mp4", clips / "b.mp4")
    run(plain)
    rng = random.Random(4)
    for attempt in range(3):
        place = home(tmp_path / str(attempt), clips / "a.mp4", clips / "b.mp4")
        for _ in range(2):
            left = rng.randrange(1, FRAMES + 25)

            def listener(event: Event) -> None:
                nonlocal left
                left -= event.kind == "step"
                if left <= 0:
                    raise Interruption

            try:
                run(place, Progress(listener))
            except Interruption:
                assert not (place.faces_folder / "faces.parquet").exists()
        run(place)
        assert contents(place) == contents(plain)


@pytest.mark.parametrize("where", ["publish", "rmtree", "tidy", "write"])
@pytest.mark.slow
def test_stopped_while_storing_keeps_the_earlier_faces(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    plain = home(tmp_path / "plain", clips / "a.mp4", clips / "b.mp4")
    run(plain)
    place = home(tmp_path / "place", clips / "a.mp4")
    run(place)
    earlier = Faceset.open(place.faces_folder).names
    shutil.copy2(clips / "b.mp4", place.folder / "footage")

    def stop(*args: object, **options: object) -> Iterator[None]:
        raise Interruption

    target = {
        "publish": "understudy.facesets.writer.parquet.write_parts",
        "rmtree": "understudy.facesets.extract.shutil.rmtree",
        "tidy": "understudy.facesets.extract.tidy",
        "write": "understudy.facesets.writer._write",
    }[where]
    with monkeypatch.context() as patched:
        patched.setattr(target, stop)
        with pytest.raises(Interruption):
            run(place)
    now = Faceset.open(place.faces_folder)
    assert set(earlier) <= set(now.names)
    assert not now.damaged
    run(place)
    assert contents(place) == contents(plain)


def test_film_that_was_scanned_before(clips: Path, tmp_path: Path) -> None:
    plain = home(tmp_path / "plain", clips / "a.mp4")
    run(plain)
    place = home(tmp_path / "place", clips / "a.mp4")
    scan(
        place.footage[0],
        place.cache_folder,
        ScanSettings(),
        silent(),
        make_tracker=ColourTracker,
    )
    run(place)
    assert contents(place) == contents(plain)


def test_every_other_frame_and_formats(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    assert run(place, every=2, format="png").faces == 23
    faces = Faceset.open(place.faces_folder)
    assert faces.table["frame"].to_pylist() == list(range(0, FRAMES, 2))
    assert all(name.endswith(".png") for name in faces.names)
    assert run(place, format="webp").faces == FRAMES
    left = {path.suffix for path in (place.faces_folder / "images").iterdir()}
    assert left == {".webp"}


class Nearing(ColourTracker):
    """People who come nearer from frame to frame."""

    @property
    def height(self) -> float:
        return 60 + 10 * self.calls


def test_large_faces_are_stored_large_beside_small_ones(clips: Path, tmp_path: Path) -> None:
    place, capped = (home(tmp_path / name, clips / "a.mp4") for name in ("whole", "capped"))
    for one, settings in ((place, ExtractSettings()), (capped, ExtractSettings(size=512))):
        extract(
            one,  # type: ignore[arg-type]
            "red",
            settings,
            ScanSettings(),
            silent(),
            make_tracker=Nearing,
        )
    faces, limited = Faceset.open(place.faces_folder), Faceset.open(capped.faces_folder)
    sides = faces.table["size"].to_pylist()
    assert sides == sorted(sides)
    assert sides[0] == 256
    assert sides[-1] > 768
    assert limited.table["size"].to_pylist() == [min(side, 512) for side in sides]
    for faceset, where in ((faces, place), (limited, capped)):
        for name, side in zip(faceset.names, faceset.table["size"].to_pylist(), strict=True):
            picture = read_image(where.faces_folder / "images" / name)
            assert picture.shape == (side, side, 3)
    shares = faces.landmarks / np.array(sides)[:, None, None]
    assert np.ptp(shares, axis=0).max() < 0.01
    first, second = faces.load(96), limited.load(96)
    assert np.abs(first.landmarks - second.landmarks).max() < 0.01
    assert np.abs(first.images.astype(int) - second.images).mean() < 1.5
    again = extract(
        place,  # type: ignore[arg-type]
        "red",
        ExtractSettings(),
        ScanSettings(),
        silent(),
        make_tracker=Nearing,
    )
    assert again.unchanged


def test_an_earlier_faceset_of_one_size_is_still_read(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place, size=256)
    faces = Faceset.open(place.faces_folder)
    assert set(faces.table["size"].to_pylist()) == {256}
    assert faces.load(96).images.shape == (FRAMES, 120, 120, 3)
    before = {name: data for name, data in contents(place).items() if name.endswith(".webp")}
    # These faces are small: a larger limit changes the names of the pictures and nothing else.
    run(place)
    after = {name: data for name, data in contents(place).items() if name.endswith(".webp")}
    assert list(before.values()) == list(after.values())


def test_stills(tmp_path: Path) -> None:
    place = home(tmp_path)
    acts = [Act("red", 0, 99, 90)]
    for index in range(5):
        write_image(place.folder / "footage" / f"{index}.png", paint(acts, index * 10 + 1))
    report = run(place)
    assert report.faces == 5
    assert any("only 5 faces" in note for note in report.notes)


def test_too_few_faces_leaves_the_earlier_ones(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    before = contents(place)
    (place.folder / "footage" / "a.mp4").unlink()
    write_image(place.folder / "footage" / "one.png", paint([Act("red", 0, 9, 90)], 1))
    with pytest.raises(FacesError, match="only 1 face of red"):
        run(place)
    assert contents(place) == before


def test_no_face_and_no_footage(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(FacesError, match=r"No face was found in empty\.mp4"):
        run(home(tmp_path / "one", clips / "empty.mp4"))
    with pytest.raises(FacesError, match="no footage"):
        run(home(tmp_path / "two"))


def test_broken_film_is_left_out_and_said_so(clips: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is text")
    place = home(tmp_path / "home", clips / "a.mp4", broken)
    report = run(place)
    assert report.faces == FRAMES
    assert any("broken.mp4 was skipped" in note for note in report.notes)
    with pytest.raises(MediaError, match="None of red's footage"):
        run(home(tmp_path / "alone", broken))


def test_one_writer(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    lock = place.faces_folder / ".writer.lock"
    with files.only_writer(lock, "it"), pytest.raises(ProjectLocked):
        run(place)


def test_full_disk(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = home(tmp_path, clips / "a.mp4")

    def full(item: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("understudy.facesets.writer._write", full)
        with pytest.raises(StorageError, match="is full"):
            run(place)
    assert not place.faces_folder.joinpath("faces.parquet").exists()
    assert run(place).faces == FRAMES


def test_user_files_among_the_pictures_stay(clips: Path, tmp_path: Path) -> None:
    place = home(tmp_path, clips / "a.mp4")
    run(place)
    mine = place.faces_folder / "images" / "notes.txt"
    mine.write_text("keep")
    stray = place.faces_folder / "images" / "01234567-000001-000.webp"
    stray.write_bytes(b"left by a run that was killed")
    run(place)
    assert mine.exists()
    assert not stray.exists()


def test_two_real_people(shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "real" / "clips" / "r02_grid_two_people_composite.mp4"
    place = home(tmp_path, clip)
    try:
        report = extract(
            place,  # type: ignore[arg-type]
            "left",
            ExtractSettings(),
            ScanSettings(),
            silent(),
        )
    except WeightsError as error:
        pytest.skip(error.problem)
    faces = Faceset.open(place.faces_folder)
    assert report.faces >= 147
    assert [(other.tracks, other.measured) for other in report.others] == [(1, True)]
    frames = faces.table["frame"].to_pylist()
    assert len(set(frames)) == len(frames)
    spread = np.linalg.norm(faces.embeddings - faces.embeddings.mean(0), axis=1)
    assert spread.max() < 0.4
    middle = faces.table["box"].combine_chunks().flatten().to_numpy().reshape(-1, 4)[:, ::2].mean(1)
    assert (middle < 360).all() or (middle > 360).all()

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from understudy.errors import ConsentError, MediaError, ProjectError, ProjectLocked, StorageError
from understudy.media.images import write_image
from understudy.progress import Event, Progress
from understudy.project import Project
from understudy.runtime import files


def write_film(path: Path, shade: int = 90, frames: int = 5) -> Path:
    """A small grey film whose bytes depend on `shade`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            image = np.full((48, 64, 3), shade + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def test_a_film_is_copied_and_described(project: Project, source: Path) -> None:
    film = write_film(source / "ada.mp4")
    report = project.add("ada", [film], consent="self")
    place = project.person("ada")
    assert report.footing == "self"
    assert [entry.file for entry in report.added] == ["ada.mp4"]
    assert not report.already
    assert not report.refused
    assert not report.passed_over
    (entry,) = place.index()
    assert entry == report.added[0]
    assert entry.sha256 == digest(film) == digest(place.footage[0])
    assert entry.bytes == film.stat().st_size
    assert entry.source == str(film)
    assert entry.kind == "video"
    assert entry.facts["codec"] == "h264"
    assert (entry.facts["width"], entry.facts["height"]) == (64, 48)
    assert (entry.facts["rate"], entry.facts["frames"]) == ("25", 5)
    assert entry.facts["audio"] == []
    assert entry.facts["rotation"] == 0
    assert place.consent is not None
    assert place.consent.footing == "self"
    film.unlink()
    assert place.footage[0].is_file()


def test_folders_are_walked(project: Project, source: Path) -> None:
    write_film(source / "b.mkv", 10)
    (source / "deep" / ".hidden").mkdir(parents=True)
    write_image(source / "deep" / "a.png", np.full((9, 7, 3), 5, np.uint8))
    write_film(source / "deep" / ".hidden" / "c.mp4", 30)
    (source / "deep" / "README.txt").write_text("about these films")
    (source / ".DS_Store").write_text("x")
    report = project.add("ada", [source], consent="synthetic")
    assert [(entry.file, entry.kind) for entry in report.added] == [
        ("b.mkv", "video"),
        ("a.png", "picture"),
    ]
    assert report.passed_over == {"not a video or image (.txt)": 1}
    assert report.added[1].facts == {
        "container": "images",
        "codec": "png",
        "width": 7,
        "height": 9,
    }


def test_what_cannot_be_decoded_is_refused_and_the_rest_kept(
    project: Project, source: Path
) -> None:
    good = write_film(source / "good.mp4")
    whole = write_film(source / "whole.mp4", 30, 40).read_bytes()
    bad = {
        "zero.mp4": b"",
        "text.mp4": b"this is no film\n" * 50,
        "cut.mp4": whole[: len(whole) // 3],
        "cut.png": b"\x89PNG\r\n\x1a\n" + bytes(20),
    }
    for name, data in bad.items():
        (source / name).write_bytes(data)
    paths = [source / name for name in bad] + [write_sound(source / "sound.wav")]
    paths += [source / "missing.mp4"]
    notes: list[Event] = []
    report = project.add("ada", [*paths, good], consent="self", progress=Progress(notes.append))
    assert [entry.file for entry in report.added] == ["good.mp4"]
    assert sorted(refusal.path for refusal in report.refused) == sorted(paths)
    for refusal in report.refused:
        assert refusal.path.name in refusal.problem
        assert refusal.remedy
    assert names(project.person("ada").footage_folder) == ["good.mp4"]
    told = " ".join(event.text for event in notes if event.kind == "note")
    assert all(path.name in told for path in paths)


def test_nobody_is_made_of_refused_files(project: Project, source: Path) -> None:
    (source / "text.mp4").write_text("no film")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        project.add("ada", [source / "text.mp4"], consent="self")
    with pytest.raises(MediaError, match=r"missing\.mp4 does not exist"):
        project.add("ada", [source / "missing.mp4"], consent="self")
    (source / "empty").mkdir()
    with pytest.raises(MediaError, match="No film or picture"):
        project.add("ada", [source / "empty"], consent="self")
    assert project.people == []


def test_the_same_content_is_added_once(project: Project, source: Path) -> None:
    film = write_film(source / "a.mp4")
    again = Path(shutil.copy(film, source / "b.mp4"))
    first = project.add("ada", [film, again], consent="self")
    assert [entry.file for entry in first.added] == ["a.mp4"]
    assert first.already == (again,)
    second = project.add("ada", [again])
    assert second.added == ()
    assert second.already == (again,)
    assert names(project.person("ada").footage_folder) == ["a.mp4"]


def test_equal_names_are_numbered(project: Project, source: Path) -> None:
    paths = []
    for number in range(3):
        (source / str(number)).mkdir()
        paths.append(write_film(source / str(number) / "film.mp4", 20 * number))
    report = project.add("ada", paths, consent="self")
    assert [entry.file for entry in report.added] == ["film.mp4", "film-2.mp4", "film-3.mp4"]
    for path, kept in zip(paths, project.person("ada").footage, strict=True):
        assert digest(path) == digest(kept)


def test_odd_names_are_kept_within_what_file_systems_take(project: Project, source: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \xff.mp4")
    long = "ü" * 120 + ".mp4"
    paths = [write_film(source / "x.mp4", 10), write_film(source / "y.mp4", 20)]
    paths = [paths[0].rename(source / odd), paths[1].rename(source / long)]
    report = project.add("ada", paths, consent="self")
    assert [entry.file for entry in report.added] == ["caf_ _.mp4", "ü" * 100 + ".mp4"]
    assert len(project.person("ada").footage) == 2


def test_footage_put_there_by_hand_is_taken_up(project: Project, source: Path) -> None:
    project.add("ada", [write_film(source / "a.mp4", 10)], consent="self")
    folder = project.person("ada").footage_folder
    write_film(folder / "hand.mp4", 50)
    (folder / "bad.mp4").write_text("no film")
    report = project.add("ada", [])
    assert [entry.file for entry in report.added] == ["hand.mp4"]
    assert [refusal.path for refusal in report.refused] == [folder / "bad.mp4"]
    assert names(folder) == ["a.mp4", "bad.mp4", "hand.mp4"]


def test_deleted_footage_can_be_added_again(project: Project, source: Path) -> None:
    film = write_film(source / "a.mp4")
    project.add("ada", [film], consent="self")
    project.person("ada").footage[0].unlink()
    assert [entry.file for entry in project.add("ada", [film]).added] == ["a.mp4"]


class TestFooting:
    @pytest.fixture
    def film(self, source: Path) -> Path:
        return write_film(source / "a.mp4")

    def test_a_new_person_needs_one(self, project: Project, film: Path) -> None:
        with pytest.raises(ConsentError, match="--consent self"):
            project.add("ada", [film])
        assert project.people == []

    def test_it_is_stated_once(self, project: Project, film: Path, source: Path) -> None:
        project.add("ada", [film], consent="self")
        stated = project.person("ada").consent
        project.add("ada", [write_film(source / "b.mp4", 10)])
        project.add("ada", [write_film(source / "c.mp4", 20)], consent="self")
        assert project.person("ada").consent == stated

    def test_contradictions_are_refused(self, project: Project, film: Path, source: Path) -> None:
        project.add("ada", [film], consent="self")
        more = write_film(source / "b.mp4", 10)
        with pytest.raises(ConsentError, match="`self`, not `synthetic`"):
            project.add("ada", [more], consent="synthetic")
        assert names(project.person("ada").footage_folder) == ["a.mp4"]

    def test_granted_keeps_the_statement(self, project: Project, film: Path, source: Path) -> None:
        statement = source / "Agreement.PDF"
        statement.write_bytes(b"I, Ada, agree.")
        project.add("ada", [film], consent="granted", statement=statement)
        place = project.person("ada")
        assert place.consent is not None
        assert place.consent.statement is not None
        assert place.consent.statement.sha256 == digest(statement)
        assert (place.folder / place.consent.statement.file).read_bytes() == b"I, Ada, agree."
        project.add("ada", [film], consent="granted", statement=statement)
        statement.write_bytes(b"I, Ada, disagree.")
        with pytest.raises(ConsentError, match="Another statement"):
            project.add("ada", [film], consent="granted", statement=statement)

    @pytest.mark.parametrize("content", [None, b""])
    def test_granted_needs_a_statement(
        self, project: Project, film: Path, source: Path, content: bytes | None
    ) -> None:
        statement = source / "agreement.txt"
        if content is not None:
            statement.write_bytes(content)
        for given in (None, statement, source):
            with pytest.raises(ConsentError, match="statement"):
                project.add("ada", [film], consent="granted", statement=given)
        assert project.people == []

    def test_a_statement_without_granted_is_refused(self, project: Project, film: Path) -> None:
        with pytest.raises(ConsentError, match="--consent granted"):
            project.add("ada", [film], consent="self", statement=film)
        with pytest.raises(ConsentError, match="--consent granted"):
            project.add("ada", [film], statement=film)

    def test_it_can_be_stated_again_when_the_record_is_gone(
        self, project: Project, film: Path
    ) -> None:
        project.add("ada", [film], consent="self")
        project.person("ada").consent_file.unlink()
        with pytest.raises(ConsentError):
            project.add("ada", [film])
        project.add("ada", [film], consent="synthetic")
        record = project.person("ada").consent
        assert record is not None
        assert record.footing == "synthetic"


def test_bad_names_are_refused(project: Project, source: Path) -> None:
    film = write_film(source / "a.mp4")
    with pytest.raises(ProjectError, match="cannot name a person"):
        project.add("Ada Lovelace", [film], consent="self")
    assert names(project.people_folder) == []


def test_two_at_once(project: Project, source: Path) -> None:
    film = write_film(source / "a.mp4")
    with (
        files.only_writer(project.place_of("ada").lock_file, "footage of ada"),
        pytest.raises(ProjectLocked, match="footage of ada"),
    ):
        project.add("ada", [film], consent="self")


SCRIPT = textwrap.dedent(
    """
    import ctypes, resource, signal, sys
    from pathlib import Path
    from understudy import Project, UnderstudyError

    limit = int(sys.argv[1])
    if limit < 0:  # give up root's right to write everywhere: capset(2) to nothing
        header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, nothing) == 0
    if limit > 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    project = Project.open(Path(sys.argv[2]))
    print("ready", flush=True)
    try:
        project.add("ada", [Path(name) for name in sys.argv[3:]], consent="self")
    except UnderstudyError as error:
        print(error.problem)
        sys.exit(error.exit_code)
    """
)


def test_a_full_disk_keeps_what_was_there(project: Project, source: Path) -> None:
    project.add("ada", [write_film(source / "first.mp4", 3)], "self")
    small = write_film(source / "small.mp4")
    large = write_film(source / "large.mp4", 10)
    with open(large, "ab") as file:
        file.write(b"\0\0\x40\0free" + bytes(0x4000 - 8))
    limit = str(small.stat().st_size + 2000)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, limit, str(project.folder), str(small), str(large)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == StorageError.exit_code, done.stderr
    assert "is full" in done.stdout
    place = project.person("ada")
    assert names(place.footage_folder) == ["first.mp4", "small.mp4"]
    assert [path.name for path in place.footage] == ["first.mp4", "small.mp4"]
    report = project.add("ada", [small, large])
    assert [entry.file for entry in report.added] == ["large.mp4"]


def test_a_read_only_project_is_said_to_be_one(project: Project, source: Path) -> None:
    film = write_film(source / "a.mp4")
    before = sorted(project.folder.rglob("*"))
    project.people_folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "-1", str(project.folder), str(film)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == StorageError.exit_code, done.stderr
    assert "is not writable" in done.stdout
    assert sorted(project.folder.rglob("*")) == before


def test_killed_at_any_moment_it_goes_on(project: Project, source: Path) -> None:
    paths = [write_film(source / f"{number:02}.mp4", number) for number in range(20)]
    command = [sys.executable, "-c", SCRIPT, "0", str(project.folder), *map(str, paths)]
    for delay in (0.0, 0.02, 0.05, 0.1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        for name in project.people:
            place = project.person(name)
            assert place.consent is not None
            hashes = {digest(path) for path in paths}
            for path in place.footage_folder.glob("[!.]*.mp4"):
                assert digest(path) in hashes
            place.index()
    report = project.add("ada", paths, consent="self")
    place = project.person("ada")
    assert names(place.footage_folder) == [path.name for path in paths]
    assert sorted(path.name for path in place.footage) == [path.name for path in paths]
    assert not report.refused

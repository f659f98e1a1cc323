from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ProjectError, ProjectLocked, StorageError
from understudy.runtime import files


def test_a_write_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    files.write_bytes(path, b"first")
    files.write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")

    def break_off() -> None:
        with files.atomic(path) as temporary:
            temporary.write_bytes(b"half of the n")
            assert temporary.suffix == ".txt"
            assert path.read_bytes() == b"old"
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """The limit on file sizes stands in for a full disk; it needs a process of its own."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from understudy.runtime import files\n"
        "from understudy.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "path = Path(sys.argv[1])\n"
        "try:\n"
        "    files.write_bytes(path, bytes(5000))\n"
        "except StorageError as error:\n"
        "    sys.exit(42 if str(path) in error.problem else 1)\n"
    )
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 42
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "is full"), (errno.EROFS, "is not writable"), (errno.EIO, "failed")],
)
def test_what_the_system_says_becomes_a_storage_error(
    number: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=words), files.storage_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(FileNotFoundError), files.storage_errors(tmp_path / "x"):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_a_folder_is_published_whole(tmp_path: Path) -> None:
    source = tmp_path / ".making"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a.txt").write_text("a")
    files.publish(source, tmp_path / "made")
    assert (tmp_path / "made" / "inner" / "a.txt").read_text() == "a"
    assert not source.exists()


def test_json_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    files.write_json(path, {"name": "Jürgen", "n": [1, None]})
    assert files.read_json(path) == {"name": "Jürgen", "n": [1, None]}


def test_json_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    with pytest.raises(ProjectError, match="missing"):
        files.read_json(path)
    path.write_bytes(b'{"half": ')
    with pytest.raises(ProjectError, match="not valid JSON"):
        files.read_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProjectError, match="not valid JSON"):
        files.read_json(path)


@given(st.binary(max_size=4000))
def test_hash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(data)
    told: list[int] = []
    assert files.sha256(path, told.append) == hashlib.sha256(data).hexdigest()
    assert sum(told) == len(data)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with (
        files.only_writer(lock, "the faces of ada"),
        pytest.raises(ProjectLocked, match="the faces of ada"),
        files.only_writer(lock, "the faces of ada"),
    ):
        pass
    with files.only_writer(lock, "the faces of ada"):
        pass


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from understudy.runtime import files\n"
        "with files.only_writer(Path(sys.argv[1]), 'x'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(lock)], check=False)
    assert done.returncode == -signal.SIGKILL
    with files.only_writer(lock, "x"):
        pass


def test_leftovers_of_killed_writers_go_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "a [b].mp4"
    ours = [".a [b].0abc_xyz.mp4", "..a [b].0abc_xyz.12345678.mp4"]
    others = [
        "a [b].mp4",
        ".a [b].mp4",
        ".a [b].0abc_xyz.mkv",
        ".a b.0abc_xyz.mp4",
        ".a [b].0abc.mp4",
    ]
    for name in ours + others:
        (tmp_path / name).touch()
    files.clear_leftovers(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(others)
    files.clear_leftovers(tmp_path / "nowhere" / "a.mp4")

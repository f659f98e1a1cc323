"""Writes that are whole or not there, content hashes and one-writer locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.errors import ProjectError, ProjectLocked, StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into a `StorageError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"There is no room left to write {path}.",
                "Free some disk space and run the same command again; finished work is kept.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"{path} may not be written here.",
                "Give yourself write permission or copy the project to a folder of yours.",
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StorageError(
                f"{path} cannot be written: a file is in the way of a folder.",
                "Take another place, or move the file away.",
            ) from error
        if error.errno == errno.EIO:
            raise StorageError(
                f"The disk failed while writing {path}.",
                "Check the disk, then run the same command again.",
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(temporary: Path, path: Path) -> None:
    """Move a finished file or folder to its name, on disk before this returns.

    A folder must not exist at `path` yet. Raises StorageError.
    """
    with storage_errors(path):
        if temporary.is_file():
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
        else:
            for file in sorted(temporary.rglob("*")):
                if file.is_file():
                    with open(file, "rb") as handle:
                        os.fsync(handle.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the name, else it is removed.

    The temporary name starts with a dot and keeps the suffix, so that libraries which go by
    the suffix work. Raises StorageError.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        os.chmod(name, 0o644)
    temporary = Path(name)
    try:
        with storage_errors(path):
            yield temporary
        publish(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """Remove temporary files that killed processes left of `path`, and of a temporary file in
    its place; call as the only writer of `path`. Raises StorageError."""
    pattern = re.compile(rf"\.+{re.escape(path.stem)}(\.[a-z0-9_]{{8}})+{re.escape(path.suffix)}")
    with storage_errors(path.parent), contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(path.parent)):
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises StorageError."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. Raises StorageError."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ProjectError when it is missing or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ProjectError(f"{path} is missing.", "Restore it or make it anew.") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{path} is not valid JSON ({error}).", "Restore it from a copy or make it anew."
        ) from error


def sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Hex SHA-256 of a file's bytes; `progress` is told the bytes read, piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while piece := handle.read(1 << 20):
            digest.update(piece)
            if progress:
                progress(len(piece))
    return digest.hexdigest()


@contextmanager
def only_writer(path: Path, what: str) -> Iterator[None]:
    """Hold `path` as a lock file so that one process alone writes `what`.

    The lock goes with the process, however it ends. Raises ProjectLocked, StorageError.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ProjectLocked(
                f"Another process is writing {what}.",
                "Wait until it has finished, or stop it, then run the same command again.",
            ) from error
        yield
    finally:
        os.close(handle)

"""Atomic writes, content hashes and one-writer locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.errors import MediaError, ProjectError, ProjectLocked, StorageError
from understudy.runtime.filenames import LONGEST, cut

_TEMPORARY = 45
"""Bytes that names of temporary files are longer than the name they stand for, at most: twice
`_ADDED`, the suffix of credentials that lie beside, and a number."""
_ADDED = 10
"""Bytes that one temporary name is longer than the stem it is made of."""


_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RIGHTS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_DEVICE = frozenset(
    {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN}
)
_NAME = frozenset({errno.EINVAL, errno.EILSEQ})
_OPEN = frozenset({errno.EMFILE, errno.ENFILE})


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an error of the operating system about a write into a `StorageError`."""
    try:
        yield
    except OSError as error:
        if (known := _unwritable(path, error)) is None:
            raise
        raise known from error


def _unwritable(path: Path, error: OSError) -> StorageError | None:
    """What an error says of a write to `path`; None where it may be about something else."""
    number = error.errno
    if number in _ROOM:
        return StorageError(
            f"The disk is full; {path} cannot be written.",
            "Free some disk space and run the same command again; finished work is kept.",
        )
    if number in _RIGHTS:
        return StorageError(
            f"{path} is not writable.",
            "Give yourself write permission, or copy the project to a folder you can write to.",
        )
    if number in (errno.ENOTDIR, errno.EEXIST):
        return StorageError(
            f"{path} cannot be written: a file is in the way of a folder.",
            "Choose another path, or move that file.",
        )
    if number in _DEVICE:
        return StorageError(
            f"The disk failed while writing {path}.",
            "Check the disk, then run the same command again.",
        )
    if number == errno.ENAMETOOLONG:
        return StorageError(
            f"{path} cannot be written: the name is too long for this disk.",
            "Choose a shorter name.",
        )
    if number in _NAME and error.filename is not None:
        return StorageError(
            f"{path} cannot be written: this disk does not allow such a name.",
            "Choose a name that has only letters and digits.",
        )
    if number == errno.ELOOP:
        return StorageError(
            f"{path} cannot be written: links in its path form a loop.", "Repair the links."
        )
    return None


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn an error of the operating system about a read into a `MediaError`."""
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def check_ordinary(path: Path) -> None:
    """Raises MediaError unless `path` is a file: reading a pipe could wait for ever."""
    with reading_errors(path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise MediaError(f"{path} is a folder.", "Name the files in it.")
    if not stat.S_ISREG(mode):
        raise MediaError(f"{path} is not a regular file.", "Name a film or a picture.")


def unreadable(path: Path, error: OSError) -> MediaError:
    """Why a file cannot be read, and what to do about it.

    Args:
        error: of the operating system, or of a library with the system's `errno`.
    """
    number, reason = error.errno, error.strerror or str(error)
    if number in (errno.ENOENT, errno.ENOTDIR):
        with contextlib.suppress(OSError):
            return MediaError(
                f"{path} is a link to {os.readlink(path)}, which does not exist.",
                "Restore that file, or name the file itself.",
            )
        return MediaError(f"{path} does not exist.", "Check the name and the folder.")
    if number in (errno.EACCES, errno.EPERM):
        return MediaError(f"{path} is not readable.", "Give yourself read permission.")
    if number in _DEVICE:
        return MediaError(
            f"The disk or network drive failed while reading {path} ({reason}).",
            "Check the disk or the connection, then copy the file again.",
        )
    if number == errno.ENAMETOOLONG:
        return MediaError(f"{path} does not exist: the name is too long.", "Check the name.")
    if number == errno.ELOOP:
        return MediaError(f"{path} is a link that forms a loop.", "Name the file itself.")
    if number == errno.EISDIR:
        return MediaError(f"{path} is a folder.", "Name the files in it.")
    return MediaError(f"{path} cannot be read ({reason}).", "Check the file and its disk.")


def from_system(error: OSError) -> StorageError | None:
    """An error of the operating system that no one was prepared for, in words; None where it
    looks like a fault of this program."""
    where = None if error.filename is None else os.fsdecode(error.filename)
    if error.errno in _OPEN:
        return StorageError(
            f"Too many files are open ({error.strerror}).",
            "Close other programs, or allow more with: ulimit -n 4096",
        )
    known = _ROOM | _RIGHTS | _DEVICE | {errno.ENAMETOOLONG, errno.ELOOP}
    about_names = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST} | _NAME
    if error.errno not in known and (where is None or error.errno not in about_names):
        return None
    return StorageError(
        f"{where or 'The system'}: {error.strerror}.",
        "Check the file, its folder and its disk, then run the same command again; "
        "finished work is kept.",
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network and FUSE file systems cannot do that with a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
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
    """Yield a temporary path next to `path`; on success it gets the name, else it is deleted.

    The temporary name starts with a dot and keeps the suffix, so that libraries which go by
    the suffix work. It is shortened where `path` has the longest name that a disk takes.
    Raises StorageError.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{temporary_stem(path)}.", suffix=path.suffix, dir=path.parent
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


def longest_name(folder: Path) -> int:
    """Bytes that a name in `folder`, which need not exist, may have."""
    for place in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError, ValueError):
            return os.pathconf(place, "PC_NAME_MAX")
    return LONGEST


def fitting(stem: str, ending: str, folder: Path) -> str:
    """`stem`, shortened where a file in `folder` called so could not have all the files beside it
    that this package gives one. A shortened name ends in a digest of the whole, so that names that
    differ stay different.

    Args:
        ending: what follows in the longest name, with the suffix.
    """
    room = longest_name(folder) - len(os.fsencode(ending)) - _TEMPORARY
    if len(os.fsencode(stem)) <= room:
        return stem
    digest = hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]
    return f"{cut(stem, room - 9)}-{digest}"


def temporary_stem(path: Path) -> str:
    """The stem of `path`, as far as temporary names next to it keep it."""
    room = longest_name(path.parent) - len(os.fsencode(path.suffix)) - _TEMPORARY
    return cut(path.stem, room)


def temporary_names(path: Path) -> str:
    """A regular expression for the names that `atomic` gives, for `path` or for a temporary file
    in its place, without their suffix."""
    room = longest_name(path.parent) - len(os.fsencode(path.suffix)) - _TEMPORARY
    sure = cut(path.stem, room - _ADDED)
    # A temporary name of a temporary name may have lost the end of the stem.
    rest = "" if sure == path.stem else ".*"
    return rf"\.+{re.escape(sure)}{rest}(\.[a-z0-9_]{{8}})+"


def clear_leftovers(path: Path) -> None:
    """Remove temporary files that killed processes left of `path`, and of a temporary file in
    its place; call as the only writer of `path`. Raises StorageError."""
    pattern = re.compile(temporary_names(path) + re.escape(path.suffix))
    with storage_errors(path.parent), contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(path.parent)):
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, completely or not at all. Raises StorageError."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, completely or not at all. Raises StorageError."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # Lone surrogates stand for bytes of file names; JSON has an escape for them.
    write_bytes(path, text.encode(errors="backslashreplace"))


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ProjectError when it is missing or is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ProjectError(f"{path} is missing.", "Restore it or create it again.") from error
    except OSError as error:
        problem = unreadable(path, error)
        raise ProjectError(problem.problem, problem.remedy) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{path} is not valid JSON ({error}).", "Restore it from a backup or create it again."
        ) from error


def sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Hex SHA-256 of a file's bytes; `progress` is called with the bytes read, piece by piece."""
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

    The lock ends with the process. Raises ProjectLocked, StorageError.
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

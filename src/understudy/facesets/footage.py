"""Stage 1: add footage of a person to the project.

    understudy add ada ada.mp4 holiday-pictures/ --consent granted --statement agreement.pdf

Every file is probed first; what cannot be decoded is refused with the reason and the rest is
kept. Files are copied whole (shared with the original where the file system can clone), so
that the project still works when the originals are moved.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from understudy.errors import ConsentError, MediaError
from understudy.media.images import IMAGE_SUFFIXES
from understudy.media.kinds import kind_of
from understudy.media.probe import probe
from understudy.progress import Progress, Task
from understudy.provenance.ledger.consent_entry import enter
from understudy.runtime import files
from understudy.runtime.filenames import cut, decodable, plain, safe_name
from understudy.safeguards import consent_gate as consents
from understudy.safeguards.consent_gate import Consent, Footing
from understudy.workspace import Footage, Person, Workspace

FILMS = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2t", ".m2ts"}
    | {".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".qt"}
    | {".ts", ".vob", ".webm", ".wmv"}
)

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[^.]+)?")
_FICLONE = 0x40049409  # <linux/fs.h>
_INDEX_EVERY = 2.0
_NOT_EVERYWHERE = frozenset('\\:*?"<>|')
_LONGEST_STEM, _LONGEST_SUFFIX = 200, 16
"""Bytes of a name in the footage folder; temporary names need the rest."""


@dataclass(frozen=True)
class Refusal:
    """A file that was refused, with the reason and what to do about it."""

    path: Path
    problem: str
    remedy: str


@dataclass(frozen=True)
class AddReport:
    """What `add` did.

    Attributes:
        person: who the footage shows.
        footing: basis on which the face may be used.
        added: files new in the project.
        already: files given whose content was there before.
        refused: files given that cannot be used.
        passed_over: how many files in the folders given were not tried, by what they are.
    """

    person: str
    footing: Footing
    added: tuple[Footage, ...]
    already: tuple[Path, ...]
    refused: tuple[Refusal, ...]
    passed_over: Mapping[str, int]


def add(
    project: Workspace,
    person: str,
    sources: Sequence[Path],
    footing: Footing | None,
    statement: Path | None,
    progress: Progress,
) -> AddReport:
    """Bring videos, pictures and folders of them into the project as footage of `person`.

    Files that someone put into the footage folder by hand, or that an interrupted run left
    there, are taken up too.

    Args:
        footing: basis on which the face may be used; needed once for each person.
        statement: the written agreement, when the basis is "granted".

    Raises:
        ConsentError: there is no basis, or it contradicts the one on file.
        MediaError: not one of the files could be used.
        ProjectError: a bad name, a locked or unwritable project, a full disk.
    """
    place = project.place_of(person)
    with files.only_writer(place.lock_file, f"footage of {person}"):
        on_file = place.consent
        record = consents.settle(person, on_file, footing, statement)
        if on_file is None and record.adult:
            progress.note(declaration(record))
        if on_file is None and place.folder.is_dir():
            keep(place.folder, record, statement)
        index = {entry.sha256: entry for entry in place.index()}
        index = {k: v for k, v in index.items() if (place.footage_folder / v.file).is_file()}
        by_hand = list(_not_indexed(place, index))
        given, passed_over, no_files = expand(sources, why_not)
        with progress.task(f"add {person}", "files", len(by_hand) + len(given)) as task:
            run = _Run(place, record, statement, index, task)
            try:
                for refusal in no_files:
                    run.refuse(refusal)
                for path in by_hand:
                    run.take_up(path)
                for path in given:
                    run.bring_in(path)
            finally:
                run.save()
        refused = run.refused
        if refused and not run.added and not run.already:
            first = refused[0]
            others = f" ({len(refused) - 1} more were refused too)" if len(refused) > 1 else ""
            raise MediaError(f"{first.problem.rstrip('.')}{others}.", first.remedy)
    if not run.added and not run.already and sources:
        raise MediaError(
            f"No film or picture was found in {', '.join(map(str, sources))}.",
            "Name files, or folders that contain some.",
        )
    return AddReport(
        person, record.footing, tuple(run.added), tuple(run.already), tuple(refused), passed_over
    )


class _Run:
    """One call of `add`: takes files one by one and keeps the index in step with the folder."""

    def __init__(
        self,
        place: Person,
        record: Consent,
        statement: Path | None,
        index: dict[str, Footage],
        task: Task,
    ) -> None:
        self.place = place
        self.record = record
        self.statement = statement
        self.index = index
        self.task = task
        self.added: list[Footage] = []
        self.already: list[Path] = []
        self.refused: list[Refusal] = []
        self._saved = time.monotonic()
        self._names: set[str] | None = None

    def _taken(self) -> set[str]:
        """Names in the footage folder, without case."""
        if self._names is None:
            folder = self.place.footage_folder
            self._names = {name.casefold() for name in os.listdir(folder)}
        return self._names

    def take_up(self, path: Path) -> None:
        """Index a file that is already in the footage folder."""
        with self._refusing(path):
            kind, facts = _examine(path)
            with files.reading_errors(path):
                digest = files.sha256(path)
            if digest in self.index:
                self.already.append(path)
            else:
                self._enter(path, path.name, digest, kind, facts)

    def bring_in(self, path: Path) -> None:
        """Copy a file into the footage folder, unless its content is there."""
        with self._refusing(path):
            files.check_ordinary(path)
            with files.reading_errors(path):
                size = path.stat().st_size
                there = any(entry.bytes == size for entry in self.index.values()) and (
                    files.sha256(path) in self.index
                )
            if there:
                self.already.append(path)
                return
            kind, facts = _examine(path)
            make_place(self.place, self.record, self.statement)
            target = self.place.footage_folder / _free_name(self._taken(), path.name)
            with files.atomic(target) as temporary:
                digest = _copy(path, temporary)
            self._enter(path, target.name, digest, kind, facts)

    @contextlib.contextmanager
    def _refusing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except MediaError as error:
            self.refuse(Refusal(path, error.problem, error.remedy))
        self.task.step()

    def refuse(self, refusal: Refusal) -> None:
        """Leave a file out, and say so."""
        self.refused.append(refusal)
        self.task.note(f"refused: {refusal.problem} {refusal.remedy}")

    def _enter(
        self,
        source: Path,
        name: str,
        digest: str,
        kind: Literal["video", "picture"],
        facts: dict[str, Any],
    ) -> None:
        entry = Footage(
            file=name,
            source=decodable(str(source.absolute())),
            sha256=digest,
            bytes=(self.place.footage_folder / name).stat().st_size,
            kind=kind,
            added_at=datetime.now(UTC).replace(microsecond=0),
            facts=facts,
        )
        self.index[digest] = entry
        self._taken().add(name.casefold())
        self.added.append(entry)
        if time.monotonic() - self._saved > _INDEX_EVERY:
            self.save()

    def save(self) -> None:
        """Write the index, if anything is new."""
        if self.added:
            self.place.write_index(self.index.values())
        self._saved = time.monotonic()


def declaration(record: Consent) -> str:
    """What the user declares by stating the consent of a real person, in a sentence."""
    if record.footing == "self":
        said = "this is your own face and you are an adult"
    else:
        said = f"{record.person} is an adult and agreed, as the statement shows"
    return (
        f"You declare: {said}. This is signed with the key of this installation; read it "
        f"with: understudy consent show {record.person}"
    )


def keep(folder: Path, record: Consent, statement: Path | None) -> None:
    """Enter the record in the ledger and write it into `folder`, its statement first."""
    if statement is not None and record.statement is not None:
        with files.atomic(folder / record.statement.file) as temporary:
            digest = _copy(statement, temporary)
        if digest != record.statement.sha256:
            raise ConsentError(
                f"The statement {statement} changed while it was being copied.",
                "Run the same command again.",
            )
    enter(record, "consent")
    consents.write(Person(record.person, folder).consent_file, record)


def make_place(place: Person, record: Consent, statement: Path | None) -> None:
    """Make the person's folder; it appears with its consent inside or not at all."""
    if not place.folder.is_dir():
        with files.storage_errors(place.folder):
            parent = place.folder.parent
            parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=parent))
        try:
            temporary.chmod(0o755)
            keep(temporary, record, statement)
            files.publish(temporary, place.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    with files.storage_errors(place.footage_folder):
        place.footage_folder.mkdir(exist_ok=True)


def _not_indexed(place: Person, index: dict[str, Footage]) -> Iterator[Path]:
    """Files in the footage folder that the index lacks; deletes half copies of killed runs."""
    if not place.footage_folder.is_dir():
        return
    known = {entry.file for entry in index.values()}
    for path in sorted(place.footage_folder.iterdir()):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            with files.storage_errors(path):
                path.unlink()
        elif path.is_file() and path.name not in known and not path.name.startswith("."):
            yield path


def expand(
    sources: Sequence[Path], why_not: Callable[[Path], str | None]
) -> tuple[list[Path], Mapping[str, int], list[Refusal]]:
    """Files to try, in order; how many in folders are skipped, by kind; what is not a
    file.

    Args:
        why_not: reason to skip a file in a folder; None to try it.
    """
    found: list[Path] = []
    passed_over: Counter[str] = Counter()
    refused: list[Refusal] = []

    def unlisted(error: OSError) -> None:
        folder = Path(os.fsdecode(error.filename or ""))
        problem = files.unreadable(folder, error)
        refused.append(Refusal(folder, problem.problem, problem.remedy))

    for source in sources:
        try:
            with files.reading_errors(source):
                is_folder = stat.S_ISDIR(source.stat().st_mode)
        except MediaError as error:
            refused.append(Refusal(source, error.problem, error.remedy))
            continue
        if not is_folder:
            found.append(source)
            continue
        for folder, folders, names in os.walk(source, onerror=unlisted):
            shown = sorted(name for name in folders if not name.startswith("."))
            folders[:] = [name for name in shown if not Path(folder, name).is_symlink()]
            if linked := len(shown) - len(folders):
                passed_over["link to a folder"] += linked
            for name in sorted(name for name in names if not name.startswith(".")):
                left = why_not(path := Path(folder, name))
                if left is None:
                    found.append(path)
                else:
                    passed_over[left] += 1
    return found, dict(passed_over), refused


def why_not(path: Path) -> str | None:
    """What a file in a folder is, if it is nothing to try; None for films and pictures, and for
    what calls itself one, so that it is said why it is none."""
    if path.suffix.lower() in IMAGE_SUFFIXES | FILMS:
        return None
    try:
        kind = kind_of(path)
    except MediaError:
        return "unreadable file"
    if kind.what in ("picture", "animation", "film"):
        return None
    if kind.what == "raw":
        return f"raw camera file ({kind.name}): export it as JPEG or TIFF first"
    if kind.what == "unread":
        return f"{kind.name} file (not supported): save it as PNG or JPEG first"
    if kind.what == "sound":
        return "sound file without pictures"
    suffix = plain(path.suffix.lower())[:16]
    return f"not a video or image ({suffix})" if suffix else "not a video or image"


def _examine(path: Path) -> tuple[Literal["video", "picture"], dict[str, Any]]:
    """What kind of footage `path` is, and its facts as JSON values. Raises MediaError."""
    info = probe(path)
    facts = {
        "container": info.container,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
    }
    if info.kind == "images":
        return "picture", facts | ({"pictures": info.frames} if info.rate is not None else {})
    return "video", {
        **facts,
        "rate": None if info.rate is None else str(info.rate),
        "seconds": None if info.duration is None else str(info.duration),
        "frames": info.frames,
        "pixel_format": info.stored_format,
        "bit_depth": info.bit_depth,
        "rotation": info.rotation,
        "audio": [dataclasses.asdict(track) for track in info.audio],
    }


def _free_name(taken: set[str], name: str) -> str:
    """`name` as a name that any file system takes, numbered when it is `taken` (without case, for
    some disks ignore case in names)."""
    path = Path("".join("_" if one in _NOT_EVERYWHERE else one for one in safe_name(name)))
    suffix = cut(path.suffix, _LONGEST_SUFFIX)
    stem = cut(path.stem.lstrip("."), _LONGEST_STEM) or "footage"
    new, number = f"{stem}{suffix}", 2
    while new.casefold() in taken:
        new = f"{stem}-{number}{suffix}"
        number += 1
    return new


def _copy(source: Path, target: Path) -> str:
    """Copy `source` to `target`; return the SHA-256 of `target`.

    Raises:
        MediaError: the source cannot be read. What the target's disk says stays an OSError.
    """
    with ExitStack() as stack:
        with files.reading_errors(source):
            reading = stack.enter_context(open(source, "rb"))
        writing = stack.enter_context(open(target, "wb"))
        if not _clone(reading, writing):
            return _pour(source, reading, writing.write)
    return files.sha256(target)


def _clone(reading: BinaryIO, writing: BinaryIO) -> bool:
    """Share the blocks of the file where the file system can; whether it could."""
    try:
        fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
    except OSError:
        return False
    return True


def _pour(source: Path, reading: BinaryIO, write: Callable[[bytes], Any]) -> str:
    digest = hashlib.sha256()
    while True:
        with files.reading_errors(source):
            piece = reading.read(1 << 22)
        if not piece:
            return digest.hexdigest()
        digest.update(piece)
        write(piece)

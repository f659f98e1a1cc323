"""Stage 1: bring footage of a person into the project.

    understudy add ada ada.mp4 holiday-pictures/ --consent granted --statement agreement.pdf

Every file is probed first; what cannot be decoded is refused with the reason and the rest is
kept. Files are copied whole (shared with the original where the file system can clone), so
that the project goes on working when the originals move.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from understudy import files
from understudy.errors import ConsentError, MediaError
from understudy.media.images import IMAGE_SUFFIXES
from understudy.media.probe import probe
from understudy.person import Footage, Person
from understudy.progress import Progress, Task
from understudy.project_folder import ProjectFolder
from understudy.trust import consent as consents
from understudy.trust.consent import Consent, Footing
from understudy.trust.consent_entry import enter

FILMS = frozenset(
    {".avi", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".ogv", ".ts", ".vob", ".webm", ".wmv"}
)

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[^.]+)?")
_FICLONE = 0x40049409  # <linux/fs.h>
_INDEX_EVERY = 2.0


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, with the reason and what to do about it."""

    path: Path
    problem: str
    remedy: str


@dataclass(frozen=True)
class AddReport:
    """What `add` did.

    Attributes:
        person: who the footage shows.
        footing: on what the use of the face rests.
        added: what is new in the project.
        already: files given whose content was there before.
        refused: files given that cannot be used.
        passed_over: files in the folders given that are no films or pictures by their name.
    """

    person: str
    footing: Footing
    added: tuple[Footage, ...]
    already: tuple[Path, ...]
    refused: tuple[Refusal, ...]
    passed_over: int


def add(
    project: ProjectFolder,
    person: str,
    sources: Sequence[Path],
    footing: Footing | None,
    statement: Path | None,
    progress: Progress,
) -> AddReport:
    """Bring videos, pictures and folders of them into the project as footage of `person`.

    Files that somebody put into the footage folder by hand, or that an interrupted run left
    there, are taken up too.

    Args:
        footing: on what footing the face may be used; needed once for each person.
        statement: the written agreement, when the footing is "granted".

    Raises:
        ConsentError: there is no footing, or it contradicts the one on file.
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
        given, passed_over, no_files = _expand(sources)
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
            "Name files, or folders that hold some.",
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

    def take_up(self, path: Path) -> None:
        """Index a file that lies in the footage folder already."""
        with self._refusing(path):
            kind, facts = _examine(path)
            digest = files.sha256(path)
            if digest in self.index:
                self.already.append(path)
            else:
                self._enter(path, path.name, digest, kind, facts)

    def bring_in(self, path: Path) -> None:
        """Copy a file into the footage folder, unless its content is there."""
        with self._refusing(path):
            size = path.stat().st_size
            if any(entry.bytes == size for entry in self.index.values()) and (
                files.sha256(path) in self.index
            ):
                self.already.append(path)
                return
            kind, facts = _examine(path)
            make_place(self.place, self.record, self.statement)
            target = _free_name(self.place.footage_folder, path.name)
            with files.atomic(target) as temporary:
                digest = _copy(path, temporary)
            self._enter(path, target.name, digest, kind, facts)

    @contextlib.contextmanager
    def _refusing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except MediaError as error:
            self.refuse(Refusal(path, error.problem, error.remedy))
        except PermissionError:
            self.refuse(
                Refusal(path, f"{path} may not be read.", "Give yourself permission to read it.")
            )
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
            source=_printable(str(source.absolute())),
            sha256=digest,
            bytes=(self.place.footage_folder / name).stat().st_size,
            kind=kind,
            added_at=datetime.now(UTC).replace(microsecond=0),
            facts=facts,
        )
        self.index[digest] = entry
        self.added.append(entry)
        if time.monotonic() - self._saved > _INDEX_EVERY:
            self.save()

    def save(self) -> None:
        """Write the index, if anything is new."""
        if self.added:
            self.place.write_index(self.index.values())
        self._saved = time.monotonic()


def declaration(record: Consent) -> str:
    """What the user says of a real person by stating their consent, in a sentence."""
    if record.footing == "self":
        said = "this is your own face and you are an adult"
    else:
        said = f"{record.person} is an adult and agreed, as the statement shows"
    return (
        f"By this you declare: {said}. It is signed with the key of this installation; read it "
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
    """Files in the footage folder that the index lacks; what a killed run half copied goes."""
    if not place.footage_folder.is_dir():
        return
    known = {entry.file for entry in index.values()}
    for path in sorted(place.footage_folder.iterdir()):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            with files.storage_errors(path):
                path.unlink()
        elif path.is_file() and path.name not in known and not path.name.startswith("."):
            yield path


def _expand(sources: Sequence[Path]) -> tuple[list[Path], int, list[Refusal]]:
    """Files to try, in order; how many in folders are nothing by their name; what is no file."""
    found: list[Path] = []
    passed_over = 0
    refused: list[Refusal] = []
    for source in sources:
        if source.is_dir():
            for folder, folders, names in os.walk(source):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(name for name in names if not name.startswith(".")):
                    if Path(name).suffix.lower() in IMAGE_SUFFIXES | FILMS:
                        found.append(Path(folder, name))
                    else:
                        passed_over += 1
        elif source.is_file():
            found.append(source)
        else:
            what = "is no ordinary file" if source.exists() else "does not exist"
            refused.append(Refusal(source, f"{source} {what}.", "Check the path."))
    return found, passed_over, refused


def _examine(path: Path) -> tuple[Literal["video", "picture"], dict[str, Any]]:
    """What kind of footage `path` is, and its facts as JSON values. Raises MediaError."""
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes).", "Copy it again from where it came from.")
    info = probe(path)
    facts = {
        "container": info.container,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
    }
    if info.kind == "images":
        return "picture", facts
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


def _free_name(folder: Path, name: str) -> Path:
    """`name` in `folder`, numbered when it is taken, short enough for any file system."""
    path = Path(_printable(name).lstrip("."))
    stem = path.stem.encode()[:200].decode(errors="ignore") or "footage"
    target = folder / f"{stem}{path.suffix}"
    number = 2
    while target.exists():
        target = folder / f"{stem}-{number}{path.suffix}"
        number += 1
    return target


def _printable(text: str) -> str:
    """`text` without bytes that are no UTF-8."""
    return text.encode(errors="replace").decode()


def _copy(source: Path, target: Path) -> str:
    """Give `target` the content of `source`; return the SHA-256 of what is in `target`."""
    with open(source, "rb") as reading, open(target, "wb") as writing:
        if not _clone(reading, writing):
            return _pour(reading, writing.write)
    return files.sha256(target)


def _clone(reading: BinaryIO, writing: BinaryIO) -> bool:
    """Share the blocks of the file where the file system can; whether it could."""
    try:
        fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
    except OSError:
        return False
    return True


def _pour(reading: BinaryIO, write: Callable[[bytes], Any]) -> str:
    digest = hashlib.sha256()
    while piece := reading.read(1 << 22):
        digest.update(piece)
        write(piece)
    return digest.hexdigest()

"""Consent is stated and taken back by the user of the program.

    understudy consent grant ada --basis self --until 2027-12-31
    understudy consent revoke ada --yes

A record never replaces another one unless requested, and the replaced one is kept. The rest
of a withdrawn consent is in `revoked/`, as proof for the films made earlier.
Every function returns the record: a caller that keeps a log notes its hash (`Consent.sha256`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.errors import ConsentError
from understudy.facesets.footage import keep, make_place
from understudy.people.remove import RemovalReport, remove_person
from understudy.progress import Progress
from understudy.provenance.ledger.consent_entry import enter
from understudy.runtime import files, keys
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate as consents
from understudy.safeguards import consent_record as record_files
from understudy.safeguards.consent_gate import Consent, Footing, Statement
from understudy.workspace import Person, Workspace


@dataclass(frozen=True)
class Change:
    """A record that was written.

    Attributes:
        record: the current one.
        file: where.
        earlier: folder with the record that it took the place of.
        new: False when it was there already.
    """

    record: Consent
    file: Path
    earlier: Path | None = None
    new: bool = True


@dataclass(frozen=True)
class Revoked:
    """A consent that was taken back.

    Attributes:
        record: with the revocation; None when the person was all but removed before.
        proof: folder where it is kept.
        removal: what went, which renders there are, and which models have learned.
    """

    record: Consent | None
    proof: Path | None
    removal: RemovalReport


def installation() -> Ed25519PrivateKey:
    """The key that the user of the program signs with. Raises TrustError, StorageError."""
    return keys.operator_key(Home.from_environment())


def footage_hashes(paths: Iterable[Path]) -> tuple[str, ...]:
    """SHA-256 of files, sorted. Raises ConsentError when one cannot be read."""
    found = set()
    for path in paths:
        try:
            found.add(files.sha256(path))
        except OSError as error:
            raise ConsentError(
                f"The footage {path} cannot be read ({error.strerror}).",
                "Name existing films and pictures, one by one (no folders).",
            ) from error
    return tuple(sorted(found))


def grant(
    project: Workspace,
    person: str,
    footing: Footing,
    statement: Path | None = None,
    *,
    replace: bool = False,
    **terms: Any,
) -> Change:
    """State the consent of a person, signed with this installation's key.

    Args:
        statement: the evidence; needed for `granted`.
        replace: take the place of the record on file, which is kept.
        terms: fields of `Consent`.

    Raises:
        ConsentError: as `safeguards.consent_gate.state`, or there is a record already.
        ProjectError, TrustError, StorageError
    """
    place = project.place_of(person)
    record = consents.state(person, footing, statement, **terms)
    return put(place, record, statement, replace)


def revoke(
    project: Workspace,
    person: str,
    reason: str | None,
    progress: Progress,
    by_person: Consent | None = None,
) -> Revoked:
    """Take the consent of a person back and remove what was made of their face.

    The signed revocation is on disk before anything is removed: cut short, no stage uses the
    face any more, and the same command continues.

    Args:
        by_person: the record on file, with the revocation that the person signed; this
            installation signs one if there is none.

    Raises:
        UnknownPerson: there is no such person, or they were removed before.
        ConsentError: they have no record, or it is damaged.
        ProjectLocked: another process uses the person; the consent is withdrawn anyway.
        ProjectError, TrustError, StorageError: as `remove.remove_person`.
    """
    place = project.place_of(person)
    begun = project.removed.get(person)
    if begun is None or begun.finished:
        project.person(person)
    try:
        record = place.consent
    except ConsentError as error:
        raise ConsentError(
            error.problem,
            "Restore it from a backup, or remove the person without a proof of the consent: "
            f"understudy person remove {person}",
        ) from error
    if record is None and (begun is None or begun.finished):
        raise ConsentError(
            f"{person} has no consent on file that could be withdrawn.",
            f"To remove the person: understudy person remove {person}",
        )
    proof = None
    if record is not None:
        with files.only_writer(place.lock_file, f"footage of {person}"):
            if record.revocation is None:
                at = min(record.revoked_at or record_files.now(), record_files.now())
                record = by_person or record.revoked(installation(), "operator", at, reason)
                enter(record, "revocation")
                consents.write(place.consent_file, record)
            proof = _proof(project, place, record)
    return Revoked(record, proof, remove_person(project, person, progress))


def _proof(project: Workspace, place: Person, record: Consent) -> Path:
    """Keep a record that was taken back, with its evidence and those before it."""
    folder = project.revoked_folder / f"{place.name}-{record.sha256[:8]}"
    return folder if folder.exists() else _store(place, record.statement, folder, whole=True)


def _store(place: Person, statement: Statement | None, folder: Path, whole: bool) -> Path:
    """Copy a person's record to a new folder, with its evidence.

    Args:
        whole: also earlier records.
    """
    with files.storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with files.storage_errors(folder):
            temporary.chmod(0o755)
            shutil.copyfile(place.consent_file, temporary / "consent.json")
            if statement is not None and (place.folder / statement.file).is_file():
                shutil.copyfile(place.folder / statement.file, temporary / statement.file)
            if whole and place.earlier_folder.is_dir():
                shutil.copytree(place.earlier_folder, temporary / place.earlier_folder.name)
        files.publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def put(place: Person, record: Consent, statement: Path | None, replace: bool) -> Change:
    """Write a record into a person's folder, which is created if missing.

    Args:
        statement: the evidence that the record speaks of.
        replace: take the place of the record on file, which is kept.

    Raises:
        ConsentError: there is another, or it was taken back.
        ProjectLocked, StorageError
    """
    with files.only_writer(place.lock_file, f"footage of {place.name}"):
        earlier = None
        if place.consent_file.exists():
            on_file = None if replace else place.consent
            if on_file == record:
                return Change(record, place.consent_file, new=False)
            if not replace:
                raise ConsentError(
                    f"{place.name} already has a consent on file.",
                    f"Read it: understudy consent show {place.name}. To replace it (a copy is "
                    "kept), add --replace.",
                )
            earlier = _archive(place)
        if place.folder.is_dir():
            keep(place.folder, record, statement)
        else:
            make_place(place, record, statement)
    return Change(record, place.consent_file, earlier)


def _archive(place: Person) -> Path:
    """Keep the record on file, also when it is damaged. Raises ConsentError when it was taken
    back: what was made of the face has to go first."""
    statement: Statement | None = None
    try:
        on_file = place.consent
    except ConsentError:
        on_file = None
    if on_file is not None:
        statement = on_file.statement
        if on_file.revoked_at is not None and on_file.revoked_at <= datetime.now(UTC):
            raise ConsentError(
                f"{place.name} withdrew the consent on {on_file.revoked_at:%Y-%m-%d}, but some of "
                "their data is still here.",
                f"Finish the removal: understudy consent revoke {place.name} --yes",
            )
    folder = place.earlier_folder / files.sha256(place.consent_file)[:8]
    return folder if folder.exists() else _store(place, statement, folder, whole=False)

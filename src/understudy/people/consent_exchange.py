"""Consent travels: to the person who signs it, back, and from project to project.

understudy consent request ada --until 2027-12-31        a form without a signature
understudy consent sign ada-consent-request.json --agree on the person's own machine
understudy consent import ada-consent-signed.json        back in the project
understudy consent export ada                            for another project
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.errors import ConsentError, StorageError, UnknownPerson
from understudy.people.consent import Change, installation, put
from understudy.runtime import files, keys
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate as consents
from understudy.safeguards import consent_record as record_files
from understudy.safeguards.consent_gate import Consent, Statement
from understudy.workspace import Workspace, check_name


def request(person: str, output: Path, **terms: Any) -> Change:
    """Write a form that the person can read and sign with `sign`.

    Raises:
        ConsentError: the terms contradict each other, or there is another file.
        ProjectError, StorageError
    """
    name = check_name(person, "person")
    record = consents.draft(name, "granted", None, **{**terms, "stated_by": "subject"})
    return write_new(output, record)


def sign(file: Path, key: Callable[[], Ed25519PrivateKey], output: Path) -> Change:
    """Sign a form as the person whose face it is, who thereby agrees and declares to be of age.

    Args:
        key: gives their key; asked only when there is something to sign.

    Raises:
        ConsentError: the file is not a form to be signed, or the output exists.
        StorageError
    """
    form = read_record(file)
    if form.schema_version == 1 or form.stated_by != "subject":
        raise ConsentError(
            f"{file} is not a consent form.",
            "Create one: understudy consent request NAME",
        )
    if form.signature is not None or form.revoked_at is not None:
        raise ConsentError(f"{file} is already signed.", "Sign the form as it was sent to you.")
    stated = form.model_copy(update={"stated_at": record_files.now()})
    if stated.expires_at is not None and stated.expires_at <= stated.stated_at:
        raise ConsentError(
            f"The consent that {file} asks for ended on {stated.expires_at:%Y-%m-%d}.",
            "Ask for a form with a later end.",
        )
    return write_new(output, stated.signed(key()))


def import_record(
    project: Workspace,
    file: Path,
    statement: Path | None = None,
    *,
    key: str | None = None,
    replace: bool = False,
) -> Change:
    """Take a signed record into the project.

    Args:
        statement: the evidence that it names; looked for next to `file` when None.
        key: id of the key that must have signed it, as the person stated it.
        replace: take the place of the record on file, which is kept.

    Raises:
        ConsentError: it is damaged, not signed, was changed, taken back, signed with another
            key, or there is another record already, or the evidence is missing.
        UnknownPerson: the person was removed, and the record is older than that.
        ProjectError, StorageError
    """
    record = read_record(file)
    place = project.place_of(record.person)
    _check_incoming(file, record, key)
    _check_not_taken_back(project, record)
    if record.statement is not None:
        statement = statement or _evidence_beside(file, record.statement)
        if consents.evidence(statement).sha256 != record.statement.sha256:
            raise ConsentError(
                f"{statement} is not the evidence that the consent of {record.person} names.",
                "Give the unchanged original with --statement FILE.",
            )
    elif statement is not None:
        raise ConsentError(f"The consent in {file} names no evidence.", "Remove --statement.")
    return put(place, record, statement, replace)


def _check_incoming(file: Path, record: Consent, key: str | None) -> None:
    if record.schema_version == 1:
        raise ConsentError(
            f"{file} is from an earlier version without signatures, so its origin is unknown.",
            f"State it here: understudy consent grant {record.person}",
        )
    if record.revoked_at is not None:
        raise ConsentError(
            f"The consent in {file} was withdrawn on {record.revoked_at:%Y-%m-%d}.",
            f"Do not use the face of {record.person}.",
        )
    consents.check_signature(record)
    assert record.signature is not None
    if key is not None and record.signature.key_id != key.lower():
        raise ConsentError(
            f"{file} is signed with the key {record.signature.key_id}, not {key}.",
            "Ask the person for the id of their key in another way than the file came.",
        )
    own = Home.from_environment()
    if (
        record.stated_by == "subject"
        and (own.keys / keys.OPERATOR).exists()
        and record.signature.key_id == keys.key_id(installation().public_key())
    ):
        raise ConsentError(
            f"{file} claims that {record.person} signed it, but this installation's key did.",
            f"Let {record.person} sign with a key of their own, or state it: understudy consent "
            f"grant {record.person}",
        )


def _check_not_taken_back(project: Workspace, record: Consent) -> None:
    """An old record must not restore a person who was removed later."""
    for proof in sorted(project.revoked_folder.glob("*/consent.json")):
        known = record_files.read(proof)
        if known is not None and known.id == record.id:
            raise ConsentError(
                f"This consent of {record.person} was withdrawn earlier.",
                f"Ask for a new one: understudy consent request {record.person}",
            )
    removal = project.removed.get(record.person)
    if removal is None or record.person in project.people:
        return
    if not removal.finished or record.stated_at < removal.at:
        raise UnknownPerson(
            f"{record.person} was removed from this project on {removal.at:%Y-%m-%d}, after this "
            "consent was stated.",
            f"Ask for a new one: understudy consent request {record.person}",
        )


def export_record(project: Workspace, person: str, output: Path) -> Change:
    """Write the record of a person, with its evidence next to it, for another project.

    Raises:
        UnknownPerson: no such person.
        ConsentError: there is none, it was changed after it was signed, the evidence is not
            what it was, or another file is in the way.
        StorageError
    """
    place = project.person(person)
    record = place.consent
    if record is None:
        raise ConsentError(
            f"{person} has no consent on file.", f"State it: understudy consent grant {person}"
        )
    consents.check_signature(record)
    if record.statement is not None:
        source = place.folder / record.statement.file
        if consents.evidence(source).sha256 != record.statement.sha256:
            raise ConsentError(
                f"{source} is not the evidence that the consent of {person} names.",
                "Restore the original file.",
            )
        target = output.with_name(_beside(output, record.statement))
        if target.exists() and files.sha256(target) != record.statement.sha256:
            raise _in_the_way(target)
        with files.atomic(target) as temporary:
            shutil.copyfile(source, temporary)
    return write_new(output, record)


def read_record(file: Path) -> Consent:
    """The record in a file. Raises ConsentError if there is none."""
    record = record_files.read(file)
    if record is None:
        raise ConsentError(f"The file {file} does not exist.", "Check the path.")
    return record


def _beside(file: Path, statement: Statement) -> str:
    return f"{file.stem}.{statement.file}"


def _evidence_beside(file: Path, statement: Statement) -> Path:
    """The evidence next to an exported record. Raises ConsentError if it is missing."""
    found = file.with_name(_beside(file, statement))
    if not found.is_file():
        raise ConsentError(
            f"The consent in {file} names evidence, but {found.name} is not next to it.",
            "Give it with --statement FILE.",
        )
    return found


def write_new(output: Path, record: Consent) -> Change:
    """Write a record to a new file, or to one with the same contents.

    Raises:
        ConsentError: the file is there and holds something else.
        StorageError
    """
    if output.exists():
        try:
            same = record_files.read(output) == record
        except ConsentError:
            same = False
        if not same:
            raise _in_the_way(output)
        return Change(record, output, new=False)
    try:
        consents.write(output, record)
    except OSError as error:
        raise StorageError(
            f"{output} cannot be written ({error.strerror}).", "Choose another path with --output."
        ) from error
    return Change(record, output)


def _in_the_way(path: Path) -> ConsentError:
    return ConsentError(
        f"{path} already exists and is something else.", "Choose another file with --output."
    )

"""The person withdraws their own consent: signs that, and sends it to the holder of the consent.

understudy consent revoke ada-consent-signed.json --yes      on the person's own machine
understudy consent import ada-consent-revoked.json --yes     in the project
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.errors import ConsentError
from understudy.people.consent import Change, Revoked, revoke
from understudy.people.consent_exchange import read_record, write_new
from understudy.progress import Progress
from understudy.runtime import keys
from understudy.safeguards import consent_gate as consents
from understudy.safeguards import consent_record as record_files
from understudy.safeguards.consent_gate import Consent
from understudy.workspace import Workspace


def sign_revocation(
    file: Path, key: Callable[[], Ed25519PrivateKey], output: Path, reason: str | None = None
) -> Change:
    """Take a consent back as the person who signed it.

    Args:
        file: what `consent_exchange.sign` or `export_record` wrote.
        key: gives the key that the consent was signed with.

    Raises:
        ConsentError: the file is not a consent that the person signed, or the key differs, or
            there is another output.
        StorageError
    """
    record = read_record(file)
    if record.stated_by != "subject" or record.signature is None:
        raise ConsentError(
            f"{file} was not signed by the person, so they cannot sign its withdrawal.",
            f"Tell the holder of the consent; they run: understudy consent revoke {record.person}",
        )
    if record.revoked_at is not None:
        raise ConsentError(
            f"{file} was already withdrawn on {record.revoked_at:%Y-%m-%d}.", "Send it as it is."
        )
    consents.check_signature(record)
    own = key()
    if keys.key_id(own.public_key()) != record.signature.key_id:
        raise ConsentError(
            f"{file} was signed with the key {record.signature.key_id}, not with "
            f"{keys.key_id(own.public_key())}.",
            "Give the file of that key with --key. If it is lost, tell the holder of the consent; "
            f"they run: understudy consent revoke {record.person}",
        )
    return write_new(output, record.revoked(own, "subject", record_files.now(), reason))


def revoked_by_person(record: Consent) -> bool:
    """Whether a record carries a revocation that names the person as who took it back."""
    return record.revocation is not None and record.revocation.by == "subject"


def import_revocation(
    project: Workspace, file: Path, progress: Progress, *, key: str | None = None
) -> Revoked:
    """Take a consent back because the person signed that; see `consent.revoke`.

    Args:
        key: as for `check_revocation`.

    Raises:
        ConsentError: as `check_revocation`.
        UnknownPerson, ProjectLocked, ProjectError, TrustError, StorageError: as `revoke`.
    """
    record = check_revocation(project, file, key=key)
    return revoke(project, record.person, None, progress, record)


def check_revocation(project: Workspace, file: Path, *, key: str | None = None) -> Consent:
    """The record in a file, if the person took the consent on file back.

    Args:
        key: id of the key that must have signed it, as the person stated it.

    Raises:
        ConsentError: it was not signed with the key of the consent, or with another than `key`,
            it was changed since, or it takes back another consent than the one on file.
    """
    record = _taken_back(file)
    assert record.signature is not None
    if key is not None and record.signature.key_id != key.lower():
        raise ConsentError(
            f"{file} is signed with the key {record.signature.key_id}, not {key}.",
            "Ask the person for the id of their key in another way than the file came.",
        )
    on_file = project.place_of(record.person).consent
    if on_file is None:
        return record
    without = f"To withdraw the consent on file anyway: understudy consent revoke {record.person}"
    if on_file.payload != record.payload:
        raise ConsentError(
            f"{file} withdraws another consent of {record.person} than the one on file.", without
        )
    # Records of films contain the full consent: a reader of one could sign it with a key of
    # their own, and take that back.
    if on_file.signature != record.signature:
        raise ConsentError(
            f"The consent in {file} has another signature than the one on file: it is signed "
            f"with the key {record.signature.key_id}.",
            f"Ask {record.person} in another way than the file came. {without}",
        )
    return record


def _taken_back(file: Path) -> Consent:
    """The record in a file, if who signed it took it back. Raises ConsentError."""
    record = read_record(file)
    consents.check_signature(record)
    taken, signature = record.revocation, record.signature
    if taken is None or taken.by != "subject" or record.stated_by != "subject":
        raise ConsentError(
            f"{file} is not a withdrawal that a person signed.",
            f"To withdraw without it: understudy consent revoke {record.person}",
        )
    assert signature is not None
    if not record.revocation_whole or taken.signature.key != signature.key:
        raise ConsentError(
            f"The withdrawal in {file} was changed, or not signed with the key of the consent.",
            "Ask the person. You can also withdraw consent without a signed file: understudy "
            f"consent revoke {record.person}",
        )
    return record

"""The basis on which a person's face may be used, and the gate that checks it.

A person's folder holds one `consent.json`. Without it nothing is trained on that person and
no film is converted with that face; nor when it has ended, was taken back, was edited after it
was signed, or does not cover the request. Its fields are in `consent_record`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from understudy.errors import ConsentError
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.runtime.keys import operator_key
from understudy.safeguards.consent_record import (
    NOTICE,
    PURPOSES,
    USUAL,
    Consent,
    Footing,
    Purpose,
    Role,
    Statement,
    now,
    read,
    why,
    write,
)

__all__ = [
    "Consent",
    "Footing",
    "Purpose",
    "Role",
    "Statement",
    "Subject",
    "check",
    "check_footage",
    "check_signature",
    "draft",
    "evidence",
    "read",
    "require",
    "settle",
    "state",
    "write",
]

AHEAD = timedelta(days=1)
"""How far in the future a record's time may be before a clock counts as wrong."""

_DOING: Mapping[Purpose, str] = {
    "train": "training",
    "convert": "conversion",
    "publish": "publishing",
    "detector-training": "training of detectors",
}
_SEEN: Mapping[Role, str] = {
    "shown": "being shown in the place of another",
    "replaced": "being replaced by another",
}


class Subject(Protocol):
    """Someone who can be asked for consent; `project.Person` is one."""

    @property
    def name(self) -> str: ...

    @property
    def consent(self) -> Consent | None: ...


def draft(person: str, footing: Footing, statement: Statement | None, **terms: Any) -> Consent:
    """A record that is not signed yet.

    Args:
        terms: fields of `Consent`; others have their default.

    Raises:
        ConsentError: they contradict each other.
    """
    usual: dict[str, Any] = {
        "purposes": PURPOSES if footing == "synthetic" else USUAL,
        "adult": None if footing == "synthetic" else True,
    }
    try:
        return Consent(
            schema_version=2,
            person=person,
            footing=footing,
            statement=statement,
            id=str(uuid.uuid4()),
            stated_at=now(),
            notice=NOTICE,
            **{**usual, **terms},
        )
    except ValidationError as error:
        raise ConsentError(
            f"The consent of {person} is not valid: {why(error)}.",
            "See the possible values: understudy consent grant --help",
        ) from error


def state(
    person: str,
    footing: Footing,
    statement: Path | None = None,
    *,
    key: Ed25519PrivateKey | None = None,
    **terms: Any,
) -> Consent:
    """Create the record for the user's statement, signed by them.

    Args:
        statement: the written agreement; needed for `granted`, out of place otherwise.
        key: who signs; this installation when None.
        terms: as for `draft`.

    Raises:
        ConsentError: the statement is missing, empty, unreadable or out of place.
        TrustError, StorageError: there is no key to sign with.
    """
    kept = _evidence_for(person, footing, statement)
    record = draft(person, footing, kept, **terms)
    return record.signed(key or operator_key(Home.from_environment()))


def evidence(path: Path) -> Statement:
    """What a record says of the document at `path`. Raises ConsentError."""
    try:
        empty = path.stat().st_size == 0
        digest = files.sha256(path)
    except OSError as error:
        raise ConsentError(
            f"The statement {path} cannot be read ({error.strerror}).",
            "Give the path of a readable file with the written agreement.",
        ) from error
    if empty:
        raise ConsentError(
            f"The statement {path} is empty.", "Give the file with the written agreement."
        )
    suffix = path.suffix.lower()
    return Statement(file=f"statement{suffix if 2 <= len(suffix) <= 16 else ''}", sha256=digest)


def _evidence_for(person: str, footing: Footing, statement: Path | None) -> Statement | None:
    if footing != "granted":
        if statement is not None:
            raise ConsentError(
                f"A statement was given for {person}, but the consent is `{footing}`.",
                "Remove --statement, or use --consent granted.",
            )
        return None
    if statement is None:
        raise ConsentError(
            f"The basis of the consent of {person} is `granted`, but there is no statement.",
            "Give the written agreement: --consent granted --statement FILE.",
        )
    return evidence(statement)


def settle(
    person: str, on_file: Consent | None, footing: Footing | None, statement: Path | None
) -> Consent:
    """The consent on file, or the one stated now; both must agree where both are there.

    Raises:
        ConsentError: there is neither, they contradict each other, or as `state`.
        TrustError, StorageError: as `state`.
    """
    if footing is None and statement is not None:
        raise ConsentError(
            f"A statement was given for {person} without the basis of the consent.",
            "Add --consent granted.",
        )
    if footing is None and on_file is None:
        raise ConsentError(
            f"The basis on which the face of {person} may be used is missing.",
            "Add --consent self (your own face), --consent granted --statement FILE "
            "(the person agreed in writing) or --consent synthetic (a generated face).",
        )
    if on_file is None:
        assert footing is not None
        return state(person, footing, statement)
    if footing is not None and footing != on_file.footing:
        raise ConsentError(
            f"The consent of {person} on file has the basis `{on_file.footing}`, not `{footing}`.",
            "Remove --consent, or use another name for another person.",
        )
    if statement is not None:
        given = _evidence_for(person, on_file.footing, statement)
        if given is None or on_file.statement is None or given.sha256 != on_file.statement.sha256:
            raise ConsentError(
                f"Another statement is on file for {person}.",
                "Remove --statement, or use another name for another person.",
            )
    return on_file


def require(
    person: Subject,
    purpose: Purpose,
    at: datetime | None = None,
    *,
    roles: Iterable[Role] = (),
    footage: Mapping[str, str] | None = None,
) -> Consent:
    """The consent of `person`, if it holds for `purpose` at a time (aware; the present).

    Args:
        roles: in which the face is used; empty if it is not seen.
        footage: that the face is taken from, SHA-256: name.

    Raises:
        ConsentError: it is missing, belongs to another person, was withdrawn, was changed after it
            was signed, does not hold yet or any more, or does not cover what is asked.
    """
    consent = person.consent
    at = at or datetime.now(UTC)
    doing = _DOING[purpose]
    if consent is None:
        raise ConsentError(
            f"{person.name} has no consent on file, but {doing} needs it.",
            f"State it: understudy add {person.name} --consent self, "
            "granted --statement FILE, or synthetic.",
        )
    if consent.person != person.name:
        raise ConsentError(
            f"The consent on file for {person.name} belongs to {consent.person}.",
            "Restore the right record, or state the consent of "
            f"{person.name}: understudy consent grant {person.name} --replace",
        )
    check(consent, at, doing)
    _check_scope(consent, purpose, roles)
    check_footage(consent, footage or {})
    return consent


def check(consent: Consent, at: datetime, doing: str = "work") -> None:
    """Raises ConsentError when a record holds for nothing at a time (aware)."""
    # Whoever wrote the withdrawal: to respect a false one does less harm than to ignore a true
    # one.
    if consent.revoked_at is not None and consent.revoked_at <= at:
        raise ConsentError(
            f"{consent.person} withdrew the consent on {consent.revoked_at:%Y-%m-%d}.",
            f"Leave {consent.person} out of the {doing}.",
        )
    check_signature(consent)
    _check_time(consent, at, doing)


def check_signature(consent: Consent) -> None:
    """Raises ConsentError when a record is not signed, was edited since, or who signed does not
    declare that the person is of age."""
    again = (
        "Restore the signed record from a backup, or ask again: understudy consent "
        f"request {consent.person}, or state it: understudy consent grant {consent.person} "
        "--replace"
    )
    if consent.schema_version == 2 and consent.signature is None:
        raise ConsentError(f"The consent of {consent.person} is not signed.", again)
    if not consent.whole:
        raise ConsentError(
            f"The consent of {consent.person} was changed after it was signed.", again
        )
    if consent.schema_version == 2 and consent.footing != "synthetic" and not consent.adult:
        raise ConsentError(
            f"The consent of {consent.person} does not declare that {consent.person} is an adult.",
            "Only the face of an adult may be used; do not use this face.",
        )


def _check_time(consent: Consent, at: datetime, doing: str) -> None:
    name = consent.person
    if consent.stated_at > at + AHEAD:
        raise ConsentError(
            f"The consent of {name} was stated on {consent.stated_at:%Y-%m-%d}, and the clock of "
            f"this machine says {at:%Y-%m-%d}.",
            "Correct the clock of this machine, or restore the right record.",
        )
    if consent.valid_from is not None and at < consent.valid_from:
        raise ConsentError(
            f"The consent of {name} begins on {consent.valid_from:%Y-%m-%d}.",
            f"Wait until then, or leave {name} out of the {doing}.",
        )
    if consent.expires_at is not None and consent.expires_at <= at:
        raise ConsentError(
            f"The consent of {name} ended on {consent.expires_at:%Y-%m-%d}.",
            f"Ask for a new one, or leave {name} out of the {doing}.",
        )


def _check_scope(consent: Consent, purpose: Purpose, roles: Iterable[Role]) -> None:
    name = consent.person
    if purpose not in consent.purposes:
        raise ConsentError(
            f"The consent of {name} does not cover {_DOING[purpose]}, only "
            f"{_listed(_DOING[one] for one in consent.purposes)}.",
            f"Leave {name} out, or ask for it: understudy consent request {name} "
            f"--purpose {purpose}",
        )
    for role in roles:
        if role not in consent.roles:
            raise ConsentError(
                f"The consent of {name} does not cover {_SEEN[role]}, only "
                f"{_listed(_SEEN[one] for one in consent.roles)}.",
                f"Leave {name} out, or ask for it: understudy consent request {name} --role {role}",
            )


def check_footage(consent: Consent, footage: Mapping[str, str]) -> None:
    """Raises ConsentError when a record does not cover footage, SHA-256: name."""
    if consent.footage is None:
        return
    name = consent.person
    others = sorted(told for digest, told in footage.items() if digest not in consent.footage)
    if others:
        rest = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise ConsentError(
            f"The consent of {name} does not cover {', '.join(others[:3])}{rest}; it lists the "
            "films and pictures that the face may be taken from.",
            f"Remove these files from the footage and run `understudy extract {name}`, "
            f"or ask for it too: understudy consent request {name}",
        )


def _listed(parts: Iterable[str]) -> str:
    words = list(parts)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

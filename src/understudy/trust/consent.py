"""On what footing a person's face may be used.

A person's folder holds one `consent.json`. Without it nothing is trained on that person and
no film is converted with that face. Signatures, expiry and revocation have their place in
the record already: who fills them in is obeyed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from understudy import files
from understudy.errors import ConsentError

Footing = Literal["self", "granted", "synthetic"]
Purpose = Literal["training", "conversion"]

FOOTINGS: tuple[Footing, ...] = ("self", "granted", "synthetic")


class Statement(BaseModel):
    """The document in which a person grants the use of their face."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Name of the copy beside `consent.json`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Hash of the document, in hex."""


class Consent(BaseModel):
    """One person's consent, as `consent.json` holds it. Times carry their zone (ISO 8601)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    person: str
    """Name of the person in the project."""
    footing: Footing
    """self: the user's own face. granted: somebody else's, who agreed in writing.
    synthetic: nobody's."""
    stated_at: AwareDatetime
    """When the user said so."""
    statement: Statement | None = None
    """The written agreement; present exactly when `footing` is granted."""
    signature: str | None = None
    """Signature over the record by the person or their agent; not checked yet."""
    expires_at: AwareDatetime | None = None
    """From then on the consent no longer holds."""
    revoked_at: AwareDatetime | None = None
    """From then on the consent no longer holds, because it was taken back."""


class Subject(Protocol):
    """Somebody who can be asked for consent; `project.Person` is one."""

    @property
    def name(self) -> str: ...

    @property
    def consent(self) -> Consent | None: ...


def state(person: str, footing: Footing, statement: Path | None = None) -> Consent:
    """Make the record for what the user states now.

    Args:
        statement: the written agreement; needed for `granted`, out of place otherwise.

    Raises:
        ConsentError: the statement is missing, empty, unreadable or out of place.
    """
    if footing != "granted":
        if statement is not None:
            raise ConsentError(
                f"A statement was given for {person}, but the consent is `{footing}`.",
                "Leave --statement out, or say --consent granted.",
            )
        return Consent(person=person, footing=footing, stated_at=_now())
    if statement is None:
        raise ConsentError(
            f"{person} is said to have granted the use of their face, without a statement.",
            "Give the written agreement: --consent granted --statement FILE.",
        )
    try:
        empty = statement.stat().st_size == 0
        digest = files.sha256(statement)
    except OSError as error:
        raise ConsentError(
            f"The statement {statement} cannot be read ({error.strerror}).",
            "Give the path of a readable file with the written agreement.",
        ) from error
    if empty:
        raise ConsentError(
            f"The statement {statement} is empty.", "Give the file with the written agreement."
        )
    kept = Statement(file=f"statement{statement.suffix.lower()}", sha256=digest)
    return Consent(person=person, footing=footing, stated_at=_now(), statement=kept)


def settle(
    person: str, on_file: Consent | None, footing: Footing | None, statement: Path | None
) -> Consent:
    """The consent on file, or the one stated now; both must agree where both are there.

    Raises:
        ConsentError: there is neither, they contradict each other, or as `state`.
    """
    if footing is None and statement is not None:
        raise ConsentError(
            f"A statement was given for {person} without saying what it is.",
            "Say --consent granted with it.",
        )
    if footing is None and on_file is None:
        raise ConsentError(
            f"Nothing says on what footing the face of {person} may be used.",
            "Say --consent self (your own face), --consent granted --statement FILE "
            "(somebody agreed in writing) or --consent synthetic (nobody's face).",
        )
    if on_file is None:
        assert footing is not None
        return state(person, footing, statement)
    if footing is not None and footing != on_file.footing:
        raise ConsentError(
            f"{person} is on file as `{on_file.footing}`, not `{footing}`.",
            "Leave --consent out, or use another name for somebody else.",
        )
    if statement is not None and state(person, on_file.footing, statement).statement != (
        on_file.statement
    ):
        raise ConsentError(
            f"Another statement than this is on file for {person}.",
            "Leave --statement out, or use another name for somebody else.",
        )
    return on_file


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def read(path: Path) -> Consent | None:
    """Read a `consent.json`; None when there is none. Raises ConsentError when it is damaged."""
    try:
        return Consent.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConsentError(
            f"{path} is not a consent record that can be read ({_first_line(error)}).",
            "Restore it from a copy, or remove it and state the consent again with "
            "`understudy add`.",
        ) from error


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'file'}: {first['msg']}"
    return str(error)


def write(path: Path, consent: Consent) -> None:
    """Write a `consent.json`, whole or not at all. Raises StorageError."""
    files.write_json(path, consent.model_dump(mode="json", exclude_none=True))


def require(person: Subject, purpose: Purpose, now: datetime | None = None) -> Consent:
    """The consent of `person`, if it holds for `purpose` at `now` (aware; the present).

    Raises:
        ConsentError: there is none, it has expired, or it was taken back.
    """
    consent = person.consent
    now = now or datetime.now(UTC)
    if consent is None:
        raise ConsentError(
            f"{person.name} has no consent on file, which {purpose} needs.",
            f"State it: understudy add {person.name} --consent self, "
            "granted --statement FILE, or synthetic.",
        )
    if consent.revoked_at is not None and consent.revoked_at <= now:
        raise ConsentError(
            f"{person.name} took the consent back on {consent.revoked_at:%Y-%m-%d}.",
            f"Leave {person.name} out of the {purpose}.",
        )
    if consent.expires_at is not None and consent.expires_at <= now:
        raise ConsentError(
            f"The consent of {person.name} ended on {consent.expires_at:%Y-%m-%d}.",
            f"Ask again for it, or leave {person.name} out of the {purpose}.",
        )
    return consent

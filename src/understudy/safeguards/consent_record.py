"""A consent record: the permitted uses of a person's face, and the signer.

Structure after ISO/IEC TS 27560:2023 (consent record information structure): who states it and
for whom, purposes, what data it covers, where and how long it holds, with which evidence, how it
is taken back. Signed with Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of everything
but the signature and the revocation, so that what was signed cannot be edited unseen. No
biometric data stands in it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from understudy.errors import ConsentError, TrustError
from understudy.runtime import files, keys

Footing = Literal["self", "granted", "synthetic"]
Purpose = Literal["train", "convert", "publish", "detector-training"]
Role = Literal["shown", "replaced"]
By = Literal["operator", "subject"]

FOOTINGS: tuple[Footing, ...] = ("self", "granted", "synthetic")
PURPOSES: tuple[Purpose, ...] = ("train", "convert", "publish", "detector-training")
USUAL: tuple[Purpose, ...] = ("train", "convert", "publish")
"""What a record covers by default."""
ROLES: tuple[Role, ...] = ("shown", "replaced")

NOTICE = "understudy-consent-2"
"""Name of the wording in `consent_terms` that whoever signs gets to read. The first one,
`understudy-consent-1`, did not say that pictures are kept inside a model; records with it hold as
before."""

LONGEST = 1 << 20
"""Largest size of a record's file, in bytes."""

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=400)]
_OLD_FIELDS = frozenset(
    {"schema_version", "person", "footing", "stated_at", "statement", "expires_at", "revoked_at"}
    | {"revocation"}
)


class Statement(BaseModel):
    """The evidence: a signed form, or a film in which the person says that they agree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(pattern=r"^statement(\.[^/\\]{1,32})?$")]
    """Name of the copy next to `consent.json`."""
    sha256: _Hash
    """Hash of the document, in hex."""


class Signature(BaseModel):
    """An Ed25519 signature and the key that it can be checked with, both in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(max_length=64)]
    value: Annotated[str, Field(max_length=128)]

    @classmethod
    def over(cls, message: bytes, key: Ed25519PrivateKey) -> Self:
        return cls(key=keys.public_text(key.public_key()), value=keys.sign(key, message))

    def holds(self, message: bytes) -> bool:
        """Whether it is the key's over `message`."""
        try:
            return keys.verified(keys.public_key(self.key), message, self.value)
        except TrustError:
            return False

    @property
    def key_id(self) -> str:
        """Short name of the key; empty when it is not valid."""
        try:
            return keys.key_id(keys.public_key(self.key))
        except TrustError:
            return ""


class Revocation(BaseModel):
    """Who took a consent back, and why; when, is `Consent.revoked_at`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By
    reason: _Text | None = None
    signature: Signature
    """Over the canonical JSON of `revokes` (the record's id), `at`, `by` and `reason`."""


class Consent(BaseModel):
    """One person's consent, as `consent.json` holds it. Times carry their zone (ISO 8601).

    Records of schema 1, which earlier versions wrote, have only the first of these fields, no
    signature, and cover what those versions did with a face.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1, 2] = 1
    person: Annotated[str, Field(min_length=1, max_length=64)]
    """Name of the person in the project, which may be a pseudonym."""
    footing: Footing
    """self: the user's own face. granted: another person's, who agreed.
    synthetic: of no real person."""
    stated_at: AwareDatetime
    """When it was said."""
    statement: Statement | None = None
    """The evidence; with the basis granted, there is one or the person's own signature."""
    expires_at: AwareDatetime | None = None
    """From then on the consent no longer holds."""
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] = ""
    """UUID (RFC 9562); of schema 1 made from person, basis and day."""
    stated_by: By = "operator"
    """Who says so, and signs: the person (subject), or the user of the program (operator)."""
    adult: bool | None = None
    """Whether the signer declares the person an adult; None in schema 1 and for synthetic."""
    purposes: tuple[Purpose, ...] = USUAL
    """train: let a model learn the face. convert: make films and pictures with it. publish: let
    these, or a model of the face, leave the project. detector-training: let a detector of
    fakes learn from it."""
    roles: tuple[Role, ...] = ROLES
    """shown: the face is seen in the place of another. replaced: another is seen in its place."""
    footage: Annotated[tuple[_Hash, ...], Field(min_length=1)] | None = None
    """SHA-256 of the films and pictures that the face may be taken from; None: of any of the
    person, also such as are added later."""
    territory: _Text | None = None
    """Where it holds, in words; None: anywhere. The program cannot check it."""
    valid_from: AwareDatetime | None = None
    """Before, it does not hold yet."""
    recipient: _Text | None = None
    """The receiver: name of a person or company."""
    contact: _Text | None = None
    """Address to tell about a withdrawal."""
    notice: Annotated[str, Field(max_length=64)] | None = None
    """The wording that was read; see `NOTICE`."""
    signature: Signature | None = None
    """Over `payload`, by the party that `stated_by` names."""
    revoked_at: AwareDatetime | None = None
    """From then on the consent no longer holds, because it was taken back."""
    revocation: Revocation | None = None

    @model_validator(mode="before")
    @classmethod
    def _old(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("schema_version", 1) != 1:
            return values
        if unknown := sorted(values.keys() - _OLD_FIELDS - {"signature"}):
            raise ValueError(f"a record of schema 1 has no {', '.join(map(str, unknown))}")
        # Nothing ever wrote that signature, and it was over nothing that is defined.
        kept = {name: value for name, value in values.items() if name != "signature"}
        named = [str(kept.get(name))[:64] for name in ("person", "footing")]
        text = " ".join((*named, str(kept.get("stated_at"))[:10]))
        whole = {**kept, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, text))}
        if kept.get("footing") == "synthetic":
            whole["purposes"] = PURPOSES
        return whole

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.schema_version == 2 and not self.id:
            raise ValueError("the id is missing")
        if not self.purposes or not self.roles:
            raise ValueError("it covers no purpose or no role")
        begin = self.valid_from or self.stated_at
        if self.schema_version == 2 and self.expires_at is not None and self.expires_at <= begin:
            raise ValueError("it ends before it starts")
        told = (self.schema_version, self.footing, self.stated_by)
        if told == (2, "granted", "operator") and self.statement is None:
            raise ValueError("its basis is granted, but there is no evidence")
        return self

    @model_serializer(mode="wrap")
    def _as_it_was(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if self.schema_version == 1:
            return {name: value for name, value in values.items() if name in _OLD_FIELDS}
        return values

    @property
    def payload(self) -> bytes:
        """The signed data: canonical JSON of all but `signature`, `revoked_at`, `revocation`."""
        return canonical(
            self.model_dump(
                mode="json",
                exclude_none=True,
                exclude={"signature", "revoked_at", "revocation"},
            )
        )

    @property
    def whole(self) -> bool:
        """Whether the signature is valid; a record of schema 1 has none and counts as unchanged."""
        if self.schema_version == 1:
            return True
        return self.signature is not None and self.signature.holds(self.payload)

    @property
    def revocation_whole(self) -> bool:
        """Whether the signature of the revocation is right."""
        if self.revocation is None or self.revoked_at is None:
            return False
        by, reason = self.revocation.by, self.revocation.reason
        return self.revocation.signature.holds(_revoking(self.id, self.revoked_at, by, reason))

    @property
    def sha256(self) -> str:
        """Of the canonical JSON of the whole record, as a log may note it."""
        return hashlib.sha256(
            canonical(self.model_dump(mode="json", exclude_none=True))
        ).hexdigest()

    def signed(self, key: Ed25519PrivateKey) -> Consent:
        """The same, signed."""
        return self.model_copy(update={"signature": Signature.over(self.payload, key)})

    def revoked(
        self, key: Ed25519PrivateKey, by: By, at: datetime, reason: str | None = None
    ) -> Consent:
        """The same, taken back at `at` (aware)."""
        taken = Revocation(
            by=by, reason=reason, signature=Signature.over(_revoking(self.id, at, by, reason), key)
        )
        return self.model_copy(update={"revoked_at": at, "revocation": taken})


def _revoking(revokes: str, at: datetime, by: By, reason: str | None) -> bytes:
    moment = at.astimezone(UTC).isoformat()
    said = {} if reason is None else {"reason": reason}
    return canonical({"revokes": revokes, "at": moment, "by": by, **said})


def canonical(value: Any) -> bytes:
    """JSON of RFC 8785. `value` contains no floats, and its keys are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def now() -> datetime:
    """The present, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def read(path: Path) -> Consent | None:
    """Read a `consent.json`; None when there is none. Raises ConsentError when it is damaged."""
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise ConsentError(
                f"{path} is too long for a consent record.", "Give the record itself."
            )
        return Consent.model_validate_json(data)
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ConsentError(
            f"{path} is not a readable consent record ({why(error)}).",
            "Restore it from a backup, or delete it and state the consent again with "
            "`understudy add`.",
        ) from error


def why(error: Exception) -> str:
    """The first thing that is wrong, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        return f"{'.'.join(str(part) for part in first['loc']) or 'file'}: {message}"
    return str(error)


def write(path: Path, consent: Consent) -> None:
    """Write a `consent.json`, completely or not at all. Raises StorageError."""
    files.write_json(path, consent.model_dump(mode="json", exclude_none=True))

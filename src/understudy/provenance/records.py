"""Records of every output of this installation, by the number in its watermark.

    HOME/records/c0ffee42-1f0a9b7c66d0e1a2.json     number, and begin of the unsigned file's SHA-256

A mark that survives in a film that was cut and encoded again holds nothing but the number; this
is where it leads. Records stay on this machine and are never sent anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import TrustError
from understudy.provenance.credentials.manifest import Facts, Sha256
from understudy.provenance.fingerprint import Fingerprint
from understudy.runtime import files
from understudy.runtime.installation import Home

NAMED = 16
"""Hex digits of the unsigned file's hash in a record's name."""


class RenderRecord(BaseModel):
    """One output."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    number: Annotated[int, Field(ge=0, lt=2**32)]
    """In the watermark."""
    kind: Literal["film", "still", "matte"]
    file: str
    """Its name when it was made."""
    sha256: Sha256
    """Of the finished, signed file."""
    seconds: float
    """Length of a film; 0 for a picture."""
    width: int
    height: int
    facts: Facts
    """What its credentials say too."""
    fingerprint: Fingerprint | None
    """How it looks; None for what shows nothing that could be recognised."""
    proof: dict[str, Any]
    """That the ledger holds it; see `Ledger.prove`."""


def number_text(number: int) -> str:
    """A record's number as people read it: eight hex digits."""
    return f"{number:08x}"


def write(home: Home, record: RenderRecord) -> Path:
    """Keep a record; one of the same file is replaced. Raises StorageError."""
    name = f"{number_text(record.number)}-{record.facts.unsigned_sha256[:NAMED]}.json"
    path = home.records / name
    files.write_json(path, record.model_dump(mode="json"))
    return path


def find(home: Home, number: int) -> list[RenderRecord]:
    """All records with this number, the newest first.

    Raises:
        TrustError: one of them is damaged.
    """
    found = [read(path) for path in sorted(home.records.glob(f"{number_text(number)}-*.json"))]
    return sorted(found, key=lambda record: record.facts.made_at, reverse=True)


def read(path: Path) -> RenderRecord:
    """Read one record. Raises TrustError."""
    try:
        return RenderRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise TrustError(
            f"The record {path} cannot be read ({why}).", "Restore it from a backup, or move it."
        ) from error

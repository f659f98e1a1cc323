"""Records of every model that was trained, written or deleted here, by its files' hashes.

    HOME/records/models/0000002a-1f0a9b7c66d0e1a2.json      leaf of the ledger, begin of its hash

The ledger holds the same: hashes of the files and of the weights, the base's hash, and keyed
digests of the people and of their consent records, and of what else is told of the model (see
`rest`). No one's name goes into either, nor a file's name, which may hold one. Records stay on
this machine.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import TrustError
from understudy.provenance.credentials.manifest import ConsentReference, LedgerLeaf, Sha256
from understudy.provenance.ledger.entries import Value, canonical
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards.consent_record import Consent

Kind = Literal["training", "import", "base", "network", "decoder", "tombstone"]
"""training: a checkpoint at the end of a training; import: one into which a decoder was taken.
base: what `pretrain` writes. network, decoder: what was exported. tombstone: these files were
deleted, because someone in them was removed."""

ENTERED = {"network": "export", "decoder": "export", "tombstone": "tombstone"}
"""Kind of the ledger's entry; `model` for all others."""


class ModelRecord(BaseModel):
    """One model, exported file or deletion."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    kind: Kind
    model: str
    """Its name in the project that it is of, or was exported from."""
    made_at: AwareDatetime
    files: tuple[Sha256, ...]
    """Of every file; of a checkpoint its manifest first, and after its weights the galleries of
    the model."""
    weights_sha256: Sha256 | None = None
    """Of the averaged weights; records of films name it as their model."""
    base_sha256: Sha256 | None = None
    """Of the base that the training began with."""
    steps: Annotated[int, Field(ge=0)] | None = None
    """Of training, in all."""
    consents: tuple[ConsentReference, ...] = ()
    """Of the people in it, as far as they were on file."""
    ledger: LedgerLeaf
    proof: dict[str, Any]
    """That the ledger holds it; see `Ledger.prove`."""
    tool: str = Field(default_factory=lambda: f"understudy {version('understudy')}")

    @property
    def rest(self) -> str:
        """What the ledger holds only as a keyed digest, under the key of the first file's hash:
        kind, name and the ids of the consent records."""
        return _rest(self.kind, self.model, self.consents)


def _rest(kind: Kind, model: str, consents: Sequence[ConsentReference]) -> str:
    return canonical([kind, model, [one.id for one in consents]])


def enter(
    kind: Kind,
    model: str,
    hashes: Sequence[str],
    consents: Mapping[str, Consent],
    *,
    weights_sha256: str | None = None,
    base_sha256: str | None = None,
    steps: int | None = None,
    home: Home | None = None,
) -> ModelRecord:
    """Enter a model in the ledger, and keep its record.

    Args:
        model: its name.
        hashes: SHA-256 of its files; the first is what the ledger finds it by.
        consents: of the people in it, by name; both go in as digests whose keys can be destroyed.

    Raises:
        TrustError: the ledger is damaged, or was last signed by another key.
        StorageError: it cannot be written.
    """
    home = home or Home.from_environment()
    with Ledger.open(home) as ledger:
        named = sorted(consents.items())
        references = tuple(
            ConsentReference(id=one.id, digest=ledger.digest(one.id, one.sha256))
            for _, one in named
        )
        known: dict[str, Value] = {
            "files": list(hashes[1:]) or None,
            "weights": weights_sha256,
            "base": base_sha256,
            "steps": steps,
        }
        values: dict[str, Value] = {
            **{name: value for name, value in known.items() if value is not None},
            "sha256": hashes[0],
            "people": [ledger.digest(one.id, name) for name, one in named],
            "consents": [one.digest for one in references],
            "rest": ledger.digest(hashes[0], _rest(kind, model, references)),
        }
        entry = ledger.append(ENTERED.get(kind, "model"), values)
        record = ModelRecord(
            kind=kind,
            model=model,
            made_at=entry.values["time"],
            files=tuple(hashes),
            weights_sha256=weights_sha256,
            base_sha256=base_sha256,
            steps=steps,
            consents=references,
            ledger=LedgerLeaf(index=entry.leaf, hash=entry.hash.hex()),
            proof=ledger.prove(entry.leaf),
        )
    name = f"{entry.leaf:08x}-{entry.hash.hex()[:16]}.json"
    files.write_json(home.records / "models" / name, record.model_dump(mode="json"))
    return record


def find(
    home: Home, sha256: str, note: Callable[[str], None] = lambda _: None
) -> list[ModelRecord]:
    """All records of a file or of weights with this hash, oldest first.

    Args:
        note: called for each record that cannot be opened and is skipped.

    Raises:
        TrustError: one that holds this hash is damaged.
    """
    found = []
    for path in sorted((home.records / "models").glob("*.json")):
        try:
            data = _bytes(path)
        except OSError as error:
            note(f"{path} cannot be opened ({error.strerror}); its model is unknown.")
            continue
        # Only possible candidates are parsed.
        if sha256.encode() not in data:
            continue
        try:
            record = ModelRecord.model_validate_json(data)
        except ValidationError as error:
            raise TrustError(
                f"The record {path} cannot be read ({error.errors()[0]['msg']}).",
                "Restore it from a backup, or move it to another place.",
            ) from error
        if sha256 in (*record.files, record.weights_sha256):
            found.append(record)
    return found


def _bytes(path: Path) -> bytes:
    """Raises OSError, also for what is no file: a pipe would be waited for."""
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file")
    return path.read_bytes()

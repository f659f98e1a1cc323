"""Look up a model's file by its hash: which installation trained or exported it, and the proof.

understudy verify models/duo/checkpoints/00000060/ema-encoder.safetensors
understudy verify exports/duo-ada.dfm
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from understudy.errors import TrustError, UnderstudyError
from understudy.provenance import model_records
from understudy.provenance.ledger.entries import stamp
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.provenance.model_records import ModelRecord
from understudy.runtime.installation import Home

SUFFIXES = frozenset({".safetensors", ".dfm", ".onnx"})
"""Files that hold models."""

UNKNOWN = (
    "It is a model, or a part of one, and unknown here: this installation neither "
    "trained nor exported it."
)

UNREAD = (
    "It is a model, or a part of one, and unknown here; but not all records of models "
    "could be opened."
)

DRAW = ("training", "import")
"""Models by whose weights films are known."""

Tone = Literal["proved", "broken", "unknown"]


@dataclass(frozen=True)
class KnownModel:
    """Attributes:
    summary: a sentence for everyone.
    findings: what is proved, broken and unknown, with what it is.
    holds: the ledger here proves it, and no person in it was removed later.
    """

    summary: str
    findings: tuple[tuple[Tone, str], ...]
    holds: bool


def search(
    home: Home, sha256: str, note: Callable[[str], None] = lambda _: None
) -> KnownModel | None:
    """The known facts about the file with this hash; None when it is unknown.

    Args:
        note: called for each record that cannot be opened and is skipped.
    """
    try:
        records = model_records.find(home, sha256, note)
    except TrustError as error:
        return KnownModel(
            "Its record on this machine is damaged.", (("broken", error.problem),), holds=False
        )
    made = [one for one in records if one.kind != "tombstone"]
    gone = [one for one in records if one.kind == "tombstone"]
    if not records:
        return None
    findings: list[tuple[Tone, str]] = []
    proved = [_prove(home, record, findings) for record in records]
    for record, good in zip(records, proved, strict=True):
        if record in made:
            findings += [("proved" if good else "unknown", text) for text in _told(record)]
    if gone:
        when = f"{gone[-1].made_at:%Y-%m-%d}"
        findings.append(
            (
                "broken",
                f"A person whose face it draws was removed here on {when}, and their data were "
                "deleted. This file is a copy, or was in another place.",
            )
        )
        return KnownModel(
            "Do not use it: a person whose face it draws withdrew their consent or was removed "
            f"on {when}.",
            tuple(findings),
            holds=False,
        )
    summary = _summary(made[-1])
    if not all(proved):
        summary = f"Do not rely on it: according to its record, {summary[0].lower()}{summary[1:]}"
    return KnownModel(summary, tuple(findings), all(proved))


def drew(home: Home, weights_sha256: str) -> str | None:
    """A sentence about the model that drew a film, which its record names by the hash of its
    weights; None when nothing is known of it here, or not surely."""
    try:
        records = model_records.find(home, weights_sha256)
    except TrustError:
        return None
    for record in reversed(records):
        if record.kind in DRAW and _prove(home, record, []):
            count = len(record.consents)
            consents = f"{count or 'no'} consent {'record' if count == 1 else 'records'}"
            return (
                f"It was drawn by the model {record.model}, which this installation trained "
                f"until {record.made_at:%Y-%m-%d %H:%M} UTC, with {consents}."
            )
    return None


def _summary(record: ModelRecord) -> str:
    when = f"on {record.made_at:%Y-%m-%d %H:%M} UTC"
    count = len(record.consents)
    consents = f"with {count or 'no'} consent {'record' if count == 1 else 'records'}"
    what = {
        "training": f"It is part of the model {record.model}, which this installation trained",
        "import": f"It is part of the model {record.model}, into which this installation took a "
        "person",
        "base": f"It is a base that this installation trained as {record.model}",
        "network": f"It draws one person of the model {record.model}, and this installation "
        "exported it",
        "decoder": f"It is a person's decoder of the model {record.model}, which this "
        "installation exported",
        "tombstone": "It was deleted here",
    }[record.kind]
    return f"{what} {when}, {consents}."


def _told(record: ModelRecord) -> list[str]:
    told = []
    if record.steps is not None:
        told.append(f"It had {record.steps} training steps at that time.")
    if record.base_sha256 is not None:
        told.append(f"Its training started from the base {record.base_sha256[:16]} (SHA-256).")
    told += [f"Consent record {one.id} was on file." for one in record.consents]
    if record.kind in DRAW and record.weights_sha256 is not None:
        told.append(f"Records of films made with it call it {record.weights_sha256[:16]}.")
    return told


def _prove(home: Home, record: ModelRecord, findings: list[tuple[Tone, str]]) -> bool:
    """Whether this installation's ledger holds what the record says; says so."""
    try:
        proved = verify_proof(record.proof)
        entry = proved.entry.values
        said = {
            "kind": model_records.ENTERED.get(record.kind, "model"),
            "sha256": record.files[0],
            "files": list(record.files[1:]),
            "weights": record.weights_sha256,
            "base": record.base_sha256,
            "steps": record.steps,
            "consents": [one.digest for one in record.consents],
            "time": stamp(record.made_at),
        }
        # What there is none of is left out of entries.
        changed = [
            name for name, value in said.items() if (entry.get(name) or None) != (value or None)
        ]
        with Ledger.open(home, write=False) as ledger:
            own = ledger.entry(record.ledger.index)
            if own is None or own.hash != proved.entry.hash or record.ledger.hash != own.hash.hex():
                changed.append("place")
            else:
                ledger.prove(own.leaf)
                bound = own.values.get("rest", "")
                if not ledger.matches(record.files[0], record.rest, bound):
                    changed.append("kind, name or consent records")
    except UnderstudyError as error:
        findings.append(("broken", f"Its record cannot be relied on: {error.problem}"))
        return False
    if changed:
        findings.append(
            (
                "broken",
                f"Its record was changed: the ledger has another value for its {changed[0]}.",
            )
        )
        return False
    findings.append(
        (
            "proved",
            f"The ledger on this machine (key {proved.checkpoint.key_id}) contains its hash, since "
            f"{entry['time']}.",
        )
    )
    return True

"""Proofs that an entry is in the log that was signed, and that one log continues another."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.errors import TrustError
from understudy.provenance.ledger import merkle
from understudy.provenance.ledger.anchors.anchor import NOTHING, Trusted, Verdict
from understudy.provenance.ledger.anchors.anchoring import anchor_lines
from understudy.provenance.ledger.anchors.kinds import anchor_of
from understudy.provenance.ledger.entries import Entry, canonical
from understudy.provenance.ledger.log import Log
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import keys

PROOF = "understudy-proof/1"


def prove(log: Log, leaf: int) -> dict[str, Any]:
    """The entry, its way to a checkpoint, the checkpoint, the public key, and the checkpoint's
    anchors.

    It is for the first checkpoint over the entry that is anchored, or else the first.

    Raises:
        TrustError: no such entry, none of the checkpoints covers it, or it was changed.
    """
    entry = next(iter(log.found("leaf = ?", leaf)), None)
    if entry is None:
        raise TrustError(f"The ledger has no entry {leaf}.", "List them: understudy ledger show")
    with log.reading():
        row = log.database.execute(
            "SELECT note, public FROM checkpoints AS c WHERE size > ? ORDER BY NOT EXISTS "
            "(SELECT 1 FROM anchors AS a WHERE a.size = c.size AND proof IS NOT NULL), size "
            "LIMIT 1",
            (leaf,),
        ).fetchone()
        if row is None:
            raise TrustError(
                f"No checkpoint covers the entry {leaf} yet.",
                "Sign one: understudy ledger checkpoint",
            )
        checkpoint = Checkpoint.parse(str(row[0]))
        path = merkle.inclusion_proof(leaf, checkpoint.size, log.node)
        anchors = anchor_lines(log, checkpoint.size)
    proof = {
        "format": PROOF,
        "leaf": leaf,
        "entry": entry.values,
        "inclusion": [one.hex() for one in path],
        "checkpoint": checkpoint.note,
        "public_key": str(row[1]),
        "anchors": anchors,
    }
    verify_proof(proof)
    return proof


def prove_consistency(log: Log, old: Checkpoint, new: Checkpoint) -> list[bytes]:
    """Proof that `new` continues `old`, for `merkle.verify_consistency`.

    Raises:
        TrustError: the log does not contain both, so it cannot be proved.
    """
    with log.reading():
        size = log.number("SELECT ifnull(max(leaf), -1) + 1 FROM entries")
        if not 0 < old.size <= new.size or not (log.agrees(old, size) and log.agrees(new, size)):
            raise TrustError(
                f"The ledger of {new.size} entries does not continue the one of {old.size}.",
                "Run `understudy ledger audit` with both checkpoints.",
            )
        return merkle.consistency_proof(old.size, new.size, log.node)


@dataclass(frozen=True)
class Proved:
    """What a proof shows.

    Attributes:
        entry: as it was entered.
        checkpoint: signed over it; it was there by `checkpoint.time`, on the signer's word.
        anchors: on whose word else, and by when.
    """

    entry: Entry
    checkpoint: Checkpoint
    anchors: tuple[Verdict, ...]


def verify_proof(
    proof: Mapping[str, Any], key: str | None = None, trusted: Trusted = NOTHING
) -> Proved:
    """Check what `prove` gave, without a ledger and offline.

    Args:
        key: id of the key that must have signed; whichever is in the proof when None, which says
            no more than that someone has that key.
        trusted: by which the anchors are judged.

    Raises:
        TrustError: it is no proof, or it does not hold.
    """
    again = "Ask for the proof again: understudy ledger prove LEAF"
    try:
        if proof["format"] != PROOF:
            raise ValueError(f"unknown format {proof['format']!r}")
        if type(proof["leaf"]) is not int:
            raise ValueError("the leaf is not a number")
        entry = Entry(proof["leaf"], canonical(dict(proof["entry"])))
        path = [bytes.fromhex(one) for one in proof["inclusion"]]
        checkpoint = Checkpoint.parse(str(proof["checkpoint"]))
        public = keys.public_key(str(proof["public_key"]))
        anchors = tuple(
            anchor_of(str(one["kind"]), trusted).verify(
                base64.b64decode(one["proof"], validate=True), checkpoint.digest
            )
            for one in proof.get("anchors", ())
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise TrustError(f"The file is not a proof from a ledger ({error}).", again) from error
    if not checkpoint.signed_by(public):
        raise TrustError("The signature of the proof's checkpoint is wrong.", again)
    if key is not None and checkpoint.key_id != key:
        raise TrustError(
            f"The proof is signed by the key {checkpoint.key_id}, not by {key}.",
            "Find out whose key that is; the proof is valid only for that key.",
        )
    if not merkle.verify_inclusion(entry.hash, entry.leaf, checkpoint.size, path, checkpoint.root):
        raise TrustError(
            f"The entry {entry.leaf} is not in the signed log: the entry or the log was changed.",
            again,
        )
    return Proved(entry, checkpoint, anchors)

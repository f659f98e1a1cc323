"""Audit a ledger: everything is computed again and compared with what was signed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from understudy.provenance.ledger.anchors.anchor import NOTHING, Trusted, Verdict
from understudy.provenance.ledger.anchors.kinds import anchor_of
from understudy.provenance.ledger.database import unexpected
from understudy.provenance.ledger.entries import stored_bytes
from understudy.provenance.ledger.examination import Audit, Finding, Signed, examined
from understudy.provenance.ledger.log import Log
from understudy.runtime import keys
from understudy.runtime.installation import Home


def audited(log: Log, against: Sequence[str] = (), trusted: Trusted = NOTHING) -> Audit:
    """
    Args:
        against: notes of checkpoints that were kept elsewhere.
        trusted: by which the anchors are judged.

    Raises:
        TrustError: the database is too damaged to be read.
    """
    own = _own_key(log.home)
    copy = log.copy()
    with log.reading():
        of_database = [Finding("broken", "database", text) for text in unexpected(log.database)]
        rows = log.database.execute("SELECT leaf, entry FROM entries ORDER BY leaf")
        signed = log.database.execute(
            "SELECT size, note, public FROM checkpoints ORDER BY size"
        ).fetchall()
        kept = [*against, *([copy.note] if copy else [])]
        report = examined(rows, signed, kept, own, log.stored, log.where)
        expected = sum(report.size >> level for level in range(report.size.bit_length()))
        findings = [*of_database, *report.findings]
        if log.number("SELECT count(*) FROM nodes") > expected:
            findings.append(Finding("broken", "tree", "contains hashes of missing entries"))
        anchors, of_anchors = judged(
            log.database.execute("SELECT size, kind, proof FROM anchors").fetchall(),
            signed,
            trusted,
        )
    return Audit(report.size, report.newest, (*findings, *of_anchors), anchors)


def _own_key(home: Home) -> str | None:
    """Id of this installation's key; it is not created here."""
    path = home.keys / keys.OPERATOR
    if not path.exists():
        return None
    return keys.key_id(keys.operator_key(home).public_key())


def judged(
    rows: Sequence[tuple[object, object, object]],
    signed: Sequence[Signed],
    trusted: Trusted,
) -> tuple[tuple[Verdict, ...], list[Finding]]:
    """Check the anchors offline.

    Args:
        rows: size of the checkpoint, kind and proof of each.
        signed: the checkpoints.
    """
    notes = {size: str(note) for size, note, _ in signed}
    verdicts: list[Verdict] = []
    findings: list[Finding] = []
    for size, kind, proof in rows:
        name = f"{kind} of checkpoint {size}"
        if size not in notes:
            findings.append(Finding("broken", name, "the checkpoint was removed"))
            continue
        if proof is None:
            findings.append(Finding("unknown", name, "pending until a service can be reached"))
            continue
        if not isinstance(proof, bytes):
            findings.append(Finding("broken", name, "the proof was changed"))
            continue
        digest = hashlib.sha256(stored_bytes(notes[size])).digest()
        verdict = anchor_of(str(kind), trusted).verify(proof, digest)
        verdicts.append(verdict)
        if verdict.state == "broken":
            findings.append(Finding("broken", name, verdict.words))
    return tuple(verdicts), findings

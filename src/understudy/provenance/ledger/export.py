"""The whole ledger as JSON Lines, for anyone to check."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import NOTHING, Trusted
from understudy.provenance.ledger.anchors.anchoring import anchor_lines
from understudy.provenance.ledger.audit import judged
from understudy.provenance.ledger.entries import canonical
from understudy.provenance.ledger.examination import Audit, Finding, Row, Signed, examined
from understudy.provenance.ledger.log import Log
from understudy.provenance.ledger.signed_checkpoint import Checkpoint
from understudy.runtime import files

FORMAT = "understudy-ledger/1"


def write_export(log: Log, path: Path) -> int:
    """Write a heading, the entries, the checkpoints with their public keys, the anchors.

    Returns:
        Number of entries.

    Raises:
        StorageError: it cannot be written.
    """
    with log.reading(), files.atomic(path) as temporary:
        size = log.number("SELECT count(*) FROM entries")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(canonical({"format": FORMAT, "size": size}) + "\n")
            for leaf, text in log.database.execute("SELECT * FROM entries ORDER BY leaf"):
                file.write(f'{{"entry":{text},"leaf":{leaf}}}\n')
            for note, public in log.database.execute(
                "SELECT note, public FROM checkpoints ORDER BY size"
            ):
                file.write(canonical({"checkpoint": note, "public_key": public}) + "\n")
            for (at,) in log.database.execute(
                "SELECT DISTINCT size FROM anchors ORDER BY size"
            ).fetchall():
                for line in anchor_lines(log, at):
                    file.write(canonical({"anchor": line}) + "\n")
    return size


def verify_export(
    path: Path,
    key: str | None = None,
    against: Sequence[str] = (),
    trusted: Trusted = NOTHING,
) -> Audit:
    """Audit a file that `write_export` wrote, without a ledger and offline.

    Args:
        key: id of the key that must have signed last; unknown when None.
        against: notes of checkpoints that were kept elsewhere.
        trusted: by which the anchors are judged.

    Raises:
        TrustError: it is not an export, or cannot be read.
    """
    rows: list[Row] = []
    signed: list[Signed] = []
    anchors: list[tuple[object, object, object]] = []
    number = 1
    try:
        with open(path, encoding="utf-8") as file:
            heading = json.loads(file.readline())
            if heading["format"] != FORMAT:
                raise ValueError(f"unknown format {heading['format']!r}")
            for line in file:
                number += 1
                value = json.loads(line)
                if "entry" in value:
                    rows.append((value["leaf"], canonical(value["entry"])))
                elif "checkpoint" in value:
                    note = str(value["checkpoint"])
                    signed.append((_size(note), note, value["public_key"]))
                else:
                    one = value["anchor"]
                    proof = base64.b64decode(one["proof"], validate=True)
                    anchors.append((int(one["size"]), str(one["kind"]), proof))
    except OSError as error:
        raise TrustError(
            f"{path} cannot be read ({error.strerror}).", "Give a file that can be read."
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrustError(
            f"{path} is not an export of a ledger (line {number}: {error}).",
            "Export it again: understudy ledger export FILE",
        ) from error
    report = examined(rows, sorted(signed, key=lambda one: str(one[0]).zfill(20)), against, key)
    findings = list(report.findings)
    if heading.get("size") != report.size:
        text = f"has {report.size} entries, its heading says {heading.get('size')}"
        findings.append(Finding("broken", "export", text))
    verdicts, of_anchors = judged(anchors, signed, trusted)
    return Audit(report.size, report.newest, (*findings, *of_anchors), verdicts)


def _size(note: str) -> int | None:
    try:
        return Checkpoint.parse(note).size
    except TrustError:
        return None

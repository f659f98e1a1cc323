"""Anchors of a ledger's checkpoints: ask for them, ask again, and keep what was answered."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import Anchor
from understudy.provenance.ledger.log import Log
from understudy.provenance.ledger.signed_checkpoint import Checkpoint


def anchored(log: Log, checkpoint: Checkpoint, anchor: Anchor) -> str:
    """Have a checkpoint anchored; asks the network, at the anchor's addresses.

    What cannot be reached now waits, for `upgraded`.

    Returns:
        How it stands, in words.

    Raises:
        TrustError: the log is damaged or was changed.
        StorageError: no room, or no permission.
        ProjectLocked: another process has been writing for half a minute.
    """
    named = (checkpoint.size, anchor.kind, "\n".join(anchor.urls))
    with log.writing():
        row = log.database.execute(
            "SELECT id FROM anchors WHERE size = ? AND kind = ? AND urls = ?", named
        ).fetchone()
        if row is None:
            row = log.database.execute(
                "INSERT INTO anchors (size, kind, urls) VALUES (?, ?, ?) RETURNING id", named
            ).fetchone()
    return _asked(log, int(row[0]), checkpoint, anchor)


def upgraded(log: Log, made: Callable[[str, Sequence[str]], Anchor]) -> list[str]:
    """Ask for the missing parts of all anchors; uses the network.

    Args:
        made: gives the anchor of a kind and addresses; `kinds.make`.

    Returns:
        How each stands, in words.

    Raises: as `anchored`.
    """
    with log.reading():
        rows = log.database.execute(
            "SELECT id, kind, urls, note FROM anchors JOIN checkpoints USING (size) ORDER BY id"
        ).fetchall()
    return [
        _asked(log, int(number), Checkpoint.parse(note), made(str(kind), str(urls).splitlines()))
        for number, kind, urls, note in rows
    ]


def _asked(log: Log, number: int, checkpoint: Checkpoint, anchor: Anchor) -> str:
    with log.reading():
        (old,) = log.database.execute(
            "SELECT proof FROM anchors WHERE id = ?", (number,)
        ).fetchone()
    name = f"{anchor.kind} of checkpoint {checkpoint.size}"
    try:
        proof = anchor.upgrade(old) if old else anchor.stamp(checkpoint.digest)
    except TrustError as error:
        waits = "It is pending; run `understudy ledger anchor --upgrade` later."
        return f"{name}: {error.problem} {error.remedy if old else waits}"
    if proof != old:
        with log.writing():
            log.database.execute("UPDATE anchors SET proof = ? WHERE id = ?", (proof, number))
    return f"{name}: {anchor.verify(proof, checkpoint.digest).words}"


def anchor_lines(log: Log, size: int) -> list[dict[str, Any]]:
    """The anchors of a checkpoint, as exports and proofs hold them."""
    rows = log.database.execute(
        "SELECT kind, urls, proof FROM anchors WHERE size = ? AND proof IS NOT NULL ORDER BY id",
        (size,),
    )
    return [
        {
            "size": size,
            "kind": kind,
            "urls": urls.splitlines(),
            "proof": base64.b64encode(proof).decode(),
        }
        for kind, urls, proof in rows
    ]

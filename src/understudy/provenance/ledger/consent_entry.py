"""Consent in the ledger: that a record was given or taken back, and when, without saying whose."""

from __future__ import annotations

from typing import Literal

from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home
from understudy.safeguards.consent_record import Consent

WORDS = {"detector-training": "detector"}


def enter(record: Consent, kind: Literal["consent", "revocation"], home: Home | None = None) -> int:
    """Enter a record, as a digest whose key can be destroyed (`understudy ledger forget ID`).

    Returns:
        The entry's place in the ledger.

    Raises:
        TrustError: the ledger is damaged, or was last signed by another key.
        StorageError: it cannot be written.
    """
    taken = record.revocation if kind == "revocation" else None
    with Ledger.open(home or Home.from_environment()) as ledger:
        return ledger.append(
            kind,
            {
                "consent": ledger.digest(record.id, record.sha256),
                "by": taken.by if taken else record.stated_by,
                "footing": record.footing,
                "purposes": [WORDS.get(purpose, purpose) for purpose in record.purposes],
                "roles": list(record.roles),
            },
        ).leaf

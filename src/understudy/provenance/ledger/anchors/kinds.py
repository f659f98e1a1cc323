"""The kinds of anchors by their names."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import Anchor, NoAnchor, Trusted
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority


def make(kind: str, urls: Sequence[str]) -> Anchor:
    """The anchor of a kind, for these addresses. Raises TrustError for an unknown kind."""
    if kind == OpenTimestamps.kind:
        return OpenTimestamps(tuple(urls))
    if kind == TimeStampAuthority.kind and len(urls) <= 1:
        return TimeStampAuthority("".join(urls))
    if kind == NoAnchor.kind:
        return NoAnchor()
    raise TrustError(f"Unknown kind of anchor {kind!r}.", "Use ots, rfc3161 or none.")


def anchor_of(kind: str, trusted: Trusted) -> Anchor:
    """The anchor of a kind, to judge proofs offline; one that knows nothing for a kind that is
    not known here."""
    if kind == OpenTimestamps.kind:
        return OpenTimestamps(headers=trusted.headers)
    if kind == TimeStampAuthority.kind:
        return TimeStampAuthority(roots=trusted.roots)
    return NoAnchor()

"""OpenTimestamps proofs of nonsense."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.stamping_servers import DIGEST
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps
from understudy.provenance.ledger.anchors.ots_proof import Stamp, serialised
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_verdict(data: bytes) -> None:
    start = serialised(Stamp(DIGEST))
    for proof in (data, start + data):
        assert OpenTimestamps().verify(proof, DIGEST).state in ("broken", "unknown", "pending")
        assert TimeStampAuthority().verify(proof, DIGEST).state == "broken"


def test_a_proof_nested_without_end_is_refused() -> None:
    start = serialised(Stamp(DIGEST))
    assert OpenTimestamps().verify(start + b"\x08" * 100_000, DIGEST).state == "broken"
    assert OpenTimestamps().verify(start + b"\xf0\xa0\x1f" * 1000, DIGEST).state == "broken"

"""The kinds of anchors by their names."""

from __future__ import annotations

import pytest

from tests.support.stamping_servers import DIGEST
from understudy.errors import TrustError
from understudy.provenance.ledger.anchors import kinds
from understudy.provenance.ledger.anchors.anchor import NOTHING


def test_an_unknown_kind_is_unknown() -> None:
    with pytest.raises(TrustError, match="Unknown kind of anchor 'rekor'"):
        kinds.make("rekor", [])
    assert kinds.anchor_of("rekor", NOTHING).verify(b"", DIGEST).state == "unknown"

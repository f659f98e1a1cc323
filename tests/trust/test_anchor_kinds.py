"""The kinds of anchors by their names."""

from __future__ import annotations

import pytest

from stamping import DIGEST
from understudy.errors import TrustError
from understudy.trust import anchor_kinds
from understudy.trust.anchors import NOTHING


def test_an_unknown_kind_is_unknown() -> None:
    with pytest.raises(TrustError, match="no anchor of the kind 'rekor'"):
        anchor_kinds.make("rekor", [])
    assert anchor_kinds.anchor_of("rekor", NOTHING).verify(b"", DIGEST).state == "unknown"

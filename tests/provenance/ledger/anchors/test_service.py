"""Services are asked where the user said and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stamping_servers import DIGEST, Calendar, served, serving
from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority


@pytest.fixture
def calendar() -> Iterator[Calendar]:
    with serving(Calendar()) as calendar:
        yield calendar


def test_nobody_is_sent_elsewhere(calendar: Calendar) -> None:
    with served(lambda *_: 302, calendar.url) as url:
        for anchor in (OpenTimestamps((url,)), TimeStampAuthority(url)):
            with pytest.raises(TrustError, match="answered 302"):
                anchor.stamp(DIGEST)
    assert calendar.asked == []

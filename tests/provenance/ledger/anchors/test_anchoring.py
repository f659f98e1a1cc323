"""Anchors in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.stamping_servers import HEIGHT, NOBODY, NOW, Authority, Calendar, served, serving
from understudy.provenance.ledger.anchors import kinds
from understudy.provenance.ledger.anchors.anchor import Trusted
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority
from understudy.provenance.ledger.export import verify_export
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.runtime.installation import Home


@pytest.fixture
def calendar() -> Iterator[Calendar]:
    with serving(Calendar()) as calendar:
        yield calendar


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(ec.generate_private_key(ec.SECP256R1()))


def test_an_anchor_goes_with_the_ledger_and_its_proofs(
    home: Path, tmp_path: Path, authority: Authority
) -> None:
    with Ledger.open(Home(home)) as log:
        log.append("render", {"record": 1})
        log.append("render", {"record": 2})
        waiting = log.anchor(TimeStampAuthority(NOBODY))
        assert "cannot be reached" in waiting
        assert "It is pending" in waiting
        assert [str(one) for one in log.audit().findings] == [
            "rfc3161 of checkpoint 2: pending until a service can be reached"
        ]
        with served(authority) as url:
            assert "signed by CN=clock" in log.anchor(TimeStampAuthority(url))
            told = log.upgrade(kinds.make)
        assert "cannot be reached" in told[0]
        assert "signed by CN=clock" in told[1]
        log.append("render", {"record": 3})
        proof = log.prove(0)
        log.export(tmp_path / "out.jsonl")
        assert any("CN=clock" in one.words for one in log.audit().anchors)
        trusted = Trusted(roots=(authority.root,))
        assert [one.state for one in log.audit(trusted=trusted).anchors] == ["proved"]
    proved = verify_proof(proof)
    assert verify_proof(proof, trusted=trusted).anchors[-1].state == "proved"
    assert proved.checkpoint.size == 2
    assert [one.time for one in proved.anchors if one.time] == [NOW]
    assert any("CN=clock" in one.words for one in verify_export(tmp_path / "out.jsonl").anchors)


def test_a_calendar_is_asked_again(home: Path, calendar: Calendar) -> None:
    with Ledger.open(Home(home)) as log:
        log.append("render", {"record": 1})
        anchor = OpenTimestamps((calendar.url,))
        assert "not in the Bitcoin chain yet" in log.anchor(anchor)
        assert "not in the Bitcoin chain yet" in log.anchor(anchor)
        calendar.confirmed = True
        assert f"In Bitcoin block {HEIGHT}" in log.upgrade(kinds.make)[0]
        assert calendar.asked.count("/digest") == 1
        assert log.audit().findings == ()

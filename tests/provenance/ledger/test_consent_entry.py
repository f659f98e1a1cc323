from __future__ import annotations

from pathlib import Path

from understudy.provenance.ledger.consent_entry import enter
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home
from understudy.safeguards import consent_gate


def test_a_record_is_entered_without_saying_whose(tmp_path: Path) -> None:
    home = Home(tmp_path)
    record = consent_gate.state("Ada Lovelace", "self", territory="Austria")
    assert enter(record, "consent", home) == 0
    assert enter(record, "revocation", home) == 1
    with Ledger.open(home, write=False) as ledger:
        given, taken = (ledger.entry(leaf) for leaf in (0, 1))
        assert given is not None
        assert taken is not None
        assert given.values["kind"] == "consent"
        assert taken.values["kind"] == "revocation"
        assert given.values["purposes"] == ["train", "convert", "publish"]
        digest = given.values["consent"]
        assert ledger.matches(record.id, record.sha256, digest)
        for personal in ("Ada", "Austria", record.id, record.sha256):
            assert personal not in given.text + taken.text


def test_what_was_forgotten_fits_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path)
    record = consent_gate.state("ada", "synthetic")
    enter(record, "consent", home)
    with Ledger.open(home) as ledger:
        digest = ledger.latest(1)[0].values["consent"]
        ledger.forget(record.id)
        assert not ledger.matches(record.id, record.sha256, digest)
        assert ledger.audit().intact

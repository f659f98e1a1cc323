"""Keyed digests, and forgetting."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import TrustError
from understudy.provenance.ledger.ledger import Ledger
from understudy.runtime.installation import Home


@pytest.fixture
def at(home: Path) -> Home:
    return Home(home)


def test_a_forgotten_subjects_digests_mean_nothing(at: Home) -> None:
    with Ledger.open(at) as log:
        digest = log.digest("ada", "Ada Lovelace")
        assert log.digest("ada", "Ada Lovelace") == digest
        assert log.digest("chen", "Ada Lovelace") != digest
        assert log.matches("ada", "Ada Lovelace", digest)
        assert not log.matches("ada", "Ada", digest)
        log.append("consent", {"person": digest})
        assert log.forget("ada")
        assert not log.forget("ada")
        assert not log.matches("ada", "Ada Lovelace", digest)
        assert log.digest("ada", "Ada Lovelace") != digest
        assert log.audit().findings == ()
    everything = b"".join(path.read_bytes() for path in at.folder.rglob("*") if path.is_file())
    assert b"Lovelace" not in everything
    assert b"ada" not in b"".join(str(path).encode() for path in at.folder.rglob("*"))


def test_a_subjects_key_is_private_and_whole(at: Home) -> None:
    with Ledger.open(at) as log:
        log.digest("ada", "x")
        (path,) = (at.keys / "subjects").iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        with pytest.raises(TrustError, match="chmod 600"):
            log.digest("ada", "x")
        path.write_bytes(b"short")
        path.chmod(0o600)
        with pytest.raises(TrustError, match="damaged"):
            log.digest("ada", "x")

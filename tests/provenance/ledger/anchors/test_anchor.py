"""The anchor that is none, and what a user trusts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.stamping_servers import DIGEST, HEIGHT, OTHER, Authority, mined
from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import NOTHING, NoAnchor, Trusted


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(ec.generate_private_key(ec.SECP256R1()))


def test_nobodys_word() -> None:
    anchor = NoAnchor()
    proof = anchor.stamp(DIGEST)
    assert anchor.upgrade(proof) == proof
    assert anchor.verify(proof, DIGEST).state == "unknown"


def test_what_is_trusted_is_read_from_files(tmp_path: Path, authority: Authority) -> None:
    headers, roots = tmp_path / "headers", tmp_path / "roots.pem"
    header = mined(OTHER, 0)
    headers.write_text(f"{HEIGHT} {header.hex()}\n\n7 00\n")
    roots.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM))
    trusted = Trusted.read(headers, roots)
    assert trusted == Trusted({HEIGHT: header, 7: b"\0"}, (authority.root,))
    assert Trusted.read() == NOTHING
    for wrong in ("x", "7 zz", "7", "7 00 00"):
        headers.write_text(wrong)
        with pytest.raises(TrustError, match=r"headers cannot be read"):
            Trusted.read(headers)
    with pytest.raises(TrustError, match=r"headers cannot be read"):
        Trusted.read(roots=headers)
    with pytest.raises(TrustError, match=r"missing cannot be read"):
        Trusted.read(tmp_path / "missing")

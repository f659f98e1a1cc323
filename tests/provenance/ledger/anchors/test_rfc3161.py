"""RFC 3161, against a time-stamp authority on this machine."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.stamping_servers import DIGEST, NOW, OTHER, SHA256, Authority, served
from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import Verdict
from understudy.provenance.ledger.anchors.der import der, der_number, der_oid
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(ec.generate_private_key(ec.SECP256R1()))


def test_an_authority_signs_the_time(authority: Authority) -> None:
    with served(authority) as url:
        proof = TimeStampAuthority(url).stamp(DIGEST)
    unchecked = TimeStampAuthority().verify(proof, DIGEST)
    assert (unchecked.state, unchecked.time) == ("unknown", NOW)
    assert "signed by CN=clock, whose certificate was not checked" in unchecked.words
    trusted = TimeStampAuthority(roots=(authority.root,))
    assert trusted.verify(proof, DIGEST) == Verdict(
        "proved", f"{NOW:%Y-%m-%d %H:%M:%S} UTC, signed by CN=clock.", NOW
    )
    assert trusted.upgrade(proof) == proof
    assert trusted.verify(proof, OTHER).state == "broken"
    stranger = Authority(ec.generate_private_key(ec.SECP256R1())).root
    assert TimeStampAuthority(roots=(stranger,)).verify(proof, DIGEST).state == "unknown"


def test_an_authority_with_an_rsa_key_signs_the_time() -> None:
    given = Authority(rsa.generate_private_key(65537, 2048))
    with served(given) as url:
        proof = TimeStampAuthority(url).stamp(DIGEST)
    assert TimeStampAuthority(roots=(given.root,)).verify(proof, DIGEST).state == "proved"


def test_a_changed_time_stamp_is_never_proved_for_another_time(authority: Authority) -> None:
    with served(authority) as url:
        proof = TimeStampAuthority(url).stamp(DIGEST)
    trusted = TimeStampAuthority(roots=(authority.root,))
    for end in range(0, len(proof), 7):
        assert trusted.verify(proof[:end], DIGEST).state == "broken"
    for place in range(len(proof)):
        bent = bytearray(proof)
        bent[place] ^= 1 << place % 8
        verdict = trusted.verify(bytes(bent), DIGEST)
        assert verdict.state == "broken" or verdict.time == NOW


def test_a_certificate_out_of_date_then_does_not_count(authority: Authority) -> None:
    late = Authority(authority.key, when=NOW + timedelta(days=2))
    with served(late) as url:
        proof = TimeStampAuthority(url).stamp(DIGEST)
    assert TimeStampAuthority(roots=(late.root,)).verify(proof, DIGEST).state == "unknown"


def imprint(digest: bytes) -> bytes:
    return der(0x30, der(0x30, der_oid(SHA256), der(0x05)), der(0x04, digest))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": 2}, "refused the time-stamp"),
        ({"imprint": imprint(OTHER)}, "for something else"),
        ({"nonce": der_number(7)}, "belongs to another request"),
        ({"usage": ExtendedKeyUsageOID.CODE_SIGNING}, "is not for time-stamps"),
    ],
)
def test_a_wrong_answer_is_refused(change: dict[str, object], told: str) -> None:
    given = Authority(ec.generate_private_key(ec.SECP256R1()), **change)  # type: ignore[arg-type]
    with served(given) as url, pytest.raises(TrustError, match=told):
        TimeStampAuthority(url).stamp(DIGEST)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\x30\x80", 404, 503])
def test_an_authority_that_answers_nonsense(answer: bytes | int) -> None:
    with served(lambda *_: answer) as url, pytest.raises(TrustError):
        TimeStampAuthority(url).stamp(DIGEST)


CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
"""


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
@pytest.mark.parametrize("ess", ["sha1", "sha256"])
def test_the_time_stamps_of_openssl_are_understood(tmp_path: Path, ess: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    given = Authority(key)
    (tmp_path / "tsa.cnf").write_text(CONFIGURATION.format(folder=tmp_path, ess=ess))
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "leaf.pem").write_bytes(given.leaf.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "root.pem").write_bytes(given.root.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )

    def answer(path: str, query: bytes) -> bytes:
        (tmp_path / "query").write_bytes(query)
        subprocess.run(
            [
                *("openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query"),
                *("-inkey", "key.pem", "-signer", "leaf.pem", "-chain", "root.pem"),
                *("-out", "answer"),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        return (tmp_path / "answer").read_bytes()

    with served(answer) as url:
        proof = TimeStampAuthority(url).stamp(DIGEST)
    verdict = TimeStampAuthority(roots=(given.root,)).verify(proof, DIGEST)
    assert verdict.state == "proved"
    assert verdict.time
    assert abs(verdict.time - datetime.now(UTC)) < timedelta(minutes=5)

"""Certificate chains that sign films: this installation's own, and the user's."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from understudy.errors import StorageError, TrustError
from understudy.provenance.credentials import certificates
from understudy.provenance.credentials.certificates import CLAIM_SIGNER, ClaimSigner, local_signer
from understudy.runtime.installation import Home

NOW = datetime(2027, 1, 1, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def private(path: Path, key: Key, password: bytes = b"") -> Path:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    path.chmod(0o600)
    return path


def self_signed(key: Key, authority: bool = False, purpose: str | None = "email") -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A studio")])
    usage = x509.KeyUsage(purpose != "none", *[False] * 8)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(usage, critical=True)
    )
    oids = {
        "email": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "none": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "server": ExtendedKeyUsageOID.SERVER_AUTH,
    }
    if purpose is not None:
        extended = x509.ExtendedKeyUsage([oids[purpose]])
        builder = builder.add_extension(extended, critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.PEM)


def test_the_local_chain_is_made_once_and_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    signer = local_signer(home)
    path = home.keys / CLAIM_SIGNER
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(home.keys) == [CLAIM_SIGNER]
    assert local_signer(home).chain == signer.chain
    leaf, intermediate, root = signer.chain
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert signer.algorithm == "ES256"
    years = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days / 365.25
    assert years == pytest.approx(10, abs=0.01)
    assert path.read_bytes().count(b"PRIVATE KEY") == 2, "the upper keys are thrown away"
    signer.require_valid()


def test_two_installations_are_not_the_same(tmp_path: Path) -> None:
    one, other = (local_signer(Home(tmp_path / name)) for name in "ab")
    assert one.chain[0].subject != other.chain[0].subject
    assert certificates.name_of(one.chain[0]).startswith("Understudy installation ")


def test_many_at_once_get_the_same_chain(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: local_signer(home), range(16)))
    assert len({signer.chain for signer in signers}) == 1


def test_reading_makes_no_keys(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert certificates.anchors(home) == ""
    assert not home.folder.exists()


def test_the_anchors_are_the_own_root_and_the_given_files(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    signer = local_signer(home)
    given = tmp_path / "given.pem"
    given.write_bytes(self_signed(ec.generate_private_key(ec.SECP256R1())))
    assert certificates.anchors(home) == signer.anchor_pem
    assert certificates.anchors(home, [given]) == signer.anchor_pem + given.read_text()
    with pytest.raises(TrustError, match="No certificate can be read"):
        certificates.anchors(home, [tmp_path / "missing.pem"])


def test_a_certificate_that_does_not_hold_now_is_refused(tmp_path: Path) -> None:
    signer = local_signer(Home(tmp_path))
    began = signer.chain[0].not_valid_before_utc
    with pytest.raises(TrustError, match=r"Set the clock right"):
        signer.require_valid(began - timedelta(minutes=1))
    with pytest.raises(TrustError, match="expired on"):
        signer.require_valid(began + timedelta(days=3655))


def test_a_damaged_local_chain_is_refused_and_stays(tmp_path: Path) -> None:
    home = Home(tmp_path)
    local_signer(home)
    path = home.keys / CLAIM_SIGNER
    whole = path.read_bytes()
    key_only = whole[: whole.index(b"-----BEGIN CERT")]
    without_key = whole[whole.index(b"-----BEGIN CERT") :]
    for damaged in (b"", key_only, without_key, whole.replace(b"MII", b"M!I")):
        path.write_bytes(damaged)
        with pytest.raises(TrustError, match=r"cannot be read|No certificate"):
            local_signer(home)
        assert path.read_bytes() == damaged


def test_a_local_chain_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    local_signer(home)
    (home.keys / CLAIM_SIGNER).chmod(0o640)
    with pytest.raises(TrustError, match="chmod 600"):
        local_signer(home)


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="name of a needed folder"):
        local_signer(Home(tmp_path / "file" / "home"))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ed25519.Ed25519PrivateKey.generate(), "ED25519"),
        (rsa.generate_private_key(65537, 2048), "PS256"),
    ],
)
def test_the_users_own_certificate(tmp_path: Path, key: Key, algorithm: str) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(self_signed(key))
    signer = ClaimSigner.read(chain, private(tmp_path / "key.pem", key))
    assert signer.algorithm == algorithm
    assert signer.chain_pem == chain.read_bytes()
    assert signer.key_pem == (tmp_path / "key.pem").read_bytes()
    assert "PRIVATE" not in repr(signer)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(self_signed(ec.generate_private_key(ec.SECP256R1())))
    key = private(tmp_path / "key.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(TrustError, match="does not belong"):
        ClaimSigner.read(chain, key)


def test_a_chain_in_the_wrong_order_is_refused(tmp_path: Path) -> None:
    (leaf, intermediate, root), key = certificates.make_chain(NOW)
    chain = tmp_path / "chain.pem"
    pem = [one.public_bytes(Encoding.PEM) for one in (leaf, root, intermediate)]
    chain.write_bytes(b"".join(pem))
    with pytest.raises(TrustError, match="was not issued by"):
        ClaimSigner.read(chain, private(tmp_path / "key.pem", key))


@pytest.mark.parametrize(
    ("authority", "purpose", "why"),
    [
        (True, "email", "a certificate authority"),
        (False, "server", "neither e-mail"),
        (False, None, "missing"),
        (False, "none", "not for digital signatures"),
    ],
)
def test_a_certificate_for_something_else_is_refused(
    tmp_path: Path, authority: bool, purpose: str | None, why: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = tmp_path / "chain.pem"
    chain.write_bytes(self_signed(key, authority, purpose))
    with pytest.raises(TrustError, match=why):
        ClaimSigner.read(chain, private(tmp_path / "key.pem", key))


def test_a_key_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = tmp_path / "chain.pem"
    chain.write_bytes(self_signed(key))
    with pytest.raises(TrustError, match="cannot be read"):
        ClaimSigner.read(chain, tmp_path / "missing.pem")
    with pytest.raises(TrustError, match="cannot be read"):
        ClaimSigner.read(chain, private(tmp_path / "locked.pem", key, b"secret"))
    other = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(TrustError, match="has a type"):
        ClaimSigner.read(chain, private(tmp_path / "k1.pem", other))

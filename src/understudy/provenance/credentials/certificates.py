"""Who signs a finished film: a certificate chain and the private key of its first certificate.

    keys/claim-signer.pem    this installation's own: private key, leaf, intermediate, root

The chain is made at first use and says "this installation", not who sits before it. The private
keys of its two upper certificates are deleted after they have signed, so no one, not even the
user, can issue another certificate under the same root. Other programs show such a signature as
one of an unknown signer; the user's own chain from a public authority changes that.

The profile is that of C2PA 2.4, section 14.5.1: X.509 v3, digitalSignature, an extended key usage
that the default configuration accepts (emailProtection), not a CA, AKI present.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from understudy.errors import TrustError
from understudy.runtime.installation import Home
from understudy.runtime.keys import read_private, write_private

CLAIM_SIGNER = "claim-signer.pem"
YEARS = 10
USAGES = {
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),
    x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),
}
"""emailProtection, documentSigning, C2PA claim signing."""

Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "ED25519"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_CURVES: dict[str, Algorithm] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_SMALLEST_RSA = 2048


@dataclass(frozen=True)
class ClaimSigner:
    """A chain, leaf first, and the key of the leaf; both were checked against each other."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    algorithm: Algorithm

    @classmethod
    def read(cls, chain: Path, key: Path) -> Self:
        """The user's own: PEM files, the chain leaf first, the key PKCS#8 without a password.

        Raises:
            TrustError: a file cannot be read, other users can read the key, the key is not the
                leaf's, the order is wrong, or C2PA does not allow such a certificate.
        """
        certificates = read_certificates(chain)
        private = read_private(key)
        leaf = certificates[0]
        algorithm = _algorithm(private, key)
        private = cast(PrivateKey, private)
        if _public(private.public_key()) != _public(leaf.public_key()):
            raise TrustError(
                f"The key {key} does not belong to the first certificate of {chain}.",
                "Give the key of that certificate; the signer's certificate is first in the chain.",
            )
        for issued, issuer in pairwise(certificates):
            try:
                issued.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature) as error:
                raise TrustError(
                    f"In {chain}, {name_of(issued)!r} was not issued by {name_of(issuer)!r}, "
                    "which follows it.",
                    "Put the certificates in order: the signer's, then each one's issuer.",
                ) from error
        _check_profile(leaf, chain)
        return cls(tuple(certificates), private, algorithm)

    def require_valid(self, now: datetime | None = None) -> None:
        """Raises TrustError unless every certificate holds at `now` (aware; the present)."""
        now = now or datetime.now(UTC)
        for certificate in self.chain:
            if now > certificate.not_valid_after_utc:
                raise TrustError(
                    f"The certificate of {name_of(certificate)!r} expired on "
                    f"{certificate.not_valid_after_utc:%Y-%m-%d} and can no longer sign.",
                    "Check this computer's clock. If it is right, get a new certificate; "
                    f"if it is this installation's own, move {CLAIM_SIGNER} to another place.",
                )
            if now < certificate.not_valid_before_utc:
                raise TrustError(
                    f"The certificate of {name_of(certificate)!r} is valid from "
                    f"{certificate.not_valid_before_utc:%Y-%m-%d} on, but this computer's clock "
                    f"says {now:%Y-%m-%d}.",
                    "Set the clock right, then run the same command again.",
                )

    @property
    def chain_pem(self) -> bytes:
        """Leaf first."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)

    @property
    def key_pem(self) -> bytes:
        return _key_pem(self.key)

    @property
    def anchor_pem(self) -> str:
        """The uppermost certificate; who trusts it trusts this signer."""
        return self.chain[-1].public_bytes(Encoding.PEM).decode()


def local_signer(home: Home) -> ClaimSigner:
    """This installation's own, created if missing.

    Raises:
        TrustError: the file is damaged, or others may read it.
        StorageError: it cannot be written.
    """
    path = home.keys / CLAIM_SIGNER
    if not path.exists():
        home.make()
        chain, key = make_chain(datetime.now(UTC))
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
        write_private(path, _key_pem(key) + pem, replace=False)
    return ClaimSigner.read(path, path)


def anchors(home: Home, more: Sequence[Path] = ()) -> str:
    """The certificates that are trusted when reading, as PEM; may be empty.

    They are this installation's root, if it ever signed, and those in the files `more`.

    Raises:
        TrustError: a file cannot be read or contains no certificate.
    """
    own = home.keys / CLAIM_SIGNER
    trusted = [read_certificates(own)[-1]] if own.exists() else []
    for path in more:
        trusted += read_certificates(path)
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in trusted)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one. Raises TrustError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrustError(
            f"No certificate can be read from {path} ({error}).",
            "Give a PEM file with certificates, or restore it from a backup.",
        ) from error


def name_of(certificate: x509.Certificate) -> str:
    """Its common name, else the whole subject."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def make_chain(
    since: datetime, years: float = YEARS
) -> tuple[tuple[x509.Certificate, ...], ec.EllipticCurvePrivateKey]:
    """A new chain (leaf, intermediate, root), each ES256, and the key of the leaf.

    It holds from a day before `since`, so that a clock that is put back a little does not
    invalidate it, for that many years.
    """
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    leaf_key, intermediate_key, root_key = keys
    about = x509.SubjectKeyIdentifier.from_public_key(leaf_key.public_key()).digest.hex()[:8]
    begins, ends = since - timedelta(days=1), since + timedelta(days=365.25 * years)

    def issue(
        title: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        issuer_key: ec.EllipticCurvePrivateKey,
        below: int | None,
    ) -> x509.Certificate:
        subject = _name(f"Understudy {title} {about}")
        authority = below is not None
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(authority, below), critical=True)
            .add_extension(_key_usage(authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
            )
        )
        if not authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    root = issue("root", root_key, None, root_key, 1)
    intermediate = issue("authority", intermediate_key, root, root_key, 0)
    leaf = issue("installation", leaf_key, intermediate, intermediate_key, None)
    return (leaf, intermediate, root), leaf_key


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Understudy"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _algorithm(key: object, path: Path) -> Algorithm:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_RSA:
        return "PS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    raise TrustError(
        f"The key {path} has a type that Content Credentials do not allow.",
        "Use P-256, P-384, P-521, Ed25519, or RSA with at least 2048 bits.",
    )


def _check_profile(leaf: x509.Certificate, path: Path) -> None:
    try:
        extensions = leaf.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise _unfit(leaf, path, f"the extension is missing or damaged: {error}") from error
    try:
        authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    if authority:
        raise _unfit(leaf, path, "it belongs to a certificate authority")
    if not usage.digital_signature:
        raise _unfit(leaf, path, "it is not for digital signatures")
    if not USAGES.intersection(purposes):
        raise _unfit(leaf, path, "it is for neither e-mail, documents nor Content Credentials")


def _unfit(leaf: x509.Certificate, path: Path, why: str) -> TrustError:
    return TrustError(
        f"The certificate of {name_of(leaf)!r} in {path} cannot sign films: {why}.",
        "Use an end certificate with digitalSignature and emailProtection.",
    )


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(key: object) -> bytes:
    """Its DER; keys of any kind can be compared by it."""
    write = getattr(key, "public_bytes", None)
    assert write is not None
    return bytes(write(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

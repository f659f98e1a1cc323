"""RFC 3161: a time-stamp authority signs a digest and the time at once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import Verdict
from understudy.provenance.ledger.anchors.der import (
    Der,
    der,
    der_number,
    der_oid,
    der_values,
    inside,
    read_oid,
)
from understudy.provenance.ledger.anchors.service import fetch

_OIDS = {
    "tst_info": "1.2.840.113549.1.9.16.1.4",
    "signed_data": "1.2.840.113549.1.7.2",
    "content_type": "1.2.840.113549.1.9.3",
    "message_digest": "1.2.840.113549.1.9.4",
    "certificate": "1.2.840.113549.1.9.16.2.12",
    "certificate_v2": "1.2.840.113549.1.9.16.2.47",
}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1.3.14.3.2.26": hashes.SHA1(),
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_SHA256_OID = "2.16.840.1.101.3.4.2.1"
_DAMAGE = (ValueError, KeyError, IndexError, x509.InvalidVersion)
_BAD_EXTENSION = (
    ValueError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def _hash(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    state = hashes.Hash(algorithm)
    state.update(data)
    return state.finalize()


def _algorithm(value: Der) -> str:
    """OID of an AlgorithmIdentifier."""
    return read_oid(der_values(value[1])[0])


@dataclass(frozen=True)
class _Token:
    """A parsed time-stamp token; nothing of it is checked.

    Attributes:
        info: TSTInfo's encoding.
        imprint: hash that was stamped, and its algorithm.
        nonce: content of the INTEGER, None without.
        attributes: content of the signed ones by OID; the first value of each.
        signed: the signed data.
        digest_algorithm, signature: of the signer.
        certificates: those stored in it.
    """

    info: bytes
    imprint: tuple[str, bytes]
    time: datetime
    nonce: bytes | None
    attributes: dict[str, Der]
    signed: bytes
    digest_algorithm: str
    signature: bytes
    certificates: tuple[x509.Certificate, ...]


def _token(data: bytes) -> _Token:
    """Parse a ContentInfo (RFC 5652) with TSTInfo (RFC 3161). Raises ValueError, and
    IndexError where something is missing."""
    content = inside(data, 0x30)
    if read_oid(content[0]) != _OIDS["signed_data"]:
        raise ValueError("it is not signed")
    parts = inside(content[1][1], 0x30)
    encapsulated = der_values(parts[2][1])
    if read_oid(encapsulated[0]) != _OIDS["tst_info"]:
        raise ValueError("it is not a time-stamp")
    info = inside(encapsulated[1][1])[0][1]
    certificates = tuple(
        x509.load_der_x509_certificate(one[2])
        for part in parts[3:]
        if part[0] == 0xA0
        for one in der_values(part[1])
        if one[0] == 0x30
    )
    (signer,) = der_values(parts[-1][1])
    fields = der_values(signer[1])
    if fields[3][0] != 0xA0:
        raise ValueError("it has no signed attributes")
    attributes = {
        read_oid(values[0]): der_values(values[1][1])[0]
        for values in (der_values(one[1]) for one in der_values(fields[3][1]))
    }
    stamped = inside(info, 0x30)
    imprint = der_values(stamped[2][1])
    nonces = [value for tag, value, _ in stamped[5:] if tag == 0x02]
    return _Token(
        info=info,
        imprint=(_algorithm(imprint[0]), imprint[1][1]),
        time=_time(stamped[4]),
        nonce=nonces[0] if nonces else None,
        attributes=attributes,
        signed=der(0x31, fields[3][1]),
        digest_algorithm=_algorithm(fields[2]),
        signature=fields[5][1],
        certificates=certificates,
    )


def _time(value: Der) -> datetime:
    text = value[1].decode("ascii")
    if value[0] != 0x18 or not text.endswith("Z"):
        raise ValueError("a time was expected")
    whole, _, fraction = text[:-1].partition(".")
    when = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return when.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else when


def _signer(token: _Token) -> x509.Certificate:
    """The certificate that the token names as its signer's (RFC 2634, RFC 5035), if the signature
    is its key's. Raises ValueError."""
    algorithm = _HASHES[token.digest_algorithm]
    if token.attributes[_OIDS["message_digest"]][1] != _hash(token.info, algorithm):
        raise ValueError("the signature is for other data")
    if read_oid(token.attributes[_OIDS["content_type"]]) != _OIDS["tst_info"]:
        raise ValueError("the signed data are not a time-stamp")
    newer = token.attributes.get(_OIDS["certificate_v2"])
    named = newer or token.attributes[_OIDS["certificate"]]
    fields = der_values(der_values(der_values(named[1])[0][1])[0][1])
    by = _HASHES[_SHA256_OID] if newer else hashes.SHA1()
    if fields[0][0] == 0x30:
        by = _HASHES[_algorithm(fields[0])]
        fields = fields[1:]
    for certificate in token.certificates:
        if certificate.fingerprint(by) == fields[0][1]:
            _check(certificate, token.signature, token.signed, algorithm)
            return certificate
    raise ValueError("it does not contain its signer's certificate")


def _check(
    certificate: x509.Certificate, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise ValueError("the type of its signer's key is unknown")


def _leads_to(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    when: datetime,
) -> bool:
    """Whether certificates lead from `leaf` to one of `roots`, each valid at `when`."""
    current = leaf
    for _ in range(8):
        if not current.not_valid_before_utc <= when <= current.not_valid_after_utc:
            return False
        if current in roots:
            return True
        above = next((one for one in (*roots, *others) if _issued(current, one)), None)
        if above is None or above == current:
            return False
        current = above
    return False


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        authority = above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        below.verify_directly_issued_by(above)
    except (*_BAD_EXTENSION, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return authority


def _for_stamps(certificate: x509.Certificate) -> bool:
    """Whether it may sign time-stamps and nothing else (RFC 3161, 2.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except _BAD_EXTENSION:
        return False
    return usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


@dataclass(frozen=True)
class TimeStampAuthority:
    """A service that signs digests with the time (RFC 3161); a proof is its token.

    Attributes:
        url: where it is asked.
        roots: certificates of authorities that the user trusts.
    """

    url: str = ""
    roots: tuple[x509.Certificate, ...] = ()
    kind: ClassVar[str] = "rfc3161"

    @property
    def urls(self) -> Sequence[str]:
        return (self.url,) if self.url else ()

    def stamp(self, digest: bytes) -> bytes:
        nonce = der_number(secrets.randbits(63) | 1 << 63)
        algorithm = der(0x30, der_oid(_SHA256_OID), der(0x05))
        query = der(
            0x30,
            der_number(1),
            der(0x30, algorithm, der(0x04, digest)),
            nonce,
            der(0x01, b"\xff"),
        )
        try:
            answer = fetch(self.url, query, {"Content-Type": "application/timestamp-query"})
            status, *token = inside(answer, 0x30)
            if der_values(status[1])[0][1] not in (b"\x00", b"\x01") or not token:
                raise TrustError(f"{self.url} refused the time-stamp.", "Use another authority.")
            proof = token[0][2]
            fits = _token(proof).nonce == der_values(nonce)[0][1]
        except FileNotFoundError as error:
            raise TrustError(f"{self.url} answered 404.", "Use another address.") from error
        except _DAMAGE as error:
            raise TrustError(
                f"{self.url} sent an answer that is not a time-stamp ({error}).",
                "Use another authority.",
            ) from error
        verdict = self.verify(proof, digest)
        if not fits or verdict.state == "broken":
            told = verdict.words if fits else "The answer belongs to another request."
            raise TrustError(f"{self.url}: {told}", "Use another authority.")
        return proof

    def upgrade(self, proof: bytes) -> bytes:
        return proof

    def verify(self, proof: bytes, digest: bytes) -> Verdict:
        try:
            token = _token(proof)
            signer = _signer(token)
        except _DAMAGE as error:
            return Verdict("broken", f"The time-stamp is damaged ({error}).")
        except InvalidSignature:
            return Verdict("broken", "The signature of the time-stamp is wrong.")
        except UnsupportedAlgorithm as error:
            return Verdict("unknown", f"The time-stamp is signed in an unknown way ({error}).")
        if token.imprint != (_SHA256_OID, digest):
            return Verdict("broken", "The time-stamp is for something else.")
        if not _for_stamps(signer):
            return Verdict("broken", "Its signer's certificate is not for time-stamps.")
        name = signer.subject.rfc4514_string()
        text = f"{token.time:%Y-%m-%d %H:%M:%S} UTC, signed by {name}"
        if _leads_to(signer, token.certificates, self.roots, token.time):
            return Verdict("proved", f"{text}.", token.time)
        return Verdict("unknown", f"{text}, whose certificate was not checked.", token.time)

"""A calendar and a time-stamp authority on this machine."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from understudy.provenance.ledger.anchors.der import der, der_number, der_oid, der_values

DIGEST = hashlib.sha256(b"checkpoint").digest()
OTHER = hashlib.sha256(b"other").digest()
NOBODY = "http://127.0.0.1:9"
PENDING = bytes.fromhex("0083dfe30d2ef90c8e")
BITCOIN = bytes.fromhex("000588960d73d71901")
HEIGHT = 800_000
VARINT = b"\x80\xea\x30"
SHA256 = "2.16.840.1.101.3.4.2.1"
NOW = datetime.now(UTC).replace(microsecond=0)

Answer = Callable[[str, bytes], bytes | int]


@contextmanager
def served(answer: Answer, elsewhere: str = "") -> Iterator[str]:
    """A server on this machine; `answer` gets the path and the body and gives a body or status,
    302 for sending on to `elsewhere`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = answer(self.path, body)
            self.send_response(given if isinstance(given, int) else 200)
            if given == 302:
                self.send_header("Location", f"{elsewhere}{self.path}")
            self.end_headers()
            if isinstance(given, bytes):
                self.wfile.write(given)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def mined(root: bytes, when: int) -> bytes:
    """A block header of the least difficulty there is."""
    for nonce in range(1 << 16):
        header = struct.pack("<I32s32sIII", 1, bytes(32), root, when, 0x207FFFFF, nonce)
        work = hashlib.sha256(hashlib.sha256(header).digest()).digest()
        if int.from_bytes(work, "little") <= 0x7FFFFF << 8 * 29:
            return header
    raise AssertionError


@dataclass
class Calendar:
    """Puts each digest into a block of its own: sha256(digest + `salt`) is the block's root."""

    confirmed: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)
    salt: bytes = b"salt"

    def __call__(self, path: str, body: bytes) -> bytes | int:
        self.asked.append(path)
        if path == "/digest":
            assert len(body) == 32
            uri = self.url.encode()
            payload = bytes([len(uri)]) + uri
            return b"\x08" + PENDING + bytes([len(payload)]) + payload
        if not self.confirmed:
            return 404
        return b"\xf0\x04" + self.salt + b"\x08" + BITCOIN + b"\x03" + VARINT

    def root(self) -> bytes:
        commitment = bytes.fromhex(self.asked[-1].removeprefix("/timestamp/"))
        return hashlib.sha256(commitment + self.salt).digest()


@contextmanager
def serving(calendar: Calendar) -> Iterator[Calendar]:
    """Serves it at an address that it then knows itself."""
    with served(calendar) as url:
        calendar.url = url
        yield calendar


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(
    subject: str,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    issuer: str,
    by: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(by, hashes.SHA256())


@dataclass
class Authority:
    """A time-stamp authority.

    Attributes:
        when: the time that it says.
        status: of its answers.
        usage: what its certificate is for.
    """

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    when: datetime = NOW
    status: int = 0
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING
    imprint: bytes | None = None
    nonce: bytes | None = None

    def __post_init__(self) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate("root", self.root_key, "root", self.root_key, authority=True)
        self.leaf = certificate("clock", self.key, "root", self.root_key, usage=self.usage)

    def __call__(self, path: str, query: bytes) -> bytes:
        fields = der_values(der_values(query)[0][1])
        assert [one[0] for one in fields] == [0x02, 0x30, 0x02, 0x01]
        if self.status > 1:
            return der(0x30, der(0x30, der_number(self.status)))
        stamped = self.imprint or fields[1][2]
        token = self.token(stamped, self.nonce or fields[2][2])
        return der(0x30, der(0x30, der_number(self.status)), token)

    def token(self, imprint: bytes, nonce: bytes) -> bytes:
        info = der(
            0x30,
            der_number(1),
            der_oid("1.2.3.4"),
            imprint,
            der_number(1),
            der(0x18, f"{self.when:%Y%m%d%H%M%S}Z".encode()),
            nonce,
        )
        sha256 = der(0x30, der_oid(SHA256))
        leaf = self.leaf.public_bytes(serialization.Encoding.DER)
        kind = der_oid("1.2.840.113549.1.9.16.1.4")

        def attribute(oid: str, value: bytes) -> bytes:
            return der(0x30, der_oid(oid), der(0x31, value))

        certified = der(0x30, der(0x30, der(0x30, der(0x04, hashlib.sha256(leaf).digest()))))
        attributes = (
            attribute("1.2.840.113549.1.9.3", kind)
            + attribute("1.2.840.113549.1.9.4", der(0x04, hashlib.sha256(info).digest()))
            + attribute("1.2.840.113549.1.9.16.2.47", certified)
        )
        signed = der(0x31, attributes)
        if isinstance(self.key, rsa.RSAPrivateKey):
            signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        signer = der(
            0x30,
            der_number(1),
            der(0x30, self.leaf.issuer.public_bytes(), der_number(self.leaf.serial_number)),
            sha256,
            der(0xA0, attributes),
            der(0x30, der_oid("1.2.840.113549.1.1.1"), der(0x05)),
            der(0x04, signature),
        )
        data = der(
            0x30,
            der_number(3),
            der(0x31, sha256),
            der(0x30, kind, der(0xA0, der(0x04, info))),
            der(0xA0, leaf),
            der(0x31, signer),
        )
        return der(0x30, der_oid("1.2.840.113549.1.7.2"), der(0xA0, data))

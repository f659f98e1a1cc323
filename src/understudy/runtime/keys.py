"""The operator's key: signs consent records that no one else signs, and the ledger's checkpoints.

Ed25519 (RFC 8032), made at first use, kept as unencrypted PKCS#8 PEM that only the user may read.
It says "this installation", not who sits before it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from understudy.errors import TrustError
from understudy.runtime import files
from understudy.runtime.installation import Home

OPERATOR = "operator.pem"
PRIVATE = 0o600
FOLDER = 0o700


def operator_key(home: Home) -> Ed25519PrivateKey:
    """This installation's key, created if missing.

    Raises:
        TrustError: the file is damaged, is another kind of key, or others may read it.
        StorageError: it cannot be written.
    """
    path = home.keys / OPERATOR
    if not path.exists():
        home.make()
        write_private(path, _pem(Ed25519PrivateKey.generate()), replace=False)
    key = read_private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(
            f"{path} is not an Ed25519 key.",
            "Restore it from a backup, or move it: a new key is then created, which cannot "
            "continue the old ledger.",
        )
    return key


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file that only the user can read, completely or not at all.

    Args:
        replace: put it in the place of one that is there; otherwise the first writer wins.

    Raises:
        StorageError: it cannot be written.
    """
    with files.storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(FOLDER)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(PRIVATE)
            if replace:
                os.replace(temporary, path)
            else:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return
        finally:
            temporary.unlink(missing_ok=True)


def read_private(path: Path) -> object:
    """The private key in a PEM file. Raises TrustError."""
    try:
        if path.stat().st_mode & 0o077:
            raise TrustError(
                f"Other users can read the private key {path}.", f"Run: chmod 600 {path}"
            )
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise TrustError(
            f"The private key {path} cannot be read ({error}).",
            "Restore it from a backup, or move it so that a new one is created.",
        ) from error


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes of RFC 8032."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def key_id(key: Ed25519PublicKey) -> str:
    """A name for a key: the first 16 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(public_bytes(key)).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, message: bytes) -> str:
    """Signature in base64."""
    return base64.b64encode(key.sign(message)).decode()


def verified(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64) is the key's over `message`."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_text(key: Ed25519PublicKey) -> str:
    """Base64 of `public_bytes`."""
    return base64.b64encode(public_bytes(key)).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """From `public_text`. Raises TrustError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise TrustError(
            f"{text[:60]!r} is not an Ed25519 public key in base64.", "Give the 32 bytes as base64."
        ) from error

"""The key of somebody who signs their own consent: an Ed25519 key in a PEM file of theirs."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy import files
from understudy.errors import ConsentError, TrustError
from understudy.trust.signing import PRIVATE, read_private


def subject_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file, which is made when there is none; only its owner may read it.

    Raises:
        ConsentError: it holds another kind of key.
        TrustError: it is damaged, or others may read it.
        StorageError: it cannot be written.
    """
    if not path.exists():
        _make(path)
    try:
        key = read_private(path)
    except TrustError as error:
        # What to do differs: this key is no installation's, and none is made in its place.
        raise TrustError(error.problem, _remedy(error, path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConsentError(
            f"{path} is not an Ed25519 key.",
            "Name another file with --key; one that is not there yet is made.",
        )
    return key


def _remedy(error: TrustError, path: Path) -> str:
    if error.remedy.startswith("Run: chmod"):
        return error.remedy
    return f"Restore {path} from a copy, or name another file with --key."


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with files.storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic(path) as temporary:
        temporary.chmod(PRIVATE)
        temporary.write_bytes(pem)

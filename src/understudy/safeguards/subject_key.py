"""The key of a person who signs their own consent: an Ed25519 key in their own PEM file."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.errors import ConsentError, StorageError, TrustError
from understudy.runtime import files
from understudy.runtime.keys import PRIVATE, read_private


def subject_key(path: Path, *, make: bool = True) -> Ed25519PrivateKey:
    """The key in a file; only its owner may read it.

    Args:
        make: create one if missing.

    Raises:
        ConsentError: it contains another kind of key, or is missing.
        TrustError: it is damaged, or others may read it.
        StorageError: it cannot be written.
    """
    if not path.exists():
        if not make:
            raise ConsentError(
                f"There is no key {path}.", "Give the key that you signed with: --key FILE"
            )
        _make(path)
    try:
        key = read_private(path)
    except TrustError as error:
        # The remedy differs: this is not an installation's key, and no new one is created.
        raise TrustError(error.problem, _remedy(error, path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConsentError(
            f"{path} is not an Ed25519 key.",
            "Give another file with --key; it is created if it does not exist.",
        )
    return key


def _remedy(error: TrustError, path: Path) -> str:
    if error.remedy.startswith("Run: chmod"):
        return error.remedy
    return f"Restore {path} from a backup, or give another file with --key."


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"No key can be created in {path.parent} ({error.strerror}).",
            "Give another file with --key.",
        ) from error
    with files.atomic(path) as temporary:
        temporary.chmod(PRIVATE)
        temporary.write_bytes(pem)

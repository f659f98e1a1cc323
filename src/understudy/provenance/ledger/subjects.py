"""Keyed digests of personal data, and how to forget them.

An entry holds HMAC-SHA256 (RFC 2104) of a person's data with a key of that person's own. Without
the key it cannot be told from noise, nor found by trying names; to destroy the key is to forget,
and the log stays whole.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import TrustError
from understudy.runtime import files, keys
from understudy.runtime.installation import Home


@dataclass(frozen=True)
class Subjects:
    """The keys of everyone whose digests are in the ledger, each in a file that is named by a
    hash."""

    home: Home

    def digest(self, subject: str, text: str) -> str:
        """HMAC-SHA256 of something personal, in hex, with a key of the subject's own.

        Args:
            subject: the person it is about; the key is created at the first use.

        Raises:
            TrustError: the key is damaged or others may read it.
            StorageError: it cannot be written.
        """
        path = self._subject(subject)
        if not path.exists():
            keys.write_private(path, secrets.token_bytes(32), replace=False)
        return _keyed(path, text)

    def matches(self, subject: str, text: str, digest: str) -> bool:
        """Whether `digest` was made of this; never once the subject is forgotten."""
        path = self._subject(subject)
        return path.exists() and hmac.compare_digest(_keyed(path, text), digest)

    def forget(self, subject: str) -> bool:
        """Destroy the subject's key: their digests mean nothing from now on, and the log stays.

        Copies of the key in backups, and what a disk keeps of overwritten files, are not reached.

        Returns:
            Whether there was one.

        Raises:
            StorageError: it cannot be removed.
        """
        path = self._subject(subject)
        with files.storage_errors(path):
            try:
                with open(path, "r+b") as file:
                    file.write(bytes(path.stat().st_size))
                    file.flush()
                    os.fsync(file.fileno())
            except FileNotFoundError:
                return False
            path.unlink()
        return True

    def _subject(self, subject: str) -> Path:
        name = hashlib.sha256(subject.encode()).hexdigest()
        return self.home.keys / "subjects" / f"{name}.key"


def _keyed(path: Path, text: str) -> str:
    try:
        mode, key = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise TrustError(
            f"The key {path} cannot be read ({error.strerror}).", "Give yourself read permission."
        ) from error
    if mode & 0o077:
        raise TrustError(f"Other users can read the key {path}.", f"Run: chmod 600 {path}")
    if len(key) != 32:
        raise TrustError(
            f"The key {path} is damaged.",
            "Restore it from a backup; without it, its digests cannot be linked to a person.",
        )
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

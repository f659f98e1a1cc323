"""Anchors: proof by an outside service that a checkpoint existed at a certain time.

The interface that all kinds have, and the kind `none`. Only hashes leave this machine, and only
to addresses that the user gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self

from cryptography import x509

from understudy.errors import TrustError


@dataclass(frozen=True)
class Verdict:
    """What an anchor says of a digest.

    Attributes:
        state: proved; pending, ask again later; unknown, it fits but its issuer is not checked
            here; broken, it is not for this digest or was changed.
        words: for people, one sentence.
        time: the digest was there by then, as far as the anchor says.
    """

    state: Literal["proved", "pending", "unknown", "broken"]
    words: str
    time: datetime | None = None


class Anchor(Protocol):
    """Creates proofs for digests of 32 bytes. A proof is bytes in the service's format."""

    @property
    def kind(self) -> str:
        """ots, rfc3161 or none."""
        ...

    @property
    def urls(self) -> Sequence[str]:
        """All that it may talk to."""
        ...

    def stamp(self, digest: bytes) -> bytes:
        """A proof, perhaps one that has to be upgraded later. Uses the network.

        Raises TrustError: the service cannot be reached or answers nonsense."""
        ...

    def upgrade(self, proof: bytes) -> bytes:
        """The same proof with what has become known since; itself if nothing has. Uses the
        network. Raises TrustError."""
        ...

    def verify(self, proof: bytes, digest: bytes) -> Verdict:
        """Check the proof offline; damage is a verdict, not an error."""
        ...


@dataclass(frozen=True)
class Trusted:
    """Data that the user trusts, to check proofs with.

    Attributes:
        headers: Bitcoin block headers, 80 bytes by height.
        roots: certificates of time-stamp authorities.
    """

    headers: Mapping[int, bytes] = field(default_factory=dict)
    roots: tuple[x509.Certificate, ...] = ()

    @classmethod
    def read(cls, headers: Path | None = None, roots: Path | None = None) -> Self:
        """
        Args:
            headers: a text file; in each line the height and the header in hex.
            roots: a PEM file.

        Raises TrustError: one of them cannot be read.
        """
        path = headers
        try:
            lines = headers.read_text(encoding="ascii").splitlines() if headers else []
            pairs = [line.split() for line in lines if line.strip()]
            known = {int(height): bytes.fromhex(header) for height, header in pairs}
            path = roots
            found = x509.load_pem_x509_certificates(roots.read_bytes()) if roots else []
        except (OSError, ValueError) as error:
            raise TrustError(
                f"{path} cannot be read ({error}).",
                "Give lines with a block's height and header in hex, or certificates as PEM.",
            ) from error
        return cls(known, tuple(found))


NOTHING = Trusted()


@dataclass(frozen=True)
class NoAnchor:
    """No one else's word."""

    kind: ClassVar[str] = "none"
    urls: ClassVar[Sequence[str]] = ()

    def stamp(self, digest: bytes) -> bytes:
        return b"none"

    def upgrade(self, proof: bytes) -> bytes:
        return proof

    def verify(self, proof: bytes, digest: bytes) -> Verdict:
        return Verdict("unknown", "No outside service confirms when this existed.")

"""OpenTimestamps (https://opentimestamps.org): calendars put hashes into the Bitcoin block chain;
it takes hours until that is proved."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlsplit

from understudy.errors import TrustError
from understudy.provenance.ledger.anchors.anchor import Verdict
from understudy.provenance.ledger.anchors.ots_proof import (
    APPEND,
    BITCOIN,
    PENDING,
    SHA256,
    Reader,
    Stamp,
    parsed,
    read_tree,
    serialised,
)
from understudy.provenance.ledger.anchors.service import fetch

_MEDIA = "application/vnd.opentimestamps.v1"
CALENDARS = ("opentimestamps.org", "eternitywall.com", "catallaxy.com")
"""Domains of the public calendars: an aggregator at one of them names another as the one to ask
later, which is allowed between these and to no one else."""


@dataclass(frozen=True)
class OpenTimestamps:
    """Calendars that collect hashes for a Bitcoin transaction; the proofs are .ots files.

    Attributes:
        urls: calendars to send the digest to, each by itself.
        headers: Bitcoin block headers that the user trusts: 80 bytes by height.
    """

    urls: tuple[str, ...] = ()
    headers: Mapping[int, bytes] = field(default_factory=dict)
    kind: ClassVar[str] = "ots"

    def stamp(self, digest: bytes) -> bytes:
        stamp = Stamp(digest)
        # a nonce, so that a calendar cannot recognise the digest when that becomes public
        hidden = stamp.then(APPEND, secrets.token_bytes(16)).then(SHA256)
        refusals = [self._submit(url, hidden) for url in self.urls]
        if not hidden.steps and not hidden.attestations:
            told = "; ".join(text for text in refusals if text) or "No calendar was named"
            raise TrustError(f"No calendar accepted the digest: {told}", "Try again when online.")
        return serialised(stamp)

    def _submit(self, url: str, hidden: Stamp) -> str:
        try:
            answer = fetch(f"{url.rstrip('/')}/digest", hidden.message, {"Accept": _MEDIA})
            self._merge(answer, hidden)
        except (TrustError, ValueError, FileNotFoundError) as error:
            return str(error)
        return ""

    def _merge(self, answer: bytes, onto: Stamp) -> None:
        """Add a calendar's answer. Raises ValueError, and adds nothing then."""
        fresh = Stamp(onto.message)
        reader = Reader(answer)
        read_tree(reader, fresh)
        reader.end()
        onto.join(fresh)

    def upgrade(self, proof: bytes) -> bytes:
        try:
            stamp = parsed(proof)
        except ValueError as error:
            raise TrustError(f"The proof is damaged: {error}.", "Anchor it again.") from error
        waiting = [
            (one, content)
            for one in list(stamp.all())
            for tag, content in one.attestations
            if tag == PENDING and not _in_a_block(one)
        ]
        failures = []
        changed = False
        for one, content in waiting:
            url = Reader(content).text().decode(errors="replace")
            if not self._may_ask(url):
                failures.append(f"{url} is not on your list")
                continue
            try:
                address = f"{url.rstrip('/')}/timestamp/{one.message.hex()}"
                self._merge(fetch(address, None, {"Accept": _MEDIA}), one)
                changed = True
            except FileNotFoundError:
                continue
            except (TrustError, ValueError) as error:
                failures.append(str(error))
        if failures and not changed:
            raise TrustError(f"Nothing new: {'; '.join(failures)}.", "Try again later.")
        return serialised(stamp) if changed else proof

    def _may_ask(self, url: str) -> bool:
        """The user's own, and from one public calendar to another."""
        named = [urlsplit(one) for one in self.urls]
        asked = urlsplit(url)
        if any((asked.scheme, asked.netloc) == (one.scheme, one.netloc) for one in named):
            return True
        return (
            asked.scheme == "https"
            and any(_public(one.hostname) for one in named)
            and _public(asked.hostname)
        )

    def verify(self, proof: bytes, digest: bytes) -> Verdict:
        try:
            stamp = parsed(proof)
        except ValueError as error:
            return Verdict("broken", f"The OpenTimestamps proof is damaged: {error}.")
        if stamp.message != digest:
            return Verdict("broken", "The OpenTimestamps proof is for something else.")
        found = [(one, tag, content) for one in stamp.all() for tag, content in one.attestations]
        blocks = [
            _in_block(one.message, Reader(content).number(), self.headers)
            for one, tag, content in found
            if tag == BITCOIN and content
        ]
        order = ("proved", "unknown", "broken")
        if blocks:
            return min(blocks, key=lambda one: order.index(one.state))
        if any(tag == PENDING for _, tag, _ in found):
            return Verdict("pending", "A calendar has it, but it is not in the Bitcoin chain yet.")
        return Verdict("unknown", "It contains no attestation that this program knows.")


def _public(host: str | None) -> bool:
    return host is not None and any(host == one or host.endswith(f".{one}") for one in CALENDARS)


def _in_a_block(stamp: Stamp) -> bool:
    return any(tag == BITCOIN for one in stamp.all() for tag, _ in one.attestations)


def _in_block(message: bytes, height: int, headers: Mapping[int, bytes]) -> Verdict:
    """Whether `message` is the Merkle root of the block, by the header we hold (80 bytes:
    version, previous block, root at 36, seconds since 1970 at 68, target at 72, nonce)."""
    header = headers.get(height)
    if header is None:
        root = message[::-1].hex()
        text = f"In Bitcoin block {height} if its Merkle root is {root}; not checked here."
        return Verdict("unknown", text)
    if len(header) != 80 or header[36:68] != message:
        return Verdict("broken", f"It is not in Bitcoin block {height} as given.")
    work = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    bits = int.from_bytes(header[72:76], "little")
    size, digits = bits >> 24, bits & 0x7FFFFF
    target = digits << 8 * (size - 3) if size >= 3 else digits >> 8 * (3 - size)
    if int.from_bytes(work, "little") > target:
        return Verdict("broken", f"The header given for block {height} has no valid proof of work.")
    when = datetime.fromtimestamp(int.from_bytes(header[68:72], "little"), UTC)
    block = work[::-1].hex()
    text = f"In Bitcoin block {height} ({block}) of {when:%Y-%m-%d %H:%M} UTC."
    return Verdict("proved", text, when)

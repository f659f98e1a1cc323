"""Trusted signers and ledgers, and what a record's ledger contains.

A record that comes with a film is worth what the ledger's signature under it is worth. That
signature covers the number, the hashes, the consents' digests, the label, the guard and, by its
digest, the fingerprint; what it does not cover is believed only of this installation's own.

    understudy verify film.mp4 --save-record film.record.json --save-trust ours.pem
    understudy verify film.mp4 --record film.record.json --trust ours.pem        somewhere else
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from understudy.errors import TrustError, UnderstudyError
from understudy.provenance import records
from understudy.provenance.credentials import certificates
from understudy.provenance.fingerprint import Fingerprint
from understudy.provenance.ledger.anchors.anchor import Verdict
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import verify_proof
from understudy.provenance.records import RenderRecord
from understudy.runtime import files
from understudy.runtime import keys as signing
from understudy.runtime.installation import Home

_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True)
class Vouchers:
    """Who is believed.

    Attributes:
        certificates: of signers, as PEM; may be empty.
        keys: ids of keys that sign ledgers.
        own: that of this installation.
        faults: what of this installation's own cannot be read.
    """

    certificates: str
    keys: frozenset[str]
    own: str | None = None
    faults: tuple[str, ...] = ()


def vouchers(home: Home, trusted: Sequence[Path] = ()) -> Vouchers:
    """This installation's own, and those in PEM files with certificates and ledgers' keys.

    Raises:
        TrustError: one of the files cannot be read or holds neither.
    """
    chains, keys, faults = [], set(), []
    own = None
    try:
        chains.append(certificates.anchors(home))
    except UnderstudyError as error:
        faults.append(f"This installation's certificate cannot be read: {error.problem}")
    try:
        if (home.keys / signing.OPERATOR).exists():
            own = signing.key_id(signing.operator_key(home).public_key())
            keys.add(own)
    except UnderstudyError as error:
        faults.append(f"This installation's key cannot be read: {error.problem}")
    for path in trusted:
        chain, found = _trusted(path)
        chains.append(chain)
        keys |= found
    return Vouchers("".join(chains), frozenset(keys), own, tuple(faults))


def _trusted(path: Path) -> tuple[str, set[str]]:
    """Certificates as PEM, and ids of keys, in a file. Raises TrustError."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise TrustError(f"{path} cannot be read ({error}).", "Check the name.") from error
    keys = set()
    for block in _PUBLIC.findall(data):
        try:
            key = load_pem_public_key(block)
        except ValueError:
            continue
        if isinstance(key, Ed25519PublicKey):
            keys.add(signing.key_id(key))
    if keys and b"BEGIN CERTIFICATE" not in data:
        return "", keys
    found = certificates.read_certificates(path)
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found), keys


def write_trust(home: Home, path: Path) -> str:
    """Write what others need to believe this installation: its root certificate and its ledger's
    public key. Nothing in it is secret.

    Returns:
        the key's id, for people who compare it by telephone.

    Raises:
        TrustError: this installation never signed anything.
        StorageError: it cannot be written.
    """
    root = certificates.anchors(home)
    if not root or not (home.keys / signing.OPERATOR).exists():
        raise TrustError(
            "This installation has not signed anything yet, so it has no certificate to share.",
            "Convert a film first: understudy convert FILM",
        )
    key = signing.operator_key(home).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files.write_bytes(path, root.encode() + pem)
    return signing.key_id(key)


def write_record(home: Home, record: RenderRecord, path: Path) -> None:
    """Write a record to hand over with its film; with the anchors that came since it was made,
    and without the film's name, which tells who is in it unless the user chose another.

    Raises:
        StorageError: it cannot be written.
    """
    record = record.model_copy(update={"file": f"{record.kind}{Path(record.file).suffix}"})
    leaf = record.facts.ledger
    try:
        with Ledger.open(home, write=False) as ledger:
            entry = ledger.entry(leaf.index) if leaf else None
            if leaf and entry and entry.hash.hex() == leaf.hash:
                record = record.model_copy(update={"proof": ledger.prove(leaf.index)})
    except UnderstudyError:
        pass  # the proof that the record has stays good without this ledger
    files.write_json(path, record.model_dump(mode="json"))


def appearance(fingerprint: Fingerprint) -> str:
    """SHA-256 in hex by which a ledger's entry holds a fingerprint, under `fingerprint`."""
    return hashlib.sha256(fingerprint.model_dump_json().encode()).hexdigest()


@dataclass(frozen=True)
class Held:
    """What a ledger says of a record.

    Attributes:
        key: id of the key that signed the ledger.
        time: when it was entered, on that key's word.
        looks: the ledger holds the fingerprint too.
        anchors: on whose word else.
    """

    key: str
    time: str
    looks: bool
    anchors: tuple[Verdict, ...]


def held(record: RenderRecord) -> Held:
    """Check that a ledger holds all that a record says, as far as ledgers hold it.

    Raises:
        TrustError: the proof does not hold, or is of something else than the record says.
    """
    proved = verify_proof(record.proof)
    facts, entry = record.facts, proved.entry.values
    if facts.ledger is None or (facts.ledger.index, facts.ledger.hash) != (
        proved.entry.leaf,
        proved.entry.hash.hex(),
    ):
        raise _changed("the proof belongs to another entry than the record names")
    if (entry["kind"], entry.get("record"), entry.get("unsigned"), facts.record) != (
        "render",
        record.number,
        facts.unsigned_sha256,
        records.number_text(record.number),
    ):
        raise _changed("the ledger's entry belongs to another file")
    said = {
        "source": facts.source_sha256,
        "model": facts.model_sha256,
        "consents": [one.digest for one in facts.consents],
        "guard": "unscanned" if facts.guard == "unscanned" else "passed",
        "label": facts.label,
        "mark": facts.mark.state if facts.mark else "none",
        "fingerprint": appearance(record.fingerprint) if record.fingerprint else None,
    }
    for name, value in said.items():
        if name in entry and entry[name] != value:
            raise _changed(f"the ledger has another value for its {name}")
    return Held(
        proved.checkpoint.key_id,
        str(entry["time"]),
        entry.get("fingerprint") is not None,
        proved.anchors,
    )


def _changed(why: str) -> TrustError:
    return TrustError(f"The record was changed: {why}.", "Restore it from a backup.")

"""Seal a finished output: read its mark back, enter it in the ledger, sign it, keep its record.

The last thing that happens to a film or picture, and without it none gets its name: what is
signed is complete, so nothing may touch it afterwards.

    unsigned file -> mark read back, fingerprint, content guard
                  -> ledger: what it was made of
                  -> Content Credentials
                  -> ledger: hash of the signed file
                  -> record under HOME/records
                  -> its name
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from understudy.provenance import records
from understudy.provenance.credentials import credentials, signing
from understudy.provenance.credentials.certificates import ClaimSigner, local_signer
from understudy.provenance.credentials.manifest import (
    MATTE_REASON,
    ConsentReference,
    Facts,
    LedgerLeaf,
    Mark,
)
from understudy.provenance.inspect import Look, guarded, look
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.trusted_signers import appearance
from understudy.provenance.watermark.frames import ALGORITHM
from understudy.runtime import files
from understudy.runtime.filenames import decodable
from understudy.runtime.installation import Home
from understudy.safeguards.consent_gate import Consent
from understudy.safeguards.content_guard.guard import require
from understudy.settings import TrustSettings

MarkState = Literal["found", "weak", "none"]


@dataclass(frozen=True)
class Origin:
    """What all outputs of one conversion have in common.

    Attributes:
        number: of the record, 0..2^32-1; the mark in the pictures carries it.
        source: the film or picture that was changed; None when a network made all of it.
        source_sha256: its hash.
        model_sha256: hash of the weights that drew the faces; None where no network did.
        consents: of everyone who is shown or replaced, by name.
        label: "corner", "opening", "both" or "none".
        reason: why there is no label, where there is none.
        strength: of the mark at first, dB.
    """

    number: int
    source: Path | None
    source_sha256: str | None
    model_sha256: str | None
    consents: Mapping[str, Consent]
    label: str
    reason: str | None
    strength: float


@dataclass(frozen=True)
class Sealed:
    """Attributes:
    sidecar: file with the credentials, where the finished file cannot hold them.
    sha256: of the finished file.
    mark: found: the mark was read back. weak: it could not be. none: the output carries none.
    record: the record under HOME/records.
    notes: what the user should know.
    """

    sidecar: Path | None
    sha256: str
    mark: MarkState
    record: Path
    notes: tuple[str, ...]


def record_number(key: str) -> int:
    """The number of the record of the conversion with this key: the same for the same
    conversion, so that a film that is made again is the same film."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])


def pictured(settings: TrustSettings) -> dict[str, Any]:
    """The settings that change a picture, as JSON: these make another film. Who signs does not,
    and where the user keeps keys is no one's business."""
    return settings.model_dump(mode="json", include={"strength"})


def signer_of(settings: TrustSettings, home: Home) -> ClaimSigner:
    """Whoever signs: the user's own certificate, or this installation's.

    Raises:
        TrustError: it is missing, damaged, or does not hold now.
        StorageError: a new one cannot be kept.
    """
    if settings.certificate is not None and settings.key is not None:
        signer = ClaimSigner.read(Path(settings.certificate), Path(settings.key))
    else:
        signer = local_signer(home)
    signer.require_valid()
    return signer


def check_ready(settings: TrustSettings) -> None:
    """Check before any work that the output can be sealed.

    Raises:
        TrustError: see `signer_of`; the ledger is none that this version can read, was changed, or
            was last signed by another key.
        StorageError: keys, ledger or records cannot be written.
    """
    home = Home.from_environment()
    home.make()
    signer_of(settings, home)
    for folder in (home.folder, home.records):
        with files.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    with Ledger.open(home) as ledger:
        ledger.check()


@contextmanager
def sealed_file(path: Path) -> Iterator[Path]:
    """As `runtime.files.atomic`; credentials that lie beside the temporary file get their name too.

    They get it first, so that a file that is there always has its own.
    """
    with files.atomic(path) as temporary:
        aside = credentials.sidecar_of(temporary)
        try:
            yield temporary
            if aside.exists():
                files.publish(aside, credentials.sidecar_of(path))
        finally:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """As `runtime.files.clear_leftovers`, and of credentials that were to lie beside `path`."""
    files.clear_leftovers(path)
    pattern = re.compile(
        rf"{files.temporary_names(path)}{re.escape(path.suffix)}(\.[a-z0-9_]{{8}})?"
        rf"{re.escape(credentials.SIDECAR)}"
    )
    with files.storage_errors(path.parent), contextlib.suppress(FileNotFoundError):
        for one in list(path.parent.iterdir()):
            if pattern.fullmatch(one.name) and one.is_file():
                one.unlink()


def seal(
    unsigned: Path,
    finished: Path,
    name: str,
    origin: Origin,
    settings: TrustSettings,
    *,
    marked: bool,
    unmarked: str | None = None,
    matte: bool = False,
    seen: Look | None = None,
) -> Sealed:
    """Seal a file.

    Args:
        unsigned: the whole film or picture, with the suffix of `finished`; stays as it is.
        finished: path of the sealed file.
        name: what it will be called.
        marked: whether it carries the mark; a matte does not, nor do the smallest pictures.
        unmarked: why not, where it should; see `provenance.watermark.limits.unmarkable`.
        matte: it shows only the area of the swap, and has no label.
        seen: what was seen in it already.

    Raises:
        ContentError: the content guard refuses it.
        TrustError: it cannot be signed or entered in the ledger.
        StorageError: it cannot be written.
        MediaError: it cannot be read back.
    """
    home = Home.from_environment()
    signer = signer_of(settings, home)
    seen = seen or look(unsigned)
    state: MarkState = "none"
    if marked:
        state = "found" if seen.carries(origin.number) else "weak"
    verdict = guarded(unsigned, "output")
    require(verdict, name)
    digest = files.sha256(unsigned)
    with Ledger.open(home) as ledger:
        references = tuple(
            ConsentReference(id=one.id, digest=ledger.digest(one.id, one.sha256))
            for _, one in sorted(origin.consents.items())
        )
        entry = ledger.append(
            "render",
            {
                "record": origin.number,
                "unsigned": digest,
                "source": origin.source_sha256,
                "model": origin.model_sha256,
                "consents": [one.digest for one in references],
                "guard": "passed" if verdict.guard else "unscanned",
                "label": "none" if matte else origin.label,
                "mark": state,
                "form": seen.kind,
                "fingerprint": appearance(seen.fingerprint) if marked else None,
            },
        )
        facts = Facts(
            record=records.number_text(origin.number),
            made_at=datetime.now(UTC).replace(microsecond=0),
            unsigned_sha256=digest,
            source_sha256=origin.source_sha256,
            model_sha256=origin.model_sha256,
            mark=Mark(algorithm=ALGORITHM, state=state, reason=unmarked)
            if marked or unmarked
            else None,
            consents=references,
            ledger=LedgerLeaf(index=entry.leaf, hash=entry.hash.hex()),
            guard=f"{verdict.state} ({verdict.guard})" if verdict.guard else "unscanned",
            label="none" if matte else origin.label,
            reason=MATTE_REASON if matte else origin.reason,
        )
        signed = signing.sign(
            unsigned,
            finished,
            facts,
            signer,
            source=origin.source,
            composite=origin.source is not None,
            time_stamps=settings.time_stamps,
            without_time_stamp=settings.without_time_stamp,
        )
        sha256 = files.sha256(finished)
        ledger.append("finished", {"record": origin.number, "sha256": sha256, "leaf": entry.leaf})
        record = records.RenderRecord(
            number=origin.number,
            kind="matte" if matte else "film" if seen.kind == "film" else "still",
            file=decodable(name),
            sha256=sha256,
            seconds=seen.seconds,
            width=seen.width,
            height=seen.height,
            facts=facts,
            fingerprint=seen.fingerprint if marked else None,
            proof=ledger.prove(entry.leaf),
        )
        kept = records.write(home, record)
    notes = _notes(name, state, unmarked, signed, settings)
    return Sealed(signed.sidecar, sha256, state, kept, notes)


def _notes(
    name: str,
    state: MarkState,
    unmarked: str | None,
    signed: signing.Signed,
    settings: TrustSettings,
) -> tuple[str, ...]:
    told = []
    if unmarked is not None:
        told.append(f"{name} has no invisible watermark: {unmarked}. Its record says so.")
    if state == "weak":
        told.append(f"The watermark of {name} could not be read back; its record says so.")
    if settings.time_stamps and not signed.stamped:
        told.append(f"{settings.time_stamps} sent no time-stamp; signed without one.")
    return tuple(told)


def together(outputs: Mapping[str, Sealed]) -> list[str]:
    """The notes of files that were sealed in one go, by name, each once; and which of them have
    their credentials beside them."""
    told = list(dict.fromkeys(note for one in outputs.values() for note in one.notes))
    beside = [name for name, one in outputs.items() if one.sidecar is not None]
    if len(beside) == 1:
        told.append(
            f"{beside[0]}{credentials.SIDECAR} has the credentials of {beside[0]}, because this "
            "type of file cannot: keep both together."
        )
    elif beside:
        told.append(
            f"{', '.join(beside)} cannot contain their credentials. They are next to it, in a file "
            f"of the same name with {credentials.SIDECAR}. Keep them together."
        )
    return told


def facts_of(sealed: Sealed) -> dict[str, Any]:
    """The entry about the seal in the record next to a film, as JSON."""
    return {
        "sha256": sealed.sha256,
        "mark": sealed.mark,
        "credentials": "sidecar" if sealed.sidecar else "embedded",
    }

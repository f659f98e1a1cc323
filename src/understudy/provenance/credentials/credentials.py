"""Content Credentials (C2PA 2.4): what a file says of itself, and whether it was changed since.

MP4, MOV, M4V, AVI, PNG, JPEG and WebP contain them; for other files they are next to it, in
`NAME.c2pa`. Nothing is fetched over the network.

c2pa-python loads a native library, so it is imported where it is used. Its `load_settings` is
global and is never called: each call has a separate context, and several threads may read and
sign at once.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from understudy.errors import StorageError, TrustError
from understudy.provenance.credentials import exclusions
from understudy.provenance.credentials.manifest import CREATED, RECORD, Facts, Record, Seal
from understudy.provenance.credentials.report import (
    Ingredient,
    Manifest,
    QuotedIngredient,
    Report,
    State,
    state_of,
)

if TYPE_CHECKING:
    import c2pa

EMBEDDING = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
"""Media types of the files that hold their credentials, by suffix."""
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"WEBP", 8, "image/webp"),
    (b"AVI ", 8, "video/avi"),
)
"""What files of these kinds begin with, and where."""
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif", b"avis", b"crx ")
OPAQUE = "application/octet-stream"
SIDECAR = ".c2pa"
_REMAINS = (
    exclusions.STORE_HEAD,
    exclusions.MANIFEST_BOX,
    b"c2pa.assertions\0",
    b"c2pa.signature\0",
)


@dataclass(frozen=True)
class Credentials:
    """What a file says of itself, and how far that can be believed.

    Attributes:
        state: none: there are no credentials. trusted: nothing was changed since a trusted
            signer signed. unknown signer: nothing was changed, but no one here
            vouches for the signer, or the certificate no longer holds. tampered: something was
            changed after signing. damaged: there are remains that cannot be read.
        reasons: why, in plain sentences; for none and trusted often empty.
        uncovered: what could have been changed without being noticed, in plain sentences; for
            files that were signed by this program, nothing but the inside of a time-stamp.
        signer: the certificate's common name.
        serial: the certificate's serial number, decimal.
        signed_at: as a time-stamp authority says that is trusted here; else None.
        generator: the program that made the file, as it names itself.
        sidecar: they are in a file next to it.
        facts: ours, when this program signed.
    """

    state: State
    reasons: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    signer: str | None = None
    serial: str | None = None
    signed_at: datetime | None = None
    generator: str | None = None
    sidecar: bool = False
    facts: Facts | None = None
    ingredients: tuple[Ingredient, ...] = ()

    @property
    def intact(self) -> bool:
        """Nothing was changed since it was signed, by any signer."""
        return self.state in ("trusted", "unknown signer")


def sidecar_of(path: Path) -> Path:
    """Path of the credentials of a file that cannot contain them: `film.mkv.c2pa`."""
    return path.with_name(path.name + SIDECAR)


def read(path: Path, sidecar: Path | None = None, trusted: str = "") -> Credentials:
    """Read the credentials of any file; never over the network.

    Args:
        sidecar: where they are, if not in the file; `NAME.c2pa` next to it is found automatically.
        trusted: certificates that are believed, as PEM; see `certificates.anchors`.

    Raises:
        TrustError: the file cannot be read.
    """
    import c2pa

    with readable(path):
        remains = _has_remains(path)
        if sidecar is None and not remains:
            sidecar = _beside(path)
        beside = sidecar.read_bytes() if sidecar else None
        try:
            with (
                open(path, "rb") as file,
                c2pa.Reader(
                    media_type(path), file, beside, context=native_context(trusted)
                ) as reader,
            ):
                report = Report.model_validate_json(reader.json())
        except (c2pa.C2paError, ValidationError) as error:
            return _unreadable(error, remains, beside is not None)
        return _judge(path, beside, report)


def check_source(path: Path, trusted: str = "") -> Credentials:
    """As `read`, for a film before it is converted: `tampered` and `damaged` also stand for
    broken credentials of what the film itself was made from.

    A film that was tampered with and is then used as a source would get credentials that say
    nothing of it: so this comes before the conversion.

    Raises:
        TrustError: the file cannot be read.
    """
    found = read(path, trusted=trusted)
    if not found.intact:
        return found
    for one in found.ingredients:
        if one.state == "tampered":
            reasons = (f"An earlier version ({one.title}) was changed after signing.", *one.reasons)
            return replace(found, state=one.state, reasons=reasons)
    return found


def native_context(trusted: str) -> c2pa.Context:
    """Settings for one call: no network, no thumbnails, and no check after signing, which is
    done here more strictly. `trusted` is PEM and may be empty."""
    import c2pa

    settings: dict[str, Any] = {
        "verify": {
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
            "verify_after_sign": False,
        },
        "builder": {"thumbnail": {"enabled": False}, "created_assertion_labels": CREATED},
    }
    if trusted:
        settings["trust"] = {"user_anchors": trusted}
    return c2pa.Context.from_dict(settings)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise a TrustError for `path` with the message of the operating system."""
    try:
        yield
    except (StorageError, TrustError):
        raise
    except OSError as error:
        raise TrustError(
            f"{path} cannot be read ({error.strerror or error}).",
            "Check the name and the read permission.",
        ) from error


def _beside(path: Path) -> Path | None:
    """The sidecar of a file, if there is one; a name that is too long for one has none."""
    sidecar = sidecar_of(path)
    try:
        return sidecar if sidecar.is_file() else None
    except OSError:
        return None


def embeds(path: Path) -> bool:
    """Whether a file of this name holds its credentials inside."""
    return path.suffix.lower() in EMBEDDING


def media_type(path: Path) -> str | None:
    """The media type passed to the library, from the content if possible; None makes it look
    itself. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(12)
    named = EMBEDDING.get(path.suffix.lower())
    for start, at, kind in _STARTS:
        if head[at:].startswith(start) and head.startswith(b"RIFF" if at == 8 else b""):
            return kind
    if head[4:8] == b"ftyp" and head[8:12] not in _STILL_BRANDS:
        own = "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
        return named if named is not None and named.startswith("video/") else own
    return named


def _has_remains(path: Path) -> bool:
    """Whether the file contains credentials, complete or not."""
    if path.stat().st_size == 0:
        return False
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return any(content.find(one) >= 0 for one in _REMAINS)


def _unreadable(error: Exception, remains: bool, beside: bool) -> Credentials:
    if remains or beside:
        reason = f"There are credentials, but they cannot be read ({error})."
        return Credentials("damaged", (reason,), sidecar=beside)
    if str(error).startswith("Remote"):
        return Credentials("none", ("Its credentials are stored on the network, not in the file.",))
    return Credentials("none")


def _judge(path: Path, beside: bytes | None, report: Report) -> Credentials:
    active = report.active
    record, reasons = _record(report.active)
    uncovered: list[str] = []
    if record is not None:
        reasons += _faults(path, beside, record.seal)
        if record.seal.stamped and not report.stamped:
            reasons.append("Changed after signing: the time-stamp was removed.")
    elif beside is None and (excluded := exclusions.excluded_boxes(path)):
        kinds = ", ".join(dict.fromkeys(excluded))
        uncovered.append(
            f"The signature does not cover the boxes {kinds} and others of types free, skip and "
            "mfra: changes in them are not detected."
        )
    signature = active.signature_info
    notes: list[str] = []
    if report.stamped:
        uncovered.append(
            "Only its authority's signature protects the time-stamp: changes in the "
            "certificates stored with it are not always detected."
        )
        if not report.stamp_trusted and signature.time:
            notes.append(
                f"A time-stamp says {signature.time:%Y-%m-%d %H:%M} UTC, but its authority is not "
                "on the trusted list."
            )
    failed = report.failures()
    state = state_of(failed, report.validation_state == "Trusted")
    return Credentials(
        state="tampered" if reasons else state,
        reasons=(*failed.values(), *reasons, *notes),
        uncovered=tuple(uncovered),
        signer=signature.common_name or signature.issuer,
        serial=signature.cert_serial_number,
        signed_at=signature.time if report.stamp_trusted else None,
        generator=active.generator(),
        sidecar=beside is not None,
        facts=record.facts if record else None,
        ingredients=tuple(_judged(report, one) for one in active.ingredients),
    )


def _judged(report: Report, one: QuotedIngredient) -> Ingredient:
    """An ingredient, with the number of its record."""
    judged, own = one.judged(), report.manifests.get(one.active_manifest or "")
    record = _record(own)[0] if own else None
    return judged if record is None else replace(judged, record=record.facts.record)


def _record(manifest: Manifest) -> tuple[Record | None, list[str]]:
    for assertion in manifest.assertions:
        if assertion.label == RECORD:
            try:
                return Record.model_validate(assertion.data), []
            except ValidationError:
                return None, ["The record was made by a version that is unknown here."]
    return None, []


def _faults(path: Path, beside: bytes | None, seal: Seal) -> list[str]:
    """What was changed outside the signature's reach in a file of ours."""
    if beside is not None:
        store, faults = beside, list[str]()
    else:
        store, faults = exclusions.embedded_store(path)
        if seal.layout != exclusions.layout_digest(path):
            faults.append("a box that the signature does not cover was changed, added or removed")
    if store:
        faults += exclusions.store_faults(store, seal.carried)
    return [f"Changed after signing: {fault}." for fault in faults]

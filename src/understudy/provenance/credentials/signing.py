"""Signing a finished film or picture: its Content Credentials (C2PA 2.4), made and read back.

Signing is the last step; a film that is joined or encoded again afterwards loses its credentials.
Files that cannot contain them are unchanged and get them in `NAME.c2pa` next to them. Nothing is
sent over the network, except to a time-stamp authority whose address was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from understudy.errors import TrustError
from understudy.provenance.credentials import exclusions
from understudy.provenance.credentials.certificates import ClaimSigner
from understudy.provenance.credentials.credentials import (
    EMBEDDING,
    OPAQUE,
    media_type,
    native_context,
    read,
    readable,
    sidecar_of,
)
from understudy.provenance.credentials.manifest import (
    SOURCE,
    Facts,
    Record,
    Seal,
    check_vocabulary,
    manifest,
)
from understudy.runtime import files

if TYPE_CHECKING:
    import c2pa


@dataclass(frozen=True)
class Signed:
    """A finished file.

    Attributes:
        sidecar: where the credentials are when the file itself cannot hold them.
        size: bytes of the credentials.
        stamped: a time-stamp authority confirmed the time.
    """

    path: Path
    sidecar: Path | None
    size: int
    stamped: bool


def sign(
    unsigned: Path,
    signed: Path,
    facts: Facts,
    signer: ClaimSigner,
    *,
    source: Path | None = None,
    composite: bool = True,
    time_stamps: str | None = None,
    without_time_stamp: bool = False,
) -> Signed:
    """Give a finished file its credentials; `signed` takes its name when they were read back.

    Args:
        unsigned: the film or picture, complete with its metadata and the `AIGC` tag.
        signed: the name of the finished file.
        facts: go into the credentials.
        source: the film or picture that was changed; its own credentials are carried over.
            Check it with `check_source` first: this function does not detect tampering.
        composite: partly footage; otherwise a network made the whole picture.
        time_stamps: address of an RFC 3161 time-stamp authority, `http://...`.
        without_time_stamp: sign without one when the authority cannot be reached.

    Raises:
        TrustError: a file cannot be read, is already signed or is not the one of `facts`; a
            certificate does not hold now; the authority does not answer; what was signed does
            not read back as trusted.
        StorageError: it cannot be written. In each case `signed` is as it was before.
    """
    signer.require_valid()
    with readable(unsigned):
        _require_fresh(unsigned, facts)
        layout = exclusions.layout_digest(unsigned)
    embeds = signed.suffix.lower() in EMBEDDING
    carried = _carried(source, facts, signer) if source else None
    kind = EMBEDDING.get(signed.suffix.lower(), OPAQUE)
    seal = Seal(layout=layout if embeds else None, carried=carried)

    def definition(stamped: bool) -> dict[str, Any]:
        record = Record(facts=facts, seal=seal.model_copy(update={"stamped": stamped}))
        made = manifest(record, source is not None, composite)
        check_vocabulary(made)
        return made

    beside = None if embeds else sidecar_of(signed)
    with files.atomic(signed) as temporary:
        stamped = time_stamps is not None
        try:
            made = definition(stamped)
            store = _sign(unsigned, temporary, kind, made, signer, source, time_stamps)
        except _NoTimeStamp as error:
            if not without_time_stamp:
                raise TrustError(
                    f"The time-stamp authority {time_stamps} sent no time-stamp ({error}).",
                    "Try again later, use another URL, or allow signing without a time-stamp.",
                ) from error
            stamped = False
            store = _sign(unsigned, temporary, kind, definition(False), signer, source, None)
        with files.atomic(beside) if beside else nullcontext() as aside:
            if aside:
                aside.write_bytes(store)
            found = read(temporary, aside, signer.anchor_pem)
            if found.state != "trusted" or found.facts != facts:
                raise TrustError(
                    f"The new credentials of {signed} do not read back correctly: "
                    f"{'; '.join(found.reasons) or found.state}.",
                    "Try again; if it fails again, check the certificate and report the error.",
                )
    return Signed(signed, beside, len(store), stamped)


class _NoTimeStamp(Exception):
    """The authority did not answer, or not rightly."""


class _Writing:
    """A file that remembers why a write failed; the native library forgets it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self.error = error
            raise


def _sign(
    unsigned: Path,
    target: Path,
    kind: str,
    definition: dict[str, Any],
    signer: ClaimSigner,
    source: Path | None,
    time_stamps: str | None,
) -> bytes:
    """The manifest store; `target` is the signed file, or a copy when `kind` cannot hold it."""
    import c2pa

    with (
        _open(unsigned) as reading,
        _builder(definition, signer, source) as builder,
        _native(signer, time_stamps) as key,
        open(target, "w+b") as file,
    ):
        if kind == OPAQUE:
            builder.set_no_embed()
        writing = _Writing(file)
        try:
            store: bytes = builder.sign(key, kind, reading, writing)
            writing.flush()
        except c2pa.C2paError as error:
            if writing.error is not None:
                raise writing.error from error
            if time_stamps is not None and isinstance(error, c2pa.C2paError.Signature):
                raise _NoTimeStamp(str(error)) from error
            raise TrustError(
                f"{unsigned} cannot be signed ({error}).",
                "Check that it is a complete film or picture of the type that its name says.",
            ) from error
    return store


def _open(path: Path) -> BinaryIO:
    with readable(path):
        return open(path, "rb")


@contextmanager
def _builder(
    definition: dict[str, Any], signer: ClaimSigner, source: Path | None
) -> Iterator[c2pa.Builder]:
    import c2pa

    with c2pa.Builder(definition, native_context(signer.anchor_pem)) as builder:
        if source is not None:
            about = {"title": SOURCE, "relationship": "parentOf", "label": SOURCE}
            with _open(source) as file:
                try:
                    builder.add_ingredient(about, media_type(source) or OPAQUE, file)
                except c2pa.C2paError as error:
                    raise TrustError(
                        f"The credentials of {source} cannot be carried over ({error}).",
                        "Check that the file is complete.",
                    ) from error
        yield builder


def _native(signer: ClaimSigner, time_stamps: str | None) -> c2pa.Signer:
    import c2pa

    about = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg[signer.algorithm],
        sign_cert=signer.chain_pem,
        private_key=signer.key_pem,
        ta_url=time_stamps.encode() if time_stamps else None,
    )
    try:
        return c2pa.Signer.from_info(about)
    except c2pa.C2paError as error:
        raise TrustError(
            f"This certificate cannot sign ({error}).",
            "Use an end certificate with digitalSignature and emailProtection.",
        ) from error


def _carried(source: Path, facts: Facts, signer: ClaimSigner) -> str | None:
    """Digest of the manifests of the input: a tiny picture is signed to read them."""
    import c2pa

    definition = manifest(Record(facts=facts), True, True)
    try:
        with _builder(definition, signer, source) as builder, _native(signer, None) as key:
            store = builder.sign(key, "image/png", BytesIO(_PIXEL), BytesIO())
    except c2pa.C2paError as error:
        raise TrustError(
            f"The credentials of {source} cannot be carried over ({error}).",
            "Check that the file is complete.",
        ) from error
    return exclusions.carried_digest(store)


_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a494441"
    "54789c636800000082008177cd72b60000000049454e44ae426082"
)
"""A PNG of one grey pixel."""


def _require_fresh(unsigned: Path, facts: Facts) -> None:
    if read(unsigned).state != "none":
        raise TrustError(
            f"{unsigned} already has credentials.",
            "Sign a film only once; to change a signed film, use it as input.",
        )
    if files.sha256(unsigned) != facts.unsigned_sha256:
        raise TrustError(
            f"{unsigned} is not the file that the record was made for.",
            "Convert the film again.",
        )

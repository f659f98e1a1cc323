"""Verify whether a file was made with this program, by whom, and whether it was changed since.

    understudy verify film.mp4

Works on any film or picture, also on what this program did not make, and asks no one: what can be
known is in the file, in the ledger and the records of this installation, and in records that were
handed over with the file. In this order:

    hash in the ledger -> Content Credentials -> metadata tag -> invisible mark
    -> the record that these lead to -> its proof from a ledger -> its fingerprint

A file of a model has no pictures: it is looked up by its hash.

Each answer says what is proved, what is broken and what is unknown. A file without any mark is
unknown; it is never called genuine. Mark and tag are an index and prove nothing by themselves,
because anyone can write them; what proves is the signature, and the record when the pictures agree
with it. See `verdict` for what follows from what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av.error

from understudy.errors import MediaError
from understudy.media.address import open_input
from understudy.media.kinds import kind_of
from understudy.progress import Progress, silent
from understudy.provenance import aigc, model_lookup, records
from understudy.provenance.credentials.credentials import SIDECAR, Credentials
from understudy.provenance.inspect import look
from understudy.provenance.trusted_signers import vouchers
from understudy.runtime import files
from understudy.runtime.filenames import plain
from understudy.runtime.installation import Home
from understudy.verification.inquiry import Inquiry
from understudy.verification.result import Finding, Verification
from understudy.verification.verdict import Outcome


def verify(
    file: Path,
    home: Home | None = None,
    trusted: Sequence[Path] = (),
    handed: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Verification:
    """Say what can be known of a film or picture.

    Args:
        home: whose ledger and records are looked into; this installation's when None.
        trusted: PEM files of certificates and ledger keys to trust besides this
            installation's own; `provenance.trusted_signers.write_trust` writes such a file.
        handed: records that came with it; `provenance.trusted_signers.write_record` writes one.

    Raises:
        MediaError: the file does not exist, or opens neither as a film nor as a picture
            and nothing else is known of it.
        TrustError: the file, or a record or certificate that was given, cannot be read.
    """
    files.check_ordinary(file)
    if file.suffix.lower() == SIDECAR:
        return _of_another(file)
    home = home or Home.from_environment()
    given = [records.read(path) for path in handed]
    sha256 = _hashed(file)
    notes: list[str] = []
    if (model := _of_model(file, sha256, home, notes)) is not None:
        return model
    case = Inquiry(file, sha256, home, given, vouchers(home, trusted))
    for note in notes:
        case.say("unknown", note)
    with (progress or silent()).task(f"verify {plain(file.name)}", "frames") as task:
        return case.judge(lambda: look(file, closely=True, step=task.step), lambda: _tag(file))


def _hashed(file: Path) -> str:
    with files.reading_errors(file):
        return files.sha256(file)


def _of_another(file: Path) -> Verification:
    """A file that contains only the credentials of another one."""
    summary = f"It contains the credentials of another file; verify {plain(file.stem)}"
    return _without_pictures(file, _hashed(file), "unknown", summary)


def _of_model(file: Path, sha256: str, home: Home, notes: list[str]) -> Verification | None:
    """A file of a model, by its hash or its name; None for anything else. What is to be noted
    of the records is appended to `notes`."""
    known = model_lookup.search(home, sha256, notes.append)
    passed = [Finding("unknown", plain(note)) for note in notes]
    if known is not None:
        found = [Finding(tone, plain(text)) for tone, text in known.findings] + passed
        outcome: Outcome = "intact" if known.holds else "broken"
        return _without_pictures(file, sha256, outcome, plain(known.summary), found)
    if file.suffix.lower() in model_lookup.SUFFIXES:
        summary = model_lookup.UNREAD if passed else model_lookup.UNKNOWN
        return _without_pictures(file, sha256, "unknown", summary, passed)
    return None


def _without_pictures(
    file: Path, sha256: str, outcome: Outcome, summary: str, found: Sequence[Finding] = ()
) -> Verification:
    nothing = Credentials("none")
    return Verification(
        file, sha256, outcome, summary, tuple(found), None, None, nothing, None, None
    )


def _tag(file: Path) -> aigc.Tag | None:
    """The tag `AIGC` in the metadata of a film or picture."""
    try:
        if kind_of(file).what != "film" and (tag := aigc.in_picture(file)) is not None:
            return tag
        with open_input(file) as container:
            value = container.metadata.get(aigc.KEY)
    except (av.error.FFmpegError, MediaError, OSError, ValueError):
        return None
    return aigc.parse(value) if value else None

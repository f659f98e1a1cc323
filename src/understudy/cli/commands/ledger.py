"""Commands for this installation's ledger: show, check and export it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote
from typing import Annotated

from cyclopts import App, Parameter

from understudy.cli.commands.app import Own, app
from understudy.cli.session import Session
from understudy.errors import SettingsError, TrustError
from understudy.provenance.ledger.anchors import kinds
from understudy.provenance.ledger.anchors.anchor import Anchor, Trusted
from understudy.provenance.ledger.anchors.opentimestamps import OpenTimestamps
from understudy.provenance.ledger.anchors.rfc3161 import TimeStampAuthority
from understudy.provenance.ledger.examination import Audit
from understudy.provenance.ledger.export import verify_export
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.ledger.proofs import PROOF, verify_proof
from understudy.runtime import files
from understudy.runtime.installation import Home

ledger = App(
    name="ledger",
    help="Show, check and export the ledger.",
    sort_key=11,
)
app.command(ledger)

SHORT = 12
"""Number of digits shown of a digest; `--json` shows all."""

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
Files = Annotated[list[Path] | None, Parameter(negative="")]


@ledger.command(name="show", sort_key=0)
def show_ledger(
    *,
    leaf: int | None = None,
    record: str | None = None,
    sha256: str | None = None,
    last: int = 20,
    as_json: Json = False,
    session: Own,
) -> None:
    """Show entries of the ledger, with shortened digests.

    Args:
        leaf: Entry with this number.
        record: Entries of the output with this record number, as `understudy verify` shows it.
        sha256: Entries of the output with this SHA-256 hash.
        last: Number of latest entries to show, when none of the above is given.
        as_json: Print JSON Lines.
    """

    with Ledger.open(Home.from_environment(), write=False) as log:
        if leaf is not None:
            one = log.entry(leaf)
            found = [one] if one else []
        elif record is not None:
            found = log.by_record(_number(record))
        elif sha256 is not None:
            found = log.by_sha256(sha256)
        else:
            found = log.latest(max(last, 0))
    for entry in found:
        values = entry.values
        if as_json:
            session.say(json.dumps({"leaf": entry.leaf, **values}))
            continue
        rest = ", ".join(
            f"{name} {_plain(name, value)}"
            for name, value in sorted(values.items())
            if name not in ("kind", "time") and value is not None
        )
        session.say(f"{entry.leaf:>6}  {values['time']}  {values['kind']}: {rest}")
    if not found and not as_json:
        session.say("No entry found.")


@ledger.command(name="audit", sort_key=1)
def audit_ledger(
    *,
    against: Files = None,
    block_headers: Path | None = None,
    tsa_roots: Path | None = None,
    as_json: Json = False,
    session: Own,
) -> int:
    """Recompute the whole ledger and report rows that were changed, removed, moved or inserted.

    Args:
        against: Checkpoint files that you kept in another place.
        block_headers: Bitcoin block headers you trust; per line a height and 160 hex digits.
        tsa_roots: PEM file with certificates of time-stamp authorities you trust.
        as_json: Print JSON.
    """

    with Ledger.open(Home.from_environment(), write=False) as log:
        report = log.audit(_notes(against or []), Trusted.read(block_headers, tsa_roots))
    return _tell(session, report, as_json)


@ledger.command(name="checkpoint", sort_key=2)
def checkpoint_ledger(*, output: Path | None = None, new_key: Flag = False, session: Own) -> None:
    """Sign the current state of the ledger. Keep the file in another place for later audits.

    Args:
        output: Write the checkpoint to this file.
        new_key: Sign with this installation's key although another key signed before.
    """

    with Ledger.open(Home.from_environment()) as log:
        signed = log.adopt_key() if new_key else log.checkpoint()
    if output is None:
        session.say(*signed.note.rstrip("\n").split("\n"))
        return
    files.write_bytes(output, signed.note.encode())
    session.say(
        f"{output}: {signed.size} entries, signed by the key {signed.key_id}.",
        f"Next: understudy ledger audit --against {output}",
    )


@ledger.command(name="export", sort_key=3)
def export_ledger(output: Path, /, *, session: Own) -> None:
    """Write entries, checkpoints and public keys as JSON Lines, which anyone can check.

    Args:
        output: File to write.
    """

    with Ledger.open(Home.from_environment(), write=False) as log:
        size = log.export(output)
    session.say(f"{output}: {size} entries.", f"Next: understudy ledger verify {output}")


@ledger.command(name="prove", sort_key=4)
def prove_ledger(
    *,
    leaf: int | None = None,
    record: str | None = None,
    sha256: str | None = None,
    output: Path,
    session: Own,
) -> None:
    """Write the proof that an entry is in the ledger, for example to send it with a film.

    Args:
        leaf: Entry with this number.
        record: Latest entry of the output with this record number.
        sha256: Latest entry of the output with this SHA-256 hash.
        output: File to write.
    """

    if sum(one is not None for one in (leaf, record, sha256)) != 1:
        raise SettingsError(
            "Exactly one entry must be named to write a proof.",
            "Give one of --leaf, --record and --sha256.",
        )
    with Ledger.open(Home.from_environment(), write=False) as log:
        if leaf is None:
            number = None if record is None else _number(record)
            found = log.by_record(number) if number is not None else log.by_sha256(str(sha256))
            if not found:
                raise TrustError(
                    "The ledger has no entry for this output.", "List them: understudy ledger show"
                )
            leaf = found[-1].leaf
        proof = log.prove(leaf)
    files.write_json(output, proof)
    session.say(f"{output}: proof of entry {leaf}.", f"Next: understudy ledger verify {output}")


@ledger.command(name="verify", sort_key=5)
def verify_ledger(
    file: Path,
    /,
    *,
    key: str | None = None,
    against: Files = None,
    block_headers: Path | None = None,
    tsa_roots: Path | None = None,
    as_json: Json = False,
    session: Own,
) -> int:
    """Check a proof or an export of any ledger. Works offline and without that ledger.

    Args:
        file: File written by `understudy ledger prove` or `understudy ledger export`.
        key: Id of the key that must have signed it.
        against: For an export: checkpoint files that you kept in another place.
        block_headers: Bitcoin block headers you trust; per line a height and 160 hex digits.
        tsa_roots: PEM file with certificates of time-stamp authorities you trust.
        as_json: Print JSON.
    """

    trusted = Trusted.read(block_headers, tsa_roots)
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        value = None  # several lines: an export, which is read as such below
    if not isinstance(value, dict) or value.get("format") != PROOF:
        report = verify_export(file, key, _notes(against or []), trusted)
        return _tell(session, report, as_json)
    proved = verify_proof(value, key, trusted)
    signed = proved.checkpoint
    if as_json:
        anchors = [{"state": one.state, "words": one.words} for one in proved.anchors]
        entry = proved.entry.values
        facts = {"leaf": proved.entry.leaf, "entry": entry, "key": signed.key_id}
        told = {**facts, "signed": signed.time, "anchors": anchors}
        session.say(*json.dumps(told, indent=2).split("\n"))
        return 0
    session.say(
        f"Entry {proved.entry.leaf} ({proved.entry.values['kind']}) is in the ledger that the key "
        f"{signed.key_id} signed at {signed.time}, unchanged.",
        *(f"Anchor: {one.words}" for one in proved.anchors),
    )
    if not proved.anchors:
        session.say("Only the signer states the time; no independent service confirms it.")
    return TrustError.exit_code if any(one.state == "broken" for one in proved.anchors) else 0


@ledger.command(name="anchor", sort_key=6)
def anchor_ledger(
    *,
    calendar: Annotated[list[str] | None, Parameter(negative="")] = None,
    tsa: str | None = None,
    upgrade: Flag = False,
    session: Own,
) -> None:
    """Have the latest checkpoint's hash time-stamped by a service. Only the hash is sent.

    Args:
        calendar: URL of an OpenTimestamps calendar (Bitcoin; free, takes hours).
        tsa: URL of a time-stamp authority (RFC 3161).
        upgrade: Ask the services for the missing parts of all anchors.
    """

    wanted: list[Anchor] = []
    if calendar:
        wanted.append(OpenTimestamps(tuple(calendar)))
    if tsa:
        wanted.append(TimeStampAuthority(tsa))
    if not wanted and not upgrade:
        raise SettingsError(
            "No time-stamp service is given, and there is no default.",
            "Give --calendar URL or --tsa URL, or --upgrade to complete earlier anchors.",
        )
    with Ledger.open(Home.from_environment()) as log:
        told = [log.anchor(one) for one in wanted]
        if upgrade:
            told += log.upgrade(kinds.make)
    session.say(*(told or ["There is no anchor yet."]))


@ledger.command(name="forget", sort_key=7)
def forget_ledger(subject: str, /, *, yes: Flag = False, session: Own) -> int:
    """Destroy the key that links ledger digests to a person. It cannot be undone.

    Without --yes, only shows what would happen.

    Args:
        subject: Id of the person's consent; `understudy consent show NAME` prints it.
        yes: Destroy the key.
    """

    if not yes:
        session.say(
            f"This destroys the key that links the ledger's digests of {subject} to this person.",
            "After that no one, not even you, can prove that a film was made while the consent was",
            "valid. The ledger, the films and their records stay. It cannot be undone.",
            f"Nothing was changed. To do it: understudy ledger forget {quote(subject)} --yes",
        )
        return TrustError.exit_code
    with Ledger.open(Home.from_environment(), write=False) as log:
        done = log.forget(subject)
    session.say(
        f"The digests of {subject} can no longer be linked to a person; the ledger is intact."
        if done
        else f"There is no key for {subject}; nothing was changed. Give the id of the person's "
        "consent: understudy consent show NAME"
    )
    return 0


def _number(text: str) -> int:
    """Record number from its hexadecimal digits. Raises SettingsError."""
    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if not 0 <= number < 2**32:
        raise SettingsError(
            f"--record: `{text}` is not a valid record number.",
            "Give its eight hexadecimal digits, as `understudy verify` shows them.",
        )
    return number


def _plain(name: str, value: object) -> str:
    """A value of an entry as readable text."""
    from understudy.provenance.records import number_text

    if name == "record" and isinstance(value, int):
        return number_text(value)
    parts = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return " ".join(f"{one[:SHORT]}..." if len(one) > 2 * SHORT else one for one in parts)


def _notes(paths: Iterable[Path]) -> Sequence[str]:
    notes = []
    for path in paths:
        try:
            notes.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TrustError(
                f"The checkpoint {path} cannot be read ({error}).",
                "Give a file written by `understudy ledger checkpoint --output`.",
            ) from error
    return notes


def _tell(session: Session, report: Audit, as_json: bool) -> int:
    newest = report.newest
    if as_json:
        facts = {
            "intact": report.intact,
            "size": report.size,
            "signed": newest.time if newest else None,
            "key": newest.key_id if newest else None,
            "findings": [vars(one) for one in report.findings],
            "anchors": [{"state": one.state, "words": one.words} for one in report.anchors],
        }
        session.say(*json.dumps(facts, indent=2).split("\n"))
        return 0 if report.intact else TrustError.exit_code
    for level, title in (("broken", "Broken:"), ("unknown", "Unknown:")):
        lines = [f"  {one}" for one in report.findings if one.level == level]
        if lines:
            session.say(title, *lines)
    session.say(*(f"Anchor: {one.words}" for one in report.anchors))
    looked = f"{report.size} entr{'y' if report.size == 1 else 'ies'}"
    if not report.intact:
        session.say(f"The ledger was changed ({looked}).")
        return TrustError.exit_code
    signed = f"; signed at {newest.time} by the key {newest.key_id}" if newest else ""
    session.say(f"Nothing was changed: {looked}{signed}.")
    return 0

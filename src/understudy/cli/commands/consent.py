"""Commands for consents: state, sign, show, transfer or withdraw them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from understudy.cli.commands.app import Own, app
from understudy.cli.commands.consent_terms import CoveredTerms, Terms
from understudy.cli.session import Session
from understudy.errors import ConsentError, SettingsError
from understudy.project import Project
from understudy.runtime import keys
from understudy.runtime.filenames import word
from understudy.runtime.installation import Home
from understudy.safeguards.consent_record import Consent, Footing, read
from understudy.safeguards.consent_terms import in_a_line, in_words, standing

if TYPE_CHECKING:
    from understudy.people.consent import Revoked

consent = App(
    name="consent",
    help="State, sign, show, transfer or withdraw a consent.",
    sort_key=6,
)
app.command(consent)

_Flag = Parameter(negative="")

SUBJECT = "subject.pem"
"""File name of the key of a person who signs on this machine."""


@consent.command(name="grant", sort_key=0)
def grant_consent(
    name: str,
    /,
    *,
    footing: Annotated[Footing, Parameter(name=("--basis", "--footing"))],
    statement: Path | None = None,
    replace: Annotated[bool, _Flag] = False,
    terms: CoveredTerms = None,
    session: Own,
) -> None:
    """State a person's consent yourself, with all details. `understudy add --consent` is the short
    form.

    It is signed with the key of this installation. For a real person you declare that they are an
    adult and agreed. Their own signature (request, sign, import) is stronger evidence.

    Args:
        name: Person whose face it is.
        footing: Basis of the consent. self: the face is yours. granted: the person agreed, as
            --statement shows. synthetic: the face is generated and belongs to no real person.
        statement: File with the evidence: a signed form, or a film in which the person agrees.
        replace: Replace the record on file; the old record is kept as a copy.
    """
    from understudy.people.consent import grant

    change = grant(
        session.project(), name, footing, statement, replace=replace, **(terms or Terms()).fields()
    )
    _say(session, change.record)
    if change.earlier:
        session.say(f"The previous record is kept in {change.earlier}.")


@consent.command(name="request", sort_key=1)
def request_consent(
    name: str,
    /,
    *,
    output: Path | None = None,
    terms: CoveredTerms = None,
    session: Own,
) -> None:
    """Write a form that the person can read and sign on their own machine.

    Args:
        name: Person whose face it is.
        output: Form to write. Default: NAME-consent-request.json in the current folder.
    """
    from understudy.people.consent_exchange import request

    output = output or Path(f"{name}-consent-request.json")
    change = request(name, output, **(terms or Terms()).fields())
    _say(session, change.record)
    session.say(
        f"Send {change.file} to {name}, who signs it with:",
        f"  understudy consent sign {word(change.file.name)} --agree",
        "and sends you the signed file. Then run: understudy consent import FILE",
    )


@consent.command(name="sign", sort_key=2)
def sign_consent(
    file: Path,
    /,
    *,
    key: Path | None = None,
    agree: Annotated[bool, _Flag] = False,
    output: Path | None = None,
    session: Own,
) -> int:
    """Read a form, and sign it as the person whose face it is.

    Args:
        file: Form written by `understudy consent request`.
        key: File with your key; it is created if it does not exist. Default: your own key on this
            machine.
        agree: Confirm that you agree to the form and that you are an adult. Without it, the form
            is only shown.
        output: Signed form to write. Default: a file next to the form.
    """
    from understudy.people.consent_exchange import read_record, sign
    from understudy.safeguards.subject_key import subject_key

    if not agree:
        _say(session, read_record(file))
        session.say(
            "Nothing was signed. If you are this person, are adult, and agree to all of it, run:",
            f"  understudy consent sign {word(file)} --agree",
        )
        return ConsentError.exit_code
    stem = file.stem.removesuffix("-request")
    output = output or file.with_name(f"{stem}-signed.json")
    path = key or Home.from_environment().keys / SUBJECT
    change = sign(file, lambda: subject_key(path), output)
    _say(session, change.record)
    assert change.record.signature is not None
    session.say(
        f"Signed. Send {change.file} back. Also tell them the id of your key in another way, for "
        f"example by telephone: {change.record.signature.key_id}",
        f"Keep your key: {path}",
        f"You need it to withdraw this consent: understudy consent revoke {word(change.file)}",
    )
    return 0


@consent.command(name="import", sort_key=3)
def import_consent(
    file: Path,
    /,
    *,
    statement: Path | None = None,
    key: str | None = None,
    replace: Annotated[bool, _Flag] = False,
    yes: Annotated[bool, _Flag] = False,
    session: Own,
) -> int:
    """Import a signed consent into the project, or a person's signed withdrawal.

    Args:
        file: File written by `understudy consent sign`, `export` or `revoke`.
        statement: Evidence that the consent names. Default: a file next to FILE.
        key: Id of the person's key, as they told you. Default: accept any key.
        replace: Replace the record on file; the old record is kept as a copy.
        yes: For a withdrawal: remove the person's data from the project.
    """
    from understudy.people.consent_exchange import import_record, read_record
    from understudy.people.revocation import check_revocation, import_revocation, revoked_by_person

    if revoked_by_person(read_record(file)):
        project = session.project()
        name = check_revocation(project, file, key=key).person
        if not yes:
            told = "" if key is None else f" --key {quote(key)}"
            return _say_what_goes(session, name, f"import {word(file)}{told}")
        with session.progress() as progress:
            done = import_revocation(project, file, progress, key=key)
        return _say_revoked(session, name, done)
    change = import_record(session.project(), file, statement, key=key, replace=replace)
    _say(session, change.record)
    if not change.new:
        session.say("This record was already on file.")
    if change.earlier:
        session.say(f"The previous record is kept in {change.earlier}.")
    if key is None and change.record.stated_by == "subject":
        session.say(
            "Only the person can confirm that the key is theirs. To check, give its id with --key."
        )
    return 0


@consent.command(name="export", sort_key=4)
def export_consent(name: str, /, *, output: Path | None = None, session: Own) -> None:
    """Write a person's consent and its evidence to files, for another project.

    Args:
        name: Person whose consent it is.
        output: Record to write. Default: NAME.consent.json in the current folder. The evidence is
            written next to it.
    """
    from understudy.people.consent_exchange import export_record

    change = export_record(session.project(), name, output or Path(f"{name}.consent.json"))
    session.say(
        f"{change.file}: the consent of {name}.",
        f"Next, in the other project: understudy consent import {word(change.file)}",
    )


@consent.command(name="show", sort_key=5)
def show_consent(
    who: str | None = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    session: Own,
) -> None:
    """Show consents in plain words, and whether they are valid.

    Args:
        who: Person, or file with a record. Default: every person of the project.
        as_json: Print JSON.
    """
    records = _records(session, who)
    present = datetime.now(UTC)
    if as_json:
        told = [
            {
                "record": None if record is None else record.model_dump(mode="json"),
                "holds": record is not None and standing(record, present) == "yes",
                "why": "no record" if record is None else standing(record, present),
            }
            for record in records.values()
        ]
        shown = json.dumps(told if who is None else told[0], indent=2, ensure_ascii=False)
        session.say(*shown.split("\n"))
        return
    for name, record in records.items():
        if record is None:
            session.say(f"{name}: no consent on file.")
        elif who is None:
            session.say(f"{name}: {in_a_line(record, present)}")
        else:
            _say(session, record)
    if not records:
        session.say("This project has no people yet.")


def _records(session: Session, who: str | None) -> dict[str, Consent | None]:
    """Records by person: all of the project, or the one of a file or person."""
    from understudy.people.consent_exchange import read_record

    if who is not None and Path(who).is_file():
        record = read_record(Path(who))
        return {record.person: record}
    project = session.project()
    if who is None:
        return {name: project.place_of(name).consent for name in project.people}
    if who not in project.people and (taken := _taken_back(project, who)):
        return {who: taken}
    return {who: project.person(who).consent}


def _taken_back(project: Project, name: str) -> Consent | None:
    """The last consent that a removed person withdrew."""
    proofs = (read(path) for path in project.revoked_folder.glob("*/consent.json"))
    own = [proof for proof in proofs if proof is not None and proof.person == name]
    return max(own, key=lambda proof: proof.revoked_at or proof.stated_at, default=None)


@consent.command(name="revoke", sort_key=6)
def revoke_consent(
    who: str,
    /,
    *,
    yes: Annotated[bool, _Flag] = False,
    reason: str | None = None,
    key: Path | None = None,
    output: Path | None = None,
    session: Own,
) -> int:
    """Withdraw a consent: removes the person's data, lists films made with them, keeps a proof.

    It cannot be undone. Without --yes, only shows what would happen. The person whose face it is
    can run this with the file they signed, and sends the result to the holder of the consent.

    Args:
        who: Person of the project, or the file with the consent that you signed yourself.
        yes: Withdraw it.
        reason: Reason, in words; it is stored in the proof.
        key: With a file: file with the key you signed with. Default: the key that `sign` created.
        output: With a file: signed withdrawal to write. Default: a file next to it.
    """
    if Path(who).is_file():
        return _revoke_own(session, Path(who), yes, reason, key, output)
    if key is not None or output is not None:
        raise SettingsError(
            f"--key and --output need the file of a consent, but there is no file {who}.",
            "Remove them, or check the path.",
        )
    project = session.project()
    if not yes:
        if who not in project.removed:
            project.person(who)
        return _say_what_goes(session, who, f"revoke {who}")
    from understudy.people.consent import revoke

    with session.progress() as progress:
        done = revoke(project, who, reason, progress)
    return _say_revoked(session, who, done)


def _revoke_own(
    session: Session,
    file: Path,
    yes: bool,
    reason: str | None,
    key: Path | None,
    output: Path | None,
) -> int:
    from understudy.people.consent_exchange import read_record
    from understudy.people.revocation import sign_revocation
    from understudy.safeguards.subject_key import subject_key

    if not yes:
        _say(session, read_record(file))
        session.say(
            "Nothing was signed. If you are this person and want to withdraw it, run:",
            f"  understudy consent revoke {word(file)} --yes",
        )
        return ConsentError.exit_code
    stem = file.stem.removesuffix("-signed")
    path = key or Home.from_environment().keys / SUBJECT
    change = sign_revocation(
        file,
        lambda: subject_key(path, make=False),
        output or file.with_name(f"{stem}-revoked.json"),
        reason,
    )
    _say(session, change.record)
    session.say(
        f"Signed. Send {change.file} to the holder of your consent. They run:",
        f"  understudy consent import {word(change.file.name)} --yes",
    )
    return 0


def _say_what_goes(session: Session, name: str, command: str) -> int:
    session.say(
        f"This withdraws the consent of {name} and removes their footage, their faceset,",
        "their decoder in every model, exported files with their face, and cached files.",
        "Films made with this person are kept and listed. It cannot be undone.",
        f"Nothing was changed. To do it: understudy consent {command} --yes",
    )
    return ConsentError.exit_code


def _say_revoked(session: Session, name: str, done: Revoked) -> int:
    session.say(
        f"The consent of {name} is withdrawn. Removed:",
        *(f"  {one}" for one in done.removal.removed),
    )
    if done.proof:
        session.say(f"Kept as proof of the earlier consent: {done.proof}")
    if done.removal.renders:
        session.say(
            f"These outputs were made with {name} and still exist; consider deleting them:",
            *(f"  {one}" for one in done.removal.renders),
        )
    if done.removal.elsewhere:
        session.say(
            "Also made with this person, according to the records of this installation, but not "
            "in the renders folder (written elsewhere, moved or deleted):",
            *(f"  {one}" for one in done.removal.elsewhere),
        )
    if done.removal.models:
        session.say(
            f"The shared encoder of {' and '.join(done.removal.models)} still contains what it "
            "learned from this person; only retraining from scratch removes that."
        )
    return 0


def _say(session: Session, record: Consent) -> None:
    key = Home.from_environment().keys / keys.OPERATOR
    own = None
    if key.exists():
        from understudy.people.consent import installation

        own = keys.key_id(installation().public_key())
    session.say(*in_words(record, datetime.now(UTC), own))

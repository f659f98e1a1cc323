"""Consent: stated, signed, shown, carried and taken back."""

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
    help="State, sign, show, carry or take back a consent.",
    sort_key=6,
)
app.command(consent)

_Flag = Parameter(negative="")

SUBJECT = "subject.pem"
"""The key of somebody who signs on this machine."""


@consent.command(name="grant", sort_key=0)
def grant_consent(
    name: str,
    /,
    *,
    footing: Footing,
    statement: Path | None = None,
    replace: Annotated[bool, _Flag] = False,
    terms: CoveredTerms = None,
    session: Own,
) -> None:
    """State somebody's consent yourself, in full; `understudy add --consent` does it in short.

    It is signed with the key of this installation. For a real person you thereby declare that
    they are an adult and agreed; their own signature (request, sign, import) is worth more.

    Args:
        name: Whose face.
        footing: self: it is yours. granted: the person agreed, as --statement shows. synthetic:
            it is nobody's.
        statement: The evidence: a signed form, or a film in which the person agrees.
        replace: Take the place of the record on file, which is kept.
    """
    from understudy.people.consent import grant

    change = grant(
        session.project(), name, footing, statement, replace=replace, **(terms or Terms()).fields()
    )
    _say(session, change.record)
    if change.earlier:
        session.say(f"The record before it is kept in {change.earlier}.")


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
        name: Whose face.
        output: The form; NAME-consent-request.json here when not given.
    """
    from understudy.people.consent_exchange import request

    output = output or Path(f"{name}-consent-request.json")
    change = request(name, output, **(terms or Terms()).fields())
    _say(session, change.record)
    session.say(
        f"Send {change.file} to {name}, who signs it with:",
        f"  understudy consent sign {word(change.file.name)} --agree",
        "and sends back what that writes. Then: understudy consent import FILE",
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
        file: What `understudy consent request` wrote.
        key: Your key, which is made when the file is not there; one of your own when not given.
        agree: That you agree to what the form says, and are an adult. Without it the form is
            only shown.
        output: The signed form; beside the form when not given.
    """
    from understudy.people.consent_exchange import read_record, sign
    from understudy.safeguards.subject_key import subject_key

    if not agree:
        _say(session, read_record(file))
        session.say(
            "Nothing was signed. If you are this person, an adult, and agree to all of it:",
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
        f"Signed: send {change.file} back. Tell the id of your key by another way, for example "
        f"by telephone: {change.record.signature.key_id}",
        f"Keep your key: {path}",
        f"With it you can take this back: understudy consent revoke {word(change.file)}",
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
    """Take a signed consent into the project, or a person's word that they take theirs back.

    Args:
        file: What `understudy consent sign`, `export` or `revoke` wrote.
        statement: The evidence that it speaks of; looked for beside the file when not given.
        key: Id of the person's key, as they told you; any key when not given.
        replace: Take the place of the record on file, which is kept.
        yes: Remove what has to go, where the consent is taken back.
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
        session.say("It was on file already.")
    if change.earlier:
        session.say(f"The record before it is kept in {change.earlier}.")
    if key is None and change.record.stated_by == "subject":
        session.say(
            "That the key is theirs, only they can tell you; to be sure give its id with --key."
        )
    return 0


@consent.command(name="export", sort_key=4)
def export_consent(name: str, /, *, output: Path | None = None, session: Own) -> None:
    """Write somebody's consent and its evidence, for another project.

    Args:
        name: Whose.
        output: The record; NAME.consent.json here when not given. The evidence comes beside it.
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
    """Show consents in plain words, and whether they hold.

    Args:
        who: A person, or a file with a record; everybody in the project when not given.
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
        session.say("There is nobody in this project yet.")


def _records(session: Session, who: str | None) -> dict[str, Consent | None]:
    """Records by person, or the one of a file or person."""
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
    """The last consent that somebody who was removed took back."""
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
    """Take a consent back: what was made of the face goes, films are listed, a proof stays.

    There is no way back. Without --yes it is only said what would happen. The person whose face
    it is gives the file that they signed, and sends what that writes to whoever holds the consent.

    Args:
        who: A person of the project, or the file with the consent that you signed yourself.
        yes: Do it.
        reason: Why, in words; stands in the proof.
        key: With a file: the key that you signed with; the one `sign` made when not given.
        output: With a file: where your word goes; beside the file when not given.
    """
    if Path(who).is_file():
        return _revoke_own(session, Path(who), yes, reason, key, output)
    if key is not None or output is not None:
        raise SettingsError(
            f"--key and --output are for the file of a consent, and there is no file {who}.",
            "Leave them out, or check the path.",
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
            "Nothing was signed. If you are this person and take it back:",
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
        f"Signed: send {change.file} to whoever holds your consent. They run:",
        f"  understudy consent import {word(change.file.name)} --yes",
    )
    return 0


def _say_what_goes(session: Session, name: str, command: str) -> int:
    session.say(
        f"This takes the consent of {name} back, and removes their footage, their faceset,",
        "their decoder in every model, exported files with their face, and what is cached.",
        "Films that were made are listed and stay. There is no way back.",
        f"Nothing was done yet. To do it: understudy consent {command} --yes",
    )
    return ConsentError.exit_code


def _say_revoked(session: Session, name: str, done: Revoked) -> int:
    session.say(
        f"The consent of {name} is taken back, and was removed:",
        *(f"  {one}" for one in done.removal.removed),
    )
    if done.proof:
        session.say(f"Kept as proof of what was agreed before: {done.proof}")
    if done.removal.renders:
        session.say(
            f"Made with {name}, and still there; think about whether to delete or withdraw them:",
            *(f"  {one}" for one in done.removal.renders),
        )
    if done.removal.elsewhere:
        session.say(
            "Made with them too, by the records of this installation, and not in the folder of "
            "renders (written elsewhere, moved or deleted):",
            *(f"  {one}" for one in done.removal.elsewhere),
        )
    if done.removal.models:
        session.say(
            f"What {' and '.join(done.removal.models)} learned from them with the encoder stays in "
            "it; only a model trained anew has nothing of it."
        )
    return 0


def _say(session: Session, record: Consent) -> None:
    key = Home.from_environment().keys / keys.OPERATOR
    own = None
    if key.exists():
        from understudy.people.consent import installation

        own = keys.key_id(installation().public_key())
    session.say(*in_words(record, datetime.now(UTC), own))

"""A consent record in plain words, as shown before and after signing."""

from __future__ import annotations

from datetime import datetime

from understudy.errors import ConsentError
from understudy.safeguards.consent_gate import check
from understudy.safeguards.consent_record import NOTICE, PURPOSES, ROLES, Consent, Purpose, Role

_MAY: dict[Purpose, str] = {
    "train": "let a model learn the face (train)",
    "convert": "make films and pictures with it (convert)",
    "publish": "give these, or a model of the face, to others (publish)",
    "detector-training": "let a detector of fakes learn from it (detector-training)",
}
_SEEN: dict[Role, str] = {
    "shown": "the face is seen in the place of another's (shown)",
    "replaced": "another face is seen in its place (replaced)",
}
_WHOSE = {
    "self": "The user's own face.",
    "granted": "Somebody else's face, who agreed.",
    "synthetic": "Nobody's face: it is synthetic.",
}


def in_words(consent: Consent, at: datetime, own_key: str | None = None) -> list[str]:
    """What a record says, a sentence or a list to a line.

    Args:
        at: the present (aware), to say whether it holds.
        own_key: id of this installation's key, to recognise it.
    """
    who = consent.person
    lines = [
        f"Consent of {who}, stated on {consent.stated_at:%Y-%m-%d}",
        f"  whose       {_whose(consent)}{_age(consent)}",
        f"  holds       {standing(consent, at)}",
        *_list("for", [_MAY[one] for one in PURPOSES if one in consent.purposes]),
        *_list("not for", [_MAY[one] for one in PURPOSES if one not in consent.purposes]),
        *_list("pictures", _pictures(consent)),
        *_list("how", [_SEEN[one] for one in ROLES if one in consent.roles]),
        f"  footage     {_footage(consent)}",
        f"  where       {consent.territory or 'anywhere'}",
        f"  from        {consent.valid_from or consent.stated_at:%Y-%m-%d}"
        + (f" until {consent.expires_at:%Y-%m-%d}" if consent.expires_at else ", with no end"),
    ]
    if consent.recipient:
        lines.append(f"  given to    {consent.recipient}")
    if consent.statement:
        found = consent.statement
        lines.append(f"  evidence    {found.file} (SHA-256 {found.sha256[:16]}...)")
    where = f"tell {consent.contact}; they run " if consent.contact else ""
    lines.append(f"  taken back  {where}understudy consent revoke {who}")
    if consent.stated_by == "subject":
        lines.append("              or who signs does it: understudy consent revoke FILE")
    lines.append(f"  signed by   {_signer(consent, own_key)}")
    lines.append(f"  id          {consent.id}")
    if consent.revocation is not None:
        lines.append(f"  revocation  {_revocation(consent)}")
    return lines


def _whose(consent: Consent) -> str:
    if consent.stated_by == "subject":
        return f"The face of {consent.person}, who signs it."
    return _WHOSE[consent.footing]


def standing(consent: Consent, at: datetime) -> str:
    """Whether a record holds, in a sentence."""
    try:
        check(consent, at)
    except ConsentError as error:
        return f"no: {error.problem}"
    return "yes"


def in_a_line(consent: Consent, at: datetime) -> str:
    """The shortest that can be said of a record."""
    holds = standing(consent, at)
    signer = "nobody" if consent.signature is None else _short(consent)
    found = "holds" if holds == "yes" else holds.removeprefix("no: ")
    return f"{consent.footing}, signed by {signer}; {found.rstrip('.')}."


def _short(consent: Consent) -> str:
    return "the person" if consent.stated_by == "subject" else "the user of the program"


def _age(consent: Consent) -> str:
    if consent.footing == "synthetic":
        return ""
    return " Declared to be an adult." if consent.adult else " Nothing is said of their age."


def _list(title: str, parts: list[str]) -> list[str]:
    return [f"  {title if not row else '':<11} {part}" for row, part in enumerate(parts)]


def _pictures(consent: Consent) -> list[str]:
    """What is said of pictures that are kept inside a model; nothing where none is trained."""
    if "train" not in consent.purposes or consent.footing == "synthetic":
        return []
    if consent.notice != NOTICE:
        return [
            "the wording that was read says nothing of pictures that are kept inside a model;",
            "to train and export without them: --no-gallery",
        ]
    exported = "publish" in consent.purposes
    files = " and inside files exported from it" if exported else ""
    without = "training and exporting" if exported else "training"
    return [
        f"up to 200 of the person's own pictures are kept inside the trained model{files},",
        f"so that films get their fine detail; {without} with --no-gallery "
        f"{'keep' if exported else 'keeps'} none",
    ]


def _footage(consent: Consent) -> str:
    if consent.footage is None:
        return "any of this person, also such as is added later"
    count = len(consent.footage)
    return f"only {count} named {'file' if count == 1 else 'files'} (by SHA-256)"


def _signer(consent: Consent, own_key: str | None) -> str:
    if consent.signature is None:
        if consent.schema_version == 1:
            return "nobody: an earlier version wrote it, which did not sign"
        return "nobody yet"
    key = f"key {consent.signature.key_id}"
    if consent.stated_by == "subject":
        return f"the person, {key} (ask them whether that is theirs)"
    mine = ", this installation" if consent.signature.key_id == own_key else ""
    if consent.footing == "synthetic":
        return f"the user of the program, {key}{mine}"
    return (
        f"the user of the program, {key}{mine}. That is weaker: it shows who said so, not that "
        "the person did."
    )


def _revocation(consent: Consent) -> str:
    taken = consent.revocation
    assert taken is not None
    by = "the person" if taken.by == "subject" else "the user of the program"
    right = ""
    if not consent.revocation_whole:
        right = "; its signature is not right, and it is obeyed"
    elif (
        taken.by == "subject" and consent.signature and taken.signature.key != consent.signature.key
    ):
        right = "; that is not the key of the consent, and it is obeyed"
    reason = f": {taken.reason}" if taken.reason else ""
    return f"by {by}, key {taken.signature.key_id}{right}{reason}"

"""What a consent covers, as words on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from understudy.errors import SettingsError
from understudy.safeguards.consent_record import Purpose, Role

_Flag = Parameter(negative="")
_TERMS = Group("What it covers", sort_key=5)


@dataclass(frozen=True)
class Terms:
    """What a consent covers."""

    purpose: Annotated[tuple[Purpose, ...], _Flag] = ()
    """What for, once for each; train, convert and publish when not given. Training keeps up to 200
    of the person's own pictures inside the model, unless it is told --no-gallery."""

    role: Annotated[tuple[Role, ...], _Flag] = ()
    """shown in the place of another, replaced by another; both when not given."""

    footage: Annotated[tuple[Path, ...], _Flag] = ()
    """A film or picture that the face may be taken from, once for each; any of the person, also
    such as is added later, when not given."""

    start: Annotated[str | None, Parameter(name="--from")] = None
    """First day, as 2027-01-31; at once when not given."""

    until: str | None = None
    """Last day, as 2027-12-31 (UTC); no end when not given."""

    territory: str | None = None
    """Where it holds, in words; anywhere when not given."""

    recipient: str | None = None
    """To whom it is given: a person's or company's name."""

    contact: str | None = None
    """Whom to tell in order to take it back."""

    def fields(self) -> dict[str, Any]:
        """Fields of `Consent`; only what was given. Raises SettingsError, ConsentError."""
        from understudy.people.consent import footage_hashes

        given: dict[str, Any] = {
            "purposes": tuple(dict.fromkeys(self.purpose)),
            "roles": tuple(dict.fromkeys(self.role)),
            "footage": footage_hashes(self.footage),
            "valid_from": _day(self.start, "--from", time(0, 0, 0)),
            "expires_at": _day(self.until, "--until", time(23, 59, 59)),
            "territory": self.territory,
            "recipient": self.recipient,
            "contact": self.contact,
        }
        return {name: value for name, value in given.items() if value}


def _day(text: str | None, flag: str, moment: time) -> datetime | None:
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d")
    except ValueError as error:
        raise SettingsError(
            f"{flag}: `{text}` is no day.", "Write year, month and day, as 2027-12-31."
        ) from error
    return datetime.combine(day.date(), moment, UTC)


CoveredTerms = Annotated[Terms | None, Parameter(name="*", group=_TERMS)]

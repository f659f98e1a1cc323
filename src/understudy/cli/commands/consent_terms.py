"""What a consent covers, as options on the command line."""

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
    """Purpose; repeat for each. Default: train, convert and publish. Training keeps up to 200
    of the person's own pictures inside the model, unless you give --no-gallery."""

    role: Annotated[tuple[Role, ...], _Flag] = ()
    """shown: as the source. replaced: as the target. Default: both."""

    footage: Annotated[tuple[Path, ...], _Flag] = ()
    """Film or picture that the face may be taken from; repeat for each. Default: all footage of
    the person, also footage added later."""

    start: Annotated[str | None, Parameter(name="--from")] = None
    """First day, for example 2027-01-31. Default: valid immediately."""

    until: str | None = None
    """Last day (UTC), for example 2027-12-31. Default: no end."""

    territory: str | None = None
    """Territory in which the consent is valid, in words. Default: everywhere."""

    recipient: str | None = None
    """Person or company that receives the consent."""

    contact: str | None = None
    """Address to which a withdrawal is sent."""

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
            f"{flag}: `{text}` is not a valid date.", "Write year, month and day: 2027-12-31."
        ) from error
    return datetime.combine(day.date(), moment, UTC)


CoveredTerms = Annotated[Terms | None, Parameter(name="*", group=_TERMS)]

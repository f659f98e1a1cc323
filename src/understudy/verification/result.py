"""What a verification found, as values and as plain JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.provenance.credentials.credentials import Credentials
from understudy.provenance.credentials.manifest import Facts
from understudy.provenance.records import RenderRecord
from understudy.verification.verdict import EXIT_CODES, Outcome, Tone


@dataclass(frozen=True)
class Finding:
    """One sentence, and whether it is proved, broken or unknown."""

    tone: Tone
    text: str


@dataclass(frozen=True)
class Verification:
    """What can be said of a file.

    Attributes:
        outcome: intact: nothing was changed since it was signed here, or by someone who is
            trusted here. unknown signer: the signature is valid, but the
            signer is not on the trusted list. altered: made by this program and changed
            since. broken: something contradicts itself. unknown: nothing is proved.
        summary: one or two sentences for everyone.
        findings: in the order in which they were looked for.
        facts: of the record, wherever it was found; None if they cannot be trusted.
        record: that agrees with it, to be handed over with it.
        credentials: the file's own statements.
        mark: number that the invisible mark holds, eight hex digits.
        distance: between the file's fingerprint and the record's, 0..1.
    """

    file: Path
    sha256: str
    outcome: Outcome
    summary: str
    findings: tuple[Finding, ...]
    facts: Facts | None
    record: RenderRecord | None
    credentials: Credentials
    mark: str | None
    distance: float | None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def told(self, tone: Tone) -> list[str]:
        """The findings of one kind."""
        return [one.text for one in self.findings if one.tone == tone]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        found = self.credentials
        return {
            "schema_version": 1,
            "file": str(self.file),
            "sha256": self.sha256,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "findings": [asdict(one) for one in self.findings],
            "credentials": {
                "state": found.state,
                "signer": found.signer,
                "serial": found.serial,
                "generator": found.generator,
                "signed_at": found.signed_at.isoformat() if found.signed_at else None,
                "sidecar": found.sidecar,
                "reasons": list(found.reasons),
                "uncovered": list(found.uncovered),
            },
            "mark": self.mark,
            "fingerprint_distance": self.distance,
            "record": self.facts.model_dump(mode="json") if self.facts else None,
        }


def shortened(serial: str) -> str:
    """The beginning of a certificate's number, as `openssl x509 -serial` writes it: enough to
    tell two apart, not to know one by."""
    number = hexadecimal(serial)
    return f"{number[:8]}..." if len(number) > 8 else number


def hexadecimal(serial: str) -> str:
    """A decimal serial number in hex; anything else unchanged."""
    return f"{int(serial):X}" if serial.isdecimal() else serial

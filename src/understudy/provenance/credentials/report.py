"""The report of the C2PA library about a file, and its meaning.

The report quotes the file, which may come from anyone: what does not have the expected form is
refused as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

State = Literal["none", "trusted", "unknown signer", "tampered", "damaged"]

_CREDENTIAL = "signingCredential."
_TRUSTED = "signingCredential.trusted"
_UNTRUSTED = "signingCredential.untrusted"
_EXPIRED = "signingCredential.expired"
_TIME = "timeStamp."
_TIME_HOLDS = ("timeStamp.validated", "timeStamp.trusted", "timeStamp.untrusted")
_PLAIN = {
    "assertion.bmffHash.mismatch": "Pictures, sound or other data were changed after signing.",
    "assertion.dataHash.mismatch": "The file was changed after signing.",
    "assertion.hashedURI.mismatch": "A part of the signed record was changed.",
    "claimSignature.mismatch": "The signature does not match the signed data.",
    _UNTRUSTED: "The signer is not on the trusted list.",
    _EXPIRED: "The signer's certificate is not valid today, and no time-stamp "
    "proves that it was valid when the file was signed.",
    "timeStamp.mismatch": "The time-stamp belongs to another signature.",
}


@dataclass(frozen=True)
class Ingredient:
    """An earlier version that a file was made from.

    Attributes:
        state: as of the earlier file itself, when the later one was signed.
        record: number of its record, where this program made it and says so.
    """

    title: str
    state: State
    reasons: tuple[str, ...]
    record: str | None = None


class _Quoted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Finding(_Quoted):
    """One validation status (C2PA 2.4, section 15.2)."""

    code: str
    explanation: str = ""


class Findings(_Quoted):
    success: tuple[Finding, ...] = ()
    informational: tuple[Finding, ...] = ()
    failure: tuple[Finding, ...] = ()


class Delta(_Quoted):
    """Findings about an ingredient that did not exist when the file was signed."""

    findings: Findings = Field(default=Findings(), alias="validationDeltas")


class Results(_Quoted):
    findings: Findings = Field(default=Findings(), alias="activeManifest")
    deltas: tuple[Delta, ...] = Field(default=(), alias="ingredientDeltas")


class Assertion(_Quoted):
    label: str
    data: Any = None


class Signature(_Quoted):
    common_name: str | None = None
    issuer: str | None = None
    cert_serial_number: str | None = None
    time: AwareDatetime | None = None


class Agent(_Quoted):
    name: str = ""
    version: str = ""


class QuotedIngredient(_Quoted):
    title: str | None = None
    active_manifest: str | None = None
    validation_results: Results = Results()

    def judged(self) -> Ingredient:
        title = self.title or "without a name"
        if self.active_manifest is None:
            return Ingredient(title, "none", ())
        found = self.validation_results.findings
        failed = failures(found)
        trusted = any(one.code == _TRUSTED for one in found.success)
        return Ingredient(title, state_of(failed, trusted), tuple(failed.values()))


class Manifest(_Quoted):
    claim_generator: str | None = None
    claim_generator_info: tuple[Agent, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    ingredients: tuple[QuotedIngredient, ...] = ()
    signature_info: Signature = Signature()

    def generator(self) -> str | None:
        """The program that made the file, as it names itself."""
        if not self.claim_generator_info:
            return self.claim_generator
        first = self.claim_generator_info[0]
        return f"{first.name} {first.version}".strip() or None


class Report(_Quoted):
    """The whole report. Raises ValidationError when it does not have this form."""

    active_manifest: str
    manifests: dict[str, Manifest]
    validation_results: Results = Results()
    validation_state: str

    @model_validator(mode="after")
    def _has_active(self) -> Self:
        if self.active_manifest not in self.manifests:
            raise ValueError("the active manifest is missing")
        return self

    @property
    def active(self) -> Manifest:
        return self.manifests[self.active_manifest]

    @property
    def stamped(self) -> bool:
        """There is a time-stamp, and it belongs to the signature."""
        return self._succeeded("timeStamp.validated")

    @property
    def stamp_trusted(self) -> bool:
        """It comes from a trusted authority."""
        return self._succeeded("timeStamp.trusted")

    def _succeeded(self, code: str) -> bool:
        return any(one.code == code for one in self.validation_results.findings.success)

    def failures(self) -> dict[str, str]:
        """Sentences by code. The present status of an ingredient's signer is not a failure."""
        failed = failures(self.validation_results.findings)
        for delta in self.validation_results.deltas:
            later = failures(delta.findings)
            failed |= {code: why for code, why in later.items() if not code.startswith(_CREDENTIAL)}
        return failed


def failures(found: Findings) -> dict[str, str]:
    """Sentences by code; a time-stamp that does not hold counts, which the library calls
    informational. An expired certificate is untrusted too, which need not be said."""
    stamps = [one for one in found.informational if one.code.startswith(_TIME)]
    failed = [*found.failure, *(one for one in stamps if one.code not in _TIME_HOLDS)]
    sentences = {
        one.code: _PLAIN.get(one.code, f"{one.explanation or 'It failed a check'} ({one.code}).")
        for one in failed
    }
    if _EXPIRED in sentences:
        sentences.pop(_UNTRUSTED, None)
    return sentences


def state_of(failed: dict[str, str], trusted: bool) -> State:
    """The state that follows from the failed codes."""
    if any(not code.startswith(_CREDENTIAL) for code in failed):
        return "tampered"
    if failed:
        return "unknown signer"
    return "trusted" if trusted else "tampered"

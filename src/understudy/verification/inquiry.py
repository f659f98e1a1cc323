"""What can be known of one file, step by step; `verify` says in which order and why.

Each step says what it found, as proved, broken or unknown, and what it found leads to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import MediaError, TrustError, UnderstudyError
from understudy.provenance import aigc, model_lookup, records
from understudy.provenance.credentials.credentials import Credentials, read
from understudy.provenance.credentials.manifest import Facts
from understudy.provenance.inspect import Look
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.records import RenderRecord
from understudy.provenance.trusted_signers import Vouchers, held
from understudy.runtime.filenames import plain
from understudy.runtime.installation import Home
from understudy.verification.record_search import search
from understudy.verification.result import Finding, Verification, shortened
from understudy.verification.verdict import Evidence, Lead, Match, Outcome, Tone, conclude

NOTHING = hashlib.sha256(b"").hexdigest()
"""SHA-256 of an empty file."""


@dataclass
class Inquiry:
    """A file that is asked about; `judge` answers once.

    Attributes:
        given: records that came with it.
        vouchers: who is believed.
        findings: what was said so far.
    """

    file: Path
    sha256: str
    home: Home
    given: list[RenderRecord]
    vouchers: Vouchers
    findings: list[Finding] = field(default_factory=list)

    def say(self, tone: Tone, text: str) -> None:
        one = Finding(tone, plain(text))
        if one not in self.findings:
            self.findings.append(one)

    def judge(
        self, looked: Callable[[], Look], tagged: Callable[[], aigc.Tag | None]
    ) -> Verification:
        """The answer, from the file's contents and its metadata tag.

        Raises:
            MediaError: nothing can be seen in it, and nothing else is known of it.
        """
        for fault in self.vouchers.faults:
            self.say("broken", fault)
        sha256, empty = self.sha256, self.sha256 == NOTHING
        entered, numbers = self._by_hash(sha256)
        credentials = self._credentials()
        tag = self._tagged(credentials, tagged())
        seen, unopened = (None, None) if empty else _seen(looked)
        mark = self._mark(seen, unopened)
        leads: dict[int, Lead] = dict.fromkeys(numbers, "hash")
        followed: tuple[tuple[int | None, Lead], ...] = (
            (_number(credentials.facts.record if credentials.facts else None), "credentials"),
            (mark, "mark"),
            (_number(tag.produce_id if tag else None), "metadata"),
        )
        for number, lead in followed:
            if number is not None:
                leads.setdefault(number, lead)
        match, source = self._match(leads, sha256, seen, credentials.facts)
        found = Evidence(credentials, entered, mark, seen, match, tag, source, empty)
        if unopened is not None and found.nothing:
            raise MediaError(
                f"It could not be opened, so nothing can be checked. {unopened.problem}",
                unopened.remedy,
            ) from unopened
        outcome, summary = conclude(found)
        facts = self._told(found, outcome)
        return Verification(
            self.file,
            sha256,
            outcome,
            plain(summary),
            tuple(self.findings),
            facts,
            match.record if match and match.agrees else None,
            credentials,
            None if mark is None else records.number_text(mark),
            match.comparison.distance if match and match.comparison else None,
        )

    def _by_hash(self, sha256: str) -> tuple[bool, set[int]]:
        """Whether the ledger here holds exactly this file, and under which numbers."""
        if not self.home.ledger.exists():
            self.say("unknown", "There is no ledger on this machine.")
            return False, set()
        try:
            with Ledger.open(self.home, write=False) as ledger:
                entries = [
                    one for one in ledger.by_sha256(sha256) if one.values["kind"] == "finished"
                ]
                # An entry that was put in afterwards has no proof.
                for one in entries:
                    ledger.prove(one.leaf)
        except UnderstudyError as error:
            self.say("broken", f"The ledger on this machine cannot be relied on: {error.problem}")
            return False, set()
        if not entries:
            self.say("unknown", "The ledger on this machine has no entry for exactly this file.")
            return False, set()
        when = entries[0].values["time"]
        self.say("proved", f"The ledger on this machine has an entry for this file, since {when}.")
        numbers = {one.values.get("record") for one in entries}
        return True, {one for one in numbers if isinstance(one, int)}

    def _credentials(self) -> Credentials:
        found = read(self.file, trusted=self.vouchers.certificates)
        number = f" (certificate {shortened(found.serial)})" if found.serial else ""
        who = f"{found.signer}{number}" if found.signer else "an unnamed signer"
        when = f" on {found.signed_at:%Y-%m-%d %H:%M} UTC" if found.signed_at else ""
        if found.state == "trusted":
            self.say("proved", f"Nothing was changed since the trusted signer {who} signed it.")
        elif found.state == "unknown signer":
            self.say("proved", "Nothing was changed since it was signed.")
            self.say("unknown", f"The signer is not on the trusted list: {who}.")
        elif found.state == "none":
            self.say("unknown", "It has no Content Credentials, or they were removed.")
        if found.intact and when:
            self.say("proved", f"A trusted time-stamp authority confirms that it existed{when}.")
        for reason in found.reasons:
            if reason != "The signer is not on the trusted list.":  # said above, with the name
                self.say("broken" if found.state in ("tampered", "damaged") else "unknown", reason)
        for left_open in found.uncovered:
            self.say("unknown", left_open)
        for one in found.ingredients if found.intact else ():
            of = f" It was the film of the record {one.record}." if one.record else ""
            if one.state in ("tampered", "damaged"):
                self.say("broken", f"What it was made from ({one.title}) had been changed.{of}")
            elif one.state != "none":
                self.say(
                    "proved" if found.state == "trusted" else "unknown",
                    f"What it was made from was also signed and had not been changed.{of}",
                )
        return found

    def _tagged(self, credentials: Credentials, tag: aigc.Tag | None) -> aigc.Tag | None:
        if tag is not None:
            label = {"1": "generated or changed by AI", "2": "possibly", "3": "suspected"}
            said = f"{label.get(tag.label, tag.label)}, by {tag.content_producer or 'no one named'}"
            number = f", number {tag.produce_id}" if tag.produce_id else ""
            covered = "" if credentials.intact else " Anyone can write that."
            self.say(
                "proved" if credentials.state == "trusted" else "unknown",
                f"Its metadata tag AIGC (GB 45438) says: {said}{number}.{covered}",
            )
        return tag

    def _mark(self, seen: Look | None, unopened: UnderstudyError | None) -> int | None:
        if seen is None:
            why = "" if unopened is None else f" {unopened.problem}"
            self.say("unknown", f"No picture in it can be read, so no watermark either.{why}")
            return None
        number = seen.reading.record_id
        if number is None:
            self.say("unknown", "No invisible watermark of this program was found in it.")
            return None
        self.say(
            "unknown",
            f"Its pictures have the invisible watermark {records.number_text(number)}. This alone "
            "proves nothing: watermarks can be copied.",
        )
        return number

    def _match(
        self, leads: Mapping[int, Lead], sha256: str, seen: Look | None, signed: Facts | None
    ) -> tuple[Match | None, bool]:
        """The record that agrees best, and whether the file is some record's source."""
        found = search(self.home, self.vouchers, self.given, leads, sha256, seen, signed)
        for fault in found.faults:
            self.say("broken", fault)
        if found.source is not None:
            name = records.number_text(found.source.number)
            self.say("unknown", f"It is, byte for byte, the input of the film of record {name}.")
        if found.match is not None:
            if found.match.lead == "looks" or self._prove(found.match):
                self._describe(found.match)
        elif signed is None and "mark" in leads.values():
            self.say("unknown", "The record of that watermark is not here; its maker may have it.")
        return found.match, found.source is not None

    def _prove(self, match: Match) -> bool:
        """Report how far the record can be trusted; False if not at all."""
        number = records.number_text(match.record.number)
        try:
            what = held(match.record)
        except TrustError as error:
            self.say("broken", f"The record {number} cannot be relied on: {error.problem}")
            return False
        whose = "This installation's ledger" if what.key == self.vouchers.own else "A ledger"
        self.say(
            "proved" if match.known else "unknown",
            f"{whose} (key {what.key}) contains the record {number}, unchanged, since {what.time}, "
            + ("as it states." if match.known else "as it states; the ledger is not trusted here."),
        )
        if match.known and not match.good:
            self.say(
                "unknown",
                "That ledger does not contain what the film looks like: this part of the record "
                "is not confirmed.",
            )
        for anchor in what.anchors:
            tone: Tone = "broken" if anchor.state == "broken" else "unknown"
            self.say("proved" if anchor.state == "proved" else tone, anchor.words)
        return True

    def _describe(self, match: Match) -> None:
        """Say how the file compares with the record."""
        number, good = records.number_text(match.record.number), match.good
        distance = (
            f"fingerprint distance {match.comparison.distance:.2f}" if match.comparison else ""
        )
        if match.how in ("exact", "stripped"):
            without = "" if match.how == "exact" else ", without its credentials"
            self.say(
                "proved" if good else "unknown",
                f"It is, byte for byte, the file of the record {number}{without}.",
            )
        elif match.how == "same" and match.lead != "looks":
            self.say(
                "proved" if good else "unknown",
                f"It shows what the record {number} describes ({distance}).",
            )
            if match.lead in ("mark", "metadata"):
                self.say(
                    "unknown",
                    "It is unknown what else was changed in the pictures, or whether they are "
                    "the original footage with a forged watermark, if the face is small.",
                )
        elif match.how in ("same", "edited"):
            self.say("unknown", f"It shows the footage of the record {number} ({distance}).")
        elif match.how == "too little":
            self.say(
                "unknown",
                f"Too little of it is left to compare it with the record {number} ({distance}).",
            )
        elif match.how == "unseen":
            self.say("unknown", f"It cannot be compared with the record {number}.")
        else:
            self.say(
                "broken" if good else "unknown",
                f"The record {number} describes other pictures ({distance}).",
            )

    def _told(self, found: Evidence, outcome: Outcome) -> Facts | None:
        """Report the facts and return them; None if no signer or record states any."""
        credentials, match = found.credentials, found.match
        agrees = match if match and match.agrees else None
        tone: Tone = "unknown"
        if agrees and agrees.good:
            facts, whose, tone = agrees.record.facts, "According to its record", "proved"
        elif credentials.intact and credentials.facts:
            facts, whose = credentials.facts, "According to the signed facts"
            tone = "proved" if credentials.state == "trusted" else "unknown"
        elif agrees and agrees.holds and outcome == "unknown signer":
            facts, whose = agrees.record.facts, "According to the record that came with it"
        else:
            return None
        count = len(facts.consents)
        consents = f"{count or 'no'} consent record{'' if count == 1 else 's'} named"
        guard = "not used" if facts.guard == "unscanned" else facts.guard
        self.say(
            tone,
            f"{whose}: made with {facts.tool} on {facts.made_at:%Y-%m-%d %H:%M} UTC; {consents}; "
            f"content guard: {guard}; visible label: {facts.label or 'not stated'}"
            f"{f' ({facts.reason})' if facts.reason else ''}.",
        )
        if tone == "proved" and facts.model_sha256:
            drew = model_lookup.drew(self.home, facts.model_sha256)
            if drew:
                self.say("proved", drew)
        if facts.mark and facts.mark.reason:
            self.say(tone, f"{whose}, it never had a watermark: {facts.mark.reason}.")
        return facts


def _seen(looked: Callable[[], Look]) -> tuple[Look | None, UnderstudyError | None]:
    """What can be seen, or why nothing can."""
    try:
        return looked(), None
    except UnderstudyError as error:
        return None, error


def _number(text: str | None) -> int | None:
    """A record's number from eight hex digits; None for anything else."""
    try:
        return int(text, 16) if text and len(text) == 8 else None
    except ValueError:
        return None

"""Verify: is this file marked, by whom, and untouched since?

    understudy verify film.mp4

Works on any film or picture, also on what this program did not make, and asks nobody: what can be
known is in the file, in the ledger and the records of this installation, and in records that were
handed over with the file. In this order:

    hash in the ledger -> Content Credentials -> metadata tag -> invisible mark
    -> the record that these lead to -> its proof from a ledger -> its fingerprint

Each answer says what is proved, what is broken and what is unknown. A file without any mark is
unknown; it is never called genuine. Mark and tag are an index and prove nothing by themselves,
because anyone can write them; what proves is the signature, and the record when the pictures agree
with it. See `verdict` for what follows from what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error

from understudy import files
from understudy.errors import MediaError, TrustError, UnderstudyError
from understudy.looking import Look, look
from understudy.progress import Progress, silent
from understudy.record_search import search
from understudy.trust import aigc, records
from understudy.trust.credentials import SIDECAR, Credentials, read
from understudy.trust.home import Home
from understudy.trust.ledger import Ledger
from understudy.trust.manifest import Facts
from understudy.trust.records import RenderRecord
from understudy.verdict import Evidence, Lead, Match, Outcome, Tone, conclude
from understudy.verification import Finding, Verification, plain
from understudy.vouching import Vouchers, held, vouchers


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
        trusted: PEM files of certificates and ledgers' keys that are believed besides this
            installation's own; `vouching.write_trust` writes such a file.
        handed: records that came with it; `vouching.write_record` writes one.

    Raises:
        MediaError: there is no such file.
        TrustError: the file, or a record or certificate that was given, cannot be read.
    """
    _check(file)
    if file.suffix.lower() == SIDECAR:
        return _of_another(file)
    home = home or Home.from_environment()
    given = [records.read(path) for path in handed]
    case = _Case(file, home, given, vouchers(home, trusted))
    with (progress or silent()).task(f"verify {plain(file.name)}", "frames") as task:
        return case.judge(lambda: _look(file, task.step))


def _check(file: Path) -> None:
    """Raises MediaError unless it is a file."""
    try:
        if file.is_dir():
            raise MediaError(f"{plain(str(file))} is a folder.", "Name the files in it.")
        there = file.is_file()
    except OSError as error:
        raise MediaError(
            f"{plain(str(file))[:200]} cannot be read ({error.strerror}).", "Check the name."
        ) from error
    if not there:
        raise MediaError(f"There is no file {plain(str(file))}.", "Check the name.")


def _of_another(file: Path) -> Verification:
    """A file that holds nothing but the credentials of another one."""
    return Verification(
        file,
        files.sha256(file),
        "unknown",
        f"It holds the credentials of another file; verify that: {plain(file.stem)}",
        (),
        None,
        None,
        Credentials("none"),
        None,
        None,
    )


def _look(file: Path, step: Callable[[], None]) -> Look | None:
    """What can be seen; None where nothing can be shown."""
    try:
        return look(file, closely=True, step=step)
    except UnderstudyError:
        return None


def _tag(file: Path) -> aigc.Tag | None:
    """The tag `AIGC` in the metadata of a film."""
    try:
        with av.open(str(file), options={"protocol_whitelist": "file"}) as container:
            value = container.metadata.get(aigc.KEY)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    return aigc.parse(value) if value else None


@dataclass
class _Case:
    """A file under examination."""

    file: Path
    home: Home
    given: list[RenderRecord]
    vouchers: Vouchers
    findings: list[Finding] = field(default_factory=list)

    def say(self, tone: Tone, text: str) -> None:
        one = Finding(tone, plain(text))
        if one not in self.findings:
            self.findings.append(one)

    def judge(self, looked: Callable[[], Look | None]) -> Verification:
        for fault in self.vouchers.faults:
            self.say("broken", fault)
        try:
            sha256 = files.sha256(self.file)
            empty = self.file.stat().st_size == 0
        except OSError as error:
            raise MediaError(
                f"{plain(str(self.file))} cannot be read ({error.strerror}).",
                "Check that you may read it.",
            ) from error
        entered, numbers = self._by_hash(sha256)
        credentials = self._credentials()
        tag = self._tagged(credentials)
        seen = None if empty else looked()
        mark = self._mark(seen)
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
            self.say("unknown", "There is no ledger on this machine in which it could stand.")
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
            self.say("unknown", "The ledger on this machine does not hold exactly this file.")
            return False, set()
        when = entries[0].values["time"]
        self.say("proved", f"The ledger on this machine holds exactly this file, since {when}.")
        numbers = {one.values.get("record") for one in entries}
        return True, {one for one in numbers if isinstance(one, int)}

    def _credentials(self) -> Credentials:
        found = read(self.file, trusted=self.vouchers.certificates)
        who = f"{found.signer} (certificate {found.serial})" if found.signer else "somebody"
        when = f" on {found.signed_at:%Y-%m-%d %H:%M} UTC" if found.signed_at else ""
        if found.state == "trusted":
            self.say("proved", f"Nothing was changed since {who}, who is trusted here, signed it.")
        elif found.state == "unknown signer":
            self.say("proved", "Nothing was changed since it was signed.")
            self.say("unknown", f"Who signed is not known here: {who}.")
        elif found.state == "none":
            self.say("unknown", "It has no Content Credentials, or they were removed.")
        if found.intact and when:
            self.say("proved", f"A time-stamp authority that is trusted here saw it{when}.")
        for reason in found.reasons:
            if reason != "Nobody here vouches for the signer.":  # said above, with the name
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
                    f"What it was made from was signed too, and had not been changed.{of}",
                )
        return found

    def _tagged(self, credentials: Credentials) -> aigc.Tag | None:
        tag = _tag(self.file)
        if tag is not None:
            label = {"1": "generated or changed by AI", "2": "possibly", "3": "suspected"}
            said = f"{label.get(tag.label, tag.label)}, by {tag.content_producer or 'nobody named'}"
            number = f", number {tag.produce_id}" if tag.produce_id else ""
            covered = "" if credentials.intact else " Anybody can write that."
            self.say(
                "proved" if credentials.state == "trusted" else "unknown",
                f"Its metadata tag AIGC (GB 45438) says: {said}{number}.{covered}",
            )
        return tag

    def _mark(self, seen: Look | None) -> int | None:
        if seen is None:
            self.say("unknown", "No picture in it can be read, so no invisible mark can be.")
            return None
        number = seen.reading.record_id
        if number is None:
            self.say("unknown", "No invisible mark of this program can be read in it.")
            return None
        self.say(
            "unknown",
            f"Its pictures carry the invisible mark {records.number_text(number)}. Alone that "
            "proves nothing: marks can be copied.",
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
            self.say("unknown", f"It is, byte for byte, what the record {name} was made from.")
        if found.match is not None:
            if found.match.lead == "looks" or self._prove(found.match):
                self._describe(found.match)
        elif signed is None and "mark" in leads.values():
            self.say("unknown", "The record of that mark is not here; its maker may have it.")
        return found.match, found.source is not None

    def _prove(self, match: Match) -> bool:
        """Say what the record is worth; False when it is worth nothing."""
        number = records.number_text(match.record.number)
        try:
            what = held(match.record)
        except TrustError as error:
            self.say("broken", f"The record {number} cannot be relied on: {error.problem}")
            return False
        whose = "This installation's ledger" if what.key == self.vouchers.own else "A ledger"
        self.say(
            "proved" if match.known else "unknown",
            f"{whose} (key {what.key}) holds the record {number}, unaltered, since {what.time}, "
            + ("on its own word." if match.known else "on its own word; nobody here knows it."),
        )
        if match.known and not match.good:
            self.say(
                "unknown",
                "What the film looks like is not in that ledger: there the record is believed as "
                "it came.",
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
                    "What else was changed in the pictures cannot be told, nor whether they are "
                    "those of the original footage with a forged mark, where the face is small.",
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
        """The facts that can be told, and say them; None where nobody's word stands for any."""
        credentials, match = found.credentials, found.match
        agrees = match if match and match.agrees else None
        tone: Tone = "unknown"
        if agrees and agrees.good:
            facts, whose, tone = agrees.record.facts, "By its record", "proved"
        elif credentials.intact and credentials.facts:
            facts, whose = credentials.facts, "By what was signed"
            tone = "proved" if credentials.state == "trusted" else "unknown"
        elif agrees and agrees.holds and outcome == "unknown signer":
            facts, whose = agrees.record.facts, "By the record that came with it"
        else:
            return None
        consents = len(facts.consents)
        self.say(
            tone,
            f"{whose}: made with {facts.tool} on {facts.made_at:%Y-%m-%d %H:%M} UTC; "
            f"{consents} consent {'record' if consents == 1 else 'records'}; content guard: "
            f"{facts.guard}; visible label: {facts.label or 'not said'}"
            f"{f' ({facts.reason})' if facts.reason else ''}.",
        )
        return facts


def _number(text: str | None) -> int | None:
    """A record's number from eight hex digits; None for anything else."""
    try:
        return int(text, 16) if text and len(text) == 8 else None
    except ValueError:
        return None

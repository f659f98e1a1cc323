"""The record of a film: where its hash, credentials, mark or metadata lead, or its looks.

Several outputs of one conversion have one number, and a record may be here and come with the film
as well; the one that agrees best is taken, those whose ledger is believed here before others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import TrustError, UnderstudyError
from understudy.provenance import records
from understudy.provenance.credentials.manifest import Facts
from understudy.provenance.fingerprint import Comparison, compare
from understudy.provenance.inspect import Look
from understudy.provenance.ledger.ledger import Ledger
from understudy.provenance.records import RenderRecord
from understudy.provenance.trusted_signers import Vouchers, held
from understudy.runtime.installation import Home
from understudy.verification.verdict import How, Lead, Match, how_alike

SEARCHED = 2000
"""Records that are compared with a film that nothing leads from, the newest first; 3 ms each."""

_BEST: tuple[How, ...] = ("exact", "stripped", "same", "edited", "unseen", "too little", "other")


@dataclass(frozen=True)
class Search:
    """Attributes:
    match: the record that agrees best; none where only looks lead to it and these differ.
    source: a record by which its film was made from exactly this file.
    faults: records that cannot be read, in sentences.
    """

    match: Match | None
    source: RenderRecord | None
    faults: tuple[str, ...]


def search(
    home: Home,
    vouchers: Vouchers,
    given: Sequence[RenderRecord],
    leads: Mapping[int, Lead],
    sha256: str,
    seen: Look | None,
    signed: Facts | None,
) -> Search:
    """Find a file's record.

    Args:
        given: records that came with it.
        leads: numbers, and where each was found.
        sha256: the file's.
        seen: what was seen in it.
        signed: what its credentials say; another installation that makes the same film gives it
            the same number, but another place in another ledger.
    """
    faults: list[str] = []
    patterns = [f"{records.number_text(number)}-*.json" for number in leads]
    patterns.append(f"????????-{sha256[: records.NAMED]}.json")
    paths = {path for pattern in patterns for path in home.records.glob(pattern)}
    candidates: list[tuple[RenderRecord, Lead, bool]] = []
    for ours, several in ((True, _read(sorted(paths), faults)), (False, given)):
        for record in several:
            lead = leads.get(record.number)
            if record.facts.unsigned_sha256 == sha256:
                lead = "hash"
            elif lead == "credentials" and signed and signed.ledger != record.facts.ledger:
                lead = None
            if lead is not None or not ours:
                candidates.append((record, lead or "looks", ours))
    if not candidates:
        newest = sorted(home.records.glob("*.json"), key=_age)[:SEARCHED]
        candidates = [(one, "looks", True) for one in _read(newest, faults)]
    sources = [one for one, _, _ in candidates if one.facts.source_sha256 == sha256]
    found = [_compared(home, vouchers, *one, sha256, seen) for one in candidates]
    # A record found only by similar looks counts for nothing if these differ.
    found = [one for one in found if one.lead != "looks" or one.how in ("same", "edited")]
    return Search(
        min(found, key=_preference) if found else None,
        sources[0] if sources else None,
        tuple(dict.fromkeys(faults)),
    )


def _read(paths: Iterable[Path], faults: list[str]) -> list[RenderRecord]:
    found = []
    for path in paths:
        try:
            found.append(records.read(path))
        except TrustError as error:
            faults.append(error.problem)
    return found


def _compared(
    home: Home,
    vouchers: Vouchers,
    record: RenderRecord,
    lead: Lead,
    ours: bool,
    sha256: str,
    seen: Look | None,
) -> Match:
    how: How = "unseen"
    comparison: Comparison | None = None
    if record.sha256 == sha256 and (ours or record.facts.unsigned_sha256 == sha256):
        how = "exact"
    elif record.facts.unsigned_sha256 == sha256:
        how = "stripped"
    elif seen is not None and record.fingerprint is not None:
        comparison = compare(seen.fingerprint, record.fingerprint)
        how = how_alike(record, comparison, seen)
    try:
        what = held(record)
    except TrustError:
        return Match(record, lead, how, comparison, good=False, holds=False, known=False)
    known = what.key in vouchers.keys or (ours and _in_own_ledger(home, record))
    looks = ours or what.looks or how in ("exact", "stripped")
    return Match(record, lead, how, comparison, known and looks, holds=True, known=known)


def _in_own_ledger(home: Home, record: RenderRecord) -> bool:
    """Whether this ledger holds it, perhaps under a key that it had before."""
    leaf = record.facts.ledger
    if leaf is None:
        return False
    try:
        with Ledger.open(home, write=False) as ledger:
            entry = ledger.entry(leaf.index)
            if entry is None or entry.hash.hex() != leaf.hash:
                return False
            ledger.prove(leaf.index)
    except UnderstudyError:
        return False
    return True


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _preference(match: Match) -> tuple[bool, int, bool, float]:
    """Smaller is better: good before others, then how it agrees."""
    distance = match.comparison.distance if match.comparison else 0.0
    return not match.good, _BEST.index(match.how), match.lead == "looks", distance

"""The verdict from the findings about a file: an outcome, and one sentence for users.

The rules, the first that applies. A record is good when its ledger's signature holds and is one
that is believed here; it agrees when it has the file's hash before signing, or looks like it.

    signature broken                                    -> broken
    signature holds, a good record shows other pictures -> broken
    signer believed, or this ledger holds the file      -> intact
    a good record agrees                                -> altered
    signer unknown, or a record of an unknown ledger    -> unknown signer
    the mark's good record shows other pictures         -> broken, unless too little is left
    anything else                                       -> unknown
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.provenance.aigc import Tag
from understudy.provenance.credentials.credentials import Credentials
from understudy.provenance.credentials.manifest import MATTE_REASON, Facts
from understudy.provenance.fingerprint import Comparison
from understudy.provenance.inspect import Look
from understudy.provenance.records import RenderRecord
from understudy.provenance.watermark.pattern import tile_side

Outcome = Literal["intact", "unknown signer", "unknown", "altered", "broken"]
Tone = Literal["proved", "broken", "unknown"]
How = Literal["exact", "stripped", "same", "edited", "other", "too little", "unseen"]
"""See `Match`."""
Lead = Literal["hash", "credentials", "mark", "metadata", "looks"]

EXIT_CODES: dict[Outcome, int] = {
    "intact": 0,
    "unknown signer": 20,
    "unknown": 21,
    "altered": 22,
    "broken": 23,
}
"""Exit code of the command; with several files the largest."""

EDITED = 0.07
"""Distance between fingerprints from which another encoding alone does not explain it. Measured:
encoded again, scaled or mirrored at most 0.02; the footage that a swap was made from, where the
face fills half of the frame, 0.11."""

CUT = 0.6
"""Seconds that a film must be shorter or longer than its record says to be called so."""

LEFT = 0.85
"""Share of width or height below which a cropped film cannot be recognised."""

FEW = 4
"""Pairs of frames below which films that differ are not said to be different films: records hold
a frame for each quarter of a second, and one from between them may look like neither neighbour."""

NOTICEABLE = 0.025
"""Change of size, as a share, that is mentioned."""


@dataclass(frozen=True)
class Match:
    """A record that something in the file leads to.

    Attributes:
        lead: what led to it.
        how: exact: the file is what was signed, byte for byte. stripped: it is that without its
            credentials, byte for byte. same: it shows the same. edited:
            the same footage, but not quite the same pictures. other: it shows something else.
            too little: so much was cut or cropped that it cannot be told. unseen: nothing can
            be shown.
        good: it can be relied on: all that was compared is held by a ledger that is believed here,
            or the record is this installation's own.
        holds: the ledger's signature is valid, whoever signed.
        known: and the signer is trusted here.
    """

    record: RenderRecord
    lead: Lead
    how: How
    comparison: Comparison | None
    good: bool
    holds: bool
    known: bool

    @property
    def agrees(self) -> bool:
        """The record is of this file, or of one that it was made from."""
        return self.how in ("exact", "stripped", "same") and self.lead != "looks"


@dataclass(frozen=True)
class Evidence:
    """All that was found.

    Attributes:
        entered: this installation's ledger holds exactly this file.
        mark: number in the invisible mark.
        seen: None when no picture can be read.
        match: the record that agrees best.
        tag: the metadata tag `AIGC`.
        source: it is the footage that a record says its film was made from.
        empty: the file has no bytes.
    """

    credentials: Credentials
    entered: bool
    mark: int | None
    seen: Look | None
    match: Match | None
    tag: Tag | None
    source: bool
    empty: bool

    @property
    def nothing(self) -> bool:
        """Nothing was found that an answer could rest on."""
        return (
            self.credentials.state == "none"
            and self.mark is None
            and self.match is None
            and self.tag is None
            and not (self.entered or self.source)
        )


def kept(record: RenderRecord, seen: Look) -> tuple[float, float, float]:
    """How much of a record's picture is left: shares of width and height, and the scale, as the
    mark's tiles tell."""
    before = tile_side(record.width, record.height)
    scale = tile_side(seen.width, seen.height) * seen.reading.geometry.scale / before
    return seen.width / scale / record.width, seen.height / scale / record.height, scale


def how_alike(record: RenderRecord, comparison: Comparison, seen: Look) -> How:
    """What a comparison of fingerprints amounts to."""
    marked = seen.reading.record_id == record.number
    shares = kept(record, seen)[:2] if marked else (1.0, 1.0)
    if not comparison.same:
        few = record.kind == "film" and comparison.frames < FEW
        return "too little" if few or min(shares) < LEFT else "other"
    turned = marked and abs(seen.reading.geometry.angle) > 0.2
    if comparison.distance > EDITED and min(shares) > 1 - NOTICEABLE and not turned:
        return "edited"
    return "same"


def made(facts: Facts) -> str:
    """What was done, by a record's facts."""
    if facts.reason == MATTE_REASON:
        return "It is the alpha mask of a film that was made with this program"
    if facts.source_sha256 is None:
        return "It was made by a network of this program"
    return "A face in it was replaced with this program"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _noun(record: RenderRecord) -> str:
    return "film" if record.kind == "film" else "picture"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def conclude(found: Evidence) -> tuple[Outcome, str]:
    """The outcome, and it in one or two sentences."""
    credentials, match = found.credentials, found.match
    good = match if match is not None and match.good else None
    agrees = good if good and good.agrees else None
    if credentials.state in ("tampered", "damaged"):
        return "broken", _broken(credentials, agrees)
    if credentials.intact and good and good.how == "other" and good.lead == "credentials":
        return "broken", (
            "Do not rely on it: its signature and its pictures contradict each other."
        )
    if credentials.state == "trusted":
        if credentials.facts:
            return "intact", f"{made(credentials.facts)}, and nothing was changed since."
        return "intact", (
            f"Signed by {credentials.signer or 'a trusted signer'}, and nothing was "
            "changed since. Whether it shows the truth, only the signer states."
        )
    if found.entered:
        done = made(match.record.facts) if match else "It was made with this program"
        return "intact", f"{done}, and nothing was changed since."
    signed = credentials.facts
    if agrees and (signed is None or signed.ledger == agrees.record.facts.ledger):
        return _found_again(found, agrees)
    if credentials.state == "unknown signer":
        done = made(credentials.facts) if credentials.facts else "It is signed"
        return "unknown signer", (
            f"{done}, says a signer who is not on the trusted list. Nothing was changed since."
            if credentials.facts
            else f"{done}, and nothing was changed since; the signer is not on the trusted list."
        )
    return _without_signature(found, good)


def _broken(credentials: Credentials, agrees: Match | None) -> str:
    if agrees and agrees.how in ("exact", "stripped"):
        return (
            f"{made(agrees.record.facts)}, and the file is unchanged; but the credentials "
            "next to it are not its own."
        )
    what = (
        f" According to its record, {_lower(made(agrees.record.facts))}."
        if agrees
        else " Its own statements prove nothing now."
    )
    if credentials.state == "damaged":
        return f"Do not rely on it: its credentials are damaged.{what}"
    if credentials.sidecar:
        return (
            "Do not rely on it: it is not the file that the credentials next to it were made for, "
            f"or it was changed since.{what}"
        )
    return f"Do not rely on it: it was changed after it was signed.{what}"


def _found_again(found: Evidence, match: Match) -> tuple[Outcome, str]:
    """There is a good record that agrees, and no signature that would."""
    record, facts = match.record, match.record.facts
    if match.how == "exact":
        return "intact", f"{made(facts)}, and nothing was changed since."
    if match.how == "stripped":
        return "altered", (
            f"{made(facts)}. Its credentials were removed; the rest is unchanged, byte for byte."
        )
    assert match.comparison is not None
    assert found.seen is not None
    done = changes(record, match.comparison, found.seen)
    signed = (
        "an unknown signer signed it again"
        if found.credentials.intact
        else "its credentials were removed"
    )
    through = {
        "mark": "the watermark in its pictures",
        "metadata": "its metadata",
    }.get(match.lead, "its credentials")
    return "altered", (
        f"{made(facts)}, and it was changed afterwards: {signed}, and it was {_listed(done)}. Its "
        f"record was found through {through}."
    )


def _without_signature(found: Evidence, good: Match | None) -> tuple[Outcome, str]:
    match = found.match
    if match and match.lead == "looks":
        return "unknown", _by_looks(found)
    if match and match.how == "other" and match.lead == "mark":
        if good is None:
            return "unknown", (
                "It has this program's watermark, but the watermark's record describes something "
                "else. Nothing here can prove more."
            )
        what = _noun(match.record)
        return "broken", (
            f"Do not rely on it: its invisible watermark belongs to a {what} that shows something "
            f"else. The watermark was copied, or the {what} was changed beyond recognition."
        )
    if match and match.holds and match.how == "edited":
        return "unknown", (
            "It is unclear what it is: it has the watermark of a film in which a face was "
            "replaced and shows the same footage, but other pictures. It was edited, or the mark "
            "was added to the original."
        )
    if good and good.how == "too little":
        return "unknown", (
            "It has this program's watermark, so a face in it was probably replaced. Too little "
            f"of the {_noun(good.record)} is left to compare it with its record."
        )
    if good and good.how == "unseen":
        return "unknown", (
            f"It names a record here, which says: {_lower(made(good.record.facts))}. But "
            "no pictures can be read in it, so nothing is proved."
        )
    if match and match.holds and match.agrees:
        return "unknown signer", (
            f"{made(match.record.facts)}, says "
            + (
                "the record that came with it; but the ledger does not confirm how that film looks."
                if match.known
                else "a record of a signer who is not on the trusted list."
            )
        )
    if found.mark is not None:
        return "unknown", (
            "It has this program's watermark, so a face in it was probably replaced. Nothing here "
            "can prove it."
        )
    if found.tag is not None:
        producer = found.tag.content_producer or "somebody"
        return "unknown", (
            f"Its metadata says that {producer} made or changed it with AI. This is not signed, so "
            "it proves nothing."
        )
    if found.source:
        return "unknown", (
            "It is exactly the footage from which a film here was made. This does not make it "
            "genuine."
        )
    if found.empty:
        return "unknown", "The file is empty."
    if found.seen is None:
        return "unknown", "Nothing is known about it, and no pictures can be read in it."
    return "unknown", "Nothing is known about it. This does not make it genuine."


def _by_looks(found: Evidence) -> str:
    if found.source:
        return (
            "It is exactly the footage from which a film here was made. This does not make it "
            "genuine."
        )
    return (
        "It is unclear what it is: it looks like a film that was made here, but has no watermark. "
        "It is that film without its watermark, or the footage that it was made from."
    )


def changes(record: RenderRecord, comparison: Comparison, seen: Look) -> list[str]:
    """Detected changes of a film since its record; participles."""
    found = []
    after = f"{max(comparison.offset, 0):.1f} s"
    if seen.kind == "still" and record.kind == "film":
        found.append(f"reduced to a single picture (at about {after})")
    elif record.seconds - seen.seconds > CUT:
        found.append(f"cut to {seen.seconds:.1f} of its {record.seconds:.1f} s (from {after} on)")
    elif seen.seconds - record.seconds > CUT:
        before = max(-comparison.offset, 0)
        found.append(f"inserted into a longer film, {before:.1f} s after its start")
    geometry = seen.reading.geometry
    if seen.reading.record_id == record.number:
        across, down, scale = kept(record, seen)
        if min(across, down) < 1 - NOTICEABLE:
            found.append(f"cropped to about {round(100 * across)} x {round(100 * down)} % of it")
        if abs(scale - 1) > NOTICEABLE:
            found.append(f"scaled to {round(100 * scale)} %")
        if abs(geometry.angle) > 0.2:
            found.append(f"turned by {geometry.angle:.1f} degrees")
    elif (seen.width, seen.height) != (record.width, record.height):
        size = f"{record.width}x{record.height} to {seen.width}x{seen.height}"
        found.append(f"cropped or scaled from {size}")
    if comparison.flipped:
        found.append("mirrored")
    if seen.kind == "still":
        return found if record.kind == "film" else ["saved again", *found]
    if comparison.distance == 0 and not found:
        return ["stored in another container (or encoded again without visible loss)"]
    return ["encoded again", *found]

"""Tracks of a finished scan, put right with all of the film in view.

During a scan, a face that is lost for a while, or moves too fast, is found again as another
track. Here both ends of every piece are known, so pieces of one face are joined by where they
lie and whom they show, short gaps between them are filled by motion, and the identity of a track
is voted on by every measurement in it. A track that shows one person after another becomes several
(`division`); where one turns into the other, the face belongs to both. Cuts are never crossed.
The scan on disk stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from understudy.tracks.clustering import TOGETHER
from understudy.tracks.division import Division, Mixture, divide
from understudy.tracks.measurements import Rows, read_rows
from understudy.tracks.repaired_scan import Gap, MendedScan, Stretch
from understudy.tracks.scan_store import Scan
from understudy.types import Float64s, Floats, Track

MENDING = 3
"""Goes up when the same scan comes to give other tracks."""

FILL = Fraction(35, 100)
"""Seconds: a longer gap is not filled, because too much can change in it."""

JOIN = Fraction(1)
"""Seconds for which a face may be out of sight and still go on as the same track."""

REACH = 0.75
"""Widths of the face that it may have moved in a gap, and as many again for each second."""

SIZES = 1.6
"""Largest ratio of a face's widths before and after a gap."""

ALIKE = 0.45
"""Largest embedding distance of two pieces that are joined."""

OTHER = 0.6
"""Embedding distance from which pieces that the tracker took for one face are not."""

BRIEF = Fraction(1, 6)
"""Seconds: a face found for less than this in a longer shot would only flash."""

FLEETING = Fraction(2, 3)
"""Seconds: so does one found for less than this that neither comes into the picture nor leaves it,
for it is there before and after, too, only not found."""

BORDER = 0.5
"""Widths of a face within which it may have entered over the border of the picture."""


@dataclass(frozen=True)
class _Piece:
    """A part of a scanned track without a gap: rows in order, and whom they show. `number` is the
    part's, see `Division`."""

    track: int
    number: int
    rows: NDArray[np.int64]
    identity: Floats | None


@dataclass(frozen=True)
class _Whose:
    """Row by row, the number of the part that a face belongs to, and whether nobody else shows."""

    number: NDArray[np.int64]
    pure: NDArray[np.bool_]

    def identity(self, rows: Rows, chosen: NDArray[np.int64]) -> Floats | None:
        """Whom some of the rows show; what shows two people counts only where nothing else does."""
        alone = rows.identity(chosen[self.pure[chosen]])
        return rows.identity(chosen) if alone is None else alone


def _whose(scan: Scan, rows: Rows, division: Division) -> _Whose:
    number, pure = rows.track.copy(), np.ones(len(rows.track), bool)
    for row in np.flatnonzero(np.isin(rows.track, list(division.parts))):
        track, index = int(rows.track[row]), scan.indices[rows.place[row]]
        number[row] = division.number(track, index)
        pure[row] = not division.mixed(track, index)
    return _Whose(number, pure)


def _pieces(rows: Rows, whose: _Whose) -> list[_Piece]:
    """Tracks broken where their face was missed or became another's, in the order in which they
    begin."""
    pieces = []
    number = whose.number
    order = np.lexsort((rows.place, number))
    breaks = np.flatnonzero((np.diff(rows.place[order]) > 1) | (np.diff(number[order]) != 0)) + 1
    for part in np.split(order, breaks) if len(order) else ():
        first, identity = part[0], whose.identity(rows, part)
        pieces.append(_Piece(int(rows.track[first]), int(number[first]), part, identity))
    return sorted(pieces, key=lambda piece: (rows.place[piece.rows[0]], piece.number))


def _cost(scan: Scan, rows: Rows, one: _Piece, two: _Piece) -> float | None:
    """How unlike it is that `two` goes on where `one` ends; None when it does not."""
    last, first = int(rows.place[one.rows[-1]]), int(rows.place[two.rows[0]])
    if first <= last or scan.shots[last] != scan.shots[first]:
        return None
    gap = scan.times[first] - scan.times[last]
    apart = None
    if one.identity is not None and two.identity is not None:
        apart = float(np.linalg.norm(one.identity - two.identity))
    if one.number == two.number:
        return None if apart is not None and apart > OTHER else 0.0
    if gap > JOIN or (apart is None and gap > FILL) or (apart is not None and apart > ALIKE):
        return None
    boxes = rows.box[[one.rows[-1], two.rows[0]]]
    widths = boxes[:, 2] - boxes[:, 0]
    way = np.diff((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0)
    moved = float(np.linalg.norm(way)) / float(widths.mean())
    # A face of unknown identity counts as the same only if no other person could have entered.
    reach = REACH * (1 + float(gap)) if apart is not None else REACH / 2
    if moved > reach or widths.max() > SIZES * widths.min():
        return None
    return (ALIKE if apart is None else apart) + moved / reach


def _chains(scan: Scan, rows: Rows, pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces of one face, in order; the likeliest are joined first."""
    found = []
    for here, one in enumerate(pieces):
        for there in range(here + 1, len(pieces)):
            two = pieces[there]
            late = scan.times[rows.place[two.rows[0]]] - scan.times[rows.place[one.rows[-1]]]
            if late > JOIN:
                break
            if (cost := _cost(scan, rows, one, two)) is not None:
                found.append((cost, here, there))
    follows: dict[int, int] = {}
    led: set[int] = set()
    for _, here, there in sorted(found):
        if here not in follows and there not in led:
            follows[here] = there
            led.add(there)
    chains = []
    for start in range(len(pieces)):
        if start in led:
            continue
        chain = [start]
        while (following := follows.get(chain[-1])) is not None:
            chain.append(following)
        chains.append([pieces[number] for number in chain])
    return chains


def _together(rows: Rows, chains: Mapping[int, NDArray[np.int64]]) -> frozenset[tuple[int, int]]:
    places = {number: rows.place[own] for number, own in chains.items()}
    ordered = sorted(places, key=lambda number: int(places[number][0]))
    pairs = set()
    for at, one in enumerate(ordered):
        for two in ordered[at + 1 :]:
            if places[two][0] > places[one][-1]:
                break
            shared = len(np.intersect1d(places[one], places[two], assume_unique=True))
            if shared > TOGETHER * min(len(places[one]), len(places[two])):
                pairs.add((min(one, two), max(one, two)))
    return frozenset(pairs)


def _mixtures(
    scan: Scan, rows: Rows, division: Division, counts: Sequence[tuple[_Piece, int]]
) -> tuple[Mixture, ...]:
    """The mixtures of parts as those of tracks.

    Args:
        counts: every piece, and the track that it counts as.
    """

    def near(number: int, index: int) -> int | None:
        away = [
            (
                max(scan.indices[rows.place[piece.rows[0]]] - index, 0)
                + max(index - scan.indices[rows.place[piece.rows[-1]]], 0),
                track,
            )
            for piece, track in counts
            if piece.number == number
        ]
        return min(away)[1] if away else None

    found = []
    for mixture in division.mixtures:
        middle = min(mixture.shares, key=lambda index: abs(mixture.shares[index] - 0.5))
        before, after = near(mixture.before, middle), near(mixture.after, middle)
        if before is not None and after is not None and before != after:
            found.append(Mixture(before, after, mixture.shares))
    return tuple(found)


def _stretched(track: Track, mixtures: Sequence[Mixture]) -> Track:
    """A track with the frames in which it shows less than another, into which it turns."""
    first, last, faces = track.first, track.last, track.faces
    for mixture in mixtures:
        if track.number in (mixture.before, mixture.after):
            ours = [
                index
                for index, share in mixture.shares.items()
                if (share > 0.5) == (track.number == mixture.before)
            ]
            first, last = min([first, *ours]), max([last, *ours])
            faces += len(ours)
    return replace(track, first=first, last=last, faces=faces)


def _is_brief(
    scan: Scan, rows: Rows, own: NDArray[np.int64], lengths: Mapping[int, int], turns: bool
) -> bool:
    """Whether a face shows too shortly, and its shot, of so many frames, goes on for longer.

    Only frames count in which it was truly found: what is filled in between shows nothing.

    Args:
        turns: whether it turns into somebody else's, or comes from one: it was not missed there.
    """
    places = rows.place[own]
    first, last = int(places[0]), int(places[-1])
    span = scan.times[last] - scan.times[first]
    step = span / (last - first) if last > first else _step(scan, first)
    found = len(places) * step
    if 2 * len(places) >= lengths[scan.shots[first]]:
        return False
    if found < BRIEF:
        return True
    cut = any(
        not 0 <= place < scan.frames or scan.shots[place] != scan.shots[first]
        for place in (first - 1, last + 1)
    )
    if cut or turns:
        return False
    return found < FLEETING and not _crosses(scan, rows.box[own[[0, -1]]])


def _crosses(scan: Scan, ends: Float64s) -> bool:
    """Whether one of the boxes (2, 4) at a track's ends lies so that the face may have come over
    the border, or the picture's size is not known."""
    if (size := scan.meta.get("size")) is None:
        return True
    room = BORDER * (ends[:, 2:3] - ends[:, :1])
    return bool(((ends[:, :2] < room) | (ends[:, 2:] > np.array(size) - room)).any())


def _step(scan: Scan, place: int) -> Fraction:
    """Seconds from a frame to one of its neighbours."""
    other = place + 1 if place + 1 < scan.frames else place - 1
    return abs(scan.times[other] - scan.times[place]) if scan.frames > 1 else Fraction(0)


def mend(scan: Scan) -> MendedScan:
    """The scan with its tracks put right. Raises DamagedTable.

    A track keeps the number of its first piece, unless that is another track's already.
    """
    rows = read_rows(scan)
    division = divide(scan, rows)
    whose = _whose(scan, rows, division)
    own: dict[int, NDArray[np.int64]] = {}
    stretches: dict[int, list[Stretch]] = {}
    gaps: list[Gap] = []
    filled: Counter[int] = Counter()
    lengths = Counter(scan.shots)
    counts: list[tuple[_Piece, int]] = []
    pieces = _pieces(rows, whose)
    fresh = max((piece.number for piece in pieces), default=-1) + 1
    for chain in _chains(scan, rows, pieces):
        number = chain[0].number
        if number in own:
            number, fresh = fresh, fresh + 1
        own[number] = np.concatenate([piece.rows for piece in chain])
        for piece in chain:
            counts.append((piece, number))
            first, last = (scan.indices[rows.place[piece.rows[end]]] for end in (0, -1))
            stretches.setdefault(piece.track, []).append(Stretch(first, last, number))
        for one, two in pairwise(chain):
            start, end = int(rows.place[one.rows[-1]]), int(rows.place[two.rows[0]])
            if end > start + 1 and scan.times[end] - scan.times[start] <= FILL:
                gaps.append(Gap(number, scan.indices[start], scan.indices[end]))
                filled[number] += end - start - 1
    mixtures = _mixtures(scan, rows, division, counts)
    turns = {number for mixture in mixtures for number in (mixture.before, mixture.after)}
    mended = []
    for number in sorted(own):
        at = rows.place[own[number]]
        first, last = (scan.indices[int(at[end])] for end in (0, -1))
        shot, faces = scan.shots[int(at[0])], len(at) + filled[number]
        identity = whose.identity(rows, own[number])
        track = Track(number, shot, first, last, faces, identity)
        mended.append(_stretched(track, mixtures))
    return MendedScan(
        folder=scan.folder,
        meta=scan.meta,
        mended=tuple(mended),
        stretches={track: tuple(own) for track, own in stretches.items()},
        gaps=tuple(gaps),
        brief=frozenset(n for n, r in own.items() if _is_brief(scan, rows, r, lengths, n in turns)),
        together=_together(rows, own),
        mixtures=mixtures,
    )

"""Tracks of a finished scan, put right with all of the film in view.

During a scan, a face that is lost for a while, or moves too fast, is found again as another
track. Here both ends of every piece are known, so pieces of one face are joined by where they
lie and whom they show, short gaps between them are filled by motion, and the identity of a track
is voted on by every measurement in it. Cuts are never crossed. The scan on disk stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.runtime import parquet
from understudy.tracks.clustering import TOGETHER
from understudy.tracks.repaired_scan import Gap, MendedScan, Stretch
from understudy.tracks.scan_store import Scan, chunk_file
from understudy.types import Float64s, Floats, Track

MENDING = 2
"""Increased when the same scan gives other tracks."""

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

FULL_WIDTH = 80
"""Pixels: a wider face is not measured any better."""

FAR = 1.75
"""Measurements farther from the mean than this many times the median are left out."""

_COLUMNS = ("frame", "track", "score", "yaw", "pitch", "x0", "y0", "x1", "y1", "embedding")


def voted(embeddings: Float64s, quality: Float64s) -> Floats:
    """One identity from many measurements: their mean weighted by quality, without outliers.

    Args:
        embeddings: (n, 128), n > 0.
        quality: (n,), above 0.

    Returns:
        float32 (128,)
    """
    mean = np.average(embeddings, axis=0, weights=quality)
    if len(embeddings) > 2:
        away = np.linalg.norm(embeddings - mean, axis=1)
        near = away <= max(FAR * float(np.median(away)), 1e-6)
        mean = np.average(embeddings[near], axis=0, weights=quality[near])
    return mean.astype(np.float32)


@dataclass(frozen=True)
class _Rows:
    """All faces of a scan without their landmarks; row by row."""

    place: NDArray[np.int64]
    track: NDArray[np.int64]
    box: Float64s
    embedding: Floats
    measured: NDArray[np.bool_]
    quality: Float64s


@dataclass(frozen=True)
class _Piece:
    """A scanned track without a gap: rows in order, and whom they show."""

    track: int
    rows: NDArray[np.int64]
    identity: Floats | None


def _read(scan: Scan) -> _Rows:
    tables = [
        parquet.read(chunk_file(scan.folder, chunk), _COLUMNS) for chunk in range(scan.chunks)
    ]
    parts: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name].to_numpy() for table in tables])
        for name in _COLUMNS
        if name != "embedding"
    }
    vectors = [parquet.optional_vectors(table["embedding"]) for table in tables]
    box = np.stack([parts[side] for side in ("x0", "y0", "x1", "y1")], axis=1)
    turned = np.cos(np.radians(parts["yaw"])) * np.cos(np.radians(parts["pitch"]))
    size = np.minimum((box[:, 2] - box[:, 0]) / FULL_WIDTH, 1)
    return _Rows(
        place=np.searchsorted(np.asarray(scan.indices), parts["frame"]),
        track=parts["track"].astype(np.int64),
        box=box,
        embedding=np.concatenate([values for values, _ in vectors]),
        measured=np.concatenate([present for _, present in vectors]),
        quality=np.maximum(parts["score"] * turned * size, 1e-3),
    )


def _identity(rows: _Rows, chosen: NDArray[np.int64]) -> Floats | None:
    own = chosen[rows.measured[chosen]]
    if not len(own):
        return None
    return voted(rows.embedding[own].astype(np.float64), rows.quality[own])


def _pieces(rows: _Rows) -> list[_Piece]:
    """Tracks broken where their face was missed, in the order in which they begin."""
    pieces = []
    order = np.lexsort((rows.place, rows.track))
    place, track = rows.place[order], rows.track[order]
    breaks = np.flatnonzero((np.diff(place) > 1) | (np.diff(track) != 0)) + 1
    for part in np.split(order, breaks) if len(order) else ():
        pieces.append(_Piece(int(rows.track[part[0]]), part, _identity(rows, part)))
    return sorted(pieces, key=lambda piece: (rows.place[piece.rows[0]], piece.track))


def _cost(scan: Scan, rows: _Rows, one: _Piece, two: _Piece) -> float | None:
    """Cost of continuing `one` with `two`; None when impossible."""
    last, first = int(rows.place[one.rows[-1]]), int(rows.place[two.rows[0]])
    if first <= last or scan.shots[last] != scan.shots[first]:
        return None
    gap = scan.times[first] - scan.times[last]
    apart = None
    if one.identity is not None and two.identity is not None:
        apart = float(np.linalg.norm(one.identity - two.identity))
    if one.track == two.track:
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


def _chains(scan: Scan, rows: _Rows, pieces: Sequence[_Piece]) -> list[list[_Piece]]:
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


def _together(rows: _Rows, chains: Mapping[int, NDArray[np.int64]]) -> frozenset[tuple[int, int]]:
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


def _is_brief(scan: Scan, rows: _Rows, own: NDArray[np.int64], lengths: Mapping[int, int]) -> bool:
    """Whether a face shows too shortly, and its shot, of so many frames, goes on for longer.

    Only frames count in which it was truly found: what is filled in between shows nothing.
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
    return found < FLEETING and not cut and not _crosses(scan, rows.box[own[[0, -1]]])


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
    rows = _read(scan)
    own: dict[int, NDArray[np.int64]] = {}
    stretches: dict[int, list[Stretch]] = {}
    gaps: list[Gap] = []
    filled: Counter[int] = Counter()
    lengths = Counter(scan.shots)
    fresh = int(rows.track.max(initial=-1)) + 1
    for chain in _chains(scan, rows, _pieces(rows)):
        number = chain[0].track
        if number in own:
            number, fresh = fresh, fresh + 1
        own[number] = np.concatenate([piece.rows for piece in chain])
        for piece in chain:
            first, last = (scan.indices[rows.place[piece.rows[end]]] for end in (0, -1))
            stretches.setdefault(piece.track, []).append(Stretch(first, last, number))
        for one, two in pairwise(chain):
            start, end = int(rows.place[one.rows[-1]]), int(rows.place[two.rows[0]])
            if end > start + 1 and scan.times[end] - scan.times[start] <= FILL:
                gaps.append(Gap(number, scan.indices[start], scan.indices[end]))
                filled[number] += end - start - 1
    mended = []
    for number in sorted(own):
        at = rows.place[own[number]]
        first, last = (scan.indices[int(at[end])] for end in (0, -1))
        shot, faces = scan.shots[int(at[0])], len(at) + filled[number]
        mended.append(Track(number, shot, first, last, faces, _identity(rows, own[number])))
    return MendedScan(
        folder=scan.folder,
        meta=scan.meta,
        mended=tuple(mended),
        stretches={track: tuple(own) for track, own in stretches.items()},
        gaps=tuple(gaps),
        brief=frozenset(n for n, r in own.items() if _is_brief(scan, rows, r, lengths)),
        together=_together(rows, own),
    )

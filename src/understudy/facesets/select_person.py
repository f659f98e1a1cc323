"""Decide which tracks show the person, and which show another person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.errors import FacesError
from understudy.facesets.faceset import Faceset
from understudy.runtime import parquet
from understudy.settings import ExtractSettings
from understudy.tracks.clustering import TOGETHER, average_link
from understudy.tracks.division import Division
from understudy.tracks.scan_store import Scan, chunk_file
from understudy.types import Floats, Track

Chosen = dict[str, frozenset[int]]
"""Numbers of the person's tracks, by the film's hash."""


@dataclass(frozen=True)
class Other:
    """Another person who was seen and is not in the faceset.

    Attributes:
        tracks, faces: how many.
        shots: (film, number of the shot), sorted.
        measured: False for tracks whose identity could not be measured, taken together.
    """

    tracks: int
    faces: int
    shots: tuple[tuple[str, int], ...]
    measured: bool = True


@dataclass(frozen=True)
class Film:
    """A film that was looked through.

    Attributes:
        name, sha256: of the film.
        scan: of the whole film.
        division: of the scan's tracks, each of one person.
        crops: folder with a crop of every face, chunk by chunk as in the scan.
        settings: that the crops were made with.
    """

    name: str
    sha256: str
    scan: Scan
    crops: Path
    settings: ExtractSettings
    division: Division

    @property
    def batch(self) -> str:
        """Begins the name of every picture: 8 hex digits, other for other settings, so that a
        new extraction never overwrites a picture that an index counts on."""
        return self.crops.name[:8]

    def rows(self, chunk: int, tracks: frozenset[int]) -> tuple[Any, Any]:
        """The faces of some tracks in a chunk: table with the columns of `FACES`, and their
        crops with the columns of `CROPS`, row by row. Raises DamagedTable."""
        faces, crops = self.scan.table(chunk), parquet.read(chunk_file(self.crops, chunk))
        due = np.asarray(faces["frame"].to_numpy()) % self.settings.every == 0
        faces = self._numbered(faces.filter(pa.array(due)))
        ours = self._ours(crops, tracks)
        return faces.filter(ours), crops.filter(ours)

    def _numbered(self, faces: Any) -> Any:
        """A table of faces with the numbers of their tracks as they were divided."""
        if not self.division.parts:
            return faces
        at = faces.column_names.index("track")
        pairs = zip(faces["track"].to_pylist(), faces["frame"].to_pylist(), strict=True)
        numbers = [self.division.number(track, frame) for track, frame in pairs]
        return faces.set_column(at, faces.schema.field(at), pa.array(numbers, pa.int32()))

    def _ours(self, crops: Any, tracks: frozenset[int]) -> Any:
        """Which crops are of some tracks, an Arrow array of bools. What shows two people at once
        is nobody's."""
        pairs = zip(crops["track"].to_pylist(), crops["frame"].to_pylist(), strict=True)
        division = self.division
        return pa.array(
            [
                division.number(track, frame) in tracks and not division.mixed(track, frame)
                for track, frame in pairs
            ],
            pa.bool_(),
        )

    def counts(self, tracks: frozenset[int]) -> list[int]:
        """Per chunk, how many crops there are of some tracks."""
        return [
            sum(
                self._ours(
                    parquet.read(chunk_file(self.crops, chunk), ["track", "frame"]), tracks
                ).to_pylist()
            )
            for chunk in range(self.scan.chunks)
        ]


@dataclass(frozen=True)
class _Seen:
    film: Film
    track: Track
    embedding: Floats


def _apart(seen: Sequence[_Seen], offset: int) -> Any:
    """bool (n, n) with n = offset + len(seen): which tracks are in view at the same time."""
    apart = np.zeros((offset + len(seen),) * 2, bool)
    for one, first in enumerate(seen):
        for two in range(one):
            a, b = first.track, seen[two].track
            if first.film is seen[two].film and a.shot == b.shot:
                shared = min(a.last, b.last) - max(a.first, b.first) + 1
                shorter = min(a.last - a.first, b.last - b.first) + 1
                if shared > TOGETHER * shorter:
                    apart[offset + one, offset + two] = apart[offset + two, offset + one] = True
    return apart


def whose(
    films: Sequence[Film], known: Faceset | None, same_person: float
) -> tuple[Chosen, tuple[Other, ...]]:
    """Decide which tracks are the person.

    Args:
        known: faces certainly of this person; without them, the person seen in most frames.
        same_person: largest embedding distance within one person.

    Raises:
        FacesError: no face at all, or none whose identity could be measured.
    """
    tracks = [(film, track) for film in films for track in film.division.tracks]
    seen = [_Seen(f, t, t.embedding) for f, t in tracks if t.embedding is not None]
    embeddings = [item.embedding for item in seen]
    weights = [float(item.track.faces) for item in seen]
    reference = known is not None and len(known.embeddings) > 0
    if reference:
        assert known is not None
        embeddings.insert(0, known.embeddings.mean(0, dtype=np.float64).astype(np.float32))
        weights.insert(0, float(len(known)))
    elif not tracks:
        names = ", ".join(film.name for film in films[:3])
        raise FacesError(
            f"No face was found in {names}{' and other films' if len(films) > 3 else ''}.",
            "Add footage that shows the face, or lower `scan.min_face` if faces are small.",
        )
    elif not seen:
        raise FacesError(
            "No face in the footage is large or clear enough to be recognised.",
            "Add footage in which the face is larger.",
        )
    offset = int(reference)
    groups = average_link(
        np.asarray(embeddings, np.float32).reshape(-1, 128),
        weights,
        same_person,
        _apart(seen, offset),
    )
    own = next((group for group in groups if 0 in group), []) if reference else groups[0]
    chosen: dict[str, set[int]] = {film.sha256: set() for film in films}
    for row in own:
        if row >= offset:
            chosen[seen[row - offset].film.sha256].add(seen[row - offset].track.number)
    others = [
        _other([(seen[row - offset].film, seen[row - offset].track) for row in group], True)
        for group in groups
        if group != own
    ]
    unmeasured = [(film, track) for film, track in tracks if track.embedding is None]
    if unmeasured:
        others.append(_other(unmeasured, False))
    return {sha256: frozenset(numbers) for sha256, numbers in chosen.items()}, tuple(others)


def _other(tracks: Sequence[tuple[Film, Track]], measured: bool) -> Other:
    return Other(
        tracks=len(tracks),
        faces=sum(track.faces for _, track in tracks),
        shots=tuple(sorted({(film.name, track.shot) for film, track in tracks})),
        measured=measured,
    )

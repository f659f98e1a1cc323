"""Which tracks of a film show which person of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.errors import FacesError
from understudy.types import Floats, Track


@dataclass(frozen=True)
class Match:
    """What a track was taken for.

    Attributes:
        track: number of the track.
        first, last: frame indices, both included.
        person: the nearest known person; None when nobody is known or the track was never
            measured.
        distance: of the track's mean embedding to that person's; None likewise.
        chosen: whether its face is replaced.
    """

    track: int
    first: int
    last: int
    person: str | None
    distance: float | None
    chosen: bool


def mean_identity(embeddings: Floats) -> Floats:
    """The mean of embeddings (n, 128), leaving out rows that hold no numbers.

    Raises:
        FacesError: no row holds numbers.
    """
    measured = embeddings[np.isfinite(embeddings).all(1)]
    if not len(measured):
        raise FacesError(
            "No face of this person was measured for identity.",
            "Run `understudy extract` for the person again.",
        )
    mean: Floats = measured.mean(0, dtype=np.float64).astype(np.float32)
    return mean


def match_tracks(
    tracks: Sequence[Track],
    identities: Mapping[str, Floats],
    replace: str | None,
    same_person: float,
) -> list[Match]:
    """Decide for every track whether its face is replaced.

    A track is taken for the nearest known person; it is chosen when that is `replace` and the
    distance is at most `same_person`. A track whose identity was never measured is chosen only
    when every face is to be replaced.

    Args:
        identities: mean embedding (128,) of every known person.
        replace: a name in `identities`; None for every face.
        same_person: largest distance.
    """
    names = list(identities)
    matches = []
    for track in tracks:
        person, distance = None, None
        if track.embedding is not None and names:
            distances = [float(np.linalg.norm(track.embedding - identities[n])) for n in names]
            nearest = int(np.argmin(distances))
            person, distance = names[nearest], distances[nearest]
        chosen = replace is None or (
            person == replace and distance is not None and distance <= same_person
        )
        matches.append(Match(track.number, track.first, track.last, person, distance, chosen))
    return matches


def require_match(
    matches: Sequence[Match], replace: str | None, same_person: float, film: str
) -> None:
    """Raise FacesError, with the distances found, when no track was chosen."""
    if any(match.chosen for match in matches):
        return
    if not matches:
        raise FacesError(
            f"No face was found in {film}.",
            "Choose a film or a part of it with a face; lower `min_face` if faces are small.",
        )
    near = sorted(m.distance for m in matches if m.person == replace and m.distance is not None)
    others = sorted(
        {m.person for m in matches if m.person not in (None, replace) and m.distance is not None}
    )
    found = (
        f"nearest distances {', '.join(f'{d:.2f}' for d in near[:5])}, limit {same_person:.2f}"
        if near
        else f"its faces are nearer to {', '.join(str(name) for name in others)}"
        if others
        else "no face in it was large or clear enough to measure"
    )
    raise FacesError(
        f"{replace} was not found in {film}: {found}.",
        "Take --replace any to replace every face, or a larger --same-person.",
    )


def summary(matches: Sequence[Match], replace: str | None, film: str) -> str:
    """One sentence on what was found."""
    chosen = [match for match in matches if match.chosen]
    text = f"{film}: {len(chosen)} of {len(matches)} tracks are replaced"
    if replace is None:
        return f"{text}, whoever they show."
    distances = [match.distance for match in chosen if match.distance is not None]
    text += f" as {replace} (distance {min(distances):.2f} to {max(distances):.2f})"
    others = sorted({m.person for m in matches if not m.chosen and m.person not in (None, replace)})
    unmeasured = sum(match.distance is None for match in matches)
    if others:
        text += f"; nearer to others: {', '.join(str(name) for name in others)}"
    if unmeasured:
        text += f"; {unmeasured} too small or short to measure"
    return f"{text}."

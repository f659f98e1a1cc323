"""Which tracks of a film show which person of the project."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from understudy.errors import FacesError
from understudy.types import Floats, Track

EVERYBODY = "any"
"""Instead of a name: every face that no other name claims."""

ORDERED = "#"
"""Before a name: the faces that a tracks file gives to that person."""

CLOSE = 0.05
"""Embedding distances to two people that differ by less than this leave it open who it is."""

UNLIKE = 0.3
"""So much further from a person than the track of the same film that is nearest to them is someone
else; tracks of one person in a film were seen to lie up to 0.15 apart in that."""

STRANGERS = 0.7
"""Share of the least distance between two people who are in view together, from which a track is
not surely the person whom it is nearest to: where faces are small and blurred, all look alike."""

SPREAD = 0.15
"""As `UNLIKE`, for tracks that are that far off."""

SURE = 0.35
"""Within this distance a face always counts as the person; two of them may be a mirror image."""

Doubt = Literal["close", "taken", "unlike", "brief"]
"""Why a match is uncertain or left out: two people are as near; the person is in view already as
another track; another track is far more like them; the face shows too shortly, so that a swap
would flash."""

_TOLD: frozenset[Doubt | None] = frozenset(("close", "taken", "unlike"))
"""Largest number of doubts in a summary."""


@dataclass(frozen=True)
class Match:
    """What a track was taken for.

    Attributes:
        track: number of the track.
        first, last: frame indices, both included.
        person: the nearest known person; None when no one is known or the track was never
            measured.
        distance: of the track's mean embedding to that person's; None likewise.
        as_: whose place in the swaps its face has: a name or `EVERYBODY`; None when the face
            stays as it is.
        second: the next nearest known person; None when fewer than two people are known.
        doubt: what speaks against the match, if anything does.
    """

    track: int
    first: int
    last: int
    person: str | None
    distance: float | None
    as_: str | None
    second: str | None = None
    doubt: Doubt | None = None

    @property
    def chosen(self) -> bool:
        """Whether its face is replaced."""
        return self.as_ is not None


def named(swaps: Iterable[str]) -> list[str]:
    """Who of those that go is a person of the project: not everyone, not a track by order."""
    return [goes for goes in swaps if goes != EVERYBODY and not goes.startswith(ORDERED)]


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
    replace: Collection[str],
    same_person: float,
    *,
    together: Collection[tuple[int, int]] = (),
    brief: Collection[int] = (),
) -> list[Match]:
    """Decide for every track whose face it is, and whether that is replaced.

    A track is taken for the nearest known person, and so for one person at most; it is chosen
    as that person when they are in `replace` and the distance is at most `same_person`. All
    other tracks, also those whose identity was never measured, are chosen when `EVERYBODY` is
    in `replace`.

    No one is in two places at once: of tracks that are together in view the nearest is taken
    for the person, the others for the next nearest whom they may be. And one person looks like
    themselves: where a track shows them, one that is further off by `UNLIKE` does not, though it
    is within `same_person`; nor does one further off by `SPREAD` where strangers look as alike.

    Args:
        identities: mean embedding (128,) of every known person.
        replace: names in `identities`, or `EVERYBODY`.
        same_person: largest distance.
        together: pairs of tracks in view at the same time, see `MendedScan`.
        brief: tracks that are left as they are because they would only flash.
    """
    names = list(identities)
    others = EVERYBODY if EVERYBODY in replace else None
    near = {
        track.number: sorted(
            (float(np.linalg.norm(track.embedding - identities[name])), place)
            for place, name in enumerate(names)
        )
        for track in tracks
        if track.embedding is not None and names
    }
    who = _one_place_each(near, same_person, together)
    nearest: dict[int, float] = {}
    for own, place in who.values():
        nearest[place] = min(own, nearest.get(place, own))
    alike = _strangers(tracks, together, brief)
    matches = []
    for track in tracks:
        person, distance, as_, second = None, None, others, None
        doubt: Doubt | None = None
        if found := near.get(track.number):
            distance, place = who.get(track.number, found[0])
            person = names[place]
            rest = [other for other in found if other[1] != place]
            second = names[rest[0][1]] if rest else None
            if distance <= same_person and rest and rest[0][0] - distance < CLOSE:
                doubt = "close"
            if track.number not in who and distance <= same_person:
                doubt = "taken"
            elif distance <= same_person and _unlike(distance, nearest[place], alike):
                doubt = "unlike"
            elif person in replace and distance <= same_person:
                as_ = person
        if track.number in brief:
            as_, doubt = None, "brief"
        matches.append(
            Match(track.number, track.first, track.last, person, distance, as_, second, doubt)
        )
    return matches


def _strangers(
    tracks: Sequence[Track], together: Collection[tuple[int, int]], brief: Collection[int]
) -> float:
    """Least distance between two different people visible at the same time."""
    known = {t.number: t.embedding for t in tracks if t.embedding is not None}
    sure = known.keys() - brief
    apart = (known[a] - known[b] for a, b in together if a in sure and b in sure)
    return min((float(np.linalg.norm(one)) for one in apart), default=np.inf)


def _unlike(distance: float, nearest: float, strangers: float) -> bool:
    """Whether a face at this distance from a person shows another person.

    Args:
        nearest: distance of the track of the film that is nearest to the person.
        strangers: see `_strangers`.
    """
    further = distance - nearest
    return further > UNLIKE or (further > SPREAD and distance > max(STRANGERS * strangers, SURE))


def _one_place_each(
    near: Mapping[int, Sequence[tuple[float, int]]],
    same_person: float,
    together: Collection[tuple[int, int]],
) -> dict[int, tuple[float, int]]:
    """Distance and person of every recognised track, the most certain first."""
    beside: dict[int, set[int]] = {}
    for one, two in together:
        beside.setdefault(one, set()).add(two)
        beside.setdefault(two, set()).add(one)
    who: dict[int, tuple[float, int]] = {}
    ranked = sorted((d, place, track) for track, found in near.items() for d, place in found)
    for distance, place, track in ranked:
        if distance > same_person:
            break
        taken = any(who[other][1] == place for other in beside.get(track, ()) if other in who)
        if track not in who and not taken:
            who[track] = distance, place
    return who


def require_match(
    matches: Sequence[Match], replace: Collection[str], same_person: float, film: str
) -> None:
    """Raise FacesError, with the distances found, when a target was not found."""
    if not matches:
        raise FacesError(
            f"No face was found in {film}.",
            "Choose a film or a part of it with a face; lower `min_face` if faces are small.",
        )
    found = {match.as_ for match in matches}
    if missing := [name for name in named(replace) if name not in found]:
        nearest = "; ".join(_nearest(matches, name, same_person) for name in missing)
        rest = [name for name in replace if name not in missing]
        leave = f", remove {' and '.join(missing)} from the command" if rest else ""
        raise FacesError(
            f"{' and '.join(missing)} {'were' if len(missing) > 1 else 'was'} not found in "
            f"{film}: {nearest}.",
            f"Use --replace any to replace every face, a larger --same-person{leave}, or assign "
            f"the tracks yourself: understudy tracks {film}",
        )


def _nearest(matches: Sequence[Match], name: str, same_person: float) -> str:
    """The closest matches for a target that was not found, in words."""
    near = [m for m in matches if m.person == name and m.distance is not None]
    brief = [m.track for m in near if m.doubt == "brief" and (m.distance or 0) <= same_person]
    if brief:
        return f"{name} is visible too briefly to be replaced without flicker, in track {brief[0]}"
    if near:
        distances = sorted(m.distance for m in near if m.distance is not None)
        shown = ", ".join(f"{distance:.2f}" for distance in distances[:5])
        return f"nearest distances to {name} {shown}, limit {same_person:.2f}"
    others = sorted({m.person for m in matches if m.person is not None})
    if others:
        return f"its faces are closer to {', '.join(others)}"
    return "no face in it was large or clear enough to measure"


def summary(matches: Sequence[Match], swaps: Mapping[str, str], film: str) -> str:
    """One sentence on what was found."""
    chosen = [match for match in matches if match.chosen]
    text = f"{film}: {len(chosen)} of {len(matches)} tracks are replaced"
    parts = []
    for goes, comes in swaps.items():
        own = [match for match in chosen if match.as_ == goes]
        tracks = "1 track" if len(own) == 1 else f"{len(own)} tracks"
        if goes.startswith(ORDERED):
            parts.append(f"{tracks} of the tracks file by {comes}")
        elif goes == EVERYBODY:
            parts.append(f"{tracks}, any person, by {comes}")
        else:
            reach = [match.distance for match in own if match.distance is not None]
            parts.append(
                f"{goes} by {comes} in {tracks} (distance {min(reach):.2f} to {max(reach):.2f})"
            )
    text += f": {', '.join(parts)}"
    left = [match for match in matches if not match.chosen]
    others = sorted({m.person for m in left if m.person is not None and m.person not in swaps})
    unmeasured = sum(match.distance is None for match in left)
    if others:
        text += f"; closer to others: {', '.join(others)}"
    if unmeasured:
        text += f"; {unmeasured} too small or short to measure"
    if brief := sum(match.doubt == "brief" for match in matches):
        text += f"; {brief} too brief to replace without flicker"
    if told := [doubtful(match) for match in matches if match.doubt in _TOLD]:
        text += f"; uncertain: {', '.join(told)} (`understudy tracks` shows and corrects this)"
    return f"{text}."


def doubtful(match: Match) -> str:
    """What is uncertain about a match with a doubt, in words."""
    if match.doubt == "close":
        return f"track {match.track} could be {match.person} or {match.second}"
    if match.doubt == "taken":
        return f"track {match.track} looks like {match.person}, who is elsewhere in the picture"
    if match.doubt == "unlike":
        return f"track {match.track} is a little like {match.person}, but others are more similar"
    return f"track {match.track} is brief"

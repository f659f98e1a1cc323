"""The gate at the stages: is there a consent for this use, and does the faceset keep to it?

`safeguards.consent_gate` checks the record. Here the faceset is checked too: whether its faces come
from footage that the record covers, and whether they are all of one person. No measure of a face is
in the record, so the second check only finds a faceset that contains another person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import ConsentError, FacesError, ProjectError
from understudy.facesets.faceset import Faceset
from understudy.runtime import parquet
from understudy.safeguards.consent_gate import Consent, Purpose, Role, check_footage, require
from understudy.tracks.clustering import average_link
from understudy.tracks.matching import Match, named

if TYPE_CHECKING:
    from understudy.workspace import Person, Workspace

SLACK = 0.05
"""Added to `extract.same_person`: tracks that were joined once must not fall apart over a few
pictures that were deleted since."""

STRAY = 0.05
"""Part of a faceset that others may make up: single faces are measured badly."""

MOST = 1000
"""Tracks that are compared at most, those with the most faces; the time grows with the square."""


def permit(
    project: Workspace,
    name: str,
    purpose: Purpose,
    *roles: Role,
    footage: Mapping[str, str] | None = None,
) -> Consent:
    """The consent of a person, if it allows the use of their face, and their faceset keeps to it.

    Args:
        roles: in which the face is to be used; none where it is not seen.
        footage: from which the face is also taken besides the faceset, SHA-256: name.

    Raises:
        UnknownPerson: no such person.
        ConsentError: as `safeguards.consent_gate.require`, or more than one person is in the
            faceset.
    """
    place = project.person(name)
    consent = require(place, purpose, roles=roles, footage=footage)
    faceset = _faceset(place)
    if faceset is not None:
        names = faceset.table["source_name"].to_pylist()
        covered = dict(zip(faceset.sources, names, strict=True))
        check_footage(consent, covered)
        check_one_person(name, faceset, project.settings.extract.same_person)
    return consent


def permit_recognised(
    project: Workspace,
    matches: Sequence[Match],
    swaps: Mapping[str, str],
    same_person: float,
) -> dict[str, Consent]:
    """The consents of people of the project who are replaced without being named: as anyone,
    or because a tracks file says so of the track that shows them. Who has none on file is taken
    like any stranger; of two who are as near the nearer is asked.

    Args:
        matches: of a film's or picture's faces.
        swaps: target: source.
        same_person: largest embedding distance within one person.

    Raises:
        ConsentError: as `permit`.
    """
    shown = {
        match.person
        for match in matches
        if match.as_ is not None
        and not named([match.as_])
        and match.person not in (None, swaps[match.as_])
        and match.doubt != "taken"
        and match.distance is not None
        and match.distance <= same_person
    }
    return {
        name: permit(project, name, "convert", "replaced")
        for name in sorted(filter(None, shown))
        if project.person(name).consent is not None
    }


def _faceset(place: Person) -> Faceset | None:
    """The faceset, where there is one that can be read; a stage that needs it says so itself."""
    if not place.has_faces:
        return None
    try:
        return Faceset.open(place.faces_folder)
    except (FacesError, ProjectError):
        return None


def check_one_person(name: str, faceset: Faceset, same_person: float) -> None:
    """See that a faceset shows one person: its tracks, grouped as `extract` groups them.

    Args:
        same_person: largest mean embedding distance within a person; as in `extract`.

    Raises:
        ConsentError: others make up more than `STRAY` of it; says in which footage.
    """
    rows, present = parquet.optional_vectors(faceset.table["embedding"].combine_chunks())
    measured = np.flatnonzero(present & np.isfinite(rows).all(1))
    tracks: dict[tuple[str, int], list[int]] = defaultdict(list)
    numbers = faceset.table["track"].to_pylist()
    for row in measured:
        tracks[faceset.sources[row], numbers[row]].append(int(row))
    heaviest = sorted(tracks.values(), key=len, reverse=True)[:MOST]
    if len(heaviest) < 2:
        return
    means = np.stack([rows[own].mean(0, dtype=np.float64) for own in heaviest])
    weights = [float(len(own)) for own in heaviest]
    groups = average_link(means.astype(np.float32), weights, same_person + SLACK)
    others = [heaviest[track] for group in groups[1:] for track in group]
    strays = sum(map(len, others))
    if strays <= STRAY * sum(weights):
        return
    films = faceset.table["source_name"].to_pylist()
    counts: dict[str, int] = defaultdict(int)
    for own in others:
        counts[films[own[0]]] += len(own)
    worst = sorted(counts, key=lambda film: (-counts[film], film))
    rest = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
    raise ConsentError(
        f"The faceset of {name} shows more than one person: {strays} of {int(sum(weights))} faces "
        f"are unlike the others, in {', '.join(worst[:3])}{rest}. The consent covers {name}"
        " only.",
        f"Look into {faceset.folder}, delete pictures of other people, or remove that footage and "
        f"run `understudy extract {name}`; if it does show {name}, raise "
        "`extract.same_person`.",
    )

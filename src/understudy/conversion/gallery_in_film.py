"""What a film would use of a model's galleries: only computed, nothing is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.conversion.compositing.gallery_detail import GRID
from understudy.conversion.detailer import Detailer
from understudy.conversion.gallery_explained import (
    Played,
    lacks,
    leading,
    parts_sheet,
    used,
    wanted_mesh,
)
from understudy.conversion.plan import mean_identities
from understudy.errors import FacesError
from understudy.faces.align import alignment, warp
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit
from understudy.models.gallery import Gallery
from understudy.progress import Progress
from understudy.provenance.inspect import guarded
from understudy.safeguards.content_guard.guard import require
from understudy.tracks.frames import frames_at
from understudy.tracks.identify import Search, identify
from understudy.tracks.repaired_scan import MendedScan
from understudy.types import Face, Image

if TYPE_CHECKING:
    from understudy.workspace import Workspace

MOMENTS = 8
"""Number of moments of a film on a sheet, evenly spread."""

SIDE = 128
"""Side of the film's faces on it, pixels."""


@dataclass(frozen=True)
class InFilm:
    """How well one person's gallery fits another person's faces in a film.

    Attributes:
        comes, goes: source (the gallery) and target (the faces).
        facts: as JSON: how many frames, how well eyes and mouth fit, what is missing, which
            pictures are used.
        sentences: what is missing, in words.
        sheet: moments of the film and their pictures, RGB uint8.
    """

    comes: str
    goes: str
    facts: dict[str, Any]
    sentences: tuple[str, ...]
    sheet: Image = field(repr=False)


def look_up(
    project: Workspace, film: Path, galleries: Mapping[str, Gallery], progress: Progress
) -> tuple[str, list[InFilm]]:
    """What a film uses of galleries, for each person of the project who is seen in it and
    each other person who has a gallery.

    Args:
        galleries: by person, at least one.

    Returns:
        The film's SHA-256, and what was found.

    Raises:
        MediaError, TrustError, ContentError: the film cannot be read, or may not be shown.
        FacesError: it shows no person of the project who could be a target.
        ConsentError: a person in it may not be replaced.
    """
    require(guarded(film, "film"), film.name)
    own, people = project.settings, project.people_with_faces
    search = Search(project.cache_folder, own.scan, own.convert.same_person)
    identities = mean_identities(project, people)
    seen = identify(film, identities, replace=people, search=search, progress=progress)
    goes = {
        name: {match.track for match in seen.matches if match.as_ == name}
        for name in sorted({match.as_ for match in seen.matches if match.as_ is not None})
    }
    pairs = [(comes, name) for comes in galleries for name in goes if comes != name]
    if not pairs:
        raise FacesError(
            f"No person of the project whom {' or '.join(galleries)} could replace was found "
            f"in {film.name}.",
            "Give a film of another person with a faceset in this project, or remove --film.",
        )
    for _, name in pairs:
        permit(project, name, "convert", "replaced")
    return seen.scan.sha256, [
        _pair(project, film, seen.scan, (comes, galleries[comes]), (name, goes[name]))
        for comes, name in pairs
    ]


def _pair(
    project: Workspace,
    film: Path,
    found: MendedScan,
    comes: tuple[str, Gallery],
    goes: tuple[str, set[int]],
) -> InFilm:
    (own, gallery), (name, tracks) = comes, goes
    shape = Faceset.open(project.person(name).faces_folder).mean_mesh
    detailer = Detailer(gallery, shape, 1.0)
    detailer.follow(((row.index, face) for row in found for face in row.faces), tracks)
    at = dict(zip(found.indices, found.times, strict=True))
    seen = [(row.index, face) for row in found for face in row.faces if face.track in tracks]
    played = _played(detailer, seen, at)
    missing, leads = lacks(gallery, played), leading(gallery, played)
    shares = np.array([picks.shares for picks in played.picks])
    facts = {
        "comes": own,
        "goes": name,
        "frames": len(seen),
        "fit": {"eyes": float(shares[:, 0].mean()), "mouth": float(shares[:, 1].mean())},
        "missing": [vars(lack) for lack in missing],
        "pictures": used(played.times, leads),
    }
    about = f"{own} for {name}"
    sentences = tuple(f"{about}: {lack.sentence(film.name)}." for lack in missing)
    if not sentences:
        sentences = (f"{about}: it has matching pictures for all of {film.name}.",)
    places = np.unique(np.linspace(0, len(seen) - 1, min(MOMENTS, len(seen))).astype(int))
    shown = {seen[place][0]: (seen[place][1], leads[place]) for place in places}
    moments = {
        f"{float(frame.time):.1f} s": (
            warp(frame.image, alignment(shown[frame.index][0].landmarks, SIDE), SIDE),
            shown[frame.index][1],
        )
        for frame in frames_at(film, found, shown)
    }
    return InFilm(own, name, facts, sentences, parts_sheet(gallery, moments))


def _played(detailer: Detailer, seen: list[tuple[int, Face]], at: Mapping[int, Fraction]) -> Played:
    picks, wanted = [], []
    for index, face in seen:
        chosen, core = detailer.wanted(face, index)
        scale = float(np.sqrt(abs(np.linalg.det(alignment(face.landmarks, 1)[:, :2]))))
        picks.append(chosen)
        wanted.append(wanted_mesh(core, face.landmarks * np.float32(scale), GRID))
    poses = np.stack([face.landmarks for _, face in seen])
    return Played([at[index] for index, _ in seen], picks, np.stack(wanted), poses)

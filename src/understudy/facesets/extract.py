"""Stage 2: a person's footage becomes a faceset.

    understudy extract ada

    footage -> scan -> whose tracks are these? -> people/ada/faces/{images/, faces.parquet}

The film is decoded once: while it is scanned, aligned pictures of every face are kept aside in
the cache; once it is known which tracks are the person, theirs become files and the others are
forgotten. A film that was scanned before without that is decoded a second time.

When stopped or killed at any moment, it continues later and the index is the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import FacesError, MediaError, ProjectError
from understudy.facesets.crops import CropMaker, crop_missing, crops_key
from understudy.facesets.faceset import INDEX_NAME, SCHEMA_VERSION, Faceset
from understudy.facesets.select_person import Chosen, Film, Other, whose
from understudy.facesets.writer import store, tidy
from understudy.progress import Progress
from understudy.runtime import files
from understudy.settings import ExtractSettings, ScanSettings
from understudy.tracks.division import divide
from understudy.tracks.scan import FollowsFaces, film_hash, scan, scan_key, trackers

if TYPE_CHECKING:
    from understudy.workspace import Workspace

USEFUL = 30
"""With fewer faces than this a note says that more are needed."""


@dataclass(frozen=True)
class SourceReport:
    """What one film gave.

    Attributes:
        name, sha256: of the film.
        frames: looked through; faces: of the person, put into the index.
    """

    name: str
    sha256: str
    frames: int
    faces: int


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        person: name.
        faces: in the faceset now, pictures that were deleted not counted.
        added, removed: faces that came or went with this run.
        deleted: faces in the index whose picture was deleted by hand; they stay out.
        unchanged: nothing was to be done.
        sources: every film that the faceset is made from.
        others: other people in the films that were looked through now.
        notes: for the user, full sentences.
    """

    person: str
    faces: int
    added: int
    removed: int
    deleted: int
    unchanged: bool
    sources: tuple[SourceReport, ...]
    others: tuple[Other, ...]
    notes: tuple[str, ...]


def extract(
    project: Workspace,
    person: str,
    settings: ExtractSettings,
    scan_settings: ScanSettings,
    progress: Progress,
    *,
    make_tracker: Callable[[], FollowsFaces] | None = None,
) -> ExtractReport:
    """Bring the faceset of `person` up to date with their footage.

    Unchanged footage is not read again; added footage is compared with the faces
    that are there already; faces of footage that was removed go. Without earlier faces the one
    who is seen most is taken for the person. Pictures deleted by hand stay out.

    Args:
        make_tracker: gives a tracker at its beginning, for callers with networks at hand.

    Raises:
        UnknownPerson: there is no such person.
        FacesError: no footage, no face, or fewer than `LEAST` of them. An earlier faceset stays
            as it was.
        MediaError: none of the footage can be decoded.
        ProjectLocked: another process writes this faceset.
        StorageError: the disk said no. Finished work is kept.
    """
    place = project.person(person)
    folder, footage = place.faces_folder, place.footage
    if not footage and not (folder / INDEX_NAME).exists():
        raise _no_footage(person)
    with files.only_writer(folder / ".writer.lock", f"the faces of {person}"):
        notes: list[str] = []
        wanted: dict[str, Path] = {}
        for film in footage:
            try:
                digest = film_hash(film, project.cache_folder)
            except MediaError as error:
                # Its earlier results are kept; it is not read again.
                notes.append(f"{film.name} was skipped. {error}")
                listed = {entry.file: entry.sha256 for entry in place.index()}
                digest = listed[film.name]
            wanted.setdefault(digest, film)
        key = _settings_key(settings, scan_settings)
        old = _earlier(folder, notes)
        kept = [] if old is None else _kept(old, key, wanted)
        if not footage and not kept:
            raise _no_footage(person)
        known = {source["sha256"] for source in kept}
        new = {sha256: film for sha256, film in wanted.items() if sha256 not in known}
        if old is not None and not new and kept == old.notes["sources"]:
            tidy(folder)
            progress.note(f"The faces of {person} are up to date.")
            return _report(person, old, old, (), notes)
        make_tracker = make_tracker or trackers(scan_settings)
        films = _look_through(
            new, project, person, settings, scan_settings, progress, make_tracker, notes
        )
        if not films and not kept:
            raise MediaError(
                f"None of {person}'s footage can be used.", " ".join(notes) or "Add other footage."
            )
        chosen, others = whose(films, old if kept else None, settings.same_person)
        store(folder, person, key, old, kept, films, chosen)
        now = Faceset.open(folder)
        shutil.rmtree(project.cache.crops / person, ignore_errors=True)
        tidy(folder)
        notes += _remarks(person, now, films, chosen, others)
        for note in notes:
            progress.note(note)
        return _report(person, old, now, others, notes)


def _no_footage(person: str) -> FacesError:
    return FacesError(
        f"{person} has no footage.", f"Add some first: understudy add {person} FILES..."
    )


def _settings_key(settings: ExtractSettings, scan_settings: ScanSettings) -> str:
    facts = [
        SCHEMA_VERSION,
        settings.model_dump(mode="json"),
        scan_settings.model_dump(mode="json"),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _earlier(folder: Path, notes: list[str]) -> Faceset | None:
    """The faceset that is there; a damaged one counts as none, and is said to."""
    if not (folder / INDEX_NAME).exists():
        return None
    try:
        return Faceset.open(folder)
    except ProjectError as error:
        notes.append(f"{error.problem} It is made again.")
        return None


def _kept(old: Faceset, key: str, wanted: dict[str, Path]) -> list[dict[str, Any]]:
    """The sources in the index that need no second look. What was imported cannot be looked at
    again, and stays."""
    same = old.notes["settings_key"] == key
    damaged = {name[:8] for name in old.damaged}
    return [
        source
        for source in old.notes["sources"]
        if "imported" in source
        or (same and source["sha256"] in wanted and source["batch"] not in damaged)
    ]


def _look_through(
    new: dict[str, Path],
    project: Workspace,
    person: str,
    settings: ExtractSettings,
    scan_settings: ScanSettings,
    progress: Progress,
    make_tracker: Callable[[], FollowsFaces],
    notes: list[str],
) -> list[Film]:
    """Scan the films and see to it that there is a crop of every face in them."""
    if not new:
        return []
    # Torch takes seconds to import; an extraction with nothing to do needs none of it.
    from understudy.runtime.devices import few_threads

    films = []
    for sha256, path in sorted(new.items(), key=lambda item: (item[1].name, item[0])):
        crops = project.cache.crops / person / crops_key(scan_key(sha256, scan_settings), settings)
        try:
            with few_threads(1):
                with CropMaker(crops, settings) as maker:
                    found = scan(
                        path,
                        project.cache_folder,
                        scan_settings,
                        progress,
                        make_tracker=make_tracker,
                        observer=maker,
                    )
                crop_missing(path, found, crops, settings, progress)
        except MediaError as error:
            notes.append(f"{path.name} was skipped. {error}")
            continue
        notes += found.damage
        films.append(Film(path.name, sha256, found, crops, settings, divide(found)))
    return films


def _remarks(
    person: str,
    now: Faceset,
    films: Sequence[Film],
    chosen: Chosen,
    others: Sequence[Other],
) -> list[str]:
    """What the user should know about the result, in full sentences."""
    notes = [f"{person} was not found in {film.name}." for film in films if not chosen[film.sha256]]
    for other in others:
        films_seen = sorted({name for name, _ in other.shots})
        what = "Another person" if other.measured else "A person who could not be recognised"
        notes.append(
            f"{what} was seen in {', '.join(films_seen[:3])}"
            f"{' and other films' if len(films_seen) > 3 else ''} "
            f"({other.tracks} tracks, {other.faces} faces) and skipped."
        )
    if len(now) < USEFUL:
        notes.append(
            f"There are only {len(now)} faces of {person}; add footage until there are several "
            "hundreds, with different views, light and expressions."
        )
    return notes


def _report(
    person: str,
    before: Faceset | None,
    now: Faceset,
    others: tuple[Other, ...],
    notes: Sequence[str],
) -> ExtractReport:
    earlier = set() if before is None else set(before.names)
    return ExtractReport(
        person=person,
        faces=len(now),
        added=len(set(now.names) - earlier),
        removed=len(earlier - set(now.names)),
        deleted=len(now.missing),
        unchanged=before is now,
        sources=tuple(
            SourceReport(s["name"], s["sha256"], s["frames"], s["faces"])
            for s in now.notes["sources"]
        ),
        others=others,
        notes=tuple(notes),
    )

"""Faces that were cut out elsewhere become part of a person's faceset.

    understudy import-faces ada faces-of-ada/ --consent granted --statement agreement.pdf

    pictures -> header of faceswap, if any -> face found again -> whose? -> faces.parquet

Any folder of face pictures will do. Pictures of faceswap say which film they are from, and in
which order; so neighbouring frames stay together when faces are held out. The pictures stay where
they are, and what they give stays in the faceset whatever is extracted later; a picture deleted
from the faceset stays out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.errors import FacesError, MediaError
from understudy.facesets.faceset import INDEX_NAME, Faceset
from understudy.facesets.footage import FILMS, Refusal, expand, keep, make_place, why_not
from understudy.facesets.imports.pictures import Cut, FindsFaces, has_pickle, look, read
from understudy.facesets.imports.rows import grouped, imported_files
from understudy.facesets.writer import LEAST, store, tidy, too_few
from understudy.media.images import IMAGE_SUFFIXES
from understudy.progress import Progress
from understudy.runtime import files
from understudy.safeguards import consent_gate as consents
from understudy.safeguards.consent_gate import Footing
from understudy.settings import ExtractSettings, ScanSettings
from understudy.tracks.clustering import average_link
from understudy.workspace import Person, Workspace

SAMPLE = 400
"""Faces out of which the person is found when nothing else says who it is."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        person: name.
        faces: in the faceset now; added: that came with this run.
        already: pictures given that the faceset has had before.
        others: pictures that show another person.
        refused: pictures that cannot be used, with the reason.
        passed_over: how many files in the folders were not tried, by what they are.
        notes: for the user, full sentences.
    """

    person: str
    faces: int
    added: int
    already: int
    others: int
    refused: tuple[Refusal, ...]
    passed_over: Mapping[str, int]
    notes: tuple[str, ...]


def import_faces(
    project: Workspace,
    person: str,
    sources: Sequence[Path],
    footing: Footing | None,
    statement: Path | None,
    settings: ExtractSettings,
    scan_settings: ScanSettings,
    progress: Progress,
    *,
    make_finder: Callable[[], FindsFaces] | None = None,
) -> ImportReport:
    """Take the faces in pictures into the faceset of `person`.

    In each picture the face in the middle is looked for and aligned as extraction does; who is
    not the person stays out, as there. Without earlier faces the one who is seen most is taken
    for the person.

    Args:
        sources: pictures and folders of them.
        footing, statement: as for `facesets.footage.add`.
        make_finder: gives an analyser, for callers with networks at hand.

    Raises:
        ConsentError: there is no basis, or it contradicts the one on file.
        MediaError: not one of the pictures can be used; says why the first cannot.
        FacesError: there would be fewer than `LEAST` faces of the person.
        ProjectLocked: another process writes this person.
        StorageError: the disk said no. The earlier faceset stays in each case.
    """
    place = project.place_of(person)
    folder = place.faces_folder
    given, passed_over, no_files = expand(sources, _why_not)
    with files.only_writer(place.lock_file, f"footage of {person}"):
        on_file = place.consent
        record = consents.settle(person, on_file, footing, statement)
    finder = make_finder() if make_finder else _analyser(scan_settings)
    run = _Run(finder, settings, _faceset(folder), progress)
    for refusal in no_files:
        run.refuse(refusal)
    with progress.task(f"import {person}", "pictures", len(given)) as task:
        for path in given:
            run.take(path)
            task.step()
    if not run.found and not run.already:
        _nothing(run.refused, sources)
    kept, others = _own(run.found, _faceset(folder), settings.same_person)
    if run.found and not kept and not run.already:
        raise FacesError(
            f"None of the {len(run.found)} faces shows {person}.",
            "Import them under another name, or raise `extract.same_person`.",
        )
    if kept:
        if len(kept) < LEAST and not place.has_faces:
            raise too_few(person, len(kept))
        with files.only_writer(place.lock_file, f"footage of {person}"):
            if on_file is None and place.folder.is_dir():
                keep(place.folder, record, statement)
            make_place(place, record, statement)
        with files.only_writer(folder / ".writer.lock", f"the faces of {person}"):
            _write(place, kept, settings)
    now = Faceset.open(folder)
    notes = run.notes()
    for note in notes:
        progress.note(note)
    return ImportReport(
        person=person,
        faces=len(now),
        added=len(kept),
        already=run.already,
        others=others,
        refused=tuple(run.refused),
        passed_over=passed_over,
        notes=tuple(notes),
    )


def _faceset(folder: Path) -> Faceset | None:
    return Faceset.open(folder) if (folder / INDEX_NAME).is_file() else None


def _analyser(settings: ScanSettings) -> FindsFaces:
    # The face networks take seconds to import; a wrong name should not have to wait for them.
    from understudy.faces.analyser import FaceAnalyser

    return FaceAnalyser(settings)


def _nothing(refused: Sequence[Refusal], sources: Sequence[Path]) -> None:
    """Raises MediaError: there is nothing to use."""
    if not refused:
        raise MediaError(
            f"No picture was found in {', '.join(map(str, sources))}.",
            "Name pictures, or folders that contain some.",
        )
    more = f" ({len(refused) - 1} more were refused too)" if len(refused) > 1 else ""
    raise MediaError(f"{refused[0].problem.rstrip('.')}{more}.", refused[0].remedy)


def _why_not(path: Path) -> str | None:
    """The kind of a file in a folder that is not a picture; None for a picture."""
    left = why_not(path)
    if left is None and path.suffix.lower() in FILMS - IMAGE_SUFFIXES:
        return "film: add it as footage"
    return left


class _Run:
    """Looks at pictures one by one."""

    def __init__(
        self,
        finder: FindsFaces,
        settings: ExtractSettings,
        old: Faceset | None,
        progress: Progress,
    ) -> None:
        self.finder, self.settings, self.progress = finder, settings, progress
        self.known = set() if old is None else {digest for _, digest in imported_files(old)}
        self.found: list[Cut] = []
        self.refused: list[Refusal] = []
        self.already = self.pickled = 0

    def take(self, path: Path) -> None:
        """Find the face in a picture, or the reason why there is none."""
        try:
            self._take(path)
        except MediaError as error:
            self._refuse(path, error.problem, error.remedy)

    def _refuse(self, path: Path, problem: str, remedy: str) -> None:
        self.refuse(Refusal(path, f"{path}: {problem}", remedy))

    def refuse(self, refusal: Refusal) -> None:
        """Leave a file out, and say so."""
        self.refused.append(refusal)
        self.progress.note(f"refused: {refusal.problem} {refusal.remedy}")

    def _take(self, path: Path) -> None:
        data = read(path)
        digest = hashlib.sha256(data).hexdigest()
        if digest in self.known:
            self.already += 1
            return
        self.found.append(look(path, data, digest, self.finder, self.settings))
        self.known.add(digest)
        self.pickled += has_pickle(data)

    def notes(self) -> list[str]:
        """Notes for the user."""
        if not self.pickled:
            return []
        return [
            f"{self.pickled} pictures have data of DeepFaceLab: program code (pickle), which was "
            "not opened; only their pixels were used."
        ]


def _own(found: Sequence[Cut], old: Faceset | None, same_person: float) -> tuple[list[Cut], int]:
    """The person's faces, and how many show another person."""
    if not found:
        return [], 0
    embeddings = np.stack([one.embedding for one in found]).astype(np.float64)
    if old is not None and len(old.embeddings):
        middle = old.embeddings.mean(0, dtype=np.float64)
    else:
        sample = np.linspace(0, len(found) - 1, min(SAMPLE, len(found))).round().astype(int)
        chosen = embeddings[sample].astype(np.float32)
        middle = embeddings[sample][average_link(chosen, [1.0] * len(chosen), same_person)[0]].mean(
            0
        )
    near = np.linalg.norm(embeddings - middle, axis=1) <= same_person
    return [one for one, ours in zip(found, near, strict=True) if ours], int((~near).sum())


def _write(place: Person, found: Sequence[Cut], settings: ExtractSettings) -> None:
    """Add faces to the faceset; the caller must be its only writer.

    Raises FacesError, StorageError.
    """
    old = _faceset(place.faces_folder)
    known = set() if old is None else {digest for _, digest in imported_files(old)}
    new = [cut for cut in found if cut.sha256 not in known]
    kept = [] if old is None else old.notes["sources"]
    key = "" if old is None else old.notes["settings_key"]
    store(place.faces_folder, place.name, key, old, kept, [], {}, grouped(new, settings))
    tidy(place.faces_folder)

"""Remove a person: everything that the project has of them; list what may be left elsewhere.

    understudy person remove eva

Scans of their footage, faces of an extraction that was stopped, unfinished conversions with them,
files that were exported, their gallery in every model and in the cache, logs of faults that name
them, their decoder in every checkpoint of every model (as trained, averaged, and what the optimiser
remembers), preview sheets that show them, and last their folder with footage, faceset and consent.
Films that were made are listed and stay. A name and a time are kept, so that whoever asks for them
is answered. Cut short, the same command goes on where it was.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from understudy.conversion.own_gallery import cached_path
from understudy.errors import (
    CheckpointError,
    MediaError,
    ProjectError,
    ProjectLocked,
    SettingsError,
)
from understudy.models import gallery
from understudy.models.checkpoint import (
    Snapshot,
    checkpoints,
    complete,
    discard,
    load,
    replace,
)
from understudy.models.onnx.safety import check as check_graph
from understudy.people import decoder_file
from understudy.people.appearances import consent_ids, made_with
from understudy.people.decoders import SUFFIX
from understudy.progress import Progress
from understudy.provenance.model_registry import (
    enter_tombstone,
    exported_with,
    hashes_in,
    listed_in,
    on_file,
)
from understudy.runtime import files
from understudy.safeguards import removed_names as removed
from understudy.tracks.scan import scan_key
from understudy.tracks.scan_store import Scan
from understudy.training.adding_people import without_person
from understudy.training.schedule import State
from understudy.workspace import Person, Private, Workspace

EXPORTS = "exports"
"""The model name in tombstones of exported files: a file's name may identify a person."""


@dataclass(frozen=True)
class RemovalReport:
    """What a removal did.

    Attributes:
        person: who was removed.
        removed: sentences, one for each kind of thing.
        renders: files in the project that were made with the person; they were not touched.
        elsewhere: names of others that were made with them, by this installation's records.
        models: those that have learned from the person.
    """

    person: str
    removed: tuple[str, ...]
    renders: tuple[Path, ...]
    models: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()


def remove_person(project: Workspace, name: str, progress: Progress) -> RemovalReport:
    """Remove everything that the project holds of `name`.

    Raises:
        UnknownPerson: there is no such person, or they were removed before.
        ProjectLocked: another process uses the person, or a model or film with them.
        ProjectError, StorageError: something cannot be read or removed; what was removed until
            then is deleted, and the same command continues.
    """
    place = project.place_of(name)
    begun = project.removed.get(name)
    if begun is None or begun.finished:
        project.person(name)
    with files.only_writer(place.lock_file, f"what there is of {name}"):
        removed.note(project.removed_file, name, finished=False)
        run = _Removal(project, place, progress)
        made = made_with(project, place)
        for kind in project.private:
            _WAYS[kind](run)
        removed.note(project.removed_file, name, finished=True)
    place.lock_file.unlink(missing_ok=True)
    return RemovalReport(name, tuple(run.told), made.files, tuple(run.learned), made.elsewhere)


@dataclass
class _Removal:
    """A removal under way; each method may be repeated."""

    project: Workspace
    place: Person
    progress: Progress
    told: list[str] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)

    def _tell(self, count: int, noun: str, rest: str = "") -> None:
        if count:
            self.told.append(f"{count} {noun if count == 1 else noun + 's'}{rest}")

    def _delete(self, paths: Sequence[Path], noun: str, rest: str = "") -> None:
        for path in paths:
            _delete(path)
        self._tell(len(paths), noun, rest)

    @cached_property
    def films(self) -> set[str]:
        """SHA-256 of the person's footage."""
        return self._footage(self.place)

    def scans(self) -> None:
        """Of the footage; also those that were not finished, unless they are others' for sure."""
        own, others = self._keys(self.films), set[str]()
        for name in set(self.project.people) - {self.place.name}:
            others |= self._keys(self._footage(self.project.place_of(name)))
        found = []
        for folder in sorted(self.project.cache.scans.glob("*")):
            if (film := _film_of(folder)) is None and folder.name not in own | others:
                theirs = _is_left(folder)
            else:
                theirs = folder.name in own or film in self.films
            if theirs:
                found.append(folder)
        self._delete(found, "scan")

    def _keys(self, films: Iterable[str]) -> set[str]:
        """Names of whole films' scans, with the settings as they are."""
        return {scan_key(film, self.project.settings.scan) for film in films}

    def hashes(self) -> None:
        """Notes on the footage."""
        notes = sorted(self.project.cache.hashes.glob("*.json"))
        own = [one for one in notes if _value(one, "sha256") in self.films]
        self._delete(own, "note on a file")

    def crops(self) -> None:
        """Of an extraction that was stopped, and what is there of nobody in the project."""
        others = set(self.project.people) - {self.place.name}
        folders = sorted(self.project.cache.crops.glob("*"))
        self._delete([one for one in folders if one.name not in others], "stopped extraction")

    def faults(self) -> None:
        """Logs of faults that name the person."""
        name = re.compile(rf"(?<![a-z0-9_-]){re.escape(self.place.name)}(?![a-z0-9_-])")
        logs = sorted(self.project.cache_folder.glob("fault-*.log"))
        own = [one for one in logs if name.search(one.read_text("utf-8", "replace"))]
        self._delete(own, "log of a fault")

    def _footage(self, place: Person) -> set[str]:
        """SHA-256 of every film and picture of a person."""
        found = set()
        try:
            found = {entry.sha256 for entry in place.index()}
        except ProjectError as error:
            self.progress.note(error.problem)
        if place.footage_folder.is_dir():
            held = {entry.file for entry in place.index()} if found else set()
            for path in place.footage_folder.iterdir():
                if path.is_file() and path.name not in held:
                    found.add(files.sha256(path))
        return found

    def conversions(self) -> None:
        """Segments of films that are not finished, and pictures."""
        count = 0
        for job in sorted(self.project.work_folder.glob("*/job.json")):
            if self.place.name not in _takes_part(job):
                continue
            lock = job.parent.with_suffix(".lock")
            with files.only_writer(lock, f"a film with {self.place.name}"):
                _delete(job.parent)
                _delete(lock)
            count += 1
        self._tell(count, "unfinished conversion")

    def exports(self) -> None:
        """Files that hold the decoder, or the film of which was made with it."""
        folder = self.project.exports_folder
        own = [path for path in sorted(folder.glob("*")) if self._in_export(path)]
        self._bury((files.sha256(path) for path in own), EXPORTS)
        self._delete(own, "exported file")
        elsewhere = exported_with(set(consent_ids(self.place)), self.progress)
        if self._bury(elsewhere, EXPORTS):
            more = len(elsewhere)
            count = "1 more file was" if more == 1 else f"{more} more files were"
            self.progress.note(
                f"According to the records here, {count} exported with {self.place.name} "
                "(written elsewhere, moved or replaced). Delete them yourself; on this machine, "
                "`understudy verify` says not to use them."
            )

    def _in_export(self, path: Path) -> bool:
        name = self.place.name
        if path.name.endswith(tuple(f"-{name}{end}" for end in (SUFFIX, ".dfm", ".onnx"))):
            models = self.project.models
            if any(path.name.startswith(f"{model}-{name}.") for model in models):
                return True
        try:
            if path.name.endswith(SUFFIX):
                return decoder_file.read(path).label.person == name
            if path.suffix in (".dfm", ".onnx"):
                card = check_graph(path)[1].card
                return card is not None and name in (card.person, card.replaced)
        except (CheckpointError, MediaError, SettingsError) as error:
            self.progress.note(f"{path.name} cannot be read: {error.problem}")
        return False

    def cached_gallery(self) -> None:
        """The gallery that was made straight from the faceset."""
        if gallery.remove(cached_path(self.project.cache_folder, self.place.name)):
            self.told.append("the gallery in the cache")

    def models(self) -> None:
        """The gallery and the decoder in every checkpoint, and the preview sheets of such
        models."""
        for model in self.project.models:
            folder = self.project.model_folder(model)
            # A training makes its lock first, then galleries, and checkpoints much later.
            if not ((folder / "checkpoints").is_dir() or (folder / ".lock").exists()):
                continue
            with files.only_writer(folder / ".lock", f"the model {model}"):
                complete(folder)
                self._gallery(folder)
                own = [one for one in checkpoints(folder) if self._knows(one)]
                if not own:
                    continue
                self.learned.append(model)
                # First the sheets: afterwards it is unknown whom they show.
                sheets = sorted((folder / "preview").glob("*.png"))
                self._delete(sheets, "preview sheet", f" of {model}")
                with self.progress.task(f"remove from {model}", "checkpoints", len(own)) as task:
                    for checkpoint in own:
                        self._forget(checkpoint)
                        task.step()
                count = "a checkpoint" if len(own) == 1 else f"{len(own)} checkpoints"
                self.told.append(f"the decoder and its averages in {count} of {model}")
                if not checkpoints(folder):
                    _delete(folder)
                    self.told.append(f"the model {model}, which contained no other person")
                    self.learned.remove(model)

    def _gallery(self, folder: Path) -> None:
        """The pictures that a model keeps of the person, also where it has no checkpoint yet or
        where an import was cut short."""
        path = gallery.path_of(folder, self.place.name)
        self._bury((files.sha256(one) for one in (path,) if one.is_file()), folder.name)
        if gallery.remove(path):
            self.told.append(f"the gallery in {folder.name}")

    def _knows(self, checkpoint: Path) -> bool:
        if (checkpoint / f"decoder-{self.place.name}.safetensors").exists():
            return True
        people = _value(checkpoint / "state.json", "people")
        return isinstance(people, list) and self.place.name in people

    def _bury(self, hashes: Iterable[str], model: str) -> bool:
        """Record files in the ledger that will be deleted, or must not be used."""
        consents = on_file(self.project, [self.place.name])
        return enter_tombstone(hashes, model, consents, self.progress)

    def _discard(self, checkpoint: Path) -> None:
        self._bury(self._gone_with(checkpoint), checkpoint.parent.parent.name)
        discard(checkpoint)

    def _gone_with(self, checkpoint: Path) -> Iterator[str]:
        """SHA-256 of a checkpoint's files as they are, and as they were before one was damaged.

        Without decoders of others, and without what stays: models that were trained with a
        frozen encoder have the same one, to the byte.
        """
        stays = {
            sha256
            for model in self.project.models
            for one in checkpoints(self.project.model_folder(model))
            if one != checkpoint
            for sha256 in listed_in(one).values()
        }
        decoder = f"decoder-{self.place.name}.safetensors"
        for file, sha256 in (*hashes_in(checkpoint).items(), *listed_in(checkpoint).items()):
            part = file.removeprefix("ema-")
            if sha256 not in stays and (part == decoder or not part.startswith("decoder-")):
                yield sha256

    def _forget(self, checkpoint: Path) -> None:
        name, model = self.place.name, checkpoint.parent.parent.name
        try:
            snapshot = load(checkpoint)
        except CheckpointError as error:
            self.progress.note(f"{error.problem} The whole model was removed.")
            self._discard(checkpoint)
            return
        if snapshot.model.people == (name,):
            self._discard(checkpoint)
            return
        own = [checkpoint / f"{part}decoder-{name}.safetensors" for part in ("", "ema-")]
        self._bury((files.sha256(one) for one in own if one.is_file()), model)
        left = without_person(snapshot, name)
        state = State.from_json(snapshot.state)
        state.forget(name)
        replace(
            checkpoint,
            Snapshot(left.model, left.average, left.optimizer, left.settings, state.json()),
        )

    def folder(self) -> None:
        """Footage, faceset and consent, and what is left where adding was cut short."""
        place = self.place
        for left in place.folder.parent.glob(f".{place.name}.*"):
            if left != place.lock_file:
                _delete(left)
        if not place.folder.is_dir():
            return
        films = len(list(place.footage_folder.glob("*"))) if place.footage_folder.is_dir() else 0
        parts = [f"{films} {'file' if films == 1 else 'files'} of footage", "the consent"]
        if place.has_faces:
            parts.insert(1, "the faceset")
        _delete(place.folder)
        self.told += parts


_WAYS: dict[Private, Callable[[_Removal], None]] = {
    "scans": _Removal.scans,
    "hashes": _Removal.hashes,
    "crops": _Removal.crops,
    "work": _Removal.conversions,
    "exports": _Removal.exports,
    "galleries": _Removal.cached_gallery,
    "faults": _Removal.faults,
    "models": _Removal.models,
    "people": _Removal.folder,
}
"""What is done about each kind of thing that tells of a person; see `Workspace.private`."""


def _delete(path: Path) -> None:
    with files.storage_errors(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _value(path: Path, key: str) -> object:
    """A value of a JSON file; None when it is missing."""
    try:
        value = files.read_json(path)
    except (ProjectError, OSError):
        return None
    return value.get(key) if isinstance(value, dict) else None


def _takes_part(job: Path) -> set[str]:
    """Everybody who goes or comes in a film or picture under way, as far as it can be told."""
    swaps, consents = _value(job, "swaps"), _value(job, "consents")
    found = {*swaps, *swaps.values()} if isinstance(swaps, dict) else set()
    for consent in consents.values() if isinstance(consents, dict) else ():
        if isinstance(consent, dict):
            found.add(str(consent.get("person")))
    return found


def _is_left(scan: Path) -> bool:
    """Whether no process works on a scan that is not finished. It does not say whose it is, and can
    be made again."""
    try:
        with files.only_writer(scan / ".writer.lock", "a scan"):
            return True
    except ProjectLocked:
        return False


def _film_of(folder: Path) -> str | None:
    """The film that a finished scan is of."""
    try:
        return Scan.open(folder).sha256
    except (ProjectError, OSError):
        return None

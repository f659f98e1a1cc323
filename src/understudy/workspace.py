"""The project folder: plain files that anyone can inspect.

    project.toml                      settings, one section per stage
    people/NAME/consent.json          on what basis this face may be used
    people/NAME/statement.*           the evidence for it, where there is some
    people/NAME/earlier-consents/     records that others took the place of
    people/NAME/footage.json          what was added, from where, with its hash
    people/NAME/footage/              the films and pictures
    people/NAME/faces/                the faceset
    people/removed.json               who was removed, and when
    revoked/                          withdrawn consents, as proof for what was made earlier
    models/NAME/                      checkpoints, previews and logs of one training
    exports/                          people as files for other programs and projects
    renders/                          converted films and reports
    cache/                            files that can be computed again; may be deleted

Only this module and `runtime.project_cache` know these paths.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import ProjectError, UnknownModel, UnknownPerson
from understudy.runtime import files
from understudy.runtime.project_cache import ProjectCache
from understudy.safeguards import removed_names as removed
from understudy.safeguards.consent_gate import Consent, read
from understudy.safeguards.removed_names import Removal
from understudy.settings import AllSettings, load, template

MARKER = "project.toml"

Private = Literal[
    "scans", "hashes", "crops", "work", "exports", "galleries", "faults", "models", "people"
]
"""Kinds of things in a project that tell of a person; films that were made are not among them."""

_OF_TRACKS = frozenset({"auto", "none"})
"""Reserved words in the place of a person in tracks files. People who already have such a name
keep it, so that they can be removed."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = frozenset({"any", "all"})


def is_name(text: str) -> bool:
    """Whether `text` has the form of a person's or a model's name."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, what: str) -> str:
    """Return `name` if it can name a person or a model.

    Args:
        what: "person" or "model", for the message.

    Raises:
        ProjectError: it is empty, too long, reserved or holds other characters.
    """
    if not is_name(name):
        near = near_name(name)
        hint = f", for example `{near}`" if is_name(near) else ""
        raise ProjectError(
            f"`{name}` cannot name a {what}.",
            "Use lower-case letters, digits, '-' and '_', at most 64, "
            f"starting with a letter or digit{hint}.",
        )
    if name in _RESERVED:
        raise ProjectError(
            f"`{name}` is a reserved word and cannot name a {what}.", "Choose another name."
        )
    return name


def near_name(text: str) -> str:
    """What is left of `text` when it is to be a name; may be no name still."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64]


class Footage(BaseModel):
    """One film or picture of a person, as `footage.json` lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Name inside the footage folder."""
    source: str
    """Path that it was added from."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1)]
    kind: Literal["video", "picture"]
    added_at: AwareDatetime
    facts: dict[str, Any]
    """What probing found: size, codec, rate, rotation, length, sound."""


class _FootageIndex(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    footage: tuple[Footage, ...] = ()


@dataclass(frozen=True)
class Person:
    """One person of a project: `name` and the `folder` with everything about them."""

    name: str
    folder: Path

    @property
    def consent_file(self) -> Path:
        return self.folder / "consent.json"

    @property
    def earlier_folder(self) -> Path:
        """Consent records that others took the place of."""
        return self.folder / "earlier-consents"

    @property
    def footage_folder(self) -> Path:
        return self.folder / "footage"

    @property
    def faces_folder(self) -> Path:
        return self.folder / "faces"

    @property
    def index_file(self) -> Path:
        return self.folder / "footage.json"

    @property
    def lock_file(self) -> Path:
        """Held while footage is being added."""
        return self.folder.parent / f".{self.name}.lock"

    @property
    def consent(self) -> Consent | None:
        """What `consent.json` says; None without one. Raises ConsentError when damaged."""
        return read(self.consent_file)

    @property
    def has_faces(self) -> bool:
        """Whether there is a faceset."""
        return (self.faces_folder / "faces.parquet").is_file()

    def index(self) -> tuple[Footage, ...]:
        """Everything that was added, in that order. Raises ProjectError when damaged."""
        if not self.index_file.exists():
            return ()
        values = files.read_json(self.index_file)
        try:
            return _FootageIndex.model_validate(values).footage
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ProjectError(
                f"{self.index_file} is damaged: {where}: {first['msg']}.",
                "Restore it from a copy, or remove it and add the footage again; "
                "no film is lost by that.",
            ) from error

    def write_index(self, footage: Iterable[Footage]) -> None:
        """Replace `footage.json`. Raises StorageError."""
        value = _FootageIndex(footage=tuple(footage)).model_dump(mode="json")
        files.write_json(self.index_file, value)

    @property
    def footage(self) -> list[Path]:
        """Films and pictures that were added and are still there, in that order."""
        paths = (self.footage_folder / entry.file for entry in self.index())
        return [path for path in paths if path.is_file()]


@dataclass(frozen=True)
class Workspace:
    """A project folder that exists.

    Attributes:
        folder: absolute.
        settings: from `project.toml`, with defaults filled in.
    """

    folder: Path
    settings: AllSettings

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Create a project in `folder`, which may exist and contain other files.

        Raises:
            ProjectError: the folder already contains a project.
            StorageError: the folder cannot be written.
        """
        folder = folder.absolute()
        if (folder / MARKER).exists():
            raise ProjectError(
                f"{folder} already contains a project.", "Use it, or choose another folder."
            )
        if folder.exists() and not folder.is_dir():
            raise ProjectError(f"{folder} is a file.", "Choose another folder.")
        try:
            with files.storage_errors(folder):
                for name in ("people", "models", "renders", "cache"):
                    (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"{folder} cannot be created ({error.strerror}).", "Choose another folder."
            ) from error
        files.write_bytes(folder / MARKER, template().encode())
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the project in `folder`.

        Raises:
            ProjectError: the folder is not a project.
            SettingsError: its `project.toml` is not valid.
        """
        folder = folder.absolute()
        if not (folder / MARKER).is_file():
            raise ProjectError(
                f"{folder} is not a project: it has no {MARKER}.",
                f"Create one: understudy init {folder}",
            )
        return cls(folder, load(folder / MARKER))

    @classmethod
    def find(cls, start: Path) -> Self:
        """Open the project that contains `start`. Raises ProjectError, SettingsError."""
        start = start.absolute()
        for folder in (start, *start.parents):
            if (folder / MARKER).is_file():
                return cls.open(folder)
        raise ProjectError(
            f"There is no project in {start} or its parent folders.",
            "Go into a project folder, name one with --project DIR, "
            "or create one: understudy init DIR",
        )

    @property
    def people_folder(self) -> Path:
        return self.folder / "people"

    @property
    def models_folder(self) -> Path:
        return self.folder / "models"

    @property
    def renders_folder(self) -> Path:
        return self.folder / "renders"

    @property
    def revoked_folder(self) -> Path:
        """Withdrawn consents, one folder for each."""
        return self.folder / "revoked"

    @property
    def exports_folder(self) -> Path:
        return self.folder / "exports"

    @property
    def cache_folder(self) -> Path:
        return self.folder / "cache"

    @property
    def cache(self) -> ProjectCache:
        """The folders in the cache, by kind."""
        return ProjectCache(self.cache_folder)

    @property
    def work_folder(self) -> Path:
        """Films and pictures under way, a folder for each with `job.json` inside."""
        return self.renders_folder / ".work"

    @property
    def private(self) -> dict[Private, Path]:
        """Every folder in which there may be something of a person, in the order in which
        `people.remove` goes through them."""
        return {
            "scans": self.cache.scans,
            "hashes": self.cache.hashes,
            "crops": self.cache.crops,
            "work": self.work_folder,
            "exports": self.exports_folder,
            "galleries": self.cache.galleries,
            "faults": self.cache_folder,
            "models": self.models_folder,
            "people": self.people_folder,
        }

    @property
    def people(self) -> list[str]:
        """Names of the people, sorted."""
        return _folders(self.people_folder)

    @property
    def models(self) -> list[str]:
        """Names of the models, sorted."""
        return _folders(self.models_folder)

    @property
    def removed_file(self) -> Path:
        """Who was removed; see `safeguards.removed_names`."""
        return self.people_folder / "removed.json"

    @property
    def removed(self) -> dict[str, Removal]:
        """Everyone who was removed, by name. Raises ProjectError when the file is damaged."""
        return removed.read(self.removed_file)

    def check_not_removed(self, name: str) -> None:
        """Raises UnknownPerson when `name` was removed and not added again since."""
        removal = self.removed.get(name)
        if removal is not None and not removal.finished:
            raise UnknownPerson(
                f"The removal of {name} from this project was interrupted.",
                f"Finish it: understudy person remove {name}",
            )
        if removal is not None and name not in self.people:
            raise UnknownPerson(
                f"{name} was removed from this project on {removal.at:%Y-%m-%d}.",
                f"Do not use {name}, or give a new consent: understudy add {name} FILES...",
            )

    @property
    def people_with_faces(self) -> list[str]:
        """Names of the people who have a faceset, sorted."""
        return [name for name in self.people if self.place_of(name).has_faces]

    def place_of(self, name: str) -> Person:
        """Place of the person `name`, who may not exist. Raises ProjectError for a bad name."""
        folder = self.people_folder / check_name(name, "person")
        if name in _OF_TRACKS and not folder.exists():
            raise ProjectError(
                f"`{name}` is a reserved word in tracks files and cannot name a person.",
                "Choose another name.",
            )
        return Person(name, folder)

    def person(self, name: str) -> Person:
        """A person who was added. Raises UnknownPerson (with similar names)."""
        self.check_not_removed(name)
        if name in self.people:
            return self.place_of(name)
        raise UnknownPerson(
            f"There is no person `{name}` in {self.folder}.",
            _choices(name, self.people, "Add a person first: understudy add NAME FILES..."),
        )

    def model_folder(self, name: str) -> Path:
        """Folder of the model `name`, which may not exist. Raises ProjectError for a bad name."""
        return self.models_folder / check_name(name, "model")

    def model(self, name: str | None = None) -> str:
        """Name of an existing model; without a name the only one.

        Raises:
            UnknownModel: with similar names, or because one must be chosen.
        """
        models = self.models
        if name is None and len(models) == 1:
            return models[0]
        if name is None and models:
            raise UnknownModel(
                f"There are several models in {self.folder}.",
                f"Choose one with --model: {', '.join(models)}.",
            )
        if name is not None and name in models:
            return name
        raise UnknownModel(
            f"There is no model `{name}` in {self.folder}."
            if name
            else f"There is no model in {self.folder} yet.",
            _choices(name or "", models, "Train one first: understudy train"),
        )


def _folders(folder: Path) -> list[str]:
    """Names of the people or models in `folder`, sorted; other files are skipped."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and is_name(entry.name)
    )


def _choices(name: str, known: Sequence[str], otherwise: str) -> str:
    """A remedy for an unknown name: similar names, else all names, else `otherwise`."""
    if near := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return f"Did you mean {' or '.join(f'`{one}`' for one in near)}?"
    return f"Known here: {', '.join(known)}." if known else otherwise

"""The project folder: plain files that anyone can inspect.

    project.toml                      settings, one section per stage
    people/NAME/consent.json          on what basis this face may be used
    people/NAME/footage.json          what was added, from where, with its hash
    people/NAME/footage/              the films and pictures
    people/NAME/faces/                the faceset
    people/removed.json               who was removed, and when
    revoked/                          withdrawn consents, as proof for what was made earlier
    models/NAME/                      checkpoints, previews and logs of one training
    exports/                          people as files for other programs and projects
    renders/                          converted films and reports
    cache/                            files that can be computed again; may be deleted

Only this module and `person` know these paths.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from understudy.errors import ProjectError, UnknownModel, UnknownPerson
from understudy.person import Person, check_name, is_name
from understudy.runtime import files
from understudy.safeguards import removed_names as removed
from understudy.safeguards.removed_names import Removal
from understudy.settings import AllSettings, load, template

MARKER = "project.toml"
_OF_TRACKS = frozenset({"auto", "none"})
"""Reserved words in the place of a person in tracks files. People who already have such a name
keep it, so that they can be removed."""


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

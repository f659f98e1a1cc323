"""A person in a project: their name, their footage, their folder.

people/NAME/consent.json          on what basis this face may be used
people/NAME/statement.*           the evidence for it, if there is any
people/NAME/earlier-consents/     records that newer ones replaced
people/NAME/footage.json          what was added, from where, with its hash
people/NAME/footage/              the films and pictures
people/NAME/faces/                the faceset
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import ProjectError
from understudy.runtime import files
from understudy.safeguards.consent_gate import Consent, Footing, read

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NUMBERED = re.compile(r"(.+)#([0-9]{1,4})")
_RESERVED = frozenset({"any", "all"})


def is_name(text: str) -> bool:
    """Whether `text` is a valid name of a person or a model."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, what: str) -> str:
    """Return `name` if it can name a person or a model.

    Args:
        what: "person" or "model", for the message.

    Raises:
        ProjectError: it is empty, too long, reserved or has other characters.
    """
    if not is_name(name):
        near = _near(name)
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


def _near(text: str) -> str:
    """`text` reduced to the characters of a name; the result may still not be a valid name."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64]


@dataclass(frozen=True)
class Portrait:
    """A photo with the source's face, as the user gives it.

    Attributes:
        photo: a picture file.
        number: which face in it, counted from the left from 1; None when it shows only one.
        consent, statement: on what basis its face may be used, as for `add`; None for a
            person of the project.
    """

    photo: Path
    number: int | None = None
    consent: Footing | None = None
    statement: Path | None = None

    @classmethod
    def parse(
        cls, text: str | Path, consent: Footing | None = None, statement: Path | None = None
    ) -> Self:
        """Parse `PHOTO`, or `PHOTO#2` for the second face from the left."""
        path = Path(text)
        numbered = _NUMBERED.fullmatch(str(text))
        if numbered and not path.exists():
            return cls(Path(numbered[1]), int(numbered[2]), consent, statement)
        return cls(path, None, consent, statement)

    @property
    def name(self) -> str:
        """A person's name made from the file name."""
        near = _near(self.photo.stem)
        return near if is_name(near) else "somebody"


class Footage(BaseModel):
    """One film or picture of a person, as `footage.json` lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """Name inside the footage folder."""
    source: str
    """Path of the original file."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1)]
    kind: Literal["video", "picture"]
    added_at: AwareDatetime
    facts: dict[str, Any]
    """Results of probing: size, codec, rate, rotation, length, sound."""


class _FootageIndex(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    footage: tuple[Footage, ...] = ()


@dataclass(frozen=True)
class Person:
    """One person of a project: `name`, and the `folder` with all their files."""

    name: str
    folder: Path

    @property
    def consent_file(self) -> Path:
        return self.folder / "consent.json"

    @property
    def earlier_folder(self) -> Path:
        """Consent records that newer ones replaced."""
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
        """The record in `consent.json`; None without one. Raises ConsentError when damaged."""
        return read(self.consent_file)

    @property
    def has_faces(self) -> bool:
        """Whether there is a faceset."""
        return (self.faces_folder / "faces.parquet").is_file()

    def index(self) -> tuple[Footage, ...]:
        """All footage added, in that order. Raises ProjectError when damaged."""
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
                "Restore it from a backup, or delete it and add the footage again; "
                "no film is lost.",
            ) from error

    def write_index(self, footage: Iterable[Footage]) -> None:
        """Replace `footage.json`. Raises StorageError."""
        value = _FootageIndex(footage=tuple(footage)).model_dump(mode="json")
        files.write_json(self.index_file, value)

    @property
    def footage(self) -> list[Path]:
        """Films and pictures that were added and still exist, in that order."""
        paths = (self.footage_folder / entry.file for entry in self.index())
        return [path for path in paths if path.is_file()]

"""Who was removed from a project: a name and a time, nothing else.

    people/removed.json

What is left of someone who was removed, so that asking for them is answered, and so that a
removal that was cut short is known to be unfinished.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from understudy.errors import ProjectError
from understudy.runtime import files


class Removal(BaseModel):
    """The removal of a person, and its time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: AwareDatetime
    finished: bool


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    removed: dict[str, Removal] = {}


def read(path: Path) -> dict[str, Removal]:
    """Everyone who was removed, by name. Raises ProjectError when the file is damaged."""
    if not path.exists():
        return {}
    try:
        return _Index.model_validate(files.read_json(path)).removed
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ProjectError(
            f"{path} is damaged: {where}: {first['msg']}.",
            "Restore it from a backup; it lists the people removed from this project.",
        ) from error


def note(path: Path, name: str, finished: bool) -> None:
    """Write down that `name` is being removed, or was. Raises ProjectError, StorageError."""
    now = datetime.now(UTC).replace(microsecond=0)
    removed = read(path) | {name: Removal(at=now, finished=finished)}
    files.write_json(path, _Index(removed=removed).model_dump(mode="json"))

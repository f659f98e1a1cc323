"""What is known of the frames that faces were cut from, for example of renders.

    {"schema_version": 1, "names": ["mouth open", ...], "people": {"id000": [[0.2, ...], ...]}}

A list for each person, with a row for each frame of their one film, in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from understudy import files
from understudy.errors import SettingsError
from understudy.types import Floats


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int
    names: list[str]
    people: dict[str, list[list[float]]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.schema_version != 1:
            raise ValueError(f"schema {self.schema_version} is not known here")
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError("every trait needs a name of its own")
        for person, rows in self.people.items():
            for number, row in enumerate(rows):
                if len(row) != len(self.names) or not all(map(math.isfinite, row)):
                    raise ValueError(
                        f"frame {number} of {person} has not one finite number for each name"
                    )
        return self


@dataclass(frozen=True)
class Labels:
    """Attributes:
    names: of T traits.
    people: for each person float32 (frames, T).
    """

    names: tuple[str, ...]
    people: dict[str, Floats]


def read_labels(path: Path) -> Labels:
    """Read a file of labels. Raises ProjectError when it is missing or no JSON, SettingsError."""
    try:
        found = _File.model_validate(files.read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:3]) or "the file"
        raise SettingsError(
            f"{path} does not hold labels: {where}: {first['msg']}.",
            "Correct it, or leave --labels out.",
        ) from error
    width = len(found.names)
    people = {
        person: np.asarray(rows, np.float32).reshape(-1, width)
        for person, rows in found.people.items()
    }
    return Labels(tuple(found.names), people)

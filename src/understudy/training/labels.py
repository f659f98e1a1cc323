"""Labels of the frames that faces were cut from, for example of renders.

    {"schema_version": 1, "names": ["mouth open", ...], "turning": ["yaw", ...],
     "people": {"id000": [[0.2, ...], ...]}}

A list for each person, with a row for each frame of their one film, in order. `turning` are the
names of those that change their sign when the picture is mirrored; none when it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from torch import Tensor

from understudy.errors import SettingsError
from understudy.facesets.split import Indices
from understudy.runtime import files
from understudy.types import Floats

MOST = 64
"""Largest number of traits."""

STILL = 1e-6
"""Smallest deviation of a trait: from a constant one nothing is learned."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int
    names: list[str]
    turning: list[str] = []
    people: dict[str, list[list[float]]]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.schema_version != 1:
            raise ValueError(f"schema {self.schema_version} is unknown")
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError("every trait needs a different name")
        if len(self.names) > MOST:
            raise ValueError(f"there are {len(self.names)} traits, but at most {MOST} are allowed")
        if strange := [name for name in self.turning if name not in self.names]:
            raise ValueError(f"`turning` names {strange[0]}, which is not a trait")
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
    turning: those of the traits that change their sign in a mirrored picture.
    """

    names: tuple[str, ...]
    people: dict[str, Floats]
    turning: tuple[str, ...] = ()


class Told:
    """Labels of the faces that are trained on, as a network is told them: in deviations from their
    mean over everyone; those that turn with the picture from 0.

    Args:
        labels: of the frames.
        frames: of each person's faces, int64 (N,), their frames in the film.
    """

    def __init__(self, labels: Labels, frames: Mapping[str, Indices]) -> None:
        rows = {one: torch.from_numpy(labels.people[one][places]) for one, places in frames.items()}
        everybody = torch.cat(list(rows.values()))
        turning = torch.tensor([name in labels.turning for name in labels.names])
        mean = torch.where(turning, 0, everybody.mean(0))
        deviation = (everybody - mean).square().mean(0).sqrt().clamp_min(STILL)
        self._rows = {one: (values - mean) / deviation for one, values in rows.items()}
        self._turns = torch.where(turning, -1.0, 1.0)

    def of(self, person: str, rows: Tensor, mirrored: Tensor, unknown: Tensor) -> Tensor:
        """Float32 (n, T) of some of a person's faces.

        Args:
            rows: int64 (n,).
            mirrored, unknown: bool (n,), which of the pictures are mirrored, and of which nothing
                is known after all: those become NaN.
        """
        values = self._rows[person][rows]
        values = torch.where(mirrored[:, None], values * self._turns, values)
        return values.masked_fill(unknown[:, None], math.nan)


def read_labels(path: Path) -> Labels:
    """Read a file of labels. Raises ProjectError when it is missing or not JSON, SettingsError."""
    try:
        found = _File.model_validate(files.read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:3]) or "the file"
        raise SettingsError(
            f"{path} is not a file with labels: {where}: {first['msg']}.",
            "Correct it, or remove --labels.",
        ) from error
    width = len(found.names)
    people = {
        person: np.asarray(rows, np.float32).reshape(-1, width)
        for person, rows in found.people.items()
    }
    return Labels(tuple(found.names), people, tuple(found.turning))

"""The inputs of an evaluation: film, swap, source and target.

A conversion leaves a record next to its film; the user need not repeat what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from understudy.conversion.request import check_swaps, tell_swaps
from understudy.errors import MediaError, ProjectError, SettingsError
from understudy.models.base import SwapModel
from understudy.runtime import files
from understudy.tracks.matching import EVERYBODY, ORDERED
from understudy.tracks.scan import film_hash
from understudy.workspace import Workspace


@dataclass(frozen=True)
class Chosen:
    """Which swap of which film, and who is who.

    Attributes:
        replace: None when everyone was replaced.
        start, end: the part of the film that was converted, seconds, end excluded.
    """

    film: Path
    swap: Path
    replace: str | None
    with_: str
    start: Fraction | None
    end: Fraction | None


def _record(swap: Path) -> dict[str, Any]:
    """The conversion's record next to its film; {} when there is none."""
    try:
        record = files.read_json(swap.with_suffix(".json"))
    except ProjectError:
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("film"), dict) else {}


def _swaps(record: Mapping[str, Any]) -> dict[str, str]:
    """Target: source, from a record; {} when it does not say."""
    swaps = record.get("swaps")
    known = swaps if isinstance(swaps, dict) else {}
    return {goes: comes for goes, comes in known.items() if not goes.startswith(ORDERED)}


def _render_of(
    project: Workspace, film: Path, model: str, replace: str | None, with_: str | None
) -> Path:
    """The newest film in the renders folder that was made of `film`. Raises MediaError."""
    digest = film_hash(film, project.cache_folder)
    found: list[tuple[float, Path]] = []
    for path in project.renders_folder.glob("*.json"):
        record = _record(path)
        if "preview" in record:
            continue
        try:
            fits = record["film"]["sha256"] == digest and record["model"]["name"] == model
            rendered = path.with_name(record["outputs"]["film"]["file"])
        except (KeyError, TypeError):
            continue
        fits = fits and any(
            replace in (None, goes) and with_ in (None, comes)
            for goes, comes in _swaps(record).items()
        )
        if fits and rendered.is_file():
            found.append((rendered.stat().st_mtime, rendered))
    if not found:
        raise MediaError(
            f"{project.renders_folder} contains no film that {model} made from {film.name}.",
            "Convert the film first, or give the result with --swap.",
        )
    return max(found)[1]


def choose(
    project: Workspace,
    model: str,
    network: SwapModel,
    film: Path,
    swap: Path | None,
    replace: str | None,
    with_: str | None,
) -> Chosen:
    """Who is who in which films. Raises MediaError, SettingsError, UnknownPerson."""
    for path in (film, *([swap] if swap else [])):
        if not path.is_file():
            raise MediaError(f"The file {path} does not exist.", "Check the name.")
    swap = swap or _render_of(project, film, model, replace, with_)
    record = _record(swap)
    if record and record["film"].get("sha256") != film_hash(film, project.cache_folder):
        raise MediaError(
            f"{swap.name} was made from {record['film'].get('name')}, not from {film.name}.",
            "Give the film that it was made from.",
        )
    swaps = _swaps(record)
    fitting = {
        goes: comes
        for goes, comes in swaps.items()
        if replace in (None, goes) and with_ in (None, comes)
    }
    if len(fitting) > 1:
        raise SettingsError(
            f"Several people were replaced in {swap.name}: {tell_swaps(fitting)}.",
            "Choose one of them with --replace.",
        )
    for goes, comes in fitting.items():
        replace, with_ = goes, comes
    if with_ is None:
        with_ = swaps.get(EVERYBODY)
    if with_ is None and replace in network.people and len(network.people) == 2:
        with_ = next(person for person in network.people if person != replace)
    if with_ is None or replace is None:
        missing = " and ".join(
            flag for flag, value in (("--replace", replace), ("--with", with_)) if value is None
        )
        raise SettingsError(f"No record names the faces of {swap.name}.", f"Give {missing}.")
    check_swaps({replace: with_})
    for person in (with_, *(() if replace == EVERYBODY else (replace,))):
        project.person(person)
    start, end = (
        None if record.get(side) is None else Fraction(record[side]) for side in ("start", "end")
    )
    return Chosen(film, swap, None if replace == EVERYBODY else replace, with_, start, end)

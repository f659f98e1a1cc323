"""Which films and pictures were made with a person: shown in them, or replaced.

The record next to a film, or next to the sheets of a command, names the consents it was made with;
a person who was only recognised, or only known to the model, is not in it. The
records of this installation list outputs written or moved elsewhere.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.errors import TrustError
from understudy.provenance import records
from understudy.provenance.credentials.credentials import SIDECAR
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.workspace import Person, Workspace


@dataclass(frozen=True)
class Made:
    """Attributes:
    files: in the renders folder, with their side files.
    elsewhere: names of other outputs, as they were when they were made.
    """

    files: tuple[Path, ...]
    elsewhere: tuple[str, ...]


def made_with(project: Workspace, person: Person, home: Home | None = None) -> Made:
    """All known outputs made with `person`."""
    folder = project.renders_folder
    found: set[Path] = set()
    known: defaultdict[str, set[Path]] = defaultdict(set)
    for note in sorted(folder.rglob("*.json")):
        if project.work_folder in note.parents or not isinstance(value := _read(note), dict):
            continue
        own, hashes = _outputs(note, value, person.name)
        found |= own
        for sha256, paths in hashes.items():
            known[sha256] |= paths
    for tracks in folder.rglob("*.tracks.toml"):
        if f'"{person.name}"' in tracks.read_text(encoding="utf-8", errors="replace"):
            found |= {path for path in (tracks, tracks.with_suffix(".png")) if path.is_file()}
    elsewhere = _elsewhere(home or Home.from_environment(), person, known)
    return Made(tuple(sorted(found)), elsewhere)


def _outputs(
    note: Path, value: dict[str, Any], name: str
) -> tuple[set[Path], dict[str, set[Path]]]:
    """Files that a note says were made with someone, and itself; and where all files that it
    speaks of are said to be, by their hash."""
    outputs = value.get("outputs")
    if not isinstance(outputs, dict):
        return (_beside(note) if name in _people(value) else set()), {}
    found: set[Path] = set()
    known: dict[str, set[Path]] = {}
    everybody = _people(value)
    for one in (one for one in outputs.values() if isinstance(one, dict)):
        path = note.parent / str(one.get("file"))
        known.setdefault(str(one.get("sha256")), set()).add(path)
        if name in one.get("people", everybody):
            found |= {path, path.with_name(path.name + SIDECAR)}
    found = {path for path in found if path.is_file()}
    return (found | {note} if found else found), known


def _people(value: dict[str, Any]) -> set[str]:
    """Whom a note says to be shown or replaced in its film."""
    if isinstance(consents := value.get("consents"), dict):
        return set(consents)
    swaps = value.get("swaps")
    found = {*swaps, *swaps.values()} if isinstance(swaps, dict) else set()
    return {str(one) for one in (*found, value.get("with"), value.get("replace")) if one}


def _beside(note: Path) -> set[Path]:
    """A note that names no files, and the files that go by its name."""
    stem = re.escape(note.name.removesuffix(".json").removesuffix(".report"))
    report = r"\.report" if note.name.endswith(".report.json") else "(-side-by-side|-matte)?"
    own = re.compile(rf"{stem}{report}\.[^.]+({re.escape(SIDECAR)})?")
    return {path for path in note.parent.iterdir() if path.is_file() and own.fullmatch(path.name)}


def _elsewhere(home: Home, person: Person, known: Mapping[str, set[Path]]) -> tuple[str, ...]:
    """Outputs that this installation's records say were made by a consent of the person, and
    that are not, to the byte, where notes say: `known`, by hash."""
    ids = set(consent_ids(person))
    found = []
    for path in sorted(home.records.glob("*.json")) if ids else ():
        try:
            record = records.read(path)
        except TrustError:
            continue
        if not ids & {one.id for one in record.facts.consents}:
            continue
        # Films are large: only those are read that could be it.
        if not any(_is(path, record.sha256) for path in known.get(record.sha256, ())):
            found.append(f"{record.file} ({record.facts.made_at:%Y-%m-%d})")
    return tuple(dict.fromkeys(found))


def _is(path: Path, sha256: str) -> bool:
    try:
        return files.sha256(path) == sha256
    except OSError:
        return False


def consent_ids(person: Person) -> Iterator[str]:
    """Numbers of the consent records of a person, also of earlier ones."""
    for path in (person.consent_file, *person.earlier_folder.glob("*/consent.json")):
        value = _read(path)
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            yield value["id"]


def _read(path: Path) -> object:
    """A JSON file; None when it cannot be read."""
    try:
        value: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value

"""Record models in the ledger: finished trainings, exports and deletions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from understudy.errors import CheckpointError, ConsentError, UnderstudyError
from understudy.models.checkpoint import checkpoints, load
from understudy.models.gallery import kept_in
from understudy.models.hashing import weights_hash
from understudy.progress import Progress
from understudy.provenance import model_lookup, model_records
from understudy.provenance.model_records import Kind, ModelRecord
from understudy.runtime import files
from understudy.runtime.installation import Home
from understudy.safeguards.consent_gate import Consent

if TYPE_CHECKING:
    from understudy.workspace import Workspace

MANIFEST = "manifest.json"
MEMORY = "optimizer-"
"""What names of files begin with that are no weights, but the optimiser's."""


def on_file(project: Workspace, people: Iterable[str]) -> dict[str, Consent]:
    """The consents of those of `people` who have one that can be read, by name."""
    found = {}
    for name in people:
        try:
            consent = project.place_of(name).consent
        except ConsentError:
            consent = None
        if consent is not None:
            found[name] = consent
    return found


def hashes_in(checkpoint: Path) -> dict[str, str]:
    """SHA-256 of a checkpoint's manifest, then of its weights, as trained and averaged, by file
    name. Raises OSError."""
    paths = [*checkpoint.glob(MANIFEST), *sorted(checkpoint.glob("*.safetensors"))]
    return {one.name: files.sha256(one) for one in paths if not one.name.startswith(MEMORY)}


def hashes_of(checkpoint: Path) -> list[str]:
    """The values of `hashes_in`."""
    return list(hashes_in(checkpoint).values())


def listed_in(checkpoint: Path) -> dict[str, str]:
    """SHA-256 of a checkpoint's weights by file name, as they were when they were written; empty
    when its manifest cannot be read."""
    try:
        told = json.loads((checkpoint / MANIFEST).read_bytes())["files"].items()
        return {
            str(name): str(sha256)
            for name, sha256 in told
            if name.endswith(".safetensors") and not name.startswith(MEMORY)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def enter_checkpoint(project: Workspace, name: str, kind: Kind = "training") -> None:
    """Enter the newest whole checkpoint of the model `name` with its galleries, unless all of
    them are there already. The caller is the model's only writer.

    Raises:
        CheckpointError: there are checkpoints, but all are damaged.
        TrustError, StorageError: as `model_records.enter`; the model itself is kept.
    """
    damaged: CheckpointError | None = None
    folder = project.model_folder(name)
    pictures = [files.sha256(path) for path in kept_in(folder)]
    for one in checkpoints(folder):
        if (one / MANIFEST).is_file():
            known = model_records.find(Home.from_environment(), files.sha256(one / MANIFEST))
            if any(set(pictures) <= set(record.files) for record in known):
                return
        try:
            snapshot = load(one)
        except CheckpointError as error:
            damaged = damaged or error
            continue
        model_records.enter(
            kind,
            name,
            hashes_of(one) + pictures,
            on_file(project, snapshot.average.people),
            weights_sha256=weights_hash(snapshot.average),
            base_sha256=snapshot.state.get("base"),
            steps=snapshot.state.get("step"),
        )
        return
    if damaged is not None:
        raise damaged


def enter_export(
    file: Path, model: str, kind: Kind, consents: Mapping[str, Consent], weights_sha256: str
) -> None:
    """Enter a file that was exported from `model`. Raises: as `model_records.enter`."""
    digest = files.sha256(file)
    model_records.enter(kind, model, [digest], consents, weights_sha256=weights_sha256)


def known_of(file: Path) -> list[str]:
    """A note about a file that is used again, if this installation wrote it."""
    known = model_lookup.search(Home.from_environment(), files.sha256(file))
    if known is None:
        return [
            f"{file.name} was not exported by this installation; its description and its statement "
            "of consent are unconfirmed."
        ]
    return [known.summary]


def check_not_deleted(file: Path, sha256: str | None = None) -> None:
    """Check that a model's file is not a copy of one that was deleted because of a person in it.

    Args:
        sha256: of the file, if it is known.

    Raises:
        ConsentError: it is.
        TrustError: a record that speaks of the file is damaged.
    """
    found = model_records.find(Home.from_environment(), sha256 or files.sha256(file))
    gone = [one for one in found if one.kind == "tombstone"]
    if gone:
        raise ConsentError(
            f"{file.name} was made with a person who was removed here on "
            f"{gone[-1].made_at:%Y-%m-%d}.",
            "Delete this copy. If they agree again, import their new consent, then train and "
            "export again.",
        )


def exported_with(ids: Collection[str], progress: Progress) -> list[str]:
    """SHA-256 of files that were exported here on one of these consents, wherever they are now;
    without those that have a tombstone already."""
    exported: dict[str, None] = {}
    gone: set[str] = set()
    for record in _records(progress):
        if record.kind == "tombstone":
            gone.update(record.files)
        elif record.kind in ("network", "decoder") and any(
            one.id in ids for one in record.consents
        ):
            exported.update(dict.fromkeys(record.files))
    return [one for one in exported if one not in gone]


def _records(progress: Progress) -> Iterator[ModelRecord]:
    """All readable records, oldest first; others cause a note."""
    for path in sorted((Home.from_environment().records / "models").glob("*.json")):
        try:
            yield ModelRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            progress.note(f"The record {path} cannot be read and was skipped.")


def enter_tombstone(
    hashes: Iterable[str], model: str, consents: Mapping[str, Consent], progress: Progress
) -> bool:
    """Record that files are deleted because a person in them is removed.

    The removal goes on when the ledger cannot be written, or `hashes` not be had; that is told.

    Returns:
        Whether the ledger holds it, and there was something to hold.
    """
    try:
        known = list(dict.fromkeys(hashes))
        if known:
            model_records.enter("tombstone", model, known, consents)
            return True
    except (UnderstudyError, OSError) as error:
        why = error.problem if isinstance(error, UnderstudyError) else str(error)
        progress.note(f"The removal from {model} could not be recorded in the ledger: {why}")
    return False

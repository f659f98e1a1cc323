"""Models in the ledger: the end of a training, what is exported, and what is deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from understudy import files, model_search
from understudy.errors import ConsentError, UnderstudyError
from understudy.models.checkpoint import checkpoints, load_model, load_state
from understudy.progress import Progress
from understudy.render import weights_hash
from understudy.trust import model_records
from understudy.trust.consent import Consent
from understudy.trust.home import Home
from understudy.trust.model_records import Kind

if TYPE_CHECKING:
    from understudy.project_folder import ProjectFolder

MANIFEST = "manifest.json"


def on_file(project: ProjectFolder, people: Iterable[str]) -> dict[str, Consent]:
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


def hashes_of(checkpoint: Path) -> list[str]:
    """SHA-256 of a checkpoint's manifest, then of its weights, as trained and averaged."""
    paths = [checkpoint / MANIFEST, *sorted(checkpoint.glob("*.safetensors"))]
    return [files.sha256(one) for one in paths if not one.name.startswith("optimizer-")]


def enter_checkpoint(project: ProjectFolder, name: str, kind: Kind = "training") -> None:
    """Enter the newest checkpoint of the model `name`, unless it is there already. The caller is
    the model's only writer.

    Raises:
        CheckpointError: it is damaged.
        TrustError, StorageError: as `model_records.enter`; the model itself is kept.
    """
    folder = project.model_folder(name)
    whole = [one for one in checkpoints(folder) if (one / MANIFEST).is_file()]
    if not whole:
        return
    newest = whole[0]
    if model_records.find(Home.from_environment(), files.sha256(newest / MANIFEST)):
        return
    network, state = load_model(folder), load_state(folder) or {}
    model_records.enter(
        kind,
        name,
        hashes_of(newest),
        on_file(project, network.people),
        weights_sha256=weights_hash(network),
        base_sha256=state.get("base"),
        steps=state.get("step"),
    )


def enter_export(
    file: Path, model: str, kind: Kind, consents: Mapping[str, Consent], weights_sha256: str
) -> None:
    """Enter a file that was exported from `model`. Raises: as `model_records.enter`."""
    digest = files.sha256(file)
    model_records.enter(kind, model, [digest], consents, weights_sha256=weights_sha256)


def known_of(file: Path) -> list[str]:
    """What is to be said of a file that comes back, if this installation wrote it."""
    known = model_search.search(Home.from_environment(), files.sha256(file))
    if known is None:
        return [
            f"{file.name} was not exported by this installation; what it says of itself and of the "
            "consent is its maker's word."
        ]
    return [known.summary]


def enter_tombstone(
    paths: Iterable[Path], model: str, consents: Mapping[str, Consent], progress: Progress
) -> None:
    """Enter that files are deleted, because somebody whose face they know is removed.

    The removal goes on when the ledger cannot be written; that is told.
    """
    try:
        hashes = [files.sha256(path) for path in paths]
        if hashes:
            model_records.enter("tombstone", model, hashes, consents)
    except (UnderstudyError, OSError) as error:
        why = error.problem if isinstance(error, UnderstudyError) else str(error)
        progress.note(f"The ledger does not hold what is removed of {model}: {why}")

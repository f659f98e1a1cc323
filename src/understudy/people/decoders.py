"""Export a person's decoder from a model to a file, and import it into another.

    understudy person export eva --model trio
    understudy person import trio-eva.decoder.safetensors --model duo

The file also holds the person's gallery where the model keeps one, unless it is left out.

A decoder works only with the encoder that it was trained with. So it fits only a model whose
encoder is the same, to the bit: a copy of the model, or one to which others joined with
`--freeze-encoder` since. Everything else is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from understudy.errors import CheckpointError, ConsentError, SettingsError
from understudy.facesets.permission import permit
from understudy.models import gallery as galleries
from understudy.models.checkpoint import (
    Snapshot,
    checkpoints,
    complete,
    load_model,
    load_newest,
    replace,
)
from understudy.models.gallery import Gallery
from understudy.models.hashing import digest
from understudy.people.decoder_file import Label, read, write
from understudy.progress import Progress
from understudy.provenance.model_registry import (
    check_not_deleted,
    enter_checkpoint,
    enter_export,
    known_of,
)
from understudy.runtime import files
from understudy.safeguards import consent_gate as consents
from understudy.safeguards.consent_gate import Consent
from understudy.training.adding_people import check_decoders, encoder_digest, with_person
from understudy.training.schedule import State
from understudy.workspace import Workspace, check_name

SUFFIX = ".decoder.safetensors"


@dataclass(frozen=True)
class DecoderReport:
    """What was written or taken in.

    Attributes:
        file: the decoder file.
        person, model: whose decoder, out of or into which model.
        label: the description in the file.
        pictures: in the gallery of the file; 0 when it has none.
    """

    file: Path
    person: str
    model: str
    label: Label
    pictures: int = 0


def export_person(
    project: Workspace,
    person: str,
    model: str,
    output: Path | None,
    progress: Progress,
    gallery: bool = True,
) -> DecoderReport:
    """Write the decoder of `person` in `model` as a file.

    Args:
        output: MODEL-PERSON.decoder.safetensors in the project's folder `exports` when None.
        gallery: with the person's gallery, where the model has one.

    Raises:
        UnknownPerson, UnknownModel: no such person or model.
        ConsentError: the person's face may not be used.
        SettingsError: the model has no decoder of the person, or one for everyone.
        CheckpointError: the model or the gallery is damaged.
        StorageError: the file cannot be written.
        TrustError: it cannot be entered in the ledger; no file is left.
    """
    consent = permit(project, person, "convert", "shown")
    consents.require(project.person(person), "publish")
    network = load_model(project.model_folder(model), progress.note)
    network.check_swaps()
    network.decoder(person)
    weights = network.parts()[f"decoder-{person}"]
    own = _gallery_of(project.model_folder(model), person, progress) if gallery else None
    label = Label(
        schema_version=1 if own is None else 2,
        understudy=version("understudy"),
        exported_at=datetime.now(UTC).replace(microsecond=0),
        person=person,
        network=network.network,
        size=network.size,
        encoder_sha256=encoder_digest(network),
        weights_sha256=digest(weights),
        consent=consent,
        gallery_sha256=None if own is None else own.sha256,
    )
    output = output or project.exports_folder / f"{model}-{person}{SUFFIX}"
    files.clear_leftovers(output)
    with files.atomic(output) as temporary:
        write(temporary, label, weights, own)
        enter_export(temporary, model, "decoder", {person: consent}, label.weights_sha256)
    return DecoderReport(output, person, model, label, len(own or ()))


def _gallery_of(folder: Path, person: str, progress: Progress) -> Gallery | None:
    """The gallery that a model keeps of a person. Raises CheckpointError when it is damaged."""
    path = galleries.path_of(folder, person)
    if not path.exists():
        progress.note(
            f"The model {folder.name} has no gallery of {person}, so the file contains none."
        )
        return None
    try:
        return galleries.read(path)
    except CheckpointError as error:
        raise CheckpointError(
            error.problem,
            "Delete that file and run `understudy train` with the same model again to create a "
            "new one; or export with --no-gallery.",
        ) from error


def import_person(
    project: Workspace, file: Path, model: str, statement: Path | None, progress: Progress
) -> DecoderReport:
    """Take the decoder in `file` into `model`, with its gallery, and its person into the project.

    The consent on file in the project holds; for a person new to it the record in the file does,
    with the written agreement where it speaks of one.

    Args:
        statement: the written agreement, for a person new to the project who granted the use.

    Raises:
        CheckpointError: the file is damaged, of another kind, network or size, or its encoder is
            not the model's; or the model is damaged.
        SettingsError: the model knows the person already, or has no decoders of their own.
        ConsentError: the consent does not hold, the agreement is missing or another, or the file
            is a copy of one that was deleted here when its person was removed.
        UnknownPerson: the person was removed from the project.
        ProjectError: the file has a person's name that is not valid, or the model is in use.
        StorageError: the disk said no; the model is as it was.
        TrustError: a record of the file is damaged, and nothing was done; or the model cannot be
            entered in the ledger, and the person is in it.
    """
    label, weights, gallery = read(file)
    person = check_name(label.person, "person")
    project.check_not_removed(person)
    check_not_deleted(file)
    folder = project.model_folder(model)
    with files.only_writer(folder / ".lock", f"the model {model}"):
        complete(folder)
        snapshot = load_newest(folder, progress.note)
        if snapshot is None:
            raise CheckpointError(
                f"The model {model} has no checkpoint yet.", "Train it first: understudy train."
            )
        _check_fit(file, label, model, snapshot)
        try:
            joined = with_person(snapshot, person, weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"The weights in {file} are incompatible with {label.network} at {label.size} px "
                f"({str(error).splitlines()[0]}).",
                "Export the person again with the version of understudy that you use here.",
            ) from error
        _settle(project, label, statement)
        state = State.from_json(snapshot.state)
        state.begin_course([])
        made = Snapshot(
            joined.model, joined.average, joined.optimizer, joined.settings, state.json()
        )
        newest = next(one for one in checkpoints(folder) if int(one.name) == state.step)
        with _gallery_kept(folder, person, gallery):
            replace(newest, made)
        enter_checkpoint(project, model, "import")
    for sentence in known_of(file):
        progress.note(sentence)
    return DecoderReport(file, person, model, label, len(gallery or ()))


@contextmanager
def _gallery_kept(folder: Path, person: str, gallery: Gallery | None) -> Iterator[None]:
    """Store an imported gallery with the model, unless the enclosed work fails.

    It comes before the decoder: a person whom the model knows cannot be imported again, so a
    process that is killed in between must not leave the decoder alone.

    Raises:
        StorageError
    """
    path = galleries.path_of(folder, person)
    galleries.remove(path)
    if gallery is not None:
        galleries.write(path, gallery, f"imported {gallery.sha256}")
    try:
        yield
    except BaseException:
        galleries.remove(path)
        raise


def _check_fit(file: Path, label: Label, model: str, snapshot: Snapshot) -> None:
    """Raises CheckpointError, SettingsError."""
    network = snapshot.model
    check_decoders(type(network))
    if label.person in network.people:
        raise SettingsError(
            f"The model {model} already has a decoder of {label.person}.",
            "Nothing was changed. Import it into a copy of the model without that person.",
        )
    if (label.network, label.size) != (network.network, network.size):
        raise CheckpointError(
            f"{file} is for {label.network} at {label.size} px; the model {model} is "
            f"{network.network} at {network.size} px.",
            "Import it into a model with the same network and size.",
        )
    if label.encoder_sha256 != encoder_digest(snapshot.average):
        raise CheckpointError(
            f"{file} belongs to another encoder than that of {model}; it would draw only noise.",
            f"Train {label.person} here (it takes minutes): understudy train --add-person "
            f"{label.person} --freeze-encoder --name {model}",
        )


@dataclass(frozen=True)
class _Named:
    name: str
    consent: Consent | None


def _settle(project: Workspace, label: Label, statement: Path | None) -> None:
    """See that the person is in the project with a consent that holds. Raises ConsentError."""
    name = label.person
    if name in project.people:
        permit(project, name, "convert", "shown")
        return
    record = label.consent
    consents.require(_Named(name, record), "convert", roles=["shown"])
    folder = project.place_of(name).folder
    if record.statement is not None:
        if statement is None:
            raise ConsentError(
                f"{name} granted the use in writing, but the agreement is missing.",
                "Give it with --statement FILE.",
            )
        if consents.evidence(statement).sha256 != record.statement.sha256:
            raise ConsentError(
                f"{statement} is not the agreement that the consent of {name} names.",
                "Give the unchanged original of the agreement.",
            )
        with files.atomic(folder / record.statement.file) as temporary:
            shutil.copyfile(statement, temporary)
    consents.write(folder / "consent.json", record)

"""A trained person as one file that other programs read.

    understudy export ada --model duo                    exports/duo-ada.dfm
    understudy export ada --kind onnx --replace chen

    model, person, consent -> graph -> do torch and ONNX Runtime agree on held-out faces? -> file

The file holds one person's decoder and everyone's encoder; with --replace also the decoder of
the target, for the mask of the replaced face.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.errors import FacesError, TrainingError
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit
from understudy.models.base import SwapModel
from understudy.models.checkpoint import load_model
from understudy.models.hashing import weights_hash
from understudy.models.onnx.card import Card, Kind, grant
from understudy.models.onnx.runner import Graph
from understudy.models.onnx.safety import Contract
from understudy.models.onnx.whole_face import window
from understudy.models.onnx.writer import graph, module, write
from understudy.progress import Progress
from understudy.provenance.model_registry import enter_export
from understudy.provenance.seal import check_ready
from understudy.runtime import files
from understudy.safeguards.consent_gate import require
from understudy.types import Floats
from understudy.workspace import Workspace

FACES = 16
"""Held-out faces of each person that torch and ONNX Runtime are compared on."""

HELD_OUT = 0.1
TOLERANCE = 1e-4
"""Largest difference between the two, where pixels are 0..1; a fortieth of what 8 bits can
tell apart."""


@dataclass(frozen=True)
class ExportReport:
    """What an export did.

    Attributes:
        output: the file; card: what it says of itself.
        side: of the pictures that it takes, in pixels; bytes: of the file.
    """

    output: Path
    card: Card
    side: int
    bytes: int


def export(
    project: Workspace,
    person: str,
    model: str,
    kind: Kind,
    replaced: str | None,
    output: Path | None,
    progress: Progress,
) -> ExportReport:
    """Write `person` of `model` to a separate file.

    Args:
        kind: see `models.onnx.writer`.
        replaced: target whose mask of the replaced face is stored; the person's own when None.
        output: MODEL-PERSON.KIND in the project's folder `exports` when None.

    Raises:
        UnknownPerson, UnknownModel: no such person or model.
        ConsentError: a person whose decoder is stored may not be used.
        CheckpointError: the model is damaged.
        SettingsError: the network has no decoder of that person or cannot be written, or a
            library is missing.
        FacesError: there is no face to compare torch and ONNX Runtime on.
        TrainingError: the two differ by more than `TOLERANCE`; no file is left.
        TrustError: the file cannot be entered in the ledger; none is left.
        StorageError: the disk said no.
    """
    people = [person, *([replaced] if replaced else [])]
    consents = {}
    for name in people:
        consents[name] = permit(project, name, "convert", "shown" if name == person else "replaced")
        require(project.person(name), "publish")
    network = load_model(project.model_folder(model), progress.note).plain()
    network.check_swaps()
    for name in people:
        network.decoder(name)
    check_ready(project.settings.trust)
    crops = _held_out(project, network)
    with progress.task(f"export {person}", "steps", 2) as task:
        proto = graph(network, person, replaced, kind)
        task.step()
        side = window(network.size).side if kind == "dfm" else network.size
        contract = Contract(kind, side, None, False, None)
        difference = _difference(network, person, replaced, proto, contract, crops)
        task.step()
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"ONNX Runtime draws {person} differently from torch, by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g}), so nothing was written.",
            "Train the model longer, and report this if it happens again.",
        )
    card = Card(
        understudy=version("understudy"),
        exported_at=datetime.now(UTC).replace(microsecond=0),
        kind=kind,
        person=person,
        replaced=replaced,
        model=model,
        network=network.network,
        weights_sha256=weights_hash(network),
        size=network.size,
        learned=network.learns_mask,
        consents={name: grant(consent) for name, consent in consents.items()},
        difference=difference,
        checked=len(crops),
    )
    output = output or project.exports_folder / f"{model}-{person}.{kind}"
    files.clear_leftovers(output)
    with files.atomic(output) as temporary:
        write(temporary, proto, card)
        enter_export(temporary, model, "network", consents, card.weights_sha256)
    return ExportReport(output, card, side, output.stat().st_size)


def _held_out(project: Workspace, network: SwapModel) -> Floats:
    """Core crops that the model was not trained on: float32 (N, S, S, 3), RGB 0..1, with the
    margin of the stored crops. Raises FacesError."""
    found = []
    for name in network.people:
        if name not in project.people_with_faces:
            continue
        faceset = Faceset.open(project.person(name).faces_folder)
        rows = faceset.split(HELD_OUT)[1]
        chosen = rows[np.linspace(0, len(rows) - 1, min(FACES, len(rows))).round().astype(int)]
        found.append(faceset.load(network.size, rows=[int(row) for row in chosen]).images)
    if not sum(map(len, found)):
        raise FacesError(
            "No person of this model has a faceset in this project, so there is no face to compare "
            "torch and ONNX Runtime on.",
            "Extract the footage of one of them first: understudy extract PERSON",
        )
    return np.asarray(np.concatenate(found) / np.float32(255), np.float32)


def _inputs(pictures: Floats, size: int, kind: Kind) -> Floats:
    """The input of the exported network, from stored crops with their margin."""
    margin = (pictures.shape[1] - size) // 2
    if kind == "onnx":
        core = pictures[:, margin : margin + size, margin : margin + size]
        return np.ascontiguousarray(core.transpose(0, 3, 1, 2))
    where = window(size)
    # The whole-face crop is cut out around the core; outside the stored crop its edge is repeated.
    pad = where.side
    wide = np.pad(pictures, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    x, y = (pad + margin - low for low in (where.x, where.y))
    return np.ascontiguousarray(wide[:, y : y + where.side, x : x + where.side, ::-1])


def _difference(
    network: SwapModel,
    person: str,
    replaced: str | None,
    proto: Any,
    contract: Contract,
    pictures: Floats,
) -> float:
    """Largest difference between torch and ONNX Runtime over all outputs."""
    torched = module(network, person, replaced, contract.kind)
    runtime = Graph(proto.SerializeToString(), contract, f"the graph of {person}")
    largest = 0.0
    for first in range(0, len(pictures), FACES):
        inputs = _inputs(pictures[first : first + FACES], network.size, contract.kind)
        with torch.inference_mode():
            expected = [one.numpy() for one in torched(torch.from_numpy(inputs))]
        for one, other in zip(expected, runtime(inputs), strict=True):
            # A NaN must not pass as the smaller one.
            difference = float(np.abs(one - other).max())
            largest = difference if np.isnan(difference) else max(largest, difference)
            if np.isnan(largest):
                return largest
    return largest

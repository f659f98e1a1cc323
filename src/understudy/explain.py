"""See inside a model: what it is made of, and what its latent knows.

    understudy explain MODEL

Into `renders/explain-MODEL/`:

    explain.json            every number: layers, latent, what was measured on faces
    decoders.png            the same latent through every decoder
    PERSON-kept.png         held-out faces, redrawn from less and less of their latent
    PERSON-axes.png         what changes along the first principal axes of the latents
    PERSON-traits.png       heat map: how mouth, eyes, head and light go with these axes

A principal axis is a direction in which the latents of the person's training faces vary; the
first is the one in which they vary most (Pearson, 1901). A network with one decoder for everybody
has one set of axes, and its files are `everybody-...`. Sheets of faces are labelled, marked and
sealed as converted films are; the heat map, which shows none, is not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy import files
from understudy.compute import choose_device
from understudy.drawing import weights_hash
from understudy.encoded import encode_people
from understudy.finishing_drawn import Finisher
from understudy.inside import Look, draw_decoders
from understudy.models import load_model
from understudy.models.anatomy import Anatomy, dissect
from understudy.models.checkpoint import load_state
from understudy.permission import permit
from understudy.progress import Progress, silent
from understudy.sealing import check_ready, pictured
from understudy.settings import ExplainSettings

if TYPE_CHECKING:
    from understudy.project import Project

SCHEMA_VERSION = 2

CONVENTIONS = {
    "mac": "a multiplication with its addition, for one face; convolutions and linear layers",
    "receptive_field": "side in pixels of what the middle unit sees of the picture, followed back "
    "through the network on the picture itself, cut at its edge",
    "projective_field": "side in pixels of what the middle unit touches in the drawn picture",
    "time_share": "of encoding and decoding one face, median of the passes; what runs between "
    "layers is in no share",
    "axes": "principal axes of the latents of the person's training faces",
    "ssim": "means over held-out faces, inside the face, against the picture",
    "correlations": "Pearson's, of the faces' coordinates along each axis with the trait",
    "r2": "share of a trait's variance that a ridge regression on the whole latent predicts on "
    "held-out faces",
}


@dataclass(frozen=True)
class ExplainReport:
    """Attributes:
    folder: where everything is.
    figures: what `explain.json` holds.
    anatomy: the layers.
    """

    folder: Path
    figures: dict[str, Any]
    anatomy: Anatomy


def explain(
    project: Project,
    model: str,
    output: Path | None,
    settings: ExplainSettings,
    progress: Progress | None = None,
) -> ExplainReport:
    """Take `model` apart, and look at what its latent knows about the people's faces.

    Args:
        output: folder; one in the renders folder when None.

    Raises:
        UnknownPerson, ConsentError: of the people in the model.
        CheckpointError: the model is damaged or has no checkpoint.
        FacesError: too few faces to look at.
        TrustError, ContentError: what is drawn cannot be sealed.
        StorageError: the output cannot be written.
    """
    progress = progress or silent()
    home = project.model_folder(model)
    network = load_model(home, progress.note)
    state = load_state(home) or {}
    consents = {name: permit(project, name, "convert", "shown") for name in network.people}
    trust = project.settings.trust
    check_ready(trust)
    weights = weights_hash(network)
    network.to(choose_device(settings.device))
    folder = output or project.renders_folder / f"explain-{model}"
    groups = [(name,) for name in network.people] if network.swaps else [network.people]
    about = {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "model": {
            "name": model,
            "network": network.network,
            "size": network.size,
            "people": list(network.people),
            "weights_sha256": weights,
        },
        "step": state.get("step"),
        "settings": settings.model_dump(mode="json"),
    }
    job = {**about, "trust": pictured(trust)}
    finisher = Finisher(trust, job, "Faces redrawn", consents, weights)
    inside: dict[str, Any] = {}
    with progress.task(f"explain {model}", "parts", len(groups) + 2) as task:
        anatomy = dissect(network, network.people[0], settings.passes)
        task.step()
        encoded = []
        for names in groups:
            group = encode_people(project, network, names, state.get("held_out", 0.1))
            inside[group.name] = Look(network, group, settings, folder, finisher).all()
            encoded.append(group)
            task.step()
        draw_decoders(network, encoded, settings, folder, finisher)
        task.step()
    for note in finisher.notes:
        progress.note(note)
    figures = {
        **about,
        "conventions": CONVENTIONS,
        **_of(anatomy),
        "people": inside,
        **finisher.told(),
    }
    files.write_json(folder / "explain.json", figures)
    return ExplainReport(folder, figures, anatomy)


def _of(anatomy: Anatomy) -> dict[str, Any]:
    names = {"sees": "receptive_field", "draws": "projective_field", "share": "time_share"}
    narrow = anatomy.narrowest
    return {
        "layers": [
            {names.get(key, key): value for key, value in asdict(layer).items()}
            for layer in anatomy.layers
        ],
        "parameters": anatomy.parameters,
        "macs": {"encode": anatomy.macs("encode"), "decode": anatomy.macs("decode")},
        "seconds": anatomy.seconds,
        "latent": {
            "shape": anatomy.latent,
            "numbers": int(np.prod(anatomy.latent)),
            "narrowest": {"layer": narrow.name, "numbers": narrow.numbers},
        },
    }

"""See inside a model: what it is made of, and what its latent knows.

    understudy explain MODEL
    understudy explain MODEL --film FILM

Into `renders/explain-MODEL/`:

    explain.json            every number: layers, latent, what was measured on faces
    decoders.png            the same latent through every decoder
    PERSON-kept.png         held-out faces, redrawn from less and less of their latent
    PERSON-axes.png         what changes along the first principal axes of the latents
    PERSON-traits.png       heat map: how mouth, eyes, head and light go with these axes
    PERSON-gallery.png      the pictures from which the drawn face takes detail
    PERSON-for-OTHER.png    moments of FILM, and which of these pictures are used there

A principal axis is a direction in which the latents of the person's training faces vary; the
first is the one in which they vary most (Pearson, 1901). A network with one decoder for everyone
has one set of axes, and its files are `everyone-...`. Sheets of faces are labelled, marked and
sealed as converted films are; the heat map, which shows none, is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.conversion.finish_drawn import Finisher
from understudy.conversion.gallery_explained import chart, told
from understudy.conversion.gallery_in_film import look_up
from understudy.errors import SettingsError
from understudy.evaluation.inspection.encoded import encode_people
from understudy.evaluation.inspection.layers import Anatomy, dissect
from understudy.evaluation.inspection.sheets import Look, draw_decoders
from understudy.facesets.permission import permit
from understudy.media.contact_sheet import WEBP_QUALITY
from understudy.models.checkpoint import load_model, load_state
from understudy.models.gallery import Gallery, path_of, read
from understudy.models.hashing import weights_hash
from understudy.progress import Progress, silent
from understudy.provenance.seal import check_ready, pictured
from understudy.runtime import files
from understudy.runtime.devices import choose_device
from understudy.settings import ExplainSettings

if TYPE_CHECKING:
    from understudy.workspace import Workspace

SCHEMA_VERSION = 2

CONVENTIONS = {
    "mac": "multiply-add operations for one face, in convolutions and linear layers",
    "receptive_field": "width in pixels of the area that the middle unit sees, traced back "
    "through the network on the picture itself, cut at its edge",
    "projective_field": "width in pixels of the drawn area that the middle unit affects",
    "time_share": "share of the time to encode and decode one face, median of the passes; "
    "work between layers is not counted",
    "axes": "principal axes of the latents of the person's training faces",
    "ssim": "means over held-out faces, inside the face, against the picture",
    "correlations": "Pearson's, of the faces' coordinates along each axis with the trait",
    "galleries": "yaw, pitch: minimum and maximum, degrees; eyes shut: less than three "
    "quarters as open as usual; mouth open: 0.3 times as high as wide",
    "fit": "how well eyes and mouth of the nearest picture fit, mean over frames; below half, the "
    "network's face is reported as kept there",
    "r2": "share of a trait's variance that a ridge regression on the whole latent predicts on "
    "held-out faces",
}


@dataclass(frozen=True)
class ExplainReport:
    """Attributes:
    folder: where everything is.
    figures: contents of `explain.json`.
    anatomy: the layers.
    """

    folder: Path
    figures: dict[str, Any]
    anatomy: Anatomy


def explain(
    project: Workspace,
    model: str,
    output: Path | None,
    settings: ExplainSettings,
    progress: Progress | None = None,
    film: Path | None = None,
) -> ExplainReport:
    """Analyse `model`: its layers, and what its latent contains of the people's faces.

    Args:
        output: folder; one in the renders folder when None.
        film: report which gallery pictures it would use, and which are missing.

    Raises:
        UnknownPerson, ConsentError: of the people in the model.
        CheckpointError: the model is damaged or has no checkpoint.
        FacesError: too few faces, or the film shows no possible target.
        SettingsError: there is a film, and the model has no gallery.
        MediaError: the film cannot be read.
        TrustError, ContentError: the output cannot be sealed.
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
    galleries = _galleries(home, network.people)
    if film is not None and not galleries:
        raise SettingsError(
            f"The model {model} has no gallery, so there is nothing to report for a film.",
            f"Create one: understudy train --name {model}; or remove --film.",
        )
    looked_up = None if film is None else look_up(project, film, galleries, progress)
    pictures = {
        "galleries": {name: gallery.sha256 for name, gallery in galleries.items()},
        "film": None if looked_up is None else looked_up[0],
    }
    job = {**about, **pictures, "trust": pictured(trust)}
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
    for name, gallery in galleries.items():
        path = folder / f"{name}-gallery.{settings.format}"
        finisher.still(path, chart(name, gallery), (name,), WEBP_QUALITY)
    in_film = [] if looked_up is None else looked_up[1]
    for one in in_film:
        path = folder / f"{one.comes}-for-{one.goes}.{settings.format}"
        finisher.still(path, one.sheet, (one.comes, one.goes), WEBP_QUALITY)
    for note in finisher.notes:
        progress.note(note)
    figures = {
        **about,
        "conventions": CONVENTIONS,
        **_of(anatomy),
        "people": inside,
        "galleries": {name: told(gallery) for name, gallery in galleries.items()},
        "film": None
        if film is None
        else {
            "name": film.name,
            "sha256": pictures["film"],
            "swaps": [one.facts for one in in_film],
            "missing": [sentence for one in in_film for sentence in one.sentences],
        },
        **finisher.told(),
    }
    files.write_json(folder / "explain.json", figures)
    return ExplainReport(folder, figures, anatomy)


def _galleries(home: Path, people: Sequence[str]) -> dict[str, Gallery]:
    """Those that the model has. Raises CheckpointError when one is damaged."""
    paths = {name: path_of(home, name) for name in people}
    return {name: read(path) for name, path in paths.items() if path.exists()}


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

"""The plan of a conversion: sources, targets and models, before anything is drawn.

    request -> sources, targets, consents -> the film's faces -> the source for each track

`convert` and `preview` both start with it, and therefore refuse the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy.conversion.detailer import NO_GALLERIES, Detailed, Galleries
from understudy.conversion.finish import source_notes
from understudy.conversion.gallery_drawer import GalleryWarp
from understudy.conversion.onnx_swapper import ExportedArtist
from understudy.conversion.outputs import check_part
from understudy.conversion.own_gallery import own_galleries, shapes_of
from understudy.conversion.portrait import sit
from understudy.conversion.request import WARP, ConversionRequest, check_swaps
from understudy.conversion.swapper import Artist, Cast, Draws, Trained
from understudy.conversion.warp import Warp
from understudy.errors import ProjectError, SettingsError
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit, permit_recognised
from understudy.media.film_light import check_light
from understudy.media.video import MediaInfo, probe
from understudy.models import gallery
from understudy.models.base import SwapModel
from understudy.models.checkpoint import load_model
from understudy.models.onnx.card import is_exported
from understudy.progress import Progress
from understudy.provenance.inspect import guarded
from understudy.provenance.label.label import check_label
from understudy.provenance.seal import check_ready, pictured
from understudy.runtime.devices import choose_device
from understudy.safeguards.consent_gate import Consent, Role
from understudy.safeguards.content_guard.guard import require
from understudy.tracks.identify import Search, identify
from understudy.tracks.matching import (
    Match,
    mean_identity,
    named,
    require_match,
    summary,
)
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.scan import film_hash
from understudy.tracks.tracks_file import Orders, Wanted, read_orders
from understudy.types import Floats
from understudy.workspace import Workspace

SCHEMA_VERSION = 2
"""Version of the records next to films and pictures."""


@dataclass(frozen=True)
class Plan:
    """Sources and targets, all allowed; the film has not been searched yet.

    Attributes:
        request: what was wanted.
        info: of the film.
        swaps: target: source, with those of a tracks file; sorted.
        artist: who draws; `drawers` are the artist's, by the target.
        consents: of every source and target, by name.
        identities: mean embedding of everyone with a faceset, by name.
        reason: why there is no visible label, if there is none.
        orders: of the tracks file, if there is one.
    """

    request: ConversionRequest
    info: MediaInfo
    swaps: dict[str, str]
    artist: Artist
    drawers: Mapping[str, Draws]
    consents: dict[str, Consent]
    identities: Mapping[str, Floats]
    reason: str | None
    orders: Orders | None


@dataclass(frozen=True)
class Seen:
    """The film's faces, and the person recognised in each track.

    Attributes:
        found: the scan.
        matches: one for each track.
        consents: those of the plan, and of recognised people replaced by `any`.
        notes: what the user should know about the film; already shown.
    """

    found: MendedScan
    matches: tuple[Match, ...]
    consents: dict[str, Consent]
    notes: tuple[str, ...]


def plan(project: Workspace, request: ConversionRequest, progress: Progress) -> Plan:
    """Settle who plays whom, before the film is looked through.

    Raises: as `convert.convert`, except for the film's faces and for writing.
    """
    swaps, film, portrait = request.swaps, request.film, request.portrait
    check_part(request.start, request.end)
    orders = None
    if request.tracks is not None:
        probe(film)  # says what is wrong with a film that is none
        people = {*project.people, *swaps.values(), *([portrait.name] if portrait else [])}
        sha256 = film_hash(film, project.cache_folder)
        wanted = Wanted(
            film=film.name,
            sha256=sha256,
            settings=request.scan,
            people=people,
            start=request.start,
            end=request.end,
        )
        orders = read_orders(request.tracks, wanted)
        swaps = orders.joined(swaps, request.tracks)
    check_swaps(swaps)
    swaps = dict(sorted(swaps.items()))
    artist, consents = choose_artist(project, request, swaps, progress)
    drawers = drawers_of(artist, swaps)
    identities = mean_identities(project, named(swaps))
    reason = check_label(request.settings.label, request.settings.label_reason)
    check_ready(project.settings.trust)
    info = probe(film)
    check_light(info)
    return Plan(
        request=request,
        info=info,
        swaps=swaps,
        artist=artist,
        drawers=drawers,
        consents=consents,
        identities=identities,
        reason=reason,
        orders=orders,
    )


def look_for(project: Workspace, planned: Plan, progress: Progress) -> Seen:
    """Find every target of the plan in the film.

    Raises:
        MediaError, TrustError: the film cannot be read, or the content guard failed.
        ContentError: the content guard refuses it.
        FacesError: a target was not found.
        ConsentError: a recognised person may not be replaced.
    """
    request, orders = planned.request, planned.orders
    part = (request.start, request.end) if orders is None else orders.part
    notes = source_notes(request.film)
    verdict = guarded(request.film, "film", request.start, request.end)
    require(verdict, request.film.name)
    notes += verdict.doubts()
    for sentence in notes:
        progress.note(sentence)
    search = Search(project.cache_folder, request.scan, request.settings.same_person, *part)
    found = identify(
        request.film,
        planned.identities,
        replace=planned.swaps,
        search=search,
        progress=progress,
        orders=None if orders is None or request.tracks is None else (request.tracks, orders),
    )
    matches = found.matches
    require_match(matches, planned.swaps, search.same_person, request.film.name)
    others = permit_recognised(project, matches, planned.swaps, search.same_person)
    progress.note(summary(matches, planned.swaps, request.film.name))
    return Seen(found.scan, matches, {**planned.consents, **others}, tuple(notes))


def record_of(project: Workspace, planned: Plan, seen: Seen) -> dict[str, Any]:
    """What went into a film or a preview, as JSON; equal exactly when the same comes out, as far
    as it does not hang on how that is encoded."""
    request = planned.request
    return {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "film": {"name": request.film.name, "sha256": seen.found.sha256},
        "start": None if request.start is None else str(request.start),
        "end": None if request.end is None else str(request.end),
        "swaps": planned.swaps,
        "model": planned.artist.facts(),
        "consents": {
            name: consent.model_dump(mode="json", exclude_none=True)
            for name, consent in sorted(seen.consents.items())
        },
        "settings": {
            "scan": request.scan.model_dump(mode="json"),
            "convert": request.settings.model_dump(mode="json"),
            "trust": pictured(project.settings.trust),
        },
        "tracks": [asdict(match) for match in seen.matches],
    }


def drawers_of(artist: Artist, swaps: Mapping[str, str]) -> dict[str, Draws]:
    """The drawers by target. Raises SettingsError when the artist cannot draw a source."""
    return {goes: artist.drawer(goes, comes) for goes, comes in swaps.items()}


def cast_of(
    drawers: Mapping[str, Draws], matches: Sequence[Match], found: MendedScan | None = None
) -> Cast:
    """The sources, each with the tracks of its target.

    Args:
        found: the film's faces; with them detail is chosen for whole tracks, which is steadier than
            for each frame.
    """
    by_track = {m.track: drawers[m.as_] for m in matches if m.as_ is not None}
    if found is not None:
        for drawer in {id(one): one for one in by_track.values()}.values():
            if isinstance(drawer, Detailed) and drawer.detailer is not None:
                tracks = {track for track, own in by_track.items() if own is drawer}
                faces = ((row.index, face) for row in found for face in row.faces)
                drawer.detailer.follow(faces, tracks)
    return Cast(by_track)


def choose_artist(
    project: Workspace,
    request: ConversionRequest,
    swaps: Mapping[str, str],
    progress: Progress,
) -> tuple[Artist, dict[str, Consent]]:
    """The artist, and the consent of every source and target.

    Args:
        swaps: who goes: who comes, those of a tracks file too.

    Raises:
        UnknownPerson, UnknownModel, ProjectError, ConsentError, CheckpointError, SettingsError,
        MediaError, FacesError: as `convert`.
    """
    model, portrait, settings = request.model, request.portrait, request.settings
    stills = []
    if portrait is not None:
        check_warp(model, swaps)
        # The face networks take seconds to import; scanned films do not need them.
        from understudy.faces.analyser import FaceAnalyser

        comes = next(iter(swaps.values()))
        analyser = FaceAnalyser(request.scan)
        stills = [
            sit(
                project,
                portrait,
                comes,
                analyser=analyser,
                same_person=settings.same_person,
                progress=progress,
            )
        ]
    warps = not stills and model == WARP and model not in project.models
    if warps:
        check_pictured(project, swaps)
    people = sorted({*named(swaps), *swaps.values()})
    consents = {name: permit(project, name, "convert", *_roles(name, swaps)) for name in people}
    for name, consent in consents.items():
        if "publish" not in consent.purposes:
            progress.note(
                f"The consent of {name} does not cover publishing: do not share the output."
            )
    if stills:
        return Warp(stills, settings), consents
    if warps:
        own = own_galleries(project, swaps, progress)
        return GalleryWarp(own, settings, choose_device(settings.device)), consents
    if model is not None and is_exported(model):
        exported = ExportedArtist(Path(model), settings)
        for note in exported.check(swaps, consents):
            progress.note(note)
        if settings.detail > 0:
            exported = exported.with_galleries(own_galleries(project, swaps, progress))
            if lacking := _lacking(swaps, exported.galleries):
                progress.note(
                    f"The project has no faces of {lacking}: the swap is as soft as "
                    f"{Path(model).name} draws it. For finer detail, add footage and run: "
                    "understudy extract"
                )
        return exported, consents
    name = project.model(model)
    network = load_model(project.model_folder(name), progress.note)
    galleries = galleries_of(project, name, swaps) if settings.detail > 0 else NO_GALLERIES
    if settings.detail > 0 and (lacking := _lacking(swaps, galleries)):
        progress.note(
            f"The model {name} has no gallery of {lacking}: the swap is as "
            f"soft as the network draws it. To create one: {_again(project, name, network)}"
        )
    device = choose_device(settings.device)
    return Trained(name, network, settings, device, galleries), consents


def galleries_of(project: Workspace, model: str, swaps: Mapping[str, str]) -> Galleries:
    """The galleries of every source, and the face shapes of the targets, where there are any.

    Raises:
        CheckpointError: a gallery is damaged.
        ProjectError: so is a faceset.
    """
    folder = project.model_folder(model)
    paths = {name: gallery.path_of(folder, name) for name in sorted(set(swaps.values()))}
    own = {name: gallery.read(path) for name, path in paths.items() if path.exists()}
    return Galleries(own, shapes_of(project, swaps) if own else {})


def _again(project: Workspace, name: str, network: SwapModel) -> str:
    """The command that continues a model's training and creates missing galleries."""
    usual, words = project.settings.train, ["understudy train --name", name]
    if network.network != usual.network:
        words += ["--network", network.network]
    if network.size != usual.size and len(network.sizes) > 1:
        words += ["--size", str(network.size)]
    return " ".join(words)


def _lacking(swaps: Mapping[str, str], galleries: Galleries) -> str:
    """The sources without a gallery, in words; empty when all have one."""
    return " and ".join(sorted(set(swaps.values()) - set(galleries.own)))


def _roles(name: str, swaps: Mapping[str, str]) -> list[Role]:
    """The roles of a person in `swaps`."""
    roles: list[Role] = []
    if name in swaps.values():
        roles.append("shown")
    if name in swaps:
        roles.append("replaced")
    return roles


def check_warp(model: str | None, swaps: Mapping[str, str]) -> None:
    """Raises SettingsError when a photo's face cannot be what these request for."""
    if model not in (None, WARP):
        raise SettingsError(
            f"--face cannot be combined with --model {model}.",
            f"Remove --face, or use --model {WARP}.",
        )
    if len(comes := set(swaps.values())) > 1:
        raise SettingsError(
            f"A photo shows one person, but {' and '.join(sorted(comes))} are named as sources.",
            "Convert the film once for each source, or train a model.",
        )


def check_pictured(project: Workspace, swaps: Mapping[str, str]) -> None:
    """Raises UnknownPerson, SettingsError when there are no pictures of a source."""
    comes = sorted(set(swaps.values()))
    lacking = [name for name in comes if not project.person(name).has_faces]
    if lacking:
        raise SettingsError(
            "The warp needs a photo or a faceset of the source; there is neither for "
            f"{' and '.join(lacking)}.",
            f"Run: understudy extract {' '.join(lacking)}; or give a photo: --face PHOTO "
            "--with NAME (the person it shows).",
        )


def mean_identities(project: Workspace, wanted: Sequence[str]) -> dict[str, Floats]:
    """Mean embedding of everyone with a faceset. Raises ProjectError, FacesError."""
    names = project.people_with_faces
    if missing := [name for name in wanted if name not in names]:
        raise ProjectError(
            f"{' and '.join(missing)} {'have' if len(missing) > 1 else 'has'} no faceset and "
            "cannot be recognised in the film.",
            f"Run: understudy extract {' '.join(missing)}, or use --replace any.",
        )
    found = {}
    for name in names:
        embeddings = Faceset.open(project.person(name).faces_folder).embeddings
        if len(embeddings) or name in wanted:
            found[name] = mean_identity(embeddings)
    return found

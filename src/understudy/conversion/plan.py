"""The plan of a conversion: sources, targets and models, before anything is drawn.

    request -> sources, targets, consents -> the film's faces -> the source for each track

`convert` and `preview` both start with it, and therefore refuse the same requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
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
from understudy.person import Portrait
from understudy.progress import Progress
from understudy.provenance.inspect import guarded
from understudy.provenance.label.label import check_label
from understudy.provenance.seal import check_ready, pictured
from understudy.runtime.devices import choose_device
from understudy.safeguards.consent_gate import Consent, Role
from understudy.safeguards.content_guard.guard import require
from understudy.settings import ConvertSettings, ScanSettings
from understudy.tracks.matching import (
    WARP,
    Match,
    check_swaps,
    match_tracks,
    mean_identity,
    named,
    require_match,
    summary,
)
from understudy.tracks.repair import mend
from understudy.tracks.repaired_scan import MendedScan
from understudy.tracks.scan import film_hash, scan
from understudy.tracks.tracks_file import Orders, Wanted, obey, read_orders
from understudy.types import Floats
from understudy.workspace import Workspace

SCHEMA_VERSION = 2
"""Version of the records next to films and pictures."""


@dataclass(frozen=True)
class Ask:
    """A request for a film.

    Attributes:
        film: to work on.
        swaps: target: source. The target is a person of the project, or "any" for every face
            that no other name claims; the source is a person that the model knows. Two people
            may be exchanged.
        model: of the project, or an exported file; the only one of the project when None.
        settings, scan: how faces are drawn and found.
        start, end: part of the film in seconds, end excluded.
        portrait: a photo of the source, without a network; `model` is "warp" or None. With the
            model "warp" and no photo, the pictures of the faceset are used.
        tracks: a tracks file, whose choices override `swaps`; these may then be empty.
    """

    film: Path
    swaps: Mapping[str, str]
    model: str | None
    settings: ConvertSettings
    scan: ScanSettings
    start: Fraction | None = None
    end: Fraction | None = None
    portrait: Portrait | None = None
    tracks: Path | None = None


@dataclass(frozen=True)
class Plan:
    """Sources and targets, all allowed; the film has not been searched yet.

    Attributes:
        ask: the request.
        info: of the film.
        swaps: target: source, with those of a tracks file; sorted.
        artist: who draws; `drawers` are the artist's, by the target.
        consents: of every source and target, by name.
        identities: mean embedding of everyone with a faceset, by name.
        reason: why there is no visible label, if there is none.
        orders: of the tracks file, if there is one.
    """

    ask: Ask
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


def plan(project: Workspace, ask: Ask, progress: Progress) -> Plan:
    """Decide sources and targets, before the film is searched.

    Raises: as `convert.convert`, except for the film's faces and for writing.
    """
    swaps, film, portrait = ask.swaps, ask.film, ask.portrait
    check_part(ask.start, ask.end)
    orders = None
    if ask.tracks is not None:
        probe(film)  # raises if it is not a film
        people = {*project.people, *swaps.values(), *([portrait.name] if portrait else [])}
        sha256 = film_hash(film, project.cache_folder)
        wanted = Wanted(film.name, sha256, ask.scan, people, ask.start, ask.end)
        orders = read_orders(ask.tracks, wanted)
        swaps = orders.joined(swaps, ask.tracks)
    check_swaps(swaps)
    swaps = dict(sorted(swaps.items()))
    artist, consents = choose_artist(
        project, ask.model, swaps, portrait, ask.settings, ask.scan, progress
    )
    drawers = drawers_of(artist, swaps)
    identities = mean_identities(project, named(swaps))
    reason = check_label(ask.settings.label, ask.settings.label_reason)
    check_ready(project.settings.trust)
    info = probe(film)
    check_light(info)
    return Plan(ask, info, swaps, artist, drawers, consents, identities, reason, orders)


def look_for(project: Workspace, planned: Plan, progress: Progress) -> Seen:
    """Find every target of the plan in the film.

    Raises:
        MediaError, TrustError: the film cannot be read, or the content guard failed.
        ContentError: the content guard refuses it.
        FacesError: a target was not found.
        ConsentError: a recognised person may not be replaced.
    """
    ask, orders = planned.ask, planned.orders
    part = (ask.start, ask.end) if orders is None else orders.part
    notes = source_notes(ask.film)
    verdict = guarded(ask.film, "film", ask.start, ask.end)
    require(verdict, ask.film.name)
    notes += verdict.doubts()
    for sentence in notes:
        progress.note(sentence)
    found = mend(scan(ask.film, project.cache_folder, ask.scan, progress, *part))
    matches = match_tracks(
        found.tracks,
        planned.identities,
        planned.swaps,
        ask.settings.same_person,
        together=found.together,
        brief=found.brief,
    )
    if orders is not None and ask.tracks is not None:
        found, matches = obey(orders, ask.tracks, found, matches)
    require_match(matches, planned.swaps, ask.settings.same_person, ask.film.name)
    others = permit_recognised(project, matches, planned.swaps, ask.settings.same_person)
    progress.note(summary(matches, planned.swaps, ask.film.name))
    return Seen(found, tuple(matches), {**planned.consents, **others}, tuple(notes))


def record_of(project: Workspace, planned: Plan, seen: Seen) -> dict[str, Any]:
    """The inputs of a film or a preview, as JSON; equal exactly when the result is the same, apart
    from its encoding."""
    ask = planned.ask
    return {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "film": {"name": ask.film.name, "sha256": seen.found.sha256},
        "start": None if ask.start is None else str(ask.start),
        "end": None if ask.end is None else str(ask.end),
        "swaps": planned.swaps,
        "model": planned.artist.facts(),
        "consents": {
            name: consent.model_dump(mode="json", exclude_none=True)
            for name, consent in sorted(seen.consents.items())
        },
        "settings": {
            "scan": ask.scan.model_dump(mode="json"),
            "convert": ask.settings.model_dump(mode="json"),
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
    model: str | None,
    swaps: Mapping[str, str],
    portrait: Portrait | None,
    settings: ConvertSettings,
    scan_settings: ScanSettings,
    progress: Progress,
) -> tuple[Artist, dict[str, Consent]]:
    """The artist, and the consent of every source and target.

    Raises:
        UnknownPerson, UnknownModel, ProjectError, ConsentError, CheckpointError, SettingsError,
        MediaError, FacesError: as `convert`.
    """
    stills = []
    if portrait is not None:
        check_warp(model, swaps)
        # The face networks take seconds to import; scanned films do not need them.
        from understudy.faces.analyser import FaceAnalyser

        comes = next(iter(swaps.values()))
        analyser = FaceAnalyser(scan_settings)
        stills = [sit(project, portrait, comes, analyser, settings.same_person, progress)]
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
    """Raises SettingsError when a photo's face cannot be the requested source."""
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

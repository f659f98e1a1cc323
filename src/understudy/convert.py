"""Stage 5: a film and a model in, the film with the other face out.

    understudy convert FILM --replace B --with A
    understudy convert FILM --replace ben=ada --replace eva=chen
    understudy convert FILM --replace B --model warp --face PHOTO --with A
    understudy convert FILM --replace B --model a.dfm --with A

Two passes: the film is scanned for faces (cached), then rendered segment by segment. Decoding,
the network and encoding overlap; memory does not grow with the film. A stopped or killed
conversion goes on after its last finished segment when the same command is given again, and
comes out the same to the byte.

    renders/FILM-A-for-B.mp4          the film (FILM-A-for-B-and-C-for-D.mp4, ...)
    renders/FILM-A-for-B.json         what went into it
    renders/.work/KEY/                finished segments, until the film is joined
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy import files
from understudy.compute import choose_device
from understudy.data.faceset import Faceset
from understudy.errors import ProjectError, SettingsError
from understudy.exchange.card import is_exported
from understudy.exported import ExportedArtist
from understudy.finishing import Work, finish, source_notes
from understudy.looking import guarded
from understudy.matching import (
    WARP,
    Match,
    check_swaps,
    in_name,
    match_tracks,
    mean_identity,
    named,
    require_match,
    summary,
)
from understudy.media.video import (
    SEGMENT_SUFFIX,
    SegmentWriter,
    probe,
)
from understudy.mending import mend
from understudy.models import load_model
from understudy.orders import Wanted, obey, read_orders
from understudy.permission import permit
from understudy.person import Portrait
from understudy.portrait import sit
from understudy.progress import Progress, silent
from understudy.project import Project
from understudy.render import (
    MATTE,
    SIDE,
    Artist,
    Cast,
    Trained,
)
from understudy.scan import film_hash, scan
from understudy.sealing import Origin, check_ready, clear_leftovers, pictured, record_number
from understudy.settings import ConvertSettings, EncodeSettings, ScanSettings
from understudy.targets import Target, check, check_part, check_space, choose
from understudy.trust.consent import Consent, Role
from understudy.trust.guard import require
from understudy.trust.label import check_label
from understudy.types import Floats
from understudy.warp import Warp

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion did.

    Attributes:
        output: the film; `side_by_side` and `matte` when they were asked for.
        record: JSON file with what went into the film.
        frames: in the film; `swapped` of these were changed.
        seconds: that this run took, everything included.
        frames_per_second: of the frames that this run rendered, with decoding and encoding and
            without the scan; 0 when nothing was left to render.
        matches: what every track of the film was taken for.
        notes: what the user should know, for example that sound was encoded anew.
    """

    output: Path
    side_by_side: Path | None
    matte: Path | None
    record: Path
    frames: int
    swapped: int
    seconds: float
    frames_per_second: float
    matches: tuple[Match, ...]
    notes: tuple[str, ...]


def convert(
    project: Project,
    film: Path,
    swaps: Mapping[str, str],
    model: str | None,
    output: Path | None,
    settings: ConvertSettings,
    encode: EncodeSettings,
    scan_settings: ScanSettings,
    start: Fraction | None = None,
    end: Fraction | None = None,
    progress: Progress | None = None,
    portrait: Portrait | None = None,
    tracks: Path | None = None,
) -> ConvertReport:
    """Put other faces in the place of people's faces in `film`.

    Args:
        swaps: who goes: who comes. Who goes is a person of the project, or "any" for every
            face that no other name claims; who comes is a person that the model knows. Two
            people may take each other's places.
        model: of the project, or an exported file; the only one of the project when None.
        output: film to write; named after film and people in the renders folder when None.
        start, end: part of the film in seconds, end excluded.
        portrait: a photo whose face comes, without a network; `model` is "warp" or None.
        tracks: a tracks file, whose orders win over `swaps`; these may be none then.

    Raises:
        UnknownPerson, UnknownModel, ProjectError: no such person or model.
        ConsentError: somebody who goes or comes may not be used.
        CheckpointError: the model is damaged or has no checkpoint.
        SettingsError: the model was not trained on who comes, or settings contradict each other.
        MediaError: the film cannot be read, or the output cannot be what its name says.
        FacesError: somebody who goes was not found in the film, or the portrait does not show
            one face.
        ProjectLocked: another process makes the same film.
        StorageError: the output cannot be written or the disk is too small.
        KeyboardInterrupt: finished segments are kept.
    """
    began = time.monotonic()
    progress = progress or silent()
    check_part(start, end)
    orders = None
    if tracks is not None:
        probe(film)  # says what is wrong with a film that is none
        people = {*project.people, *swaps.values(), *([portrait.name] if portrait else [])}
        sha256 = film_hash(film, project.cache_folder)
        wanted = Wanted(film.name, sha256, scan_settings, people, start, end)
        orders = read_orders(tracks, wanted)
        swaps = orders.joined(swaps, tracks)
    check_swaps(swaps)
    swaps = dict(sorted(swaps.items()))
    artist, consents = choose_artist(
        project, model, swaps, portrait, settings, scan_settings, progress
    )
    drawers = {goes: artist.drawer(goes, comes) for goes, comes in swaps.items()}
    identities = mean_identities(project, named(swaps))
    trust = project.settings.trust
    reason = check_label(settings.label, settings.label_reason)
    check_ready(trust)
    info = probe(film)
    target = Target.named(project.renders_folder, film, in_name(swaps), output, settings, encode)
    check(target, film)
    with files.storage_errors(project.renders_folder):
        project.renders_folder.mkdir(exist_ok=True)
    check_space(target, project.renders_folder, info, start, end)
    notes = SegmentWriter(target.film.with_suffix(SEGMENT_SUFFIX), info, encode).notes

    part = (start, end) if orders is None else orders.part
    of_source = source_notes(film)
    for sentence in of_source:
        progress.note(sentence)
    verdict = guarded(film, "film", start, end)
    require(verdict, film.name)
    found = mend(scan(film, project.cache_folder, scan_settings, progress, *part))
    matches = match_tracks(
        found.tracks,
        identities,
        swaps,
        settings.same_person,
        together=found.together,
        brief=found.brief,
    )
    if orders is not None and tracks is not None:
        found, matches = obey(orders, tracks, found, matches)
    require_match(matches, swaps, settings.same_person, film.name)
    progress.note(summary(matches, swaps, film.name))
    cast = Cast({match.track: drawers[match.as_] for match in matches if match.as_ is not None})

    job: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "understudy": version("understudy"),
        "film": {"name": film.name, "sha256": found.sha256},
        "start": None if start is None else str(start),
        "end": None if end is None else str(end),
        "swaps": swaps,
        "model": artist.facts(),
        "consents": {
            name: consent.model_dump(mode="json", exclude_none=True)
            for name, consent in consents.items()
        },
        "settings": {
            "scan": scan_settings.model_dump(mode="json"),
            "convert": settings.model_dump(mode="json"),
            "encode": encode.model_dump(mode="json"),
            "trust": pictured(trust),
        },
        "tracks": [asdict(match) for match in matches],
    }
    key = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:32]
    folder = project.renders_folder / ".work" / key
    with files.only_writer(folder.with_suffix(".lock"), f"the conversion of {film.name}"):
        target = choose(target, key, given=output is not None)
        files.write_json(folder / "job.json", {"output": str(target.film), **job})
        origin = Origin(
            record_number(key),
            film,
            found.sha256,
            artist.facts().get("weights_sha256"),
            consents,
            settings.label,
            reason,
            trust.strength,
        )
        work = Work(
            folder,
            film,
            info,
            found,
            cast,
            start,
            end,
            target,
            origin,
            settings,
            encode,
            trust,
        )
        rendering = time.monotonic()
        lock = hashlib.sha256(str(target.film.absolute()).encode()).hexdigest()[:32]
        with files.only_writer(folder.with_name(f"{lock}.lock"), str(target.film)):
            for path in (*target.outputs.values(), target.record):
                clear_leftovers(path)
            finished = finish(work, {**job, "key": key}, [*of_source, *notes], progress)
        elapsed = time.monotonic() - rendering
        shutil.rmtree(folder)
    return ConvertReport(
        output=target.film,
        side_by_side=target.outputs.get(SIDE),
        matte=target.outputs.get(MATTE),
        record=target.record,
        frames=finished.frames,
        swapped=finished.swapped,
        seconds=time.monotonic() - began,
        frames_per_second=finished.rendered / elapsed if finished.rendered else 0.0,
        matches=tuple(matches),
        notes=finished.notes,
    )


def choose_artist(
    project: Project,
    model: str | None,
    swaps: Mapping[str, str],
    portrait: Portrait | None,
    settings: ConvertSettings,
    scan_settings: ScanSettings,
    progress: Progress,
) -> tuple[Artist, dict[str, Consent]]:
    """Who draws, and the consent of everybody who goes or comes.

    Raises:
        UnknownPerson, UnknownModel, ProjectError, ConsentError, CheckpointError, SettingsError,
        MediaError, FacesError: as `convert`.
    """
    stills = []
    if portrait is not None:
        check_warp(model, swaps)
        # The face networks take seconds to import; films that were scanned need none of them.
        from understudy.faces.analyser import FaceAnalyser

        comes = next(iter(swaps.values()))
        analyser = FaceAnalyser(scan_settings)
        stills = [sit(project, portrait, comes, analyser, settings.same_person, progress)]
    elif model == WARP and model not in project.models:
        raise SettingsError(
            "The warp needs a photo of who comes.",
            "Give it: --face PHOTO, with --with NAME for whose face it shows.",
        )
    people = sorted({*named(swaps), *swaps.values()})
    consents = {name: permit(project, name, "convert", *_roles(name, swaps)) for name in people}
    for name, consent in consents.items():
        if "publish" not in consent.purposes:
            progress.note(
                f"The consent of {name} does not cover publishing: keep what is made to yourself."
            )
    if stills:
        return Warp(stills, settings), consents
    if model is not None and is_exported(model):
        exported = ExportedArtist(Path(model), settings)
        for note in exported.check(swaps, consents):
            progress.note(note)
        return exported, consents
    name = project.model(model)
    network = load_model(project.model_folder(name), progress.note)
    return Trained(name, network, settings, choose_device(settings.device)), consents


def _roles(name: str, swaps: Mapping[str, str]) -> list[Role]:
    """In which roles somebody is in `swaps`."""
    roles: list[Role] = []
    if name in swaps.values():
        roles.append("shown")
    if name in swaps:
        roles.append("replaced")
    return roles


def check_warp(model: str | None, swaps: Mapping[str, str]) -> None:
    """Raises SettingsError when a photo's face cannot be what these ask for."""
    if model not in (None, WARP):
        raise SettingsError(
            f"A photo's face comes without a model, but --model {model} was given.",
            f"Leave --face out, or take --model {WARP}.",
        )
    if len(comes := set(swaps.values())) > 1:
        raise SettingsError(
            f"A photo shows one person, but {' and '.join(sorted(comes))} are to come.",
            "Convert the film once for each, or train a model.",
        )


def mean_identities(project: Project, wanted: Sequence[str]) -> dict[str, Floats]:
    """Mean embedding of everybody with a faceset. Raises ProjectError, FacesError."""
    names = project.people_with_faces
    if missing := [name for name in wanted if name not in names]:
        raise ProjectError(
            f"{' and '.join(missing)} {'have' if len(missing) > 1 else 'has'} no faceset, so "
            "nobody knows whom to replace.",
            f"Run: understudy extract {' '.join(missing)}, or take --replace any.",
        )
    found = {}
    for name in names:
        embeddings = Faceset.open(project.person(name).faces_folder).embeddings
        if len(embeddings) or name in wanted:
            found[name] = mean_identity(embeddings)
    return found

"""Swap faces in one picture.

understudy convert PICTURE --replace B --with A
understudy convert PICTURE --model warp --face PHOTO --with A
understudy convert PICTURE --model warp --swap-faces

renders/PICTURE-A-for-B.png       the picture; its description says what it is
renders/PICTURE-A-for-B.json      its inputs and settings
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from understudy.conversion.convert import ConvertReport
from understudy.conversion.finish_still import PICTURES, Changed, publish_still
from understudy.conversion.outputs import Target, check, named_after
from understudy.conversion.plan import cast_of, choose_artist, drawers_of, mean_identities
from understudy.conversion.portrait import from_left, places
from understudy.conversion.render import FILM, MATTE, SIDE
from understudy.conversion.request import ConversionRequest, check_swaps
from understudy.conversion.warp import Still, Warp, Warper
from understudy.errors import ConsentError, FacesError, MediaError, SettingsError
from understudy.faces.analyser import FaceAnalyser
from understudy.facesets.permission import permit, permit_recognised
from understudy.media.probe import read_still
from understudy.progress import Progress
from understudy.safeguards.consent_gate import Consent, Footing, settle
from understudy.settings import ConvertSettings, ScanSettings
from understudy.tracks.matching import EVERYBODY, match_tracks, require_match, summary
from understudy.types import Face, Frame, Image, Track
from understudy.workspace import Workspace


def convert_still(
    project: Workspace, request: ConversionRequest, progress: Progress
) -> ConvertReport:
    """Swap faces in a picture.

    Arguments and errors as for `convert.convert`; a picture has neither parts nor tracks.
    """
    began = time.monotonic()
    picture, settings, scan_settings = request.film, request.settings, request.scan
    if request.start is not None or request.end is not None:
        raise SettingsError(
            f"{picture.name} is a picture; --start and --end are only for films.",
            "Remove --start and --end.",
        )
    if request.tracks is not None:
        raise SettingsError(
            f"{picture.name} is a picture; --tracks is only for films.", "Remove --tracks."
        )
    check_swaps(request.swaps)
    swaps = dict(sorted(request.swaps.items()))
    names = "-and-".join(f"{comes}-for-{goes}" for goes, comes in swaps.items())
    target = _target(project, picture, names, output=request.output, settings=settings)
    artist, consents = choose_artist(project, request, swaps, progress)
    drawers = drawers_of(artist, swaps)
    named = [goes for goes in swaps if goes != EVERYBODY]
    identities = mean_identities(project, named)
    image = read_still(picture)
    analyser = FaceAnalyser(scan_settings)
    faces = [
        replace(face, track=number, embedding=analyser.embed(image, face) if identities else None)
        for number, face in enumerate(from_left(analyser.faces(image)))
    ]
    tracks = [Track(face.track, 0, 0, 0, 1, face.embedding) for face in faces]
    matches = match_tracks(tracks, identities, swaps, settings.same_person)
    require_match(matches, swaps, settings.same_person, picture.name)
    consents |= permit_recognised(project, matches, swaps, settings.same_person)
    progress.note(summary(matches, swaps, picture.name))
    cast = cast_of(drawers, matches)
    frame = _frame(image)
    facts = artist.facts()
    job = {
        "swaps": swaps,
        "model": facts,
        "consents": {name: _told(consent) for name, consent in consents.items()},
        "tracks": [asdict(match) for match in matches],
    }
    patches = cast.patches([(frame, faces)])[0]
    replaced = tuple(face for face in faces if cast.replaces(face))
    return publish_still(
        project,
        target,
        picture=picture,
        frame=frame,
        changed=Changed(
            patches=tuple(patches),
            faces=tuple(faces),
            replaced=replaced,
            consents=consents,
            model_sha256=facts.get("weights_sha256"),
        ),
        job=job,
        settings=settings,
        scan_settings=scan_settings,
        given=request.output is not None,
        began=began,
        matches=matches,
    )


def swap_faces(
    project: Workspace,
    picture: Path,
    consent: Footing | None,
    statement: Path | None,
    output: Path | None,
    settings: ConvertSettings,
    scan_settings: ScanSettings,
) -> ConvertReport:
    """Exchange the two faces in a picture, by warping.

    Args:
        consent, statement: on what basis the faces may be used; not needed for people of the
            project who are recognised by their faceset.

    Raises:
        FacesError: the picture does not show two faces.
        ConsentError: nothing allows the use of one of them.
        MediaError, SettingsError, ProjectError, StorageError: as `convert.convert`.
    """
    began = time.monotonic()
    target = _target(project, picture, "faces-swapped", output=output, settings=settings)
    image = read_still(picture)
    analyser = FaceAnalyser(scan_settings)
    faces = [
        replace(face, track=number) for number, face in enumerate(from_left(analyser.faces(image)))
    ]
    if len(faces) != 2:
        found = f"{len(faces)}: {places(faces)}" if faces else "none"
        raise FacesError(
            f"Exchanging faces needs exactly two faces; {picture} shows {found}.",
            "Use a picture of two people, or crop it to two faces.",
        )
    consents, told = _consents_of(
        project, image, faces, analyser, settings=settings, footing=consent, statement=statement
    )
    left, right = (
        Still(name, image, face) for name, face in zip(("left", "right"), faces, strict=True)
    )
    patches = [
        patch
        for still, face in ((right, left.face), (left, right.face))
        if (patch := Warper(still, settings).patch(image, face)) is not None
    ]
    job = {
        "swaps": {"left": "right", "right": "left"},
        "model": Warp([left, right], settings).facts(),
        "consents": told,
    }
    return publish_still(
        project,
        target,
        picture=picture,
        frame=_frame(image),
        changed=Changed(
            patches=tuple(patches),
            faces=tuple(faces),
            replaced=tuple(faces),
            consents=consents,
            model_sha256=None,
        ),
        job=job,
        settings=settings,
        scan_settings=scan_settings,
        given=output is not None,
        began=began,
        matches=(),
    )


def _consents_of(
    project: Workspace,
    image: Image,
    faces: Sequence[Face],
    analyser: FaceAnalyser,
    settings: ConvertSettings,
    footing: Footing | None,
    statement: Path | None,
) -> tuple[dict[str, Consent], dict[str, Any]]:
    """Consent for the left and the right face: the person's, where it is one of the project's,
    else the one stated now; and what a record says of them. Raises ConsentError."""
    identities = mean_identities(project, [])
    consents, told = {}, {}
    for side, face in zip(("left", "right"), faces, strict=True):
        known = None
        if identities:
            embedding = analyser.embed(image, face)
            distances = {n: float(np.linalg.norm(embedding - i)) for n, i in identities.items()}
            nearest = min(distances, key=lambda name: distances[name])
            known = nearest if distances[nearest] <= settings.same_person else None
        if known is not None:
            consents[side] = permit(project, known, "convert", "shown", "replaced")
            told[side] = _told(consents[side])
            continue
        if footing is None and statement is None:
            raise ConsentError(
                f"The face on the {side} belongs to no person with consent on file.",
                "Give the basis on which the faces may be used: --consent self, "
                "granted --statement FILE, or synthetic.",
            )
        consents[side] = stated = settle(side, None, footing, statement)
        # A record stated only for this picture has a new id each time.
        told[side] = _told(stated, "stated_at", "id", "signature")
    return consents, told


def _told(consent: Consent, *but: str) -> dict[str, Any]:
    """The entry of a consent in a record, without some fields."""
    return consent.model_dump(mode="json", exclude_none=True, exclude=set(but))


def _frame(image: Image) -> Frame:
    picture = av.VideoFrame.from_ndarray(image, format="rgb24")
    return Frame(0, Fraction(0), picture, lambda _: image)


def _target(
    project: Workspace,
    picture: Path,
    names: str,
    output: Path | None,
    settings: ConvertSettings,
) -> Target:
    """The files to write. Raises MediaError when their suffixes are not suitable."""
    if not picture.is_file():
        raise MediaError(f"The file {picture} does not exist.", "Check the name.")
    suffix = picture.suffix.lower() if picture.suffix.lower() in PICTURES else ".png"
    stem = named_after(project.renders_folder, picture, names)
    path = (output or project.renders_folder / f"{stem}{suffix}").absolute()
    if path.suffix.lower() not in PICTURES:
        raise MediaError(
            f"{picture.name} is a picture and cannot be written as {path.name}.",
            f"Use a name for --output that ends in {', '.join(PICTURES)}.",
        )
    outputs = {FILM: path}
    if settings.side_by_side:
        outputs[SIDE] = path.with_name(f"{path.stem}-side-by-side{path.suffix}")
    if settings.matte:
        outputs[MATTE] = path.with_name(f"{path.stem}-matte.png")
    target = Target(outputs)
    check(target, picture)
    return target

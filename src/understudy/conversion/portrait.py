"""A photo with the source's face: which face in it, of which person, and whether
it may be used.

The face belongs to a person of the project with consent on file, or the basis is stated along
with the photo; then the person is added to the project with this photo, as `add` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from understudy.conversion.request import Portrait
from understudy.conversion.warp import Still
from understudy.errors import ConsentError, FacesError
from understudy.facesets.faceset import Faceset
from understudy.facesets.footage import add
from understudy.facesets.permission import permit
from understudy.media.probe import read_still
from understudy.progress import Progress
from understudy.runtime import files
from understudy.safeguards.consent_gate import Consent, settle
from understudy.tracks.matching import mean_identity
from understudy.types import Face, Floats, Image
from understudy.workspace import Workspace

TURNED = 25.0
"""Degrees that a face in a photo may look to the side before a note is shown."""


class Analyses(Protocol):
    """Finds and measures faces; `faces.analyser.FaceAnalyser` is one."""

    def faces(self, image: Image) -> list[Face]: ...
    def embed(self, image: Image, face: Face) -> Floats: ...


def from_left(faces: Sequence[Face]) -> list[Face]:
    """Faces in the order in which they are numbered: from image left."""
    return sorted(faces, key=lambda face: face.box[0] + face.box[2])


def places(faces: Sequence[Face]) -> str:
    """Positions of numbered faces, in words."""
    return "; ".join(
        f"{number} around x {(face.box[0] + face.box[2]) / 2:.0f}, "
        f"y {(face.box[1] + face.box[3]) / 2:.0f}, {face.box[2] - face.box[0]:.0f} px wide"
        for number, face in enumerate(faces, 1)
    )


def pick(portrait: Portrait, faces: Sequence[Face]) -> Face:
    """The chosen face.

    Raises:
        FacesError: no face, several faces and none was chosen, or no such number.
    """
    photo, number = portrait.photo, portrait.number
    if not faces:
        raise FacesError(
            f"No face was found in {photo}.",
            "Use a photo that shows one face from the front, large and sharp; "
            "lower `min_face` if the face is small.",
        )
    ordered = from_left(faces)
    if number is None and len(ordered) > 1:
        raise FacesError(
            f"{photo} shows {len(ordered)} faces: {places(ordered)}.",
            f"Give its number, counted from the left, as in --face '{photo}#1', or crop the "
            "photo to one face.",
        )
    if number is not None and not 1 <= number <= len(ordered):
        raise FacesError(
            f"{photo} has no face number {number}; it shows {places(ordered)}.",
            "Choose one of these numbers.",
        )
    return ordered[(number or 1) - 1]


def _covered(photo: Path, consent: Consent) -> dict[str, str]:
    """The photo's hash and name, if the consent names the permitted footage."""
    if consent.footage is None or not photo.is_file():
        return {}
    return {files.sha256(photo): photo.name}


def sit(
    project: Workspace,
    portrait: Portrait,
    person: str,
    analyser: Analyses,
    same_person: float,
    progress: Progress,
) -> Still:
    """The photo's face, which may be used as that of `person`.

    Args:
        person: of the project, or new to it when the portrait states a basis.
        same_person: largest embedding distance to the person's faceset, where there is one.

    Raises:
        ConsentError: nothing allows the use, or the face is that of another person.
        FacesError: as `pick`.
        MediaError: the photo cannot be read.
        ProjectError: a bad name, or the project cannot be written.
    """
    place = project.place_of(person)
    on_file = place.consent
    settle(person, on_file, portrait.consent, portrait.statement)
    if on_file is not None:
        permit(project, person, "convert", "shown", footage=_covered(portrait.photo, on_file))
    image = read_still(portrait.photo)
    face = pick(portrait, analyser.faces(image))
    if place.has_faces:
        embeddings = Faceset.open(place.faces_folder).embeddings
        own = mean_identity(embeddings)
        distance = float(np.linalg.norm(analyser.embed(image, face) - own))
        if distance > same_person:
            raise ConsentError(
                f"The face in {portrait.photo} is not that of {person}, whose consent is on file "
                f"(distance {distance:.2f}, limit {same_person:.2f}).",
                "Name the person with --with NAME, and give the basis for using the face with "
                "--consent; or use another photo.",
            )
    if on_file is None:
        add(project, person, [portrait.photo], portrait.consent, portrait.statement, progress)
    if abs(face.pose.yaw) > TURNED or abs(face.pose.pitch) > TURNED:
        progress.note(
            f"The face in {portrait.photo.name} looks to the side (yaw {face.pose.yaw:.0f}, pitch "
            f"{face.pose.pitch:.0f} degrees), so part of it is missing; a photo from the front is "
            "better."
        )
    return Still(person, image, face)

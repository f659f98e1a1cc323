"""A gallery from the project's own faceset, for faces that no model of the project draws.

An exported model (ours or a foreign DFM) and the warp of a photo have no gallery. If the
source has a faceset here, its pictures can provide the detail. The gallery is
stored in the cache and created again when the faceset has changed:

    cache/galleries/gallery-NAME.safetensors
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from understudy.conversion.detailer import Galleries
from understudy.errors import CheckpointError
from understudy.facesets.faceset import Faceset
from understudy.models.gallery import Gallery, is_made_from, path_of, read, write
from understudy.progress import Progress
from understudy.training.gallery_choice import COUNT, LOOKED_AT, gallery_of
from understudy.types import Floats
from understudy.workspace import Workspace

FOLDER = "galleries"
"""Folder in the project's cache."""


def cached_path(cache_folder: Path, person: str) -> Path:
    """Where the gallery of a person is kept in a project's cache folder."""
    return path_of(cache_folder / FOLDER, person)


def gallery_from_faceset(project: Workspace, person: str, progress: Progress) -> Gallery:
    """A gallery of all of a person's faces, from the cache while the faceset is the same.

    A cached gallery that is damaged is made again. The caller has asked for the consent.

    Args:
        person: has a faceset; see `Workspace.people_with_faces`.

    Raises:
        UnknownPerson: there is no such person.
        FacesError: they have no faceset, or it has no face, or a picture of it cannot be read.
        MediaError: a picture is damaged.
        ProjectError: the faceset is damaged.
        StorageError: the cache cannot be written.
    """
    faceset = Faceset.open(project.person(person).faces_folder)
    path = cached_path(project.cache_folder, person)
    made_from = f"{faceset.fingerprint} all {COUNT}"
    if is_made_from(path, made_from):
        try:
            return read(path)
        except CheckpointError as error:
            progress.note(f"{error.problem} Creating it again.")
    count = min(LOOKED_AT, len(faceset))
    with progress.task(f"gallery of {person}", "pictures", count) as task:
        gallery = gallery_of(faceset, tell=task.step)
    write(path, gallery, made_from)
    return gallery


def shapes_of(project: Workspace, people: Iterable[str]) -> dict[str, Floats]:
    """Mean meshes (float32 (468, 2), as `Gallery.mean`) of those of `people` who have a faceset.

    Raises:
        ProjectError: a faceset is damaged.
    """
    found = {}
    for name in people:
        if name in project.people_with_faces:
            faceset = Faceset.open(project.person(name).faces_folder)
            if len(faceset):
                found[name] = faceset.mean_mesh
    return found


def own_galleries(project: Workspace, swaps: Mapping[str, str], progress: Progress) -> Galleries:
    """Galleries of every source that has faces here, and the face shapes of the targets.

    Args:
        swaps: target: source.

    Raises:
        as `gallery_from_faceset`.
    """
    comes = shapes_of(project, sorted(set(swaps.values())))
    own = {name: gallery_from_faceset(project, name, progress) for name in comes}
    return Galleries(own, shapes_of(project, swaps) if own else {})

"""The plan of a comparison: decided and checked before any work."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from understudy.conversion.request import WARP, Portrait, check_swaps
from understudy.errors import MediaError, SettingsError, StorageError, UnknownModel
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit
from understudy.media.probe import read_still
from understudy.media.video import MediaInfo, probe
from understudy.models.base import NETWORKS, network_class
from understudy.models.checkpoint import KEEP, checkpoints
from understudy.runtime import files
from understudy.settings import CompareSettings, TrainSettings, override
from understudy.tracks.matching import EVERYBODY
from understudy.training.plan import Course, plan
from understudy.training.train import DEFAULT_MINUTES

if TYPE_CHECKING:
    from understudy.workspace import Workspace

BYTES_PER_WEIGHT = 16
"""In a checkpoint: the weight, its average, and the optimiser's two moments."""


@dataclass(frozen=True)
class Scene:
    """The film in which the swaps are compared.

    Attributes:
        replace: the target; a person or "any".
        with_: the source.
        truth: what the swap should look like, if that is known.
        truth_mask, target_mask: films that are white where the face is in `truth` and `film`.
        face: a photo of `with_` as the user gave it, for the warp; None for their faceset.
    """

    film: Path
    replace: str
    with_: str
    truth: Path | None = None
    truth_mask: Path | None = None
    target_mask: Path | None = None
    face: str | None = None

    @property
    def others(self) -> list[Path]:
        """The other films that belong to it."""
        return [one for one in (self.truth, self.truth_mask, self.target_mask) if one is not None]


@dataclass(frozen=True)
class Contest:
    """What is compared.

    Attributes:
        models: networks, and perhaps "warp", in the table's order.
        people: whom the networks learn.
        training: by network, how it is trained.
        names: by network, the model of the project.
        courses: by network, what is trained.
        scene: None when only held-out faces are compared.
    """

    models: tuple[str, ...]
    people: tuple[str, ...]
    training: dict[str, TrainSettings]
    names: dict[str, str]
    courses: dict[str, Course]
    scene: Scene | None

    @property
    def networks(self) -> tuple[str, ...]:
        return tuple(self.training)

    @property
    def compared_at(self) -> int:
        """Side in pixels at which held-out faces are compared: the largest network's."""
        return max(course.size for course in self.courses.values())

    @property
    def budget(self) -> dict[str, float]:
        """Of each network, as {"steps": n} or {"minutes": x}."""
        how = next(iter(self.training.values()))
        if how.steps is not None:
            return {"steps": how.steps}
        return {"minutes": how.minutes or DEFAULT_MINUTES}


def digest(*values: Any) -> str:
    """Hex digest, equal exactly when the arguments (as JSON) are equal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def settle(
    project: Workspace,
    people: Sequence[str],
    settings: CompareSettings,
    film: Path | None,
    replace: str | None,
    with_: str | None,
    face: str | None,
    others: Mapping[str, Path | None],
) -> Contest:
    """Decide what to compare.

    Args:
        people: to train on; when empty, everyone with a faceset.
        others: `truth`, `truth_mask` and `target_mask`.

    Raises:
        UnknownModel, UnknownPerson, ConsentError, FacesError, SettingsError, MediaError,
        StorageError, CheckpointError: as `compare`, before any work.
    """
    people = tuple(people or project.people_with_faces)
    if len(set(people)) < 2:
        raise SettingsError(
            "A comparison needs the faces of at least two people.",
            "Add and extract a second person, then: understudy compare",
        )
    models = _models(words_of(settings.models))
    if film is None:
        _no_film(replace or with_ or face, others)
        models = tuple(model for model in models if model != WARP)
    prints = {
        person: Faceset.open(project.person(person).faces_folder).fingerprint
        for person in sorted(people)
    }
    training, courses, names = {}, {}, {}
    for network in (model for model in models if model != WARP):
        training[network] = _training(project, settings, network)
        names[network] = _name(network, training[network], prints)
        folder = project.model_folder(names[network])
        courses[network] = plan(project, list(prints), folder, training[network])
    scene = None
    if film is not None:
        scene = _scene(project, people, film, replace, with_, face, others)
    contest = Contest(models, people, training, names, courses, scene)
    _check_space(project, contest)
    return contest


def words_of(models: str) -> list[str]:
    """The models that a setting names, commas between them, blanks left out."""
    return [word for part in models.split(",") if (word := part.strip())]


def _models(wanted: Sequence[str]) -> tuple[str, ...]:
    known = [*NETWORKS, WARP]
    for model in wanted:
        if model not in known:
            near = difflib.get_close_matches(model, known, n=1)
            raise UnknownModel(
                f"Unknown network `{model}`.",
                f"Did you mean `{near[0]}`?" if near else f"Choose from {', '.join(known)}.",
            )
    models = tuple(dict.fromkeys(wanted))
    if not any(model != WARP and network_class(model).swaps for model in models):
        raise SettingsError(
            f"{' and '.join(models) or 'Nothing'} alone cannot be compared.",
            f"Name a network that swaps, for example --models swift,{WARP}",
        )
    return models


def _no_film(named: str | None, others: Mapping[str, Path | None]) -> None:
    """Raises SettingsError when something is given that needs a film."""
    if named or any(others.values()):
        raise SettingsError(
            "Swaps can be compared only in a film.", "Give one not used for training: --film."
        )


def _training(project: Workspace, settings: CompareSettings, network: str) -> TrainSettings:
    given: dict[str, Any] = {"network": network, "encoder_from": None}
    given |= {} if network == "swift" else {"base": "none"}
    given |= {
        key: value
        for key in ("size", "minutes", "steps")
        if (value := getattr(settings, key)) is not None
    }
    how = override(project.settings.train, given, "the settings given")
    if how.minutes is None and how.steps is None:
        how = how.model_copy(update={"minutes": DEFAULT_MINUTES})
    return how


def _name(network: str, how: TrainSettings, prints: Mapping[str, str]) -> str:
    """Of the model: other settings, people or faces make another model, and reports none."""
    budget = f"{how.steps}steps" if how.steps is not None else f"{how.minutes:g}min"
    facts = how.model_dump(mode="json", exclude={"report_every"})
    return f"compare-{network}-{budget.replace('.', '_')}-{digest(facts, prints)[:6]}"


def _scene(
    project: Workspace,
    people: Sequence[str],
    film: Path,
    replace: str | None,
    with_: str | None,
    face: str | None,
    others: Mapping[str, Path | None],
) -> Scene:
    with_ = with_ or next(person for person in people if person != replace)
    replace = replace or next(person for person in people if person != with_)
    check_swaps({replace: with_})
    for person in {with_, replace} - {EVERYBODY}:
        if person not in people:
            project.person(person)
            raise SettingsError(
                f"{person} is not among the compared people: {', '.join(people)}.",
                f"Name {person} too: understudy compare {' '.join((*people, person))}",
            )
        permit(project, person, "convert", "shown" if person == with_ else "replaced")
    scene = Scene(film.absolute(), replace, with_, face=face, **_absolute(others))
    info = _film(scene.film)
    if scene.truth is None and scene.others:
        raise SettingsError("Masks are used only with --truth.", "Give --truth too.")
    for other in scene.others:
        its = _film(other)
        if its.shown != info.shown:
            raise MediaError(
                "{} has {}x{} pixels, {} {}x{}.".format(
                    other.name, *its.shown, film.name, *info.shown
                ),
                "Give films that show the same frames in the same size.",
            )
    if face is not None:
        read_still(Portrait.parse(face).photo)
    return scene


def _absolute(films: Mapping[str, Path | None]) -> dict[str, Path | None]:
    return {name: None if film is None else film.absolute() for name, film in films.items()}


def _film(path: Path) -> MediaInfo:
    """Raises MediaError when it is not a film."""
    info = probe(path)
    if info.kind == "images":
        raise MediaError(f"{path} is a picture, not a film.", "Give a film.")
    return info


def _check_space(project: Workspace, contest: Contest) -> None:
    """Raises StorageError when the disk is likely too small for the models to be trained."""
    need = 0
    for network, course in contest.courses.items():
        if checkpoints(project.model_folder(contest.names[network])):
            continue
        with torch.device("meta"):
            model = network_class(network)(course.size, course.people)
        weights = sum(value.numel() for value in model.state_dict().values())
        how = contest.training[network]
        reports = KEEP if how.minutes is None else math.ceil(60 * how.minutes / how.report_every)
        # A new checkpoint is written before the oldest is deleted.
        need += BYTES_PER_WEIGHT * weights * (min(KEEP, reports) + 1)
    with files.storage_errors(project.models_folder):
        project.models_folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(project.models_folder).free
    if free < need:
        raise StorageError(
            f"The models to train may need {need / 1e9:.1f} GB, but {project.models_folder} "
            f"has {free / 1e9:.1f} GB free.",
            "Free some disk space, or compare fewer networks at a time.",
        )

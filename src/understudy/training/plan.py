"""The plan of a training: who is trained, and from whose faces.

Usually all people of a model are trained together: the encoder and one decoder each. When people
are added on a frozen encoder, only their decoders are trained; the others then provide pictures
that replace the new faces as input (doubles), and their weights are neither run nor changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import ConsentError, FacesError, SettingsError, UnknownModel, UnknownPerson
from understudy.facesets.faceset import Faceset
from understudy.facesets.permission import permit
from understudy.models.base import check_size, network_class
from understudy.models.checkpoint import Tell, load_state
from understudy.models.swift import Swift
from understudy.runtime import devices
from understudy.settings import TrainSettings
from understudy.training.adding_people import check_decoders
from understudy.training.base_weights import SHIPPED, SHIPPED_SIZE, Base, read_base

if TYPE_CHECKING:
    from understudy.workspace import Workspace

MIN_FACES = 32
"""Smallest number of faces of a person; a few hundred are better."""


@dataclass(frozen=True)
class Course:
    """What to train.

    Attributes:
        network, size: of the model.
        people: with a decoder in it, or to be added, in order.
        learning: of these, those whose decoders are trained.
        frozen: whether the encoder is unchanged.
        base: initial weights of a new model.
    """

    network: str
    size: int
    people: tuple[str, ...]
    learning: tuple[str, ...]
    frozen: bool
    base: Base | None = None

    @property
    def alone(self) -> list[str]:
        """People trained on a frozen encoder; empty when all are trained together."""
        return list(self.learning) if self.frozen else []


def plan(
    project: Workspace,
    people: Sequence[str],
    folder: Path,
    settings: TrainSettings,
    add: Sequence[str] = (),
    freeze: bool = False,
) -> Course:
    """Decide who is trained, and check everything before the first picture is read.

    Args:
        people: of the model; when empty, those it already has, or everyone with a
            faceset when it is new.
        folder: of the model.
        add: people to add to an existing model; `people` is then empty.
        freeze: whether only those are trained.

    Raises:
        UnknownPerson, UnknownModel, ConsentError, FacesError, SettingsError, CheckpointError
    """
    known = load_state(folder)
    if known is None and settings.encoder_from:
        project.model(settings.encoder_from)
    if add or freeze:
        course = _joined(known, people, folder, add, freeze)
    else:
        course = _together(project, known, people, folder, settings)
    for person in course.learning:
        permit(project, person, "train")
    for person in course.learning:
        faceset = Faceset.open(project.person(person).faces_folder)
        if len(faceset) < MIN_FACES:
            raise FacesError(
                f"{person} has {len(faceset)} faces; training needs at least {MIN_FACES} of each "
                "person, and a few hundred for good results.",
                f"Add more footage of {person} and extract it: understudy add {person} FILES...",
            )
    devices.choose_device(settings.device)
    return course if known else replace(course, base=_base(course, settings))


def _base(course: Course, settings: TrainSettings) -> Base | None:
    """The base named in the settings, if it fits; the shipped one may not fit."""
    if settings.base == "none" or settings.encoder_from:
        return None
    if settings.base == "shipped":
        fits = network_class(course.network) is Swift and course.size == SHIPPED_SIZE
        return read_base(SHIPPED) if fits else None
    base = read_base(Path(settings.base))
    if network_class(course.network) is not Swift or course.size != base.model.size:
        raise SettingsError(
            f"The base {settings.base} is for swift at {base.model.size} px; {course.network} at "
            f"{course.size} px cannot start with it.",
            f"Train swift with --size {base.model.size}, or with --base none.",
        )
    return base


def _distinct(people: Sequence[str]) -> None:
    if not people or len(set(people)) != len(people):
        raise SettingsError(
            "Name at least one person, and each person only once.",
            "Extract the faces first, then run: understudy train PERSON PERSON",
        )


def _together(
    project: Workspace,
    known: dict[str, Any] | None,
    people: Sequence[str],
    folder: Path,
    settings: TrainSettings,
) -> Course:
    people = tuple(people or (known["people"] if known else project.people_with_faces))
    _distinct(people)
    for person in people:
        project.person(person)
    network = network_class(settings.network)
    size = network.sizes[0] if len(network.sizes) == 1 else settings.size
    check_size(network, size)
    if known:
        same = (known["network"], known["size"]) == (settings.network, size)
        if not same or set(known["people"]) != set(people):
            raise SettingsError(
                f"The model {folder.name} exists with other settings: {known['network']}, "
                f"{known['size']} px, {' and '.join(known['people'])}; not {settings.network}, "
                f"{size} px, {' and '.join(people)}.",
                f"Choose another name with --name, delete {folder}, or add a person with "
                "--add-person.",
            )
        people = tuple(known["people"])
    return Course(settings.network, size, people, people, frozen=False)


def _joined(
    known: dict[str, Any] | None,
    people: Sequence[str],
    folder: Path,
    add: Sequence[str],
    freeze: bool,
) -> Course:
    if not add:
        raise SettingsError(
            "--freeze-encoder only works together with --add-person.",
            "Name the person to add: understudy train --add-person NAME --freeze-encoder",
        )
    _distinct(add)
    if people:
        raise SettingsError(
            f"{' and '.join(people)} cannot be named while adding {' and '.join(add)} to a model.",
            "Name only the people to add; the others are already in the model.",
        )
    if known is None:
        raise UnknownModel(
            f"There is no trained model {folder.name} to which {' and '.join(add)} can be added.",
            f"Train it first: understudy train PERSON PERSON --name {folder.name}",
        )
    check_decoders(network_class(known["network"]))
    new = [person for person in add if person not in known["people"]]
    everybody = (*known["people"], *new)
    learning = tuple(name for name in everybody if name in add) if freeze else everybody
    return Course(known["network"], known["size"], everybody, learning, freeze)


def facesets(project: Workspace, course: Course, tell: Tell) -> dict[str, Faceset]:
    """The facesets of everyone who is trained, and of the others who may provide pictures,
    in the model's order.

    Args:
        tell: called with a sentence about each of the others who cannot.
    """
    found = {}
    for person in course.people:
        if person in course.learning:
            found[person] = Faceset.open(project.person(person).faces_folder)
            continue
        try:
            permit(project, person, "train")
            found[person] = Faceset.open(project.person(person).faces_folder)
        except (UnknownPerson, ConsentError, FacesError) as error:
            tell(f"The pictures of {person} are not used: {error.problem}")
    return found

"""Every error that this package raises on purpose.

    UnderstudyError
    |-- SettingsError       a setting is unknown, misspelled or out of range
    |-- ProjectError        the project folder is missing, damaged, locked or not writable
    |   |-- UnknownPerson   no such person in this project
    |   |-- UnknownModel    no such model in this project, or no such kind of network
    |   |-- ProjectLocked   another process is writing the same thing
    |   `-- StorageError    the disk is full, read-only or failed while writing
    |-- ConsentError        a person has no consent on file for what was asked
    |-- MediaError          a video, sound or image file cannot be read or written
    |-- FacesError          no face, too few faces, or not the face that was asked for
    |-- WeightsError        a third-party weight is not available or has wrong contents
    |-- CheckpointError     a checkpoint is damaged, cut short or incompatible
    |-- TrainingError       training cannot continue (for example the loss is not finite)
    |-- TrustError          a key, signature, watermark or ledger is damaged or cannot be created
    `-- ContentError        the content guard refuses the pictures

Every message says what is wrong, where, and what to do next: `problem` holds the
first two, `remedy` the last. The command line prints both and exits with `exit_code`.
"""

from __future__ import annotations

from typing import ClassVar


class UnderstudyError(Exception):
    """Base of the tree.

    Args:
        problem: what is wrong and where, one sentence.
        remedy: what the user can do next, one sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class SettingsError(UnderstudyError):
    exit_code = 2


class ProjectError(UnderstudyError):
    exit_code = 3


class UnknownPerson(ProjectError):
    pass


class UnknownModel(ProjectError):
    pass


class ProjectLocked(ProjectError):
    pass


class StorageError(ProjectError):
    pass


class ConsentError(UnderstudyError):
    exit_code = 4


class MediaError(UnderstudyError):
    exit_code = 5


class FacesError(UnderstudyError):
    exit_code = 6


class WeightsError(UnderstudyError):
    exit_code = 7


class CheckpointError(UnderstudyError):
    exit_code = 8


class TrainingError(UnderstudyError):
    exit_code = 9


class TrustError(UnderstudyError):
    exit_code = 10


class ContentError(UnderstudyError):
    exit_code = 11

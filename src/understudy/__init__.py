"""Understudy: learn a face, let it stand in for another, and prove what was made.

    from pathlib import Path
    from understudy import Project

    project = Project.create(Path("my-film"))
    project.add("ada", [Path("ada.mp4")], consent="self")

What is named here is the public interface; everything else may change.
"""

from understudy.errors import (
    CheckpointError,
    ConsentError,
    ContentError,
    FacesError,
    MediaError,
    ProjectError,
    ProjectLocked,
    SettingsError,
    StorageError,
    TrainingError,
    TrustError,
    UnderstudyError,
    UnknownModel,
    UnknownPerson,
    WeightsError,
)
from understudy.person import Footage, Person
from understudy.progress import Event, Progress, silent
from understudy.project import Project
from understudy.settings import (
    AllSettings,
    ConvertSettings,
    EncodeSettings,
    EvaluateSettings,
    ExtractSettings,
    ScanSettings,
    TrainSettings,
)
from understudy.trust.consent import Consent

__all__ = [
    "AllSettings",
    "CheckpointError",
    "Consent",
    "ConsentError",
    "ContentError",
    "ConvertSettings",
    "EncodeSettings",
    "EvaluateSettings",
    "Event",
    "ExtractSettings",
    "FacesError",
    "Footage",
    "MediaError",
    "Person",
    "Progress",
    "Project",
    "ProjectError",
    "ProjectLocked",
    "ScanSettings",
    "SettingsError",
    "StorageError",
    "TrainSettings",
    "TrainingError",
    "TrustError",
    "UnderstudyError",
    "UnknownModel",
    "UnknownPerson",
    "WeightsError",
    "silent",
]

"""Understudy: swap faces in films and pictures, and prove what was made.

    from pathlib import Path
    from understudy import Project

    project = Project.create(Path("my-film"))
    project.add("ada", [Path("ada.mp4")], consent="self")

The names here are the public interface; everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from understudy.progress import Event, Progress, silent
    from understudy.project import Project
    from understudy.safeguards.consent_gate import Consent
    from understudy.settings import (
        AllSettings,
        ConvertSettings,
        EncodeSettings,
        EvaluateSettings,
        ExtractSettings,
        ScanSettings,
        TrainSettings,
    )
    from understudy.workspace import Footage, Person

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

_HOMES = {
    "CheckpointError": "errors",
    "ConsentError": "errors",
    "ContentError": "errors",
    "FacesError": "errors",
    "MediaError": "errors",
    "ProjectError": "errors",
    "ProjectLocked": "errors",
    "SettingsError": "errors",
    "StorageError": "errors",
    "TrainingError": "errors",
    "TrustError": "errors",
    "UnderstudyError": "errors",
    "UnknownModel": "errors",
    "UnknownPerson": "errors",
    "WeightsError": "errors",
    "Footage": "workspace",
    "Person": "workspace",
    "Event": "progress",
    "Progress": "progress",
    "silent": "progress",
    "Project": "project",
    "AllSettings": "settings",
    "ConvertSettings": "settings",
    "EncodeSettings": "settings",
    "EvaluateSettings": "settings",
    "ExtractSettings": "settings",
    "ScanSettings": "settings",
    "TrainSettings": "settings",
    "Consent": "safeguards.consent_gate",
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used: the command line must handle Ctrl-C before it imports
    anything large."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"understudy.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

from __future__ import annotations

import importlib
import inspect

import understudy
from understudy import errors

PUBLIC = {
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
}


def test_the_public_interface_is_exactly_this() -> None:
    assert set(understudy.__all__) == PUBLIC
    assert sorted(understudy.__all__) == list(understudy.__all__)


def test_everything_public_is_there_and_documented() -> None:
    for name in understudy.__all__:
        assert inspect.getdoc(getattr(understudy, name)), name


def test_every_error_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.UnderstudyError)
    }
    assert tree <= set(understudy.__all__)


def test_a_star_import_brings_nothing_else() -> None:
    module = importlib.import_module("understudy")
    assert all(hasattr(module, name) for name in module.__all__)
    assert "errors" not in module.__all__

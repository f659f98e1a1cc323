from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.data.labels import read_labels
from understudy.errors import ProjectError, SettingsError

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "names": ["open", "shut"],
    "people": {"ada": [[0.1, 0.2], [0.3, 1]]},
}


def written(folder: Path, value: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_labels_are_read(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, GOOD))
    assert labels.names == ("open", "shut")
    assert np.array_equal(labels.people["ada"], np.array([[0.1, 0.2], [0.3, 1]], np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema 2"),
        ({"names": []}, "name of its own"),
        ({"names": ["open", "open"]}, "name of its own"),
        ({"people": {"ada": [[0.1]]}}, "frame 0 of ada"),
        ({"people": {"ada": [[0.1, 0.2], [0.1, "x"]]}}, "people.ada"),
        ({"people": {"ada": [[0.1, float("nan")]]}}, "frame 0 of ada"),
        ({"faces": 1}, "faces"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_labels(written(tmp_path, GOOD | change))


def test_no_labels(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="missing"):
        read_labels(tmp_path / "labels.json")
    with pytest.raises(ProjectError, match="not valid JSON"):
        read_labels(written(tmp_path, "{"))

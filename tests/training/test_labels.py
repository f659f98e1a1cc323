from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.errors import ProjectError, SettingsError
from understudy.training.labels import MOST, Labels, Told, read_labels

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
    assert labels.turning == ()
    turning = read_labels(written(tmp_path, GOOD | {"turning": ["shut"]}))
    assert turning.turning == ("shut",)
    assert np.array_equal(labels.people["ada"], np.array([[0.1, 0.2], [0.3, 1]], np.float32))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema 2"),
        ({"names": []}, "needs a different name"),
        ({"names": ["open", "open"]}, "needs a different name"),
        ({"people": {"ada": [[0.1]]}}, "frame 0 of ada"),
        ({"people": {"ada": [[0.1, 0.2], [0.1, "x"]]}}, "people.ada"),
        ({"people": {"ada": [[0.1, float("nan")]]}}, "frame 0 of ada"),
        ({"faces": 1}, "faces"),
        ({"turning": ["wide"]}, "`turning` names wide"),
        ({"names": [str(number) for number in range(MOST + 1)], "people": {}}, "at most 64"),
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


def test_a_network_is_told_deviations_and_mirrored_pictures_turn() -> None:
    own = {"ada": np.array([[0, 5], [10, 7], [20, -3]], np.float32)}
    own["ben"] = np.array([[30, 11], [99, 99]], np.float32)
    labels = Labels(("open", "yaw"), own, ("yaw",))
    known = Told(labels, {"ada": np.array([0, 1, 2]), "ben": np.array([0])})
    no = torch.zeros(2, dtype=torch.bool)
    values = known.of("ada", torch.tensor([2, 0]), no, no)
    # Of 0, 10, 20 and 30 the mean is 15; what turns is told from 0.
    assert values[:, 0].numpy() == pytest.approx(np.array([5, -15]) / np.std([0, 10, 20, 30]))
    size = np.sqrt(np.mean(np.square([5, 7, -3, 11])))
    assert values[:, 1].numpy() == pytest.approx(np.array([-3, 5]) / size)
    turned = known.of("ada", torch.tensor([2, 0]), ~no, no)
    assert torch.equal(turned, values * torch.tensor([1.0, -1.0]))
    gone = known.of("ada", torch.tensor([2, 0]), no, torch.tensor([True, False]))
    assert gone[0].isnan().all()
    assert torch.equal(gone[1], values[1])

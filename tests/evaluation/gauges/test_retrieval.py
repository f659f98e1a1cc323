from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from understudy.errors import WeightsError
from understudy.evaluation.gauges.retrieval import SHIPPED, crowd, retrieval, write_crowd
from understudy.types import Floats


def one(axis: int, much: float = 1) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[axis] = much
    return vector


PEOPLE = {"ada": one(0), "ben": one(1), "crowd id001": one(2)}


def test_the_share_of_frames_whose_nearest_is_the_source() -> None:
    frames = [one(0, 0.9), one(0, 0.6), one(1, 0.8), one(1, 0.7) + one(2, 0.6), one(2)]
    found = retrieval(frames, "ada", PEOPLE)
    assert found is not None
    assert found.share == pytest.approx(2 / 5)
    assert (found.frames, found.people, found.nearest_other) == (5, 3, "ben")


def test_everything_found_and_nothing_to_find() -> None:
    all_found = retrieval([one(0)], "ada", PEOPLE)
    assert all_found is not None
    assert (all_found.share, all_found.nearest_other) == (1, None)
    none = retrieval([], "ada", PEOPLE)
    assert none is not None
    assert none.share is None
    assert retrieval([one(0)], "eva", PEOPLE) is None
    assert retrieval([one(0)], "ada", {"ada": one(0)}) is None


def test_the_shipped_crowd_is_small_and_tells_its_people_apart() -> None:
    people = crowd()
    assert len(people) == 72
    assert "id000" in people
    assert SHIPPED.stat().st_size < 50_000
    means = np.stack(list(people.values()))
    assert means.shape == (72, 128)
    assert means.dtype == np.float32
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    assert np.median(apart[~np.eye(72, dtype=bool)]) > 0.5
    assert 1.0 < np.linalg.norm(means, axis=1).mean() < 1.5
    for name, mean in people.items():
        found = retrieval([mean], name, people)
        assert found is not None
        assert found.share == 1


def test_a_crowd_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "crowd.safetensors"
    write_crowd(path, PEOPLE, {"licence": "CC0-1.0"})
    back = crowd(path)
    assert list(back) == list(PEOPLE)
    assert all((back[name] == PEOPLE[name]).all() for name in PEOPLE)


def test_a_damaged_crowd_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "crowd.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        crowd(path)
    path.write_bytes(safetensors.numpy.save({"embeddings": np.zeros((2, 128), np.float32)}))
    with pytest.raises(WeightsError, match="another version"):
        crowd(path)
    write_crowd(path, {"ada": np.zeros(5, np.float32)}, {})
    with pytest.raises(WeightsError, match="damaged"):
        crowd(path)

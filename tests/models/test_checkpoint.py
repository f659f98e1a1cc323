from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.tiny_network import Tiny
from understudy.errors import CheckpointError, StorageError
from understudy.models import base
from understudy.models.checkpoint import (
    Snapshot,
    checkpoints,
    load,
    load_model,
    load_newest,
    load_state,
    save,
)
from understudy.runtime.files import sha256

PEOPLE = ("ada", "chen")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.NETWORKS, "swift", ("tests.support.tiny_network", "Tiny"))


def snapshot(seed: int = 0, **state: Any) -> Snapshot:
    torch.manual_seed(seed)
    model, average = Tiny(64, PEOPLE), Tiny(64, PEOPLE)
    optimizer = model.optimizer(dict(model.named_parameters()))
    for image, _ in model([torch.rand(2, 3, 64, 64)] * 2)[0]:
        image.mean().backward(retain_graph=True)
    optimizer.step()
    memory = {
        f"{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }
    return Snapshot(model, average, memory, {"seed": seed}, {"step": 7} | state)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(k == m and torch.equal(v, w) for (k, v), (m, w) in pairs)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved = snapshot(history=[{"step": 1, "ssim": 0.5}])
    folder = save(tmp_path, 7, saved)
    found = load(folder)
    assert same(found.model, saved.model)
    assert same(found.average, saved.average)
    assert found.settings == {"seed": 0}
    assert found.state["history"] == [{"step": 1, "ssim": 0.5}]
    assert found.state["people"] == list(PEOPLE)
    assert found.optimizer.keys() == saved.optimizer.keys()
    assert all(torch.equal(value, found.optimizer[key]) for key, value in saved.optimizer.items())


def test_what_was_kept_by_number_comes_back_by_name(tmp_path: Path) -> None:
    """Checkpoints of version 1 numbered the optimiser's weights."""
    saved = snapshot()
    folder = save(tmp_path, 7, saved)
    names = [name for name, _ in saved.model.named_parameters()]
    numbered = {}
    for key, value in saved.optimizer.items():
        name, own = key.rsplit(".", 1)
        numbered[f"{names.index(name)}.{own}"] = value
    for part in saved.model.parts():
        (folder / f"optimizer-{part}.safetensors").unlink()
    safetensors.torch.save_file(numbered, folder / "optimizer.safetensors")
    (folder / "manifest.json").unlink()
    digests = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    whole = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    manifest = {"schema_version": 1, "files": digests, "sha256": whole}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = load(folder).optimizer
    assert found.keys() == saved.optimizer.keys()
    assert all(torch.equal(value, found[key]) for key, value in saved.optimizer.items())


def test_the_folder_holds_one_file_for_each_owner(tmp_path: Path) -> None:
    folder = save(tmp_path, 7, snapshot())
    assert sorted(path.name for path in folder.iterdir()) == [
        "decoder-ada.safetensors",
        "decoder-chen.safetensors",
        "ema-decoder-ada.safetensors",
        "ema-decoder-chen.safetensors",
        "ema-encoder.safetensors",
        "encoder.safetensors",
        "manifest.json",
        "optimizer-decoder-ada.safetensors",
        "optimizer-decoder-chen.safetensors",
        "optimizer-encoder.safetensors",
        "settings.json",
        "state.json",
    ]
    assert os.readlink(tmp_path / "checkpoints" / "last") == "00000007"


def test_the_newest_three_are_kept_and_left_overs_removed(tmp_path: Path) -> None:
    left_over = tmp_path / "checkpoints" / ".00000009.abc"
    left_over.mkdir(parents=True)
    (left_over / "encoder.safetensors").write_bytes(b"half")
    for step in (1, 2, 3, 100_000_000):
        save(tmp_path, step, snapshot(step))
    assert [path.name for path in checkpoints(tmp_path)] == ["100000000", "00000003", "00000002"]
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"100000000", "00000003", "00000002", "last"}


def test_the_same_step_again_replaces_the_old_one(tmp_path: Path) -> None:
    save(tmp_path, 7, snapshot(1))
    again = snapshot(2)
    save(tmp_path, 7, again)
    assert same(load(checkpoints(tmp_path)[0]).model, again.model)
    assert len(checkpoints(tmp_path)) == 1


def test_the_model_for_use_has_the_averaged_weights(tmp_path: Path) -> None:
    saved = snapshot()
    save(tmp_path, 7, saved)
    before = torch.random.get_rng_state()
    model = load_model(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert same(model, saved.average)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_is_found_and_the_file_named(
    data: st.DataObject, checkpoint_folder: Path
) -> None:
    names = sorted(path.name for path in checkpoint_folder.iterdir())
    file = checkpoint_folder / data.draw(st.sampled_from(names))
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
    cut = data.draw(st.booleans())
    file.write_bytes(whole[:place] if cut else changed)
    try:
        if file.name == "manifest.json" and not cut:
            # Space between words means nothing; anything else does.
            if changed.split() != whole.split():
                with pytest.raises(CheckpointError, match=str(checkpoint_folder)):
                    load(checkpoint_folder)
        elif file.name == "manifest.json" and whole[:place].strip() == whole.strip():
            load(checkpoint_folder)
        else:
            with pytest.raises(CheckpointError, match=str(file)):
                load(checkpoint_folder)
    finally:
        file.write_bytes(whole)


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), 7, snapshot())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path, 7, snapshot())
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"00000007/encoder\.safetensors"):
        load(folder)


def test_damage_sends_the_reader_to_the_checkpoint_before(tmp_path: Path) -> None:
    first, second = snapshot(1, step=1), snapshot(2, step=2)
    save(tmp_path, 1, first)
    newest = save(tmp_path, 2, second)
    weak = newest / "ema-encoder.safetensors"
    weak.write_bytes(weak.read_bytes()[:-1])
    notes: list[str] = []
    found = load_newest(tmp_path, notes.append)
    assert found is not None
    assert found.state["step"] == 1
    assert str(weak) in notes[0]
    assert same(load_model(tmp_path, notes.append), first.average)
    assert len(notes) == 2
    assert (load_state(tmp_path) or {})["step"] == 2


def test_when_all_are_damaged_the_newest_is_named(tmp_path: Path) -> None:
    for step in (1, 2):
        (save(tmp_path, step, snapshot()) / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="00000002"):
        load_newest(tmp_path, lambda text: None)


def test_without_checkpoints_there_is_nothing_to_load(tmp_path: Path) -> None:
    assert load_newest(tmp_path, lambda text: None) is None
    assert load_state(tmp_path) is None
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_model(tmp_path)


def test_a_checkpoint_of_another_network_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path, 7, snapshot())
    monkeypatch.setitem(base.NETWORKS, "swift", ("understudy.models.original", "Original"))
    with pytest.raises(CheckpointError, match="is incompatible"):
        load(folder)


def test_a_full_disk_leaves_the_checkpoints_as_they_were(tmp_path: Path) -> None:
    save(tmp_path, 1, snapshot(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(StorageError, match="disk is full") as caught:
            save(tmp_path, 2, snapshot(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert getattr(caught.value.__cause__, "errno", None) == errno.EFBIG
    assert [path.name for path in checkpoints(tmp_path)] == ["00000001"]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["00000001", "last"]
    load(checkpoints(tmp_path)[0])

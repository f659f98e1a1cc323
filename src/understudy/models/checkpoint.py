"""Checkpoints: folders of plain files, whole or not there, and never pickled.

    checkpoints/00001234/
      encoder.safetensors  decoder-NAME.safetensors          weights as trained
      ema-encoder.safetensors  ema-decoder-NAME.safetensors  their moving average, for use
      optimizer.safetensors  optimizer.json
      settings.json  state.json
      manifest.json                                          SHA-256 of every other file
    checkpoints/last -> 00001234

The manifest is what makes a checkpoint: a file that is cut short or has one byte changed no
longer fits it. Readers then fall back to the checkpoint before and say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from understudy import files
from understudy.errors import CheckpointError, UnderstudyError
from understudy.models.base import SwapModel, network_class

SCHEMA = 1
KEEP = 3
_NAME = re.compile(r"\d{8,}")

Tell = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Snapshot:
    """Everything that training needs to go on as if it had never stopped.

    Attributes:
        model: weights as trained.
        average: the same network with the moving average of its weights.
        optimizer: `state_dict` of the optimiser.
        settings: training settings, as JSON.
        state: step, schedule, history and so on, as JSON.
    """

    model: SwapModel
    average: SwapModel
    optimizer: dict[str, Any]
    settings: dict[str, Any]
    state: dict[str, Any]


def save(model_folder: Path, step: int, snapshot: Snapshot, keep: int = KEEP) -> Path:
    """Write a checkpoint, point `last` at it, and remove all but the newest `keep`.

    The caller is the only writer of the model. Returns the checkpoint's folder.
    Raises StorageError.
    """
    home = model_folder / "checkpoints"
    folder = home / f"{step:08d}"
    with files.storage_errors(folder):
        home.mkdir(parents=True, exist_ok=True)
        for left_over in home.glob(".*"):
            _remove(left_over)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=home))
    try:
        with files.storage_errors(folder):
            _fill(temporary, snapshot)
            temporary.chmod(0o755)
            if folder.exists():
                # Same step again: the old one makes way only now that the new one is whole.
                os.replace(folder, home / f".{folder.name}.old")
        files.publish(temporary, folder)
        with files.storage_errors(folder):
            _point(home / "last", folder.name)
            _remove(home / f".{folder.name}.old")
            for old in checkpoints(model_folder)[keep:]:
                # Out of sight first, so that no reader meets a half-removed checkpoint.
                hidden = old.with_name(f".{old.name}.gone")
                os.replace(old, hidden)
                _remove(hidden)
    finally:
        _remove(temporary)
    return folder


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _point(link: Path, name: str) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    if not link.is_symlink():
        # Tools that copy a project may turn the link into a folder.
        _remove(link)
    os.replace(fresh, link)


def _fill(folder: Path, snapshot: Snapshot) -> None:
    for prefix, model in (("", snapshot.model), ("ema-", snapshot.average)):
        for part, tensors in model.parts().items():
            _write_tensors(folder / f"{prefix}{part}.safetensors", tensors)
    tensors, index = _flatten(snapshot.optimizer)
    _write_tensors(folder / "optimizer.safetensors", tensors)
    described = {
        "schema_version": SCHEMA,
        "network": snapshot.model.network,
        "size": snapshot.model.size,
        "people": list(snapshot.model.people),
    }
    documents = {
        "optimizer.json": index,
        "settings.json": snapshot.settings,
        "state.json": described | snapshot.state,
    }
    for name, value in documents.items():
        (folder / name).write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
    digests = {file.name: files.sha256(file) for file in sorted(folder.iterdir())}
    manifest = {"schema_version": SCHEMA, "files": digests, "sha256": _digest(digests)}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        safetensors.torch.save_file(plain, path)
    except SafetensorError as error:
        # The library hides the system's error number in its text.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error), str(path)) from error


def _digest(digests: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _flatten(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as named tensors and a JSON value for the rest."""
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for number, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                scalars.setdefault(str(number), {})[key] = value
    return tensors, {"param_groups": state["param_groups"], "state": scalars}


def _unflatten(tensors: dict[str, Tensor], index: dict[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {int(key): dict(v) for key, v in index["state"].items()}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    return {"state": state, "param_groups": index["param_groups"]}


def checkpoints(model_folder: Path) -> list[Path]:
    """The model's checkpoints, the newest first, whole or not."""
    home = model_folder / "checkpoints"
    if not home.is_dir():
        return []
    found = (entry for entry in home.iterdir() if _NAME.fullmatch(entry.name))
    return sorted(found, key=lambda entry: int(entry.name), reverse=True)


class _Reader:
    """Reads files of one checkpoint, each against the manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = self._json(self._bytes("manifest.json"), "manifest.json")
        try:
            digests = dict(manifest["files"])
            whole = manifest["sha256"] == _digest(digests)
            version = manifest["schema_version"]
        except (KeyError, TypeError, ValueError) as error:
            raise self.damaged("manifest.json", "it is not a manifest") from error
        if not whole:
            raise self.damaged("manifest.json", "it was changed")
        if version != SCHEMA:
            raise self.damaged("manifest.json", f"version {version} is unknown")
        self.digests: dict[str, str] = digests

    def damaged(self, name: str, why: str) -> CheckpointError:
        return CheckpointError(
            f"The checkpoint file {self.folder / name} is damaged ({why}).",
            f"Remove the folder {self.folder} to go on from the checkpoint before it, "
            "or restore it from a copy.",
        )

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise self.damaged(name, error.strerror or "it cannot be read") from error

    def _json(self, data: bytes, name: str) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise self.damaged(name, "it is not JSON") from error
        if not isinstance(value, dict):
            raise self.damaged(name, "it is not a JSON object")
        return value

    def read(self, name: str) -> bytes:
        data = self._bytes(name)
        if name not in self.digests:
            raise self.damaged(name, "the manifest does not list it")
        if hashlib.sha256(data).hexdigest() != self.digests[name]:
            raise self.damaged(name, f"its {len(data)} bytes are not those that were written")
        return data

    def json(self, name: str) -> dict[str, Any]:
        return self._json(self.read(name), name)

    def tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return safetensors.torch.load(self.read(name))
        except SafetensorError as error:
            raise self.damaged(name, str(error)) from error

    def model(self, prefix: str) -> SwapModel:
        state = self.json("state.json")
        try:
            with torch.random.fork_rng(devices=[]):
                model = network_class(state["network"])(state["size"], tuple(state["people"]))
            names = model.parts()
            model.load_parts({part: self.tensors(f"{prefix}{part}.safetensors") for part in names})
        except (KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"The checkpoint {self.folder} does not fit this version's networks "
                f"({str(error).splitlines()[0]}).",
                "Use the version of understudy that made it, or train anew under another name.",
            ) from error
        return model


def load(folder: Path) -> Snapshot:
    """Read a whole checkpoint, on the CPU, checking every file.

    Raises:
        CheckpointError: names the file that is missing, cut short or altered.
    """
    reader = _Reader(folder)
    index, tensors = reader.json("optimizer.json"), reader.tensors("optimizer.safetensors")
    return Snapshot(
        model=reader.model(""),
        average=reader.model("ema-"),
        optimizer=_unflatten(tensors, index),
        settings=reader.json("settings.json"),
        state=reader.json("state.json"),
    )


def load_newest(model_folder: Path, tell: Tell) -> Snapshot | None:
    """Read the newest checkpoint that is whole; None when there is no checkpoint at all.

    Args:
        tell: gets a sentence about each damaged checkpoint that was passed over.

    Raises:
        CheckpointError: there are checkpoints, but none is whole.
    """
    return _newest(checkpoints(model_folder), load, tell)


def load_state(model_folder: Path) -> dict[str, Any] | None:
    """`state.json` of the newest checkpoint in which it is whole, without the weights; None
    when there is no checkpoint at all. Raises CheckpointError."""
    return _newest(
        checkpoints(model_folder), lambda folder: _Reader(folder).json("state.json"), _ignore
    )


def load_model(model_folder: Path, tell: Tell | None = None) -> SwapModel:
    """The trained network of a model, ready for use: averaged weights, float32, on the CPU,
    in evaluation mode, without gradients.

    Only the files that are needed for this are read and checked.

    Args:
        tell: gets a sentence about each damaged checkpoint that was passed over.

    Raises:
        CheckpointError: there is no checkpoint, or none that is whole.
    """
    model = _newest(
        checkpoints(model_folder), lambda folder: _Reader(folder).model("ema-"), tell or _ignore
    )
    if model is None:
        raise CheckpointError(
            f"The model in {model_folder} has no checkpoint yet.",
            "Train it first: understudy train.",
        )
    return model.eval().requires_grad_(False)


def _ignore(text: str) -> None:
    pass


def _newest(folders: Iterable[Path], read: Callable[[Path], T], tell: Tell) -> T | None:
    first: UnderstudyError | None = None
    for folder in folders:
        try:
            found = read(folder)
        except CheckpointError as error:
            first = first or error
            tell(f"{error.problem} Going back to the checkpoint before it.")
        else:
            return found
    if first is not None:
        raise first
    return None

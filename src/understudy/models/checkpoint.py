"""Checkpoints: folders of plain files, written completely or not at all, never pickled.

    checkpoints/00001234/
      encoder.safetensors  decoder-NAME.safetensors          weights as trained
      ema-encoder.safetensors  ema-decoder-NAME.safetensors  their moving average, for use
      optimizer-encoder.safetensors  optimizer-decoder-NAME.safetensors
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

from understudy.errors import CheckpointError, UnderstudyError
from understudy.models.base import SwapModel, network_class
from understudy.runtime import files

SCHEMA = 2
_READABLE = (1, 2)
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
        optimizer: what the optimiser remembers of each weight (moments, steps), by the
            weight's name in `state_dict` and its own: "decoders.0.head.bias.exp_avg".
        settings: training settings, as JSON.
        state: step, schedule, history and so on, as JSON.
    """

    model: SwapModel
    average: SwapModel
    optimizer: dict[str, Tensor]
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
    complete(model_folder)
    replace(folder, snapshot)
    with files.storage_errors(folder):
        _point(home / "last", folder.name)
    for old in checkpoints(model_folder)[keep:]:
        discard(old)
    return folder


def replace(folder: Path, snapshot: Snapshot) -> None:
    """Make a checkpoint again in its place; call as the only writer. Raises StorageError."""
    _publish(folder, lambda temporary: _fill(temporary, snapshot))


def discard(folder: Path) -> None:
    """Remove a checkpoint; call as the only writer. Raises StorageError."""
    with files.storage_errors(folder):
        # Out of sight first, so that no reader meets a half-removed checkpoint.
        hidden = folder.with_name(f".{folder.name}.gone")
        os.replace(folder, hidden)
        _remove(hidden)


def _publish(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a checkpoint that takes the place of another at the same step, if there is one."""
    with files.storage_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with files.storage_errors(folder):
            fill(temporary)
            temporary.chmod(0o755)
        if folder.exists():
            new = folder.with_name(f".{folder.name}.new")
            files.publish(temporary, new)
            _take_place(new)
        else:
            files.publish(temporary, folder)
    finally:
        _remove(temporary)


def _take_place(new: Path) -> None:
    """Put a finished `.STEP.new` in the place of STEP."""
    folder = new.with_name(new.name.removeprefix(".").removesuffix(".new"))
    old = folder.with_name(f".{folder.name}.old")
    with files.storage_errors(folder):
        if folder.exists():
            _remove(old)
            os.replace(folder, old)
    files.publish(new, folder)
    _remove(old)


def complete(model_folder: Path) -> None:
    """Finish what a killed process began, and remove what it left; call as the only writer."""
    home = model_folder / "checkpoints"
    if not home.is_dir():
        return
    for new in home.glob(".*.new"):
        _take_place(new)
    with files.storage_errors(home):
        for left_over in home.glob(".*"):
            _remove(left_over)


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
    for part, tensors in snapshot.model.by_part(snapshot.optimizer).items():
        _write_tensors(folder / f"optimizer-{part}.safetensors", tensors)
    described = {
        "schema_version": SCHEMA,
        "network": snapshot.model.network,
        "size": snapshot.model.size,
        "people": list(snapshot.model.people),
    }
    documents = {
        "settings.json": snapshot.settings,
        "state.json": snapshot.state | described,
    }
    for name, value in documents.items():
        (folder / name).write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
    _write_manifest(folder)


def _write_manifest(folder: Path) -> None:
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


def checkpoints(model_folder: Path) -> list[Path]:
    """The model's checkpoints, the newest first, also damaged ones."""
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
        if version not in _READABLE:
            raise self.damaged("manifest.json", f"its version {version} is unknown")
        self.version: int = version
        self.digests: dict[str, str] = digests

    def damaged(self, name: str, why: str) -> CheckpointError:
        return CheckpointError(
            f"The checkpoint file {self.folder / name} is damaged ({why}).",
            f"Delete the folder {self.folder} to continue from the previous checkpoint, "
            "or restore it from a backup.",
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
            raise self.damaged(name, "it is not in the manifest")
        if hashlib.sha256(data).hexdigest() != self.digests[name]:
            raise self.damaged(name, f"its {len(data)} bytes were changed")
        return data

    def json(self, name: str) -> dict[str, Any]:
        return self._json(self.read(name), name)

    def tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return safetensors.torch.load(self.read(name))
        except SafetensorError as error:
            raise self.damaged(name, str(error)) from error

    def optimizer(self, model: SwapModel) -> dict[str, Tensor]:
        if self.version > 1:
            parts = {part: self.tensors(f"optimizer-{part}.safetensors") for part in model.parts()}
            return model.from_parts(parts)
        # Version 1 numbered the weights in their order.
        names = [name for name, _ in model.named_parameters()]
        memory = {}
        for key, value in self.tensors("optimizer.safetensors").items():
            number, own = key.split(".", 1)
            memory[f"{names[int(number)]}.{own}"] = value
        return memory

    def model(self, prefix: str) -> SwapModel:
        state = self.json("state.json")
        try:
            with torch.random.fork_rng(devices=[]):
                model = network_class(state["network"])(state["size"], tuple(state["people"]))
            names = model.parts()
            model.load_parts({part: self.tensors(f"{prefix}{part}.safetensors") for part in names})
        except (KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"The checkpoint {self.folder} is incompatible with this version's networks "
                f"({str(error).splitlines()[0]}).",
                "Use the version of understudy that made it, or train a model of another name.",
            ) from error
        return model


def load(folder: Path) -> Snapshot:
    """Read a complete checkpoint, on the CPU, and check every file.

    Raises:
        CheckpointError: names the file that is missing, cut short or altered.
    """
    reader = _Reader(folder)
    model = reader.model("")
    return Snapshot(
        model=model,
        average=reader.model("ema-"),
        optimizer=reader.optimizer(model),
        settings=reader.json("settings.json"),
        state=reader.json("state.json"),
    )


def load_newest(model_folder: Path, tell: Tell) -> Snapshot | None:
    """Read the newest undamaged checkpoint; None when there is no checkpoint at all.

    Args:
        tell: called with a sentence about each damaged checkpoint that was skipped.

    Raises:
        CheckpointError: there are checkpoints, but all are damaged.
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
        tell: called with a sentence about each damaged checkpoint that was skipped.

    Raises:
        CheckpointError: there is no checkpoint, or all are damaged.
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
            tell(f"{error.problem} Using the previous checkpoint instead.")
        else:
            return found
    if first is not None:
        raise first
    return None

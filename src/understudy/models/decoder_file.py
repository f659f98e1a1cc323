"""One person's decoder as a file of its own, which says what it is.

A safetensors file with the averaged weights of the decoder, as `decoder-NAME` is in a checkpoint,
and one entry `understudy` of metadata: JSON with the fields of `Label`. Nothing in such a file is
ever executed. It is of use only with the encoder that it was trained on, which `encoder_sha256`
names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import safetensors.torch
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from understudy import files
from understudy.errors import CheckpointError
from understudy.models.people import digest
from understudy.trust.consent import Consent

SCHEMA = 1
_KEY = "understudy"
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Label(BaseModel):
    """What a decoder file says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["decoder"] = "decoder"
    schema_version: Literal[1] = 1
    understudy: str
    """Version of the program that wrote it."""
    exported_at: AwareDatetime
    person: str
    network: str
    size: Annotated[int, Field(ge=16, le=4096)]
    encoder_sha256: _Hash
    """`people.encoder_digest` of the model that it was taken from."""
    weights_sha256: _Hash
    """`people.digest` of its own weights."""
    consent: Consent
    """On what footing the face may be used; the record of the project that it comes from."""


def write(path: Path, label: Label, weights: Mapping[str, Tensor]) -> None:
    """Write a decoder file, whole or not at all. Raises StorageError."""
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    text = label.model_dump_json(exclude_none=True)
    files.write_bytes(path, safetensors.torch.save(plain, {_KEY: text}))


def read(path: Path) -> tuple[Label, dict[str, Tensor]]:
    """Read a decoder file, checking that it is whole.

    Raises:
        CheckpointError: there is no such file, it is of another kind or version, or damaged.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a decoder ({error}).",
            "Give a file that `understudy person export` wrote; if it is one, it was damaged on "
            "the way: get it again.",
        ) from error
    label = _label(path, metadata.get(_KEY))
    if digest(weights) != label.weights_sha256:
        raise CheckpointError(
            f"{path} is damaged: its weights are not those that were written.",
            "Get the file again from where it came from.",
        )
    return label, weights


def _label(path: Path, text: str | None) -> Label:
    foreign = "Give a file that `understudy person export` wrote."
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} does not say what it is.", foreign) from error
    if not isinstance(value, dict) or value.get("kind") != "decoder":
        raise CheckpointError(f"{path} is not a person's decoder.", foreign)
    if value.get("schema_version") != SCHEMA:
        raise CheckpointError(
            f"{path} is of version {value.get('schema_version')!r}; this program reads {SCHEMA}.",
            "Use the version of understudy that wrote it, or export the person anew.",
        )
    try:
        return Label.model_validate_json(text or "")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"{path} says something of itself that cannot be: {where}: {first['msg']}.",
            "Get the file again from where it came from.",
        ) from error

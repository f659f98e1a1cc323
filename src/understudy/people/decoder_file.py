"""One person's decoder as a separate file with a description.

A safetensors file with the averaged weights of the decoder, as `decoder-NAME` is in a checkpoint,
and one entry `understudy` of metadata: JSON with the fields of `Label`. It may hold the person's
gallery, too, as `models.gallery` has it. Nothing in such a file is ever executed. It is of use only
with the encoder that it was trained on, which `encoder_sha256` names.

Files without a gallery are of schema 1, which programs from before galleries read; files with one
are of schema 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
import safetensors.torch
import torch
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError, safe_open
from torch import Tensor

from understudy.errors import CheckpointError
from understudy.models.gallery import Gallery, from_tensors, is_part
from understudy.models.hashing import digest
from understudy.runtime import files
from understudy.safeguards.consent_gate import Consent

SCHEMAS = (1, 2)
_KEY = "understudy"
_AGAIN = "Get the file again from its origin."
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Label(BaseModel):
    """What a decoder file says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["decoder"] = "decoder"
    schema_version: Literal[1, 2] = 1
    understudy: str
    """Version of the program that wrote it."""
    exported_at: AwareDatetime
    person: str
    network: str
    size: Annotated[int, Field(ge=16, le=4096)]
    encoder_sha256: _Hash
    """`training.adding_people.encoder_digest` of the model that it was taken from."""
    weights_sha256: _Hash
    """`models.hashing.digest` of its own weights."""
    consent: Consent
    """The basis on which the face may be used; the record of the project that wrote it."""
    gallery_sha256: _Hash | None = None
    """`Gallery.sha256` of the gallery in the file; None when it has none."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.schema_version == 2) != (self.gallery_sha256 is not None):
            raise ValueError("schema 2 names a gallery, schema 1 does not")
        return self


class Decoder(NamedTuple):
    """What a decoder file holds."""

    label: Label
    weights: dict[str, Tensor]
    gallery: Gallery | None


def write(
    path: Path, label: Label, weights: Mapping[str, Tensor], gallery: Gallery | None = None
) -> None:
    """Write a decoder file, completely or not at all.

    Args:
        gallery: whose hash the label names; None when it names none.

    Raises:
        StorageError
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    if gallery is not None:
        tensors = gallery.tensors().items()
        plain |= {name: torch.tensor(np.ascontiguousarray(values)) for name, values in tensors}
    text = label.model_dump_json(exclude_none=True)
    files.write_bytes(path, safetensors.torch.save(plain, {_KEY: text}))


def read(path: Path) -> Decoder:
    """Read a decoder file and check that it is complete.

    Raises:
        CheckpointError: the file is missing, of another kind or version, or damaged.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a decoder ({error}).",
            "Give a file that `understudy person export` wrote; if it is one, it is damaged: "
            "get it again.",
        ) from error
    label = _label(path, metadata.get(_KEY))
    weights = {name: value for name, value in tensors.items() if not is_part(name)}
    if digest(weights) != label.weights_sha256:
        raise CheckpointError(f"{path} is damaged: its weights were changed.", _AGAIN)
    parts = {name: value for name, value in tensors.items() if is_part(name)}
    return Decoder(label, weights, _gallery(path, label, parts))


def _gallery(path: Path, label: Label, parts: Mapping[str, Tensor]) -> Gallery | None:
    """The gallery that the label names. Raises CheckpointError when it is damaged, or another."""
    if label.gallery_sha256 is None:
        if parts:
            raise CheckpointError(
                f"{path} is damaged: it contains a gallery that it does not name.", _AGAIN
            )
        return None
    try:
        gallery = from_tensors({name: value.numpy() for name, value in parts.items()}, str(path))
    except CheckpointError as error:
        raise CheckpointError(error.problem, _AGAIN) from error
    # Other tensors with such names would not be in the hash.
    if gallery.sha256 != label.gallery_sha256 or gallery.tensors().keys() != parts.keys():
        raise CheckpointError(f"{path} is damaged: its gallery was changed.", _AGAIN)
    return gallery


def _label(path: Path, text: str | None) -> Label:
    foreign = "Give a file that `understudy person export` wrote."
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} has no description of its contents.", foreign) from error
    if not isinstance(value, dict) or value.get("kind") != "decoder":
        raise CheckpointError(f"{path} is not a person's decoder.", foreign)
    if value.get("schema_version") not in SCHEMAS:
        raise CheckpointError(
            f"{path} is of version {value.get('schema_version')!r}; this program reads "
            f"{' and '.join(map(str, SCHEMAS))}.",
            "Use the version of understudy that wrote it, or export the person again.",
        )
    try:
        return Label.model_validate_json(text or "")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "as a whole"
        raise CheckpointError(
            f"The description inside {path} is not valid: {where}: {first['msg']}.",
            _AGAIN,
        ) from error

"""What an exported model says of itself: whose face, out of which model, with what consent.

It lies in the file's own metadata, under the key `understudy`, as JSON. A model from elsewhere
has none.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from understudy.errors import MediaError
from understudy.safeguards.consent_gate import Consent, Footing

KEY = "understudy"
LONGEST = 1 << 16
"""Longest card, in characters."""

Kind = Literal["onnx", "dfm"]
SUFFIXES = frozenset({".onnx", ".dfm"})
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Grant(BaseModel):
    """The consent that stood behind an export.

    Attributes:
        footing: see `Consent`.
        sha256: of the consent record, to detect when another one is presented.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    footing: Footing
    sha256: Sha256


class Card(BaseModel):
    """What stands in an exported file.

    Attributes:
        understudy: version that wrote it.
        kind: format of inputs and outputs, see `writer`.
        person: whose face it draws; replaced: whose faces it was made to be laid over, if its
            mask of the face below is of that person.
        model, network: name and kind of the exported model; weights_sha256: of all
            the model's weights.
        size: side of the network's own picture, the core crop, in pixels.
        learned: whether the network draws a mask of its face.
        consents: by person; everyone whose decoder is inside.
        difference: largest difference between torch and ONNX Runtime when it was written,
            where pixels are 0..1; over `checked` faces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    understudy: str
    exported_at: AwareDatetime
    kind: Kind
    person: str
    replaced: str | None = None
    model: str
    network: str
    weights_sha256: Sha256
    size: Annotated[int, Field(ge=16, le=2048)]
    learned: bool
    consents: dict[str, Grant]
    difference: Annotated[float, Field(ge=0)] | None = None
    checked: Annotated[int, Field(ge=0)] = 0


def is_exported(model: str | None) -> bool:
    """Whether `model` names an exported file; a model of a project has no dot in its name."""
    return model is not None and PurePath(model).suffix.lower() in SUFFIXES


def grant(consent: Consent) -> Grant:
    """What a card says of a consent."""
    record = json.dumps(consent.model_dump(mode="json", exclude_none=True), sort_keys=True)
    return Grant(footing=consent.footing, sha256=hashlib.sha256(record.encode()).hexdigest())


def read(text: str, name: str) -> Card:
    """The card that `text` holds. Raises MediaError, calling the file `name`."""
    try:
        if len(text) > LONGEST:
            raise ValueError("it is too long")
        return Card.model_validate_json(text)
    except (ValidationError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else error
        raise MediaError(
            f"The description inside {name} is damaged ({why}).",
            "Export the person again: understudy export PERSON.",
        ) from error

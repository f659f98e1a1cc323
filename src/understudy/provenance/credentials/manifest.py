"""What a film's Content Credentials say: the facts of a render, in the words of C2PA.

The manifest holds the actions (`c2pa.opened` the source, `c2pa.edited` with the IPTC digital
source type, `c2pa.watermarked.unbound`), `c2pa.ai-disclosure`, `cawg.training-mining` (no one
may train on it) and the assertion `org.understudy.record` with `Facts`. No person's name and no
file's name goes in: hashes and numbers only.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.errors import TrustError

RECORD = "org.understudy.record"
CREATED = ["c2pa.actions", "c2pa.ai-disclosure", "cawg.training-mining", RECORD]
"""Labels of the assertions that the signer vouches for itself."""
SOURCE = "source"

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
"""A face inserted into footage."""
GENERATED = SOURCE_TYPES + "trainedAlgorithmicMedia"
"""A picture made entirely by a network."""

MATTE_REASON = "a matte, which shows no face"
"""Why a matte carries no label."""

_TRAINING = ("ai_generative_training", "ai_inference", "ai_training", "data_mining")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Mark(_Part):
    """The invisible mark in the pictures."""

    algorithm: str
    state: str
    """How well it was read back from the finished file; `none` without a mark."""
    reason: str | None = None
    """Why there is none, if the picture was not suitable."""


class ConsentReference(_Part):
    """A consent record: its number and the digest in the ledger."""

    id: str
    digest: str


class LedgerLeaf(_Part):
    """Where the ledger holds the render."""

    index: Annotated[int, Field(ge=0)]
    hash: Sha256


class Facts(_Part):
    """Facts recorded about one render. Plain JSON; times with their zone (ISO 8601)."""

    record: str
    """Number of the record; the mark in the pictures carries it."""
    made_at: AwareDatetime
    unsigned_sha256: Sha256
    """Hash of the finished file before it was signed."""
    source_sha256: Sha256 | None = None
    """Hash of the film or picture that was changed."""
    model_sha256: Sha256 | None = None
    """Hash of the model that made the face."""
    mark: Mark | None = None
    consents: tuple[ConsentReference, ...] = ()
    ledger: LedgerLeaf | None = None
    guard: str = "unscanned"
    """The content guard's result, with its version."""
    label: str = ""
    """The label that can be seen in the picture."""
    reason: str | None = None
    """Why there is none, if there is none."""
    tool: str = Field(default_factory=lambda: f"understudy {version('understudy')}")


class Seal(_Part):
    """What holds the bytes that the signature itself leaves open; see `exclusions`."""

    layout: Sha256 | None = None
    carried: Sha256 | None = None
    stamped: bool = False
    """A time-stamp was asked for and given; without it something is missing."""


class Record(_Part):
    """The assertion `org.understudy.record`."""

    schema_version: Literal[1] = 1
    facts: Facts
    seal: Seal = Seal()


def manifest(record: Record, source: bool, composite: bool) -> dict[str, Any]:
    """The manifest definition for c2pa-python.

    Args:
        source: an ingredient with the label `SOURCE` is added, which was opened.
        composite: the picture is partly footage; otherwise it was generated entirely.
    """
    facts = record.facts
    agent = {"name": "Understudy", "version": version("understudy")}
    kind = COMPOSITE if composite else GENERATED
    made = {"when": facts.made_at.isoformat(), "softwareAgent": agent, "digitalSourceType": kind}
    actions: list[dict[str, Any]]
    if source:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [SOURCE]}}
        actions = [opened, {"action": "c2pa.edited", **made}]
    else:
        actions = [{"action": "c2pa.created", **made}]
    if facts.mark is not None and facts.mark.state != "none":
        actions.append({"action": "c2pa.watermarked.unbound"})
    disclosure = {"modelType": "c2pa.types.model.pytorch", "modelName": "Understudy face model"}
    if facts.model_sha256 is not None:
        disclosure["modelIdentifier"] = f"sha256:{facts.model_sha256}"
    mining = {f"cawg.{use}": {"use": "notAllowed"} for use in _TRAINING}
    return {
        "claim_generator_info": [agent],
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": actions}},
            {"label": "c2pa.ai-disclosure", "data": disclosure},
            {"label": "cawg.training-mining", "data": {"entries": mining}},
            {"label": RECORD, "data": record.model_dump(mode="json", exclude_none=True)},
        ],
    }


def check_vocabulary(definition: dict[str, Any]) -> None:
    """The checks that the library leaves out.

    Every digital source type is one of the two that a studio like this can rightly state, the
    edit that made the face has one, and no action claims a bound mark, which needs a registered
    algorithm.

    Raises:
        TrustError: it is not.
    """
    actions = [
        action
        for assertion in definition["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    types = [one["digitalSourceType"] for one in actions if "digitalSourceType" in one]
    wrong = [one for one in types if one not in (COMPOSITE, GENERATED)]
    names = [one["action"] for one in actions]
    if wrong or not types:
        raise TrustError(
            f"The digital source type of the credentials would be {wrong or 'missing'}.",
            f"Use {COMPOSITE} or {GENERATED}.",
        )
    if "c2pa.watermarked" in names or "c2pa.watermarked.bound" in names:
        raise TrustError(
            "The credentials would claim a watermark whose algorithm is not registered.",
            "Use the action c2pa.watermarked.unbound.",
        )

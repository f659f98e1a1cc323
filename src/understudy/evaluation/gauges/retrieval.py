"""Check whether a swap is recognised as its source among many people.

Distances say little by themselves: some people look alike, some faces are found far from their
own mean. So each measured face of a swap is compared with the mean embeddings of everyone in the
project and of a crowd of synthetic people that comes with the package, and it counts when the
nearest of all is the person whose face it should be.

The crowd was made by `tools/make_crowd_identities.py`. It shows computer-made people only (CC0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from understudy.errors import WeightsError
from understudy.runtime import files
from understudy.types import Floats

SHIPPED = Path(__file__).with_name("crowd.safetensors")
KEY = "crowd"
"""Key of the JSON description in the file's metadata."""

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Retrieval:
    """How often the person is found.

    Attributes:
        share: of the frames whose nearest person is the right one, 0..1; None without frames.
        frames: how many were compared.
        people: how many people there were to choose from, the right one included.
        nearest_other: the other person who was nearest most often; None if none was.
    """

    share: float | None
    frames: int
    people: int
    nearest_other: str | None


def retrieval(
    embeddings: Sequence[Floats], source: str, people: Mapping[str, Floats]
) -> Retrieval | None:
    """Find each embedding's nearest person.

    Args:
        embeddings: of a swap's faces, (128,) each.
        source: whose face they should be.
        people: mean embedding by name, `source` among them; with no one else every frame would
            be right.

    Returns:
        None when `source` is not among the people, or is the only one.
    """
    if source not in people or len(people) < 2:
        return None
    names = list(people)
    means = np.stack([people[name] for name in names])
    nearest = [names[int(np.linalg.norm(means - one, axis=1).argmin())] for one in embeddings]
    others = [name for name in nearest if name != source]
    return Retrieval(
        share=1 - len(others) / len(nearest) if nearest else None,
        frames=len(nearest),
        people=len(names),
        nearest_other=max(dict.fromkeys(others), key=others.count, default=None),
    )


def crowd(path: Path = SHIPPED) -> dict[str, Floats]:
    """Mean embedding (128,) of each person of the crowd, by name.

    Raises:
        WeightsError: the file cannot be read, is damaged or of another version.
    """
    remedy = "Reinstall the package."
    try:
        with safe_open(str(path), "numpy") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "null"))
            means = file.get_tensor("embeddings")
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}).", remedy) from error
    if not isinstance(about, dict) or about.get("schema_version") != SCHEMA_VERSION:
        raise WeightsError(f"{path} was made for another version of this program.", remedy)
    names = about.get("names")
    if not isinstance(names, list) or means.shape != (len(names), 128):
        raise WeightsError(f"{path} is damaged: its names do not match its embeddings.", remedy)
    return dict(zip(names, np.asarray(means, np.float32), strict=True))


def write_crowd(path: Path, people: Mapping[str, Floats], about: Mapping[str, str]) -> None:
    """Write a crowd's file.

    Args:
        people: mean embedding (128,) by name.
        about: source, licence and the like, kept in the metadata.

    Raises:
        StorageError: it cannot be written.
    """
    said = {**about, "schema_version": SCHEMA_VERSION, "names": list(people)}
    means = {"embeddings": np.stack(list(people.values())).astype(np.float32)}
    metadata = {KEY: json.dumps(said, sort_keys=True)}
    files.write_bytes(path, safetensors.numpy.save(means, metadata))

"""Small networks in small files: safetensors with weights of eight bits.

Every matrix is kept as 8-bit integers, each of its rows (output channels) with a scale of its own,
so that `weight = integer * scale`; vectors are kept as 16-bit floats. What the network is stands in
the file's metadata under a key, as JSON with a `schema_version`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from understudy.errors import UnderstudyError
from understudy.runtime import files

SCALE = ".scale"
LARGEST = 127


def quantised(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by name as a file keeps them; the scale of NAME is `NAME.scale`, float32."""
    kept: dict[str, Tensor] = {}
    for name, value in weights.items():
        value = value.detach().cpu()
        if value.dim() < 2:
            kept[name] = value.half()
            continue
        rows = value.float().flatten(1)
        scale = (rows.abs().amax(1) / LARGEST).clamp_min(1e-12)
        kept[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape)
        kept[name + SCALE] = scale
    return kept


def restored(kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, float32, of what `quantized_weights` gave. Raises KeyError when a scale is
    missing."""
    return {
        name: value.float() * kept[name + SCALE].view(-1, *[1] * (value.dim() - 1))
        if value.dtype == torch.int8
        else value.float()
        for name, value in kept.items()
        if not name.endswith(SCALE)
    }


def write(path: Path, key: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors as they are, with `about` under `key`. Raises StorageError."""
    said = {key: json.dumps(about, sort_keys=True)}
    files.write_bytes(path, safetensors.torch.save(dict(tensors), said))


def read(
    path: Path, key: str, schema: int, unfit: Callable[[str], UnderstudyError]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file, as they are, and what it says of itself under `key`.

    Args:
        unfit: the error for a file that is none, is damaged, or of another schema, from why.
    """
    try:
        with safe_open(path, "pt") as opened:
            about = json.loads((opened.metadata() or {})[key])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except OSError as error:
        raise unfit(f"it cannot be read ({error.strerror or error})") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise unfit(f"it contains no {key} network, or is damaged") from error
    found = about.get("schema_version") if isinstance(about, dict) else None
    if found != schema:
        raise unfit(f"it has schema {found}, not {schema}")
    return tensors, about

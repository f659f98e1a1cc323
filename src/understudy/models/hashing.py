"""The hash by which a network's weights are known in records and files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn


def weights_hash(model: nn.Module) -> str:
    """Hex SHA-256 over all weights of a model; see `digest`."""
    return digest(model.state_dict())


def digest(weights: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names, kinds, shapes and values of weights."""
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()

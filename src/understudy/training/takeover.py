"""Start with another model's encoder, so that it need not be trained again."""

from __future__ import annotations

from understudy.errors import SettingsError
from understudy.models.base import SwapModel


def take_encoder(model: SwapModel, source: SwapModel, name: str) -> None:
    """Copy the weights of the encoder of `source` to `model`; `source` is unchanged.

    `swift`, `vae` and `autoencoder` of one size have encoders of one shape; what a network has
    besides it (decoders, the heads of `vae`) is unchanged.

    Args:
        name: of the source, for the message.

    Raises:
        SettingsError: the encoders differ in shape; then nothing is changed.
    """
    own, other = model.get_submodule("encoder"), source.get_submodule("encoder")
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (own, other)]
    if shapes[0] != shapes[1]:
        raise SettingsError(
            f"The encoder of {name} ({source.network}, {source.size} px) is incompatible with "
            f"{model.network} at {model.size} px.",
            "Use a model of the same size; swift, vae and autoencoder are compatible, "
            "original only with itself.",
        )
    own.load_state_dict(other.state_dict())

"""The libraries that read and write ONNX files; they come with the extra `export`."""

from __future__ import annotations

import importlib
from types import ModuleType

from understudy.errors import SettingsError


def library(name: str) -> ModuleType:
    """The library `name`: onnx, onnxruntime or onnxscript. Raises SettingsError without it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The library `{name}`, which exported models need, is not installed.",
            "Install it with: pip install 'understudy[export]'",
        ) from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its errors have no base of their own."""
    state = library("onnxruntime.capi.onnxruntime_pybind11_state")
    found = [value for value in vars(state).values() if isinstance(value, type)]
    return (
        RuntimeError,
        ValueError,
        *(value for value in found if issubclass(value, Exception)),
    )

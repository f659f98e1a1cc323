"""Where and how tensors are computed: device, precision, threads, memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from understudy.errors import SettingsError
from understudy.runtime import cpu

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def choose_device(name: str) -> torch.device:
    """The device called `name`; for "auto" the best there is.

    Raises:
        SettingsError: this machine or this build of torch has no such device.
    """
    have = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in have.items() if there))
    if not have.get(name, False):
        there = ", ".join(kind for kind, present in have.items() if present)
        raise SettingsError(
            f"The device `{name}` is not available (torch {torch.__version__}).",
            f"Choose auto, or one of: {there}. `understudy doctor` shows details.",
        )
    return torch.device(name)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("arm_bf16"))
    return False


def cores() -> int:
    """How many processor cores this process may use, 1 or more."""
    return cpu.usable().number


@contextmanager
def few_threads(count: int | None = None) -> Iterator[None]:
    """Let every single operation use few threads while this lasts; half of the cores by default.

    For work that is spread over threads of ours already, such as decoding beside a network
    beside encoding: parallel loops that wait for a busy core cost many times what they save.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    count = count or max(1, cores() // 2)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def settle(threads: int | None = None) -> None:
    """Fit this process to the machine: as many threads as it has cores, and memory kept.

    More threads than cores make every parallel loop wait for the scheduler. By default glibc
    hands large blocks back to the system at each release, and every page of the next tensor
    is then cleared and mapped again.
    """
    torch.set_num_threads(threads or cores())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, -1)

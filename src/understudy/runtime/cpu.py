"""Number of processor cores that this process may use; does not import torch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cores:
    """Attributes:
    number: of threads that are worth starting, 1 or more.
    why: what limits them, in words.
    """

    number: int
    why: str


def usable() -> Cores:
    """The least of what the machine has, what this process is bound to, what its cgroup allows
    it, and what OMP_NUM_THREADS asks for."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    allowed = allowed or os.cpu_count() or 1
    found = Cores(allowed, "all of this machine")
    if allowed < (os.cpu_count() or allowed):
        found = Cores(allowed, f"this process may use {allowed} of {os.cpu_count()}")
    quota = _quota()
    if quota is not None and quota < allowed:
        found = Cores(max(1, math.ceil(quota)), f"a cgroup allows {quota:g} of {allowed}")
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and 0 < int(asked) < found.number:
        found = Cores(int(asked), f"OMP_NUM_THREADS asks for {asked} of {found.number}")
    return found


def _quota() -> float | None:
    """Cores' worth of time that the cgroup of this process allows it; None without limit."""
    for name in ("cpu.max", "cpu/cpu.cfs_quota_us"):
        try:
            words = (_CGROUP / name).read_text().split()
            if name == "cpu.max":
                limit, period = words[0], words[1]
            else:
                limit, period = words[0], (_CGROUP / "cpu/cpu.cfs_period_us").read_text()
        except (OSError, IndexError):
            continue
        return None if limit in ("max", "-1") else int(limit) / int(period)
    return None

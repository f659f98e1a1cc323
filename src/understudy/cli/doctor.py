"""Check what this machine offers and what is missing: `understudy doctor`.

Each check examines one thing and reports it in one line. A library that cannot be imported is a
finding, not an error of this command.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from understudy.errors import UnderstudyError
from understudy.runtime import cpu

Level = Literal["ok", "warn", "fail"]

GIB = 1 << 30
LOW_DISK = 5 * GIB
LOW_MEMORY = 2 * GIB
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        name: what was checked.
        level: ok, warn (works with a limitation) or fail (something required is missing).
        text: what was found.
        remedy: what to do about it; empty if nothing is wrong.
    """

    name: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class DoctorReport:
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything required is present."""
        return all(check.level != "fail" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {"healthy": self.healthy, "checks": [asdict(check) for check in self.checks]}


def doctor(folder: Path) -> DoctorReport:
    """Run all checks; `folder` is where films and models would be written."""
    looks: tuple[Callable[[], Iterable[Check]], ...] = (
        _python,
        _torch,
        _threads,
        _video,
        _opencv,
        _weights,
        _ledger,
        _guard,
        lambda: _disk(folder),
        _memory,
    )
    return DoctorReport(tuple(check for look in looks for check in look()))


def _import(name: str) -> tuple[Any, str]:
    """The module and "", or None and why it cannot be imported."""
    try:
        return importlib.import_module(name), ""
    except (ImportError, OSError) as error:
        return None, str(error)


def _broken(name: str, library: str, why: str) -> Check:
    return Check(
        name,
        "fail",
        f"{library} cannot be imported ({why})",
        "Reinstall the package: make setup, or pip install --force-reinstall understudy.",
    )


def _python() -> Iterator[Check]:
    text = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    yield Check("Python", "ok", text)
    try:
        yield Check("understudy", "ok", metadata.version("understudy"))
    except metadata.PackageNotFoundError:
        yield Check(
            "understudy", "warn", "run from a folder, not installed", "Run: pip install -e ."
        )


def _torch() -> Iterator[Check]:
    torch, why = _import("torch")
    if torch is None:
        yield _broken("torch", "torch", why)
        return
    yield Check("torch", "ok", str(torch.__version__))
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        name = torch.cuda.get_device_name(0)
        yield Check("device", "ok", f"cuda: {name}, {memory / GIB:.0f} GiB, found by torch")
        yield _bf16(torch, "cuda")
        return
    if torch.backends.mps.is_available():
        yield Check("device", "ok", "mps: Apple GPU, found by torch")
        yield _bf16(torch, "mps")
    else:
        built = torch.version.cuda or torch.version.hip
        reason = (
            f"torch is built for {built}, but found no GPU"
            if built
            else "this build of torch supports only the CPU"
        )
        yield Check("device", "ok", f"cpu: {reason}")
        yield _bf16(torch, "cpu")


def _bf16(torch: Any, device: str) -> Check:
    from understudy.runtime.devices import bfloat16_pays

    if bfloat16_pays(torch.device(device)):
        able = torch.cpu.get_capabilities() if device == "cpu" else {}
        by = [name for name in ("avx512_bf16", "amx_bf16", "arm_bf16") if able.get(name)]
        return Check("bfloat16", "ok", f"supported by the {device} {' '.join(by)}".rstrip())
    return Check("bfloat16", "ok", f"not supported by the {device}; float32 is used")


def _threads() -> Iterator[Check]:
    found = cpu.usable()
    yield Check("threads", "ok", f"{found.number} ({found.why})")


def _video() -> Iterator[Check]:
    av, why = _import("av")
    if av is None:
        yield _broken("video", "PyAV", why)
        return
    ffmpeg = av.ffmpeg_version_info
    yield Check("video", "ok", f"PyAV {av.__version__} with ffmpeg {ffmpeg}")
    from understudy.media.video import available_encoders

    encoders = list(available_encoders())
    if "libx264" in encoders:
        yield Check("encoders", "ok", ", ".join(encoders))
    else:
        yield Check(
            "encoders",
            "fail",
            ", ".join(encoders) or "none",
            "The default, libx264, is missing: install PyAV from its wheel (pip install av).",
        )


def _opencv() -> Iterator[Check]:
    cv2, why = _import("cv2")
    if cv2 is None:
        yield _broken("OpenCV", "cv2", why)
        return
    owners = sorted(set(metadata.packages_distributions().get("cv2", [])))
    if len(owners) > 1:
        keep = "opencv-python-headless"
        yield Check(
            "OpenCV",
            "warn",
            f"{cv2.__version__}, but {len(owners)} packages contain cv2: {', '.join(owners)}",
            f"They overwrite each other: pip uninstall {' '.join(owners)}; pip install {keep}.",
        )
    else:
        yield Check("OpenCV", "ok", f"{cv2.__version__} from {', '.join(owners) or 'a folder'}")


def _weights() -> Iterator[Check]:
    from understudy.faces.weights.store import status

    states = status()
    missing = [state.name for state in states if state.state == "missing"]
    damaged = [state for state in states if state.state == "damaged"]
    if damaged:
        yield Check(
            "weights",
            "fail",
            f"damaged: {', '.join(f'{state.name} ({state.path})' for state in damaged)}",
            "Delete the file, or replace it with a complete copy.",
        )
    elif missing:
        yield Check(
            "weights",
            "warn",
            f"{len(missing)} of {len(states)} are not downloaded yet: {', '.join(missing)}",
            "They are downloaded when first needed; to download them now: understudy weights",
        )
    else:
        yield Check("weights", "ok", f"all {len(states)} are present")


def _ledger() -> Iterator[Check]:
    """Whether films can be signed and recorded in the ledger."""
    from understudy.provenance.ledger.ledger import Ledger
    from understudy.runtime.installation import VARIABLE, Home

    home = Home.from_environment()
    if not os.access(_there(home.folder), os.W_OK) or _there(home.folder).is_file():
        yield Check(
            "ledger",
            "warn",
            f"{home.folder} is not writable, so no film can be signed",
            f"Set {VARIABLE} to a folder in which you can write.",
        )
    elif not home.ledger.exists():
        yield Check("ledger", "ok", f"starts with the first consent or film, in {home.folder}")
    else:
        try:
            with Ledger.open(home, write=False) as ledger:
                entries = len(ledger)
        except UnderstudyError as error:
            yield Check("ledger", "fail", error.problem, error.remedy)
            return
        yield Check("ledger", "ok", f"{entries} entries, in {home.folder}")


def _guard() -> Iterator[Check]:
    from understudy.safeguards.content_guard.line import available

    try:
        found = available()
    except UnderstudyError as error:
        yield Check("guard", "fail", error.problem, error.remedy)
        return
    if found is None:
        found = 'not installed; films are marked as unscanned. Optional: pip install ".[guard]"'
    yield Check("guard", "ok", found)


def _there(path: Path) -> Path:
    """`path`, or the nearest parent of it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _disk(folder: Path) -> Iterator[Check]:
    folder = _there(folder)
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        yield Check("disk", "warn", f"{folder} is not writable", "Use a folder you can write to.")
    elif free < LOW_DISK:
        yield Check(
            "disk", "warn", text, "Free disk space: films, models and the cache need more than this"
        )
    else:
        yield Check("disk", "ok", text)


def _memory() -> Iterator[Check]:
    psutil, why = _import("psutil")
    if psutil is None:
        yield _broken("memory", "psutil", why)
        return
    memory = psutil.virtual_memory()
    total, available = int(memory.total), int(memory.available)
    limit, used = _cgroup_bytes("memory.max"), _cgroup_bytes("memory.current")
    bound = ""
    if limit is not None and limit < total:
        total, bound = limit, ", limited by a cgroup"
        available = min(available, max(0, limit - (used or 0)))
    text = f"{available / GIB:.1f} of {total / GIB:.1f} GiB free{bound}"
    if available < LOW_MEMORY:
        yield Check("memory", "warn", text, "Close other programs before training.")
    else:
        yield Check("memory", "ok", text)


def _cgroup_bytes(name: str) -> int | None:
    try:
        text = (_CGROUP / name).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None

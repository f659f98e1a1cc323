"""Where this installation keeps what outlives projects: keys, ledger, records.

    $UNDERSTUDY_HOME, or $XDG_DATA_HOME/understudy, or ~/.local/share/understudy
        keys/               private keys and certificates; only the user may read them
        ledger.sqlite       the append-only log of everything that was made
        records/            facts about each output, by the number in its watermark

The only module that knows these paths.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from understudy.errors import StorageError

VARIABLE = "UNDERSTUDY_HOME"

_IN_THE_WAY, _LOCKED = "a file has the name of a needed folder", "it is not writable"
_WHY = {
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EACCES: _LOCKED,
    errno.EPERM: _LOCKED,
    errno.EROFS: _LOCKED,
}


@dataclass(frozen=True)
class Home:
    """Attributes:
    folder: contains everything; need not exist yet.
    """

    folder: Path

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Self:
        """The user's own. Raises StorageError where its place cannot be looked at."""
        if env.get(VARIABLE):
            return cls(_reachable(Path(env[VARIABLE])))
        data = Path(env.get("XDG_DATA_HOME") or Path(env.get("HOME", "~")) / ".local" / "share")
        return cls(_reachable(data / "understudy"))

    def make(self) -> None:
        """Create the folder if missing. Raises StorageError if nothing can be stored."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            why = _WHY.get(error.errno or 0, error.strerror)
            raise StorageError(
                f"Keys, ledger and records cannot be stored in {self.folder}: {why}.",
                f"Set {VARIABLE} to a folder you can write to.",
            ) from error

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.sqlite"

    @property
    def records(self) -> Path:
        return self.folder / "records"


def _reachable(path: Path) -> Path:
    try:
        expanded = path.expanduser()
        expanded.exists()
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        raise StorageError(
            f"Keys, ledger and records cannot be stored in {path}: {why}.",
            f"Set {VARIABLE} to another folder.",
        ) from error
    return expanded

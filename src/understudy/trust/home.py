"""Where this installation keeps what outlives projects: keys, ledger, records.

    $UNDERSTUDY_HOME, or $XDG_DATA_HOME/understudy, or ~/.local/share/understudy
        keys/               private keys and certificates; only the user may read them
        ledger.sqlite       the append-only log of everything that was made
        records/            what is known of each output, by the number in its watermark

The only module that knows these paths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "UNDERSTUDY_HOME"


@dataclass(frozen=True)
class Home:
    """Attributes:
    folder: where everything lies; need not exist yet.
    """

    folder: Path

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Self:
        """The user's own."""
        if env.get(VARIABLE):
            return cls(Path(env[VARIABLE]).expanduser())
        data = Path(env.get("XDG_DATA_HOME") or Path(env.get("HOME", "~")) / ".local" / "share")
        return cls(data.expanduser() / "understudy")

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.sqlite"

    @property
    def records(self) -> Path:
        return self.folder / "records"

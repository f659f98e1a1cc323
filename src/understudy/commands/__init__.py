"""The commands, a module for each kind; importing them registers them with `app`."""

from understudy.commands import (
    compare,
    consent,
    exchange,
    explain,
    imagine,
    ledger,
    people,
    pretrain,
    stages,
    tools,
    tracks,
    verify,
)
from understudy.commands.app import STOPPED, app

__all__ = [
    "STOPPED",
    "app",
    "compare",
    "consent",
    "exchange",
    "explain",
    "imagine",
    "ledger",
    "people",
    "pretrain",
    "stages",
    "tools",
    "tracks",
    "verify",
]

"""The commands, a module for each kind; importing them registers them with `app`."""

from understudy.cli.commands import (
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
from understudy.cli.commands.app import STOPPED, app

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

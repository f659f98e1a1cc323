"""The commands, one module for each group; importing a module registers its commands."""

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

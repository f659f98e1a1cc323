"""The commands, a module for each kind; importing them registers them with `app`."""

from understudy.commands import compare, exchange, explain, imagine, people, pretrain, stages, tools
from understudy.commands.app import STOPPED, app

__all__ = [
    "STOPPED",
    "app",
    "compare",
    "exchange",
    "explain",
    "imagine",
    "people",
    "pretrain",
    "stages",
    "tools",
]

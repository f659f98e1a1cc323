"""What all commands share: the application they register with, and types of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from importlib import metadata
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from understudy.cli.session import Session, seconds
from understudy.settings import Settings

STOPPED = 130

_HELP = """Swap faces in films and pictures, and prove what was made.

Run the commands in this order: init, add, extract, train, convert, evaluate.
`understudy demo` runs all of them on two bundled synthetic people."""


Time = Annotated[Fraction, Parameter(converter=seconds, n_tokens=1, metavar="TIME")]
Own = Annotated[Session, Parameter(parse=False)]
DEFAULTS = "Values in project.toml override the defaults shown here."
SCAN = Group("Finding faces", sort_key=10)
ENCODE = Group("Writing films", sort_key=11)
_GLOBAL = Group("Global options", sort_key=20)

app = App(
    name="understudy",
    help=_HELP,
    help_format="markdown",
    version=lambda: metadata.version("understudy"),
    suppress_keyboard_interrupt=False,
)
app["--help"].group = _GLOBAL
app["--version"].group = _GLOBAL
app.meta.group_parameters = _GLOBAL
app.meta.suppress_keyboard_interrupt = False


def given(*settings: Settings | None) -> dict[str, Any]:
    """Only the settings given on the command line, without defaults."""
    return {
        name: getattr(one, name)
        for one in settings
        if one is not None
        for name in one.model_fields_set
    }


def passed_over(found: Mapping[str, int]) -> list[str]:
    """Lines about files in folders that were skipped: how many, by kind."""
    return [f"Skipped {number}: {what}" for what, number in sorted(found.items())]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

"""What the commands share: the session, parsing of times, and errors printed in two lines."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from cyclopts import CycloptsError, Token
from pydantic import ValidationError

from understudy.cli.output import Output
from understudy.errors import SettingsError, UnderstudyError
from understudy.progress import Progress
from understudy.project import Project
from understudy.runtime.filenames import word

# Ten digits are 300 years, more than any film lasts and any clock of a film counts.
_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{0,12})?|\.[0-9]{1,12}")


@dataclass
class Session:
    """State shared by the commands within one call of `main`."""

    folder: Path | None
    out: Output = field(default_factory=Output)

    def project(self) -> Project:
        """The project named with --project, else the one around the current folder."""
        return Project.open(self.folder) if self.folder else Project.find(Path.cwd())

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show the progress of a stage on standard error while the block runs."""
        from understudy.cli.progress_bar import Terminal

        with Terminal(Output(errors=True)) as terminal:
            yield terminal.progress

    def say(self, *lines: str) -> None:
        """Write lines to standard output; no line may contain a line break."""
        for line in lines:
            self.out.tell(line)


def seconds(kind: Any, tokens: Sequence[Token]) -> Fraction:
    """`12.5`, `1:02.5` or `1:02:03` as seconds."""
    text = tokens[0].value
    pieces = text.split(":")
    parts = [Fraction(piece) for piece in pieces if _SECONDS.fullmatch(piece)]
    if not 1 <= len(parts) <= 3 or len(parts) < len(pieces):
        raise ValueError(f"`{text}` is not a valid time; use 12.5, 1:02.5 or 1:02:03")
    return sum((part * 60**power for power, part in enumerate(reversed(parts))), Fraction(0))


def tell(problem: str, remedy: str) -> None:
    """Print two lines: what is wrong, and a hint what to do."""
    console = Output(errors=True)
    console.tell("error:", style="bold red", end=" ")
    console.tell(problem)
    console.tell(f"{'hint:':<6} {remedy}")


def wrong_use(error: CycloptsError, command: str, words: Sequence[str]) -> SettingsError:
    """Turn an error of cyclopts about the arguments into one of our errors."""
    remedy = f"See: understudy {command} --help" if command else "See: understudy --help"
    dashed = [one for one in words if one.startswith("-") and os.path.lexists(one)]
    if dashed:
        remedy = f"Write the file name so that it is not read as an option: {word(dashed[0])}"
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        first = cause.errors()[0]
        flag = "".join(f"--{str(part).replace('_', '-')}: " for part in first["loc"])
        got = f", not {first['input']!r}" if first["loc"] else ""
        return SettingsError(f"{flag}{first['msg'].removeprefix('Value error, ')}{got}.", remedy)
    return SettingsError(str(error).strip(), remedy)


@contextmanager
def fault_log(words: Sequence[str]) -> Iterator[tuple[logging.Logger, Path]]:
    """Open a log in a new file: in the project's cache folder, or else in the temporary folder."""
    try:
        named = [text for flag, text in pairwise(words) if flag == "--project"]
        folder = Project.find(Path(named[0]) if named else Path.cwd()).cache_folder
    except UnderstudyError:
        folder = Path(tempfile.gettempdir())
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    path = folder / f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    log = logging.Logger("understudy.fault")
    log.addHandler(handler)
    try:
        yield log, path
    finally:
        handler.close()

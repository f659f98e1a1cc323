"""Standard output and standard error as the commands write to them.

Whoever reads may stop reading (`| head`), and then the work goes on and ends as it would have
ended. What is shown may come from files, so nothing in it may control the terminal.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console

from understudy.errors import StorageError
from understudy.runtime.filenames import plain


class Output(Console):
    """A console that outlives its reader.

    Args:
        errors: write to standard error; there, what cannot be written is not missed.
    """

    def __init__(self, *, errors: bool = False) -> None:
        super().__init__(stderr=errors, highlight=False, soft_wrap=True)
        self._errors = errors

    def tell(self, text: str, style: str = "", end: str = "\n") -> None:
        """Write one line, with control characters made harmless. Raises as `print`."""
        self.print(plain(text), style=style, markup=False, end=end)

    def print(self, *objects: Any, **how: Any) -> None:
        """As `Console.print`.

        Raises:
            StorageError: standard output goes to a file, and the disk is full or failed.
        """
        try:
            super().print(*objects, **how)
        except OSError as error:
            self._close()
            if not self._errors:
                raise StorageError(
                    f"Standard output cannot be written ({error.strerror or error}).",
                    "Free some space or send it elsewhere, and run the same command again.",
                ) from error

    def on_broken_pipe(self) -> None:
        self._close()

    def _close(self) -> None:
        """Write no more. What is still held back must not fail when Python ends."""
        self.quiet = True
        stream = sys.stderr if self._errors else sys.stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def prepare_streams() -> None:
    """Make up for streams that the caller closed, and for an encoding that lacks letters."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as we run
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

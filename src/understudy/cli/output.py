"""Standard output and standard error, as the commands write to them.

The reader may close the pipe early (`| head`); the work then continues to its normal end. Printed
text may come from files, so control characters are removed from it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console

from understudy.errors import StorageError
from understudy.runtime.filenames import plain


class Output(Console):
    """A console that keeps working when its reader is gone.

    Args:
        errors: write to standard error, where a failed write is ignored.
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
                    "Free some disk space or redirect the output, and run the command again.",
                ) from error

    def on_broken_pipe(self) -> None:
        self._close()

    def _close(self) -> None:
        """Stop writing. Text still in the buffer must not cause an error when Python exits."""
        self.quiet = True
        stream = sys.stderr if self._errors else sys.stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def prepare_streams() -> None:
    """Replace streams that the caller closed; escape letters that the encoding lacks."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as we run
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

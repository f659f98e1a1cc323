"""The command line: one command for each stage.

    understudy init film && cd film
    understudy add ada ada.mp4 --consent self
    understudy extract && understudy train --minutes 20
    understudy convert scene.mp4 --replace chen --with ada

This module turns arguments into settings, passes them to the stage of the same name, and prints
what the stage reports. Exit codes: 0 done, 2 wrong use, 70 a fault of this program, 130 stopped
with Ctrl-C, 141 the reader of the output closed it; the others are listed in `errors.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from understudy.cli.commands import STOPPED, app
from understudy.cli.output import prepare_streams
from understudy.cli.session import Session, fault_log, tell, wrong_use
from understudy.errors import UnderstudyError
from understudy.runtime.files import from_system

FAULT = 70
UNREAD = 141


@app.meta.default
def _launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    project: Path | None = None,
) -> int:
    """
    Args:
        project: Project folder. Default: the project that contains the current folder.
    """
    command, bound, ignored = app.parse_args(words, exit_on_error=False, print_error=False)
    if "session" in ignored:
        bound.arguments["session"] = Session(project)
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. No error becomes a traceback.

    Args:
        words: the arguments after `understudy`; those of this process when None.
    """
    words = list(sys.argv[1:] if words is None else words)
    prepare_streams()
    try:
        result = app.meta(
            words, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except cyclopts.CycloptsError as error:
        wrong = wrong_use(error, next((word for word in words if word in app), ""), words)
        tell(wrong.problem, wrong.remedy)
        return wrong.exit_code
    except UnderstudyError as error:
        tell(error.problem, error.remedy)
        return error.exit_code
    except KeyboardInterrupt:
        tell("Stopped.", "Finished work is kept; run the same command to continue.")
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except Exception as error:
        if _interrupted(error):
            tell("Stopped.", "Finished work is kept; run the same command to continue.")
            return STOPPED
        if isinstance(error, OSError) and (trouble := from_system(error)) is not None:
            tell(trouble.problem, trouble.remedy)
            return trouble.exit_code
        with fault_log(words) as (log, path):
            log.exception("understudy %s: %s", metadata.version("understudy"), " ".join(words))
        tell(
            f"Internal error in understudy ({type(error).__name__}: {error}).",
            f"Finished work is kept. Please report this error and attach the file {path}",
        )
        return FAULT


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused an error: libraries that are being imported turn it into errors of
    their own."""
    seen = 0
    while error is not None and seen < 50:
        if isinstance(error, KeyboardInterrupt):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False

"""Run work in a separate process, so that its memory use can be measured.

The process is a new one (spawned, not forked: nothing of this process counts as its own). What
the work tells of its progress arrives here, so does the error that ends it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from understudy.errors import ProjectError, UnderstudyError
from understudy.progress import Event, Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What the work gave, and the most memory that its process held: resident, MB (10^6)."""

    value: T
    memory_mb: float


class Runs(Protocol):
    """What runs work; `run_apart` does."""

    def __call__(
        self, what: str, work: Callable[..., T], *arguments: Any, progress: Progress
    ) -> Outcome[T]: ...


def high_water() -> float:
    """Peak resident memory of this process, MB (10^6).

    What getrusage says of a child may be its parent's, so Linux is asked in another way.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def run_apart(what: str, work: Callable[..., T], *arguments: Any, progress: Progress) -> Outcome[T]:
    """Run `work(progress, *arguments)` in a new process and wait for it.

    A program that calls this must be importable without running: what it does stands under
    `if __name__ == "__main__":`.

    Args:
        what: is done, in words, for the message when the process dies.
        work: a function of a module; it, the arguments and what it gives are sent between the
            processes.

    Raises:
        UnderstudyError: raised by the work.
        ProjectError: the process died, for example because memory ran out.
        KeyboardInterrupt: stopped. The work was asked to end (SIGTERM) and has ended; a second
            Ctrl-C breaks it off.
    """
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, work, arguments), daemon=True)
    child.start()
    there.close()
    try:
        answer = _listen(here, progress)
        child.join()
    except KeyboardInterrupt:
        child.terminate()
        # A full pipe must not keep the work from ending.
        _listen(here, progress)
        child.join()
        raise
    finally:
        if child.is_alive():
            child.kill()
            child.join()
        here.close()
    if answer is None:
        code = child.exitcode or 0
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise ProjectError(
            f"The process for {what} ended {how}.",
            "If memory was used up, close other programs or use a smaller --size; then run the "
            "same command again; finished work is kept.",
        )
    kind, value, memory = answer
    if kind == "error":
        raise value
    if kind == "fault":
        raise RuntimeError(value)
    return Outcome(value, memory)


def _listen(pipe: Connection, progress: Progress) -> tuple[str, Any, float] | None:
    """Pass on what the work tells until it answers: (kind, value, MB); None when it has died."""
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            sent = pipe.recv()
            if not isinstance(sent, Event):
                answer: tuple[str, Any, float] = sent
                return answer
            progress.listener(sent)
    return None


def _child(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C on the terminal is for the parent, which asks this process to end.
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def tell(event: Event) -> None:
        try:
            pipe.send(event)
        except BrokenPipeError:
            # No one waits for the result any more.
            os._exit(1)

    answer: tuple[str, Any]
    try:
        answer = ("done", work(Progress(tell), *arguments))
    except UnderstudyError as error:
        answer = ("error", error)
    except Exception as error:
        words = io.StringIO()
        log = logging.Logger("understudy.runtime.child_process")
        log.addHandler(logging.StreamHandler(words))
        log.exception("%s", error)
        answer = ("fault", words.getvalue())
    with contextlib.suppress(BrokenPipeError):
        pipe.send((*answer, high_water()))

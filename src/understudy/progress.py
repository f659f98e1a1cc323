"""One stream of progress events for any listener: terminal, run log, page.

A stage calls `Progress.step`, `note` and `finish`; it knows nothing of terminals. `silent()`
is the default in the API, `cli/entry.py` passes a terminal listener.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Event:
    """Attributes:
    kind: `step` (work continued), `note` (a message), `finish` (this task is over).
    task: name of the work, for example "extract ada".
    done, total: units of work; total is None while unknown.
    unit: unit of the work, plural ("frames").
    seconds: since the task started.
    text: for a note, the sentence; for a step, figures to show, or "".
    """

    kind: Literal["step", "note", "finish"]
    task: str
    done: float
    total: float | None
    unit: str
    seconds: float
    text: str = ""

    @property
    def rate(self) -> float:
        """Units per second so far; 0 before the first."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left at the rate so far; None while unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0.0, self.total - self.done) / self.rate


Listener = Callable[[Event], None]


@dataclass
class Task:
    """A running count inside `Progress.task`."""

    name: str
    unit: str
    total: float | None
    listener: Listener
    done: float = 0.0
    start: float = field(default_factory=time.monotonic)

    def _send(self, kind: Literal["step", "note", "finish"], text: str = "") -> None:
        seconds = time.monotonic() - self.start
        self.listener(Event(kind, self.name, self.done, self.total, self.unit, seconds, text))

    def step(self, n: float = 1, text: str = "") -> None:
        """Report that `n` more units are done."""
        self.done += n
        self._send("step", text)

    def note(self, text: str) -> None:
        """Send a message that stays readable after the bar is gone."""
        self._send("note", text)


@dataclass(frozen=True)
class Progress:
    listener: Listener

    @contextmanager
    def task(self, name: str, unit: str, total: float | None = None) -> Iterator[Task]:
        """One piece of work, counted in `unit` (plural)."""
        task = Task(name, unit, total, self.listener)
        try:
            yield task
        finally:
            task._send("finish")

    def note(self, text: str) -> None:
        """Send a message outside any task."""
        self.listener(Event("note", "", 0, None, "", 0.0, text))


def silent() -> Progress:
    """Progress without a listener."""
    return Progress(lambda event: None)

"""Progress on a terminal: a bar with rate and time left, and notes above it.

If the output is not a terminal (a log, a pipe, CI), it prints a few plain lines instead.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.progress import (
    Progress as RichProgress,
)
from rich.text import Text

from understudy.progress import Event, Progress
from understudy.runtime.filenames import plain

LINE_EVERY = 5.0
"""Seconds between two plain lines."""


def clock(seconds: float) -> str:
    """Seconds as readable text: `7 s`, `3:07`, `1:02:05`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def figures(event: Event) -> str:
    """`1200/3000 frames, 96.2 frames/s, 19 s left`, with the parts that are known."""
    count = f"{event.done:,.0f}" if event.total is None else f"{event.done:,.0f}/{event.total:,.0f}"
    parts = [f"{count} {_unit(event, event.done if event.total is None else event.total)}"]
    parts += _rate(event)
    if event.left is not None and event.left >= 1:
        parts.append(f"{clock(event.left)} left")
    if event.text:
        parts.append(event.text)
    return ", ".join(parts)


def summary(event: Event) -> str:
    """The line that stays when a task is finished."""
    rate = "".join(f" ({text})" for text in _rate(event))
    done = f"{event.done:,.0f} {_unit(event, event.done)}"
    return f"{event.task}: {done} in {clock(event.seconds)}{rate}"


def _unit(event: Event, count: float) -> str:
    """`1 frame`, `2 frames`: every unit used here has a plural in s."""
    return event.unit.removesuffix("s") if count == 1 else event.unit


def _rate(event: Event) -> list[str]:
    """The rate, if it has been measured long enough and has a meaning."""
    if event.rate <= 0 or event.seconds < 1 or event.unit == "seconds":
        return []
    return [f"{event.rate:,.1f} {event.unit}/s"]


class _Figures(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("figures", "")), style="dim")


class Terminal(AbstractContextManager["Terminal"]):
    """Shows progress on `console` while open; pass `progress` to the stages."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._last_line = time.monotonic()
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            _Figures(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.progress = Progress(self._listen)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(plain(text), style=style, markup=False, highlight=False, soft_wrap=True)

    def _listen(self, event: Event) -> None:
        with self._lock:
            if event.kind == "note":
                self._say(event.text)
            elif event.kind == "finish":
                if event.task in self._tasks:
                    self._bars.remove_task(self._tasks.pop(event.task))
                if event.done > 0:
                    self._say(summary(event), style="dim")
            elif self._console.is_terminal:
                self._draw(event)
            elif time.monotonic() - self._last_line >= LINE_EVERY:
                self._last_line = time.monotonic()
                self._say(f"{event.task}: {figures(event)}")

    def _draw(self, event: Event) -> None:
        if event.task not in self._tasks:
            self._tasks[event.task] = self._bars.add_task(plain(event.task), total=event.total)
        self._bars.update(
            self._tasks[event.task],
            completed=event.done,
            total=event.total,
            figures=plain(figures(event)),
        )

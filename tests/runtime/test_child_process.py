from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from understudy.errors import FacesError, ProjectError
from understudy.progress import Event, Progress, silent
from understudy.runtime.child_process import high_water, run_apart

MANY = 200
"""Megabytes."""


def work(progress: Progress, kind: str) -> float:
    """What a child does."""
    if kind == "error":
        raise FacesError("no face", "look elsewhere")
    if kind == "fault":
        raise ZeroDivisionError("by chance")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    with progress.task("wait", "parts", 2) as task:
        if kind == "wait":
            task.step()
            time.sleep(600)
        block = np.ones(MANY * 1_000_000 // 8)
        task.step(2, kind)
    return float(block.sum())


def test_what_it_gives_tells_and_takes_arrives() -> None:
    events: list[Event] = []
    outcome = run_apart("a test", work, "sum", progress=Progress(events.append))
    assert outcome.value == MANY * 1_000_000 // 8
    assert MANY < outcome.memory_mb < MANY + 1000
    assert [(event.kind, event.done, event.text) for event in events] == [
        ("step", 2, "sum"),
        ("finish", 2, ""),
    ]


def peak(progress: Progress) -> float:
    return high_water()


def test_memory_of_this_process_does_not_count() -> None:
    held = np.ones(5 * MANY * 1_000_000 // 8)
    assert high_water() > held.nbytes / 1e6
    assert run_apart("a test", peak, progress=silent()).memory_mb < held.nbytes / 1e6


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("error", FacesError, "no face"),
        ("fault", RuntimeError, "ZeroDivisionError: by chance"),
        ("die", ProjectError, "The process for a test ended by signal 9"),
    ],
)
def test_how_it_fails_is_told(kind: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run_apart("a test", work, kind, progress=silent())


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt; a shell starts its background jobs with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it() -> None:
    pids: list[Event] = []

    def listen(event: Event) -> None:
        pids.append(event)
        if event.kind == "step":
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_apart("a test", work, "wait", progress=Progress(listen))
    assert pids[0].kind == "step"

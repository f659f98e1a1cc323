from __future__ import annotations

import io

import pytest
from rich.console import Console

import understudy.cli.progress_bar
from understudy.cli.progress_bar import Terminal, clock, figures, summary
from understudy.progress import Event, Progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (7.4, "7 s"), (59.4, "59 s"), (60, "1:00"), (187, "3:07"), (3725, "1:02:05")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_figures_say_what_is_known() -> None:
    step = Event("step", "scan", 1200, 3000, "frames", 12.0)
    assert figures(step) == "1,200/3,000 frames, 100.0 frames/s, 18 s left"
    assert figures(Event("step", "scan", 3, None, "frames", 0.1, "loss 0.2")) == (
        "3 frames, loss 0.2"
    )
    budget = Event("step", "train", 60, 300, "seconds", 60.0)
    assert figures(budget) == "60/300 seconds, 4:00 left"
    assert summary(step) == "scan: 1,200 frames in 12 s (100.0 frames/s)"


def _work(progress: Progress) -> None:
    with progress.task("scan [a.mp4]", "frames", 3) as task:
        for _ in range(3):
            task.step()
        task.note("Nobody was found in [b.mp4].")
    progress.note("Done.")


def test_one_is_no_plural() -> None:
    assert summary(Event("finish", "verify", 1, None, "frames", 0.1)) == "verify: 1 frame in 0 s"
    assert figures(Event("step", "verify", 1, None, "frames", 0.1)) == "1 frame"
    assert figures(Event("step", "extract", 1, 3, "faces", 0.1)) == "1/3 faces"


def test_plain_lines_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with Terminal(Console(file=out)) as terminal:
        _work(terminal.progress)
    told = [
        "Nobody was found in [b.mp4].",
        "scan [a.mp4]: 3 frames in 0 s",
        "Done.",
    ]
    assert out.getvalue().splitlines() == told
    monkeypatch.setattr(understudy.cli.progress_bar, "LINE_EVERY", 0)
    out.truncate(0)
    with Terminal(Console(file=out)) as terminal:
        _work(terminal.progress)
    lines = out.getvalue().strip("\0").splitlines()
    assert lines == [*(f"scan [a.mp4]: {done}/3 frames" for done in (1, 2, 3)), *told]


def test_a_terminal_keeps_notes_and_what_was_done() -> None:
    out = io.StringIO()
    with Terminal(Console(file=out, force_terminal=True, width=100)) as terminal:
        _work(terminal.progress)
    assert "Nobody was found in [b.mp4]." in out.getvalue()
    assert "scan [a.mp4]: 3 frames in 0 s" in out.getvalue()

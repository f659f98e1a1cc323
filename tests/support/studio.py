"""The command line over painted people and a tiny network, in this process or in one of its own.

Everything but the face networks and the swapping network is real. Run as a program it takes LIMIT
and the words of a command line: above 0, LIMIT is the largest file in bytes that may be written,
as on a full disk; below 0, the process gives up root's right to write everywhere.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

import understudy.facesets.crops
import understudy.facesets.extract
import understudy.facesets.writer
import understudy.tracks.scan
import understudy.tracks.scan_store
from tests.support.painted_people import Act, ColourTracker, film
from understudy.cli.entry import main
from understudy.models import base
from understudy.runtime.installation import VARIABLE
from understudy.settings import ScanSettings

FRAMES = 45
FILMS = {"red": [Act("red", 0, FRAMES, 60)], "blue": [Act("blue", 0, FRAMES, 120)]}
SCENE = [Act("red", 0, 32, 60), Act("blue", 10, FRAMES, 130)]
TRAIN = ("train", "red", "blue", "--name", "duo", "--size", "64", "--device", "cpu")
CONVERT = ("--replace", "red", "--with", "blue", "--preset", "ultrafast", "--segment", "10")


def _trackers(settings: ScanSettings) -> Callable[[], ColourTracker]:
    return ColourTracker


def painted() -> ExitStack:
    """Painted people, chunks of 8 frames and the tiny network, until the stack is closed."""
    stack = ExitStack()
    for module in (understudy.tracks.scan_store, understudy.tracks.scan, understudy.facesets.crops):
        stack.enter_context(mock.patch.object(module, "CHUNK", 8))
    for module in (understudy.tracks.scan, understudy.facesets.extract):
        stack.enter_context(mock.patch.object(module, "trackers", _trackers))
    stack.enter_context(
        mock.patch.dict(base.NETWORKS, {"swift": ("tests.support.tiny_network", "Tiny")})
    )
    return stack


def command(project: Path, *words: str | Path) -> int:
    """Run a command line on the project in this process; returns its exit code."""
    with painted():
        return main(["--project", str(project), *map(str, words)])


def build(folder: Path) -> Path:
    """A project with both people extracted and the model `duo`; the scene lies beside it."""
    project = folder / "project"
    assert main(["init", str(project)]) == 0
    for name, acts in FILMS.items():
        footage = film(folder / f"{name}.mp4", FRAMES, acts)
        assert command(project, "add", name, footage, "--consent", "synthetic") == 0
    assert command(project, "extract") == 0
    assert command(project, *TRAIN, "--steps", "3") == 0
    film(folder / "scene.mp4", FRAMES, SCENE)
    return project


def _child(home: str, project: str, words: Sequence[str]) -> None:
    os.environ[VARIABLE] = home
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        os._exit(command(Path(project), *words))


def start(project: Path, *words: str | Path) -> ForkServerProcess:
    """Begin a command line in a process that has all modules loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "tests.support.studio",
            "understudy.conversion.convert",
            "understudy.training.train",
            "tests.support.tiny_network",
            "torch._dynamo",
        ]
    )
    # The server has the environment of the test that started it.
    args = (os.environ[VARIABLE], str(project), [str(word) for word in words])
    process = context.Process(target=_child, args=args)
    process.start()
    return process


def _limited(limit: int) -> None:
    if limit < 0:
        header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, nothing) == 0
    if limit > 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


if __name__ == "__main__":
    _limited(int(sys.argv[1]))
    sys.exit(command(Path(sys.argv[2]), *sys.argv[3:]))

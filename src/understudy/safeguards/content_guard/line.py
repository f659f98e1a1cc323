"""The line to the content guard's process: started, asked, and ended.

UNDERSTUDY_GUARD_PYTHON names another Python (3.11 or later) that has NudeNet, for who does not
want it beside this package.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from understudy.errors import TrustError
from understudy.types import Image

INTERPRETER = "UNDERSTUDY_GUARD_PYTHON"
PROGRAM = Path(__file__).with_name("process.py")

EXPLICIT = frozenset(
    {
        "ANUS_EXPOSED",
        "BUTTOCKS_EXPOSED",
        "FEMALE_BREAST_EXPOSED",
        "FEMALE_GENITALIA_EXPOSED",
        "MALE_GENITALIA_EXPOSED",
    }
)
HARMLESS = frozenset(
    {
        "ANUS_COVERED",
        "ARMPITS_COVERED",
        "ARMPITS_EXPOSED",
        "BELLY_COVERED",
        "BELLY_EXPOSED",
        "BUTTOCKS_COVERED",
        "FACE_FEMALE",
        "FACE_MALE",
        "FEET_COVERED",
        "FEET_EXPOSED",
        "FEMALE_BREAST_COVERED",
        "FEMALE_GENITALIA_COVERED",
        "MALE_BREAST_EXPOSED",
    }
)
"""Any other class comes from an unknown guard."""

START_SECONDS = 120.0
FRAME_SECONDS = 60.0
"""A guard that takes longer to start, or to look at one frame, hangs."""

LONGEST_ANSWER = 1 << 20


def available() -> str | None:
    """Version of the guard that is installed; None without one.

    Raises:
        TrustError: UNDERSTUDY_GUARD_PYTHON names no Python that has it.
    """
    named = os.environ.get(INTERPRETER)
    command = [*_command(), "--version"]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _broken(f"{command[0]} cannot be run ({error})") from error
    version = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise _broken(f"it ended with {done.returncode}{_last_words(done.stderr)}")
    if not version and named:
        raise TrustError(
            f"{INTERPRETER} is set to {named}, which has no NudeNet.",
            f"Install it there ({named} -m pip install nudenet==3.4.2), or unset {INTERPRETER}.",
        )
    return version or None


def _command() -> list[str]:
    # -P: the folder of the program holds modules of ours whose names others may have, too.
    return [os.environ.get(INTERPRETER) or sys.executable, "-P", str(PROGRAM)]


def _broken(problem: str) -> TrustError:
    return TrustError(
        f"The content guard does not work: {problem}.",
        "Reinstall it (pip install --force-reinstall nudenet==3.4.2), or remove it "
        "(pip uninstall nudenet); films are then recorded as unscanned.",
    )


def _last_words(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""


@contextmanager
def started() -> Iterator[Guard]:
    """The guard's process, which is gone at the end. Raises TrustError."""
    with tempfile.TemporaryFile() as errors:
        try:
            # A separate session, so that it can be ended with all its child processes.
            process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise _broken(f"it cannot be started ({error.strerror})") from error
        try:
            yield Guard(process, errors)
        finally:
            _kill(process)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                # What a process that has gone did not take cannot be written at closing.
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()


class Guard:
    """The guard while it runs.

    Args:
        process: just started.
        errors: file that it writes its complaints to.

    Attributes:
        name: and version, as it states.

    Raises:
        TrustError: it does not start.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process, self._errors = process, errors
        with self._limit(START_SECONDS):
            answer = self._answer(START_SECONDS)
        name, version = answer.get("guard"), answer.get("version")
        if not (isinstance(name, str) and isinstance(version, str)):
            raise _broken("it does not state its name")
        self.name = f"{name} {version}"

    def look(self, image: Image) -> dict[str, float]:
        """The highest score, 0..1, of each explicit class found in a picture.

        Args:
            image: RGB uint8 (h, w, 3).

        Raises:
            TrustError: it crashes, hangs or answers nonsense.
        """
        height, width = image.shape[:2]
        assert self._process.stdin is not None
        with self._limit(FRAME_SECONDS):
            # A process that has gone is found out by what it does not answer.
            with suppress(OSError):
                self._process.stdin.write(struct.pack(">II", height, width))
                self._process.stdin.write(np.ascontiguousarray(image, np.uint8).data)
                self._process.stdin.flush()
            answer = self._answer(FRAME_SECONDS)
        found = answer.get("found")
        if not isinstance(found, list):
            raise _broken("its answer contains no findings")
        scores: dict[str, float] = {}
        for one in found:
            name, score = _checked(one)
            if name in EXPLICIT:
                scores[name] = max(score, scores.get(name, 0.0))
        return scores

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The next line of the process. Raises TrustError if there is no readable one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline(LONGEST_ANSWER)
        if not line.endswith(b"\n"):
            raise self._silence(seconds, len(line))
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _broken(f"its answer is not JSON ({line[:60]!r})") from error
        if not isinstance(answer, dict):
            raise _broken(f"it answered {line[:60]!r}")
        return answer

    def _silence(self, seconds: float, length: int) -> TrustError:
        """Why there is no complete answer."""
        if length >= LONGEST_ANSWER:
            return _broken("its answer is too long")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if self._overdue.is_set():
            return _broken(f"it gave no answer within {seconds:g} seconds")
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4096))
        ended = "closed its output" if code is None else f"ended with {code}"
        return _broken(f"it {ended}{_last_words(self._errors.read())}")

    @contextmanager
    def _limit(self, seconds: float) -> Iterator[None]:
        """Kill the process when the enclosed work takes longer; reads and writes then end."""
        self._overdue = threading.Event()
        timer = threading.Timer(seconds, self._kill_overdue)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill_overdue(self) -> None:
        self._overdue.set()
        _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _checked(one: Any) -> tuple[str, float]:
    """Class and score of one finding. Raises TrustError when it is not valid."""
    name = one.get("class") if isinstance(one, dict) else None
    score = one.get("score") if isinstance(one, dict) else None
    if not isinstance(name, str) or name not in EXPLICIT | HARMLESS:
        raise _broken(f"it reports {str(name)[:60]!r}, which is not a class of NudeNet 3.4.2")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise _broken(f"{str(score)[:60]!r} is not a score from 0 to 1")
    return name, float(score)

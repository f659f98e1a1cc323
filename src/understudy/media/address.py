"""Files as FFmpeg opens them: always as a file, whatever the name looks like.

FFmpeg takes names for addresses: `a:b.mp4` for a protocol `a`, `concat:`, `pipe:` and `http:` for
what they say, and a picture `50%d.png` for a sequence. All opening goes through here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer

# A film must not lead to other addresses either, and a name is never a pattern.
_READING = {"protocol_whitelist": "file", "pattern_type": "none"}


def address(path: Path | str) -> str:
    """The path as FFmpeg's own address of a file."""
    return f"file:{os.path.abspath(path)}"


def open_input(path: Path | str, container: str | None = None) -> InputContainer:
    """Open a file to read.

    Args:
        container: its format, where it is known.

    Raises:
        av.error.FFmpegError, OSError, ValueError: as `av.open`.
    """
    return av.open(address(path), "r", format=container, options=dict(_READING))


def open_output(
    path: Path | str, container: str, options: Mapping[str, str] | None = None
) -> OutputContainer:
    """Open a file to write in the format `container`. Raises as `av.open`."""
    return av.open(address(path), "w", format=container, options=dict(options or {}))

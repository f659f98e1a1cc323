"""The content guard's other side: a separate program that this package starts and never imports.

NudeNet's wheel carries the GNU Affero General Public License, so it is loaded in a process apart,
by the interpreter that it is installed for, and spoken to over pipes alone:

    python guard_process.py --version     prints the version of NudeNet, or nothing
    python guard_process.py               looks at pictures until its input ends

In: for every picture its height and width, two big-endian 32-bit numbers, then height * width * 3
bytes, RGB. Out: lines of JSON, at first {"guard": "nudenet", "version": ...}, then one for each
picture, {"found": [{"class": ..., "score": 0..1}, ...]}.
"""

import importlib.metadata
import json
import os
import struct
import sys
from typing import BinaryIO


def version() -> str | None:
    """Of NudeNet; None where it is not installed."""
    try:
        return importlib.metadata.version("nudenet")
    except importlib.metadata.PackageNotFoundError:
        return None


def look(pictures: BinaryIO, answers: BinaryIO) -> None:
    """Answer for every picture until there are no more."""
    import numpy as np
    from nudenet import NudeDetector

    def answer(value: object) -> None:
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()

    detector = NudeDetector()
    answer({"guard": "nudenet", "version": version()})
    while header := pictures.read(8):
        height, width = struct.unpack(">II", header)
        rgb = np.frombuffer(pictures.read(height * width * 3), np.uint8)
        # NudeNet takes arrays in OpenCV's order of channels.
        bgr = np.ascontiguousarray(rgb.reshape(height, width, 3)[..., ::-1])
        found = detector.detect(bgr)
        answer({"found": [{"class": one["class"], "score": one["score"]} for one in found]})


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(version() or "")
        return
    # The output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    look(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()

"""The command line starts without the heavy libraries."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "av", "cv2", "pyarrow", "accelerate", "ai_edge_litert", "tensorboard"}


def test_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from understudy.cli import main\n"
        "assert main(['--help']) == 0\n"
        "assert main(['convert', '--help']) == 0\n"
        f"print('loaded:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"

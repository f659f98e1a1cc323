"""`python -m understudy`, the same as `understudy`."""

import signal
import sys


def main() -> int:
    """Run the command line of this process.

    While the program loads, Ctrl-C ends it immediately and silently: no work has started.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from understudy.cli.entry import main as command

    signal.signal(signal.SIGINT, before)
    return command()


if __name__ == "__main__":
    sys.exit(main())

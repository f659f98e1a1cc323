"""The command line: `main` runs one command and gives its exit code."""

from understudy.cli.entry import main

__all__ = ["main"]

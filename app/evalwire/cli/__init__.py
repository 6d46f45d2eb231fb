"""Parse the command line, run one command, and end with its exit code."""

from evalwire.cli.entry import main

__all__ = ["main"]

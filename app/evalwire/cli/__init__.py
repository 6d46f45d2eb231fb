"""Parse the command line, run one command, and end with its exit code."""

from evalwire.cli.entry import console_script, main

__all__ = ["console_script", "main"]

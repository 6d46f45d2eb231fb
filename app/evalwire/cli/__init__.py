"""Parse the command line, run the command, and exit with its code."""

from evalwire.cli.entry import console_script, main

__all__ = ["console_script", "main"]

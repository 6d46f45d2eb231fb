"""Write results, progress and warnings to the standard streams."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from evalwire.masking import Mask, plain, plain_line

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The standard streams of a command; both replace secrets.

    Attributes:
        out: for results.
        err: for progress, warnings and logs.
        mask: replaces secrets in a text for other outputs.
        write_command: writes lines that a CI system reads as commands; commands in other output are disabled.
        color: whether `out` shows colors.
        width: the number of columns of `out`; None if it is not a terminal.
        quiet: whether to show only results and errors.
        verbose: whether to show tracebacks.
    """

    out: TextIO
    err: TextIO
    mask: Mask
    write_command: Callable[[str], object] = lambda _: None
    color: bool = False
    width: int | None = None
    quiet: bool = False
    verbose: bool = False

    def say(self, line: str) -> None:
        """Write a line of progress."""
        if not self.quiet:
            self.err.write(f"{plain_line(line)}\n")
            self.err.flush()

    def warn(self, message: str) -> None:
        """Write a warning or an error."""
        self.err.write(f"evalwire: {plain(message)}\n")

    def show(self, text: str) -> None:
        """Write a result as plain text, without control characters in names."""
        self.out.write(plain(text))

    def learn_secrets(self) -> None:
        """Mask secrets that user code has loaded into the environment."""
        self.mask.learn(os.environ)

"""evalwire as at a developer's terminal: a process in a pseudo-terminal, outside of CI and of a container."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

# the tests themselves may run in a container
_OUTSIDE_OF_A_CONTAINER = """
from evalwire.cli import console_script
from evalwire.jobs import connect

connect.is_in_container = lambda _: False
console_script()
"""


class Terminal:
    """A command in a pseudo-terminal of its own, which is its session's."""

    def __init__(
        self, *arguments: str, cwd: Path, environ: Mapping[str, str], python: str | Path = sys.executable
    ) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [python, "-c", _OUTSIDE_OF_A_CONTAINER, *arguments],
            cwd=cwd,
            env={**environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def finish(self, seconds: float = 200) -> int:
        """Read until every process has closed the terminal; return the command's exit code."""
        while self._read(seconds):
            pass
        os.close(self._master)
        return self.process.wait(30)

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Read until a text was shown."""
        while text not in self.text:
            assert self._read(seconds), f"{text!r} was not shown: {self.text[-2000:]}"

    def _read(self, seconds: float) -> bool:
        """Read once; return False at the end."""
        deadline = time.monotonic() + seconds
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing was shown for {seconds} s: {self.text[-2000:]}"
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # Linux's way to report the end
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


def in_terminal(*arguments: str, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a command in a terminal; return its exit code and what was shown."""
    terminal = Terminal(*arguments, cwd=cwd, environ=environ)
    return terminal.finish(), terminal.text


_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


def screen(text: str) -> str:
    """Return what a terminal shows after a text: lines that were drawn again are there once, without colors."""
    lines, row, column = [""], 0, 0
    for found in _CONTROL.finditer(text):
        piece, number, letter = found[0], found[1], found[2]
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece == "\r":
            column = 0
        elif letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            lines[row] = lines[row][:column] if number in ("", "0") else ""
        elif letter is None:
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return "\n".join(line.rstrip() for line in lines)

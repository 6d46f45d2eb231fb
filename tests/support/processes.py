"""The processes of a command: the one that was started, and its child, which does the work."""

from __future__ import annotations

import time
from pathlib import Path


def command_of(pid: int) -> int:
    """Return the process ID of the child that runs the command.

    Args:
        pid: of the process that was started, which waits for it.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError(f"process {pid} has started no command")

"""The description of a running local Phoenix, and of the progress of its start."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evalwire.errors import LocalServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A running Phoenix server.

    Attributes:
        port: the port on 127.0.0.1.
        directory: the directory with the data and the log.
        pid: the process ID.
        started: the start time of the process, in seconds since the epoch.
        version: the version of Phoenix.
        process: the process; None if another program started it, such as `evalwire serve`.
    """

    port: int
    directory: Path
    pid: int
    started: float
    version: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Functions that report the progress of a start; by default, nothing is reported.

    Attributes:
        say: receives a line.
        wait: receives an activity and the reason why it takes long; its context lasts as long as the activity.
    """

    say: Callable[[str], None] = lambda _: None
    wait: Callable[[str, str], contextlib.AbstractContextManager[object]] = lambda *_: contextlib.nullcontext()


SILENT = Progress()


class PortTakenError(LocalServerError):
    """Another program listens on the port of a server."""

"""The description of a running local Phoenix."""

from __future__ import annotations

import subprocess
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
        process: the process; None if another program started it, such as `evalwire serve`.
    """

    port: int
    directory: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"


class PortTakenError(LocalServerError):
    """Another program listens on the port of a server."""

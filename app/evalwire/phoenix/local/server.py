"""Name a running local Phoenix."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from evalwire.errors import LocalServerError


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """A running Phoenix.

    Attributes:
        port: where it answers, on 127.0.0.1.
        directory: where its data and its log are.
        pid: its process.
        process: the same, or None when somebody else runs it (`evalwire serve`).
    """

    port: int
    directory: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


class PortTakenError(LocalServerError):
    """Another program listens on the port that a server was to have."""

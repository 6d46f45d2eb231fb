"""The choice of a port for a local Phoenix."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from evalwire.errors import LocalServerError
from evalwire.phoenix.local.directory import read_state

_PREFERRED_PORT = 6006


def choose_port(directory: Path) -> int:
    """Return a free port: the directory's last port, else Phoenix's default port, else any port.

    Raises:
        LocalServerError: no port is free.
    """
    last = read_state(directory).get("port", _PREFERRED_PORT)
    for port in (last, _PREFERRED_PORT, 0):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError, TypeError, OverflowError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise LocalServerError("no free port on 127.0.0.1.")


def free_port() -> int:
    """Return any free port."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
